"""Benchmark the client against plain httpx: the CPU time per call and for the import."""

from __future__ import annotations

import resource
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from flashback_client import AiType, FlashbackClient
from scripts.maintenance import environments
from scripts.maintenance.bench_server import BARE, BODY, ID, serving

CALLS_PER_ROUND = 100
HTTPX = "httpx and attrs"
CLIENT = "flashback_client"
# The maximum ratio of flashback_client's CPU time to httpx's CPU time.
TARGETS = {"in process": 0.85, "loopback": 0.9, "import": 1.15}
IMPORTS = {"python": "", HTTPX: "import httpx, attrs", CLIENT: "import flashback_client"}

Calls = dict[str, Callable[[], object]]


def measure(rounds: int) -> bool:
    """Print the tables, and return whether all targets are met."""
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json={"success": True}))
    in_process = calls("http://127.0.0.1", transport)
    results = [show("in process", "CPU µs per call", time_calls(in_process, rounds))]
    with serving("bare aiohttp", *BARE) as server:
        loopback = calls(server.url, None)
        results.append(show("loopback", "CPU µs per call", time_calls(loopback, rounds)))
    results.append(show("import", "CPU ms", time_imports(rounds)))
    return all(results)


def calls(url: str, transport: httpx.BaseTransport | None) -> Calls:
    """Return two functions, one for httpx and one for the client, that send the same update."""
    plain = httpx.Client(headers={"Authorization": "Bearer token"}, transport=transport)
    client = FlashbackClient("token", base_url=url, transport=transport)

    def update() -> object:
        return client.update_ai_llm(
            ID,
            name=BODY["name"],
            ai_type=AiType.OPENAI,
            endpoint=BODY["endpoint"],
            key=BODY["key"],
            secret=BODY["secret"],
        )

    return {HTTPX: lambda: plain.put(f"{url}/ai/llm/{ID}", json=BODY).json(), CLIENT: update}


def time_calls(calls: Calls, rounds: int) -> dict[str, float]:
    """Return the median CPU time per call in this process, in microseconds."""
    spent: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds + 1):
        for name, call in calls.items():
            started = time.process_time()
            for _ in range(CALLS_PER_ROUND):
                call()
            spent[name].append((time.process_time() - started) / CALLS_PER_ROUND * 1e6)
    return without_warm_up(spent)


def time_imports(rounds: int) -> dict[str, float]:
    """Return the median CPU time that each import adds to Python's startup, in milliseconds."""
    spent: dict[str, list[float]] = {name: [] for name in IMPORTS}
    # Use a small environment: in .venv, httpx would also import rich.
    with tempfile.TemporaryDirectory() as folder:
        python = environments.create(Path(folder))
        for _ in range(rounds + 1):
            for name, code in IMPORTS.items():
                started = children_cpu()
                subprocess.run([python, "-c", code], env={}, check=True)
                spent[name].append((children_cpu() - started) * 1000)
    medians = without_warm_up(spent)
    startup = medians.pop("python")
    return {name: median - startup for name, median in medians.items()}


def without_warm_up(spent: dict[str, list[float]]) -> dict[str, float]:
    """Return the median of each list, ignoring its first value, which is a warm-up."""
    return {name: statistics.median(times[1:]) for name, times in spent.items()}


def children_cpu() -> float:
    """Return the CPU time of all finished child processes, in seconds."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def show(title: str, unit: str, medians: dict[str, float]) -> bool:
    """Print a table with the ratio to httpx, and return whether the target is met."""
    ratio = medians[CLIENT] / medians[HTTPX]
    met = ratio <= TARGETS[title]
    verdict = "met" if met else "MISSED"
    print(f"\n{title}: {unit}")
    print(f"  {HTTPX:20} {medians[HTTPX]:8.1f}")
    print(f"  {CLIENT:20} {medians[CLIENT]:8.1f}")
    print(f"  ratio {ratio:.2f} (target: at most {TARGETS[title]:.2f}, {verdict})")
    return met

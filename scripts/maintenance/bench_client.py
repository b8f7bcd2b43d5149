"""Compare the client's CPU time, per call and for the import, with that of plain httpx."""

import resource
import statistics
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from flashback_client import AiType, FlashbackClient
from scripts.maintenance import environments
from scripts.maintenance.bench_server import BODY, ID, MOCK, TOKEN, Target, serving

Calls = dict[str, Callable[[], object]]

CALLS_PER_ROUND = 100
HTTPX = "httpx and attrs"
CLIENT = "flashback_client"
IMPORTS = {"python": "", HTTPX: "import httpx, attrs", CLIENT: "import flashback_client"}


def measure(rounds: int) -> list[Target]:
    """Print the CPU times. Return a target for each ratio of the client's time to httpx's."""
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json={"success": True}))
    in_process = time_calls("http://127.0.0.1", transport, rounds)
    with serving("the mock", *MOCK, "--port") as server:
        loopback = time_calls(server.url, None, rounds)
    return [
        compare("in process: CPU µs per call", in_process, 0.85),
        compare("loopback: CPU µs per call", loopback, 0.9),
        compare("import: CPU ms", time_imports(rounds), 1.15),
    ]


def compare(what: str, medians: dict[str, float], limit: float) -> Target:
    """Print the medians for the client and for httpx. Return a target for their ratio."""
    print(f"\n{what}")
    for name, value in medians.items():
        print(f"  {name:20} {value:8.1f}")
    return Target(f"{what}, ratio", medians[CLIENT] / medians[HTTPX], "at most", limit)


def time_calls(url: str, transport: httpx.BaseTransport | None, rounds: int) -> dict[str, float]:
    """Return the median CPU time per call in this process, in microseconds."""
    plain = httpx.Client(headers={"Authorization": f"Bearer {TOKEN}"}, transport=transport)
    client = FlashbackClient(TOKEN, base_url=url, transport=transport)
    fields: dict[str, Any] = {**BODY, "ai_type": AiType.OPENAI}
    del fields["aiType"]
    calls: Calls = {
        HTTPX: lambda: plain.put(f"{url}/ai/llm/{ID}", json=BODY).json(),
        CLIENT: lambda: client.update_ai_llm(ID, **fields),
    }
    spent: dict[str, list[float]] = defaultdict(list)
    for _ in range(rounds + 1):
        for name, call in calls.items():
            started = time.process_time()
            for _ in range(CALLS_PER_ROUND):
                call()
            spent[name].append((time.process_time() - started) / CALLS_PER_ROUND * 1e6)
    return without_warm_up(spent)


def time_imports(rounds: int) -> dict[str, float]:
    """Return the median CPU time that each import adds to Python's startup, in milliseconds."""
    spent: dict[str, list[float]] = defaultdict(list)
    # In .venv, httpx would also import rich, which would make httpx seem slower.
    with tempfile.TemporaryDirectory() as folder:
        python = environments.create(Path(folder))
        for _ in range(rounds + 1):
            for name, code in IMPORTS.items():
                started = _children_cpu_seconds()
                subprocess.run([python, "-c", code], env={}, check=True)
                spent[name].append((_children_cpu_seconds() - started) * 1000)
    medians = without_warm_up(spent)
    startup = medians.pop("python")
    return {name: median - startup for name, median in medians.items()}


def without_warm_up(spent: dict[str, list[float]]) -> dict[str, float]:
    """Return each median, ignoring the first time, which was measured during warm-up."""
    return {name: statistics.median(times[1:]) for name, times in spent.items()}


def _children_cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime

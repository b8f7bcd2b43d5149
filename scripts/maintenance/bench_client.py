"""Benchmark the CPU time of a call and of the import against httpx and other clients."""

from __future__ import annotations

import importlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from scripts import generate
from scripts.maintenance import environments
from scripts.maintenance.bench_servers import ANSWER, BODY, ID, running

CALLS_PER_ROUND = 100
# The most that flashback_client may take, as a multiple of httpx alone.
TARGETS = {"in process": 0.85, "loopback": 0.9, "import": 1.15}
IMPORTS = {
    "httpx and attrs": "import httpx, attrs",
    "generator's own client": "import plain_client.api.ai_llm.update_ai_llm",
    "flashback_client": "import flashback_client",
}

Calls = dict[str, Callable[[], object]]


def measure(rounds: int) -> int:
    """Print the tables; return 1 if a target is missed."""
    with tempfile.TemporaryDirectory() as folder:
        generate.render(generate.CONTRACT, Path(folder) / "plain_client")
        sys.path.insert(0, folder)
        in_process = httpx.MockTransport(lambda _: httpx.Response(200, json=ANSWER))
        missed = show(
            "in process", "µs CPU a call", time_calls(clients(transport=in_process), rounds)
        )
        with running("bare") as server:
            calls = clients(url=server.url)
            missed |= show("loopback", "µs CPU a call", time_calls(calls, rounds))
        missed |= show("import", "ms CPU", time_imports(folder, rounds))
    return int(missed)


def clients(url: str = "http://127.0.0.1", **httpx_options: Any) -> Calls:
    """Return the same update by each client."""
    alone = httpx.Client(headers={"Authorization": "Bearer token"}, **httpx_options)
    calls: Calls = {"httpx and attrs": lambda: alone.put(f"{url}/ai/llm/{ID}", json=BODY).json()}
    calls["generator's own client"] = plain_call(url, httpx_options)
    package: Any = importlib.import_module("flashback_client")
    ours = package.FlashbackClient("token", base_url=url, **httpx_options)
    fields = {**BODY, "ai_type": BODY["aiType"]}
    del fields["aiType"]
    calls["flashback_client"] = lambda: ours.update_ai_llm(ID, **fields)
    return calls


def plain_call(url: str, httpx_options: dict[str, Any]) -> Callable[[], object]:
    """Return the update by the client that the generator renders without our templates."""
    package: Any = importlib.import_module("plain_client")
    models: Any = importlib.import_module("plain_client.models")
    operation: Any = importlib.import_module("plain_client.api.ai_llm.update_ai_llm")
    client = package.AuthenticatedClient(url, token="token", httpx_args=httpx_options)  # noqa: S106

    def call() -> object:
        return operation.sync(ID, client=client, body=models.UpdateAiLlmRequest.from_dict(BODY))

    return call


def time_calls(calls: Calls, rounds: int) -> dict[str, float]:
    """Return each call's microseconds of CPU in this process, the median of the rounds."""
    spent: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds + 1):
        for name, call in calls.items():
            started = time.process_time()
            for _ in range(CALLS_PER_ROUND):
                call()
            spent[name].append((time.process_time() - started) / CALLS_PER_ROUND * 1e6)
    return {name: statistics.median(times[1:]) for name, times in spent.items()}


def time_imports(folder: str, rounds: int) -> dict[str, float]:
    """Return each import's milliseconds of CPU in a new process, less that of Python alone."""
    python = environments.create(Path(folder) / "env")
    # The first round is a warm-up.
    env = {"PYTHONPATH": folder, "PYTHONPYCACHEPREFIX": f"{folder}/compiled"}
    spent: dict[str, list[float]] = {name: [] for name in ["", *IMPORTS]}
    for _ in range(rounds + 1):
        for name, times in spent.items():
            started = children_cpu()
            subprocess.run([python, "-c", IMPORTS.get(name, "")], env=env, check=True)
            times.append((children_cpu() - started) * 1000)
    medians = {name: statistics.median(times[1:]) for name, times in spent.items()}
    return {name: medians[name] - medians[""] for name in IMPORTS}


def children_cpu() -> float:
    """Return the CPU seconds of all child processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def show(title: str, unit: str, table: dict[str, float]) -> bool:
    """Print a table with ratios to httpx alone; return whether the target is missed."""
    base = table["httpx and attrs"]
    ratio = table["flashback_client"] / base
    print(f"\n{title}: {unit}")
    for name, value in table.items():
        print(f"  {name:24} {value:8.1f} {value / base:6.2f}")
    missed = ratio > TARGETS[title]
    verdict = "missed" if missed else "met"
    print(f"  target for flashback_client: at most {TARGETS[title]:.2f}, {verdict}")
    return missed

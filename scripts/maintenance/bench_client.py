"""Compare the client's CPU time (per call and at import) with that of plain httpx."""

import os
import resource
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from statistics import median
from typing import Any

import httpx

from flashback_client import AiType, FlashbackClient
from scripts.maintenance.bench_server import BODY, ID, MOCK, TOKEN, Target, serving

CALLS_PER_ROUND = 100
HTTPX = "httpx and attrs"
CLIENT = "flashback_client"
IMPORTS = {"python": "", HTTPX: "import httpx, attrs", CLIENT: "import flashback_client"}


def measure(rounds: int) -> list[Target]:
    """Print the CPU times. Return a performance target for each comparison with httpx."""
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
    """Print the medians for the client and for httpx. Return the target for their ratio."""
    print(f"\n{what}")
    for name, value in medians.items():
        print(f"  {name:20} {value:8.1f}")
    return Target(f"{what}, ratio", medians[CLIENT] / medians[HTTPX], limit)


def time_calls(url: str, transport: httpx.BaseTransport | None, rounds: int) -> dict[str, float]:
    """Return the median CPU time per call in this process, in microseconds."""
    plain = httpx.Client(headers={"Authorization": f"Bearer {TOKEN}"}, transport=transport)
    client = FlashbackClient(TOKEN, base_url=url, transport=transport)
    fields: dict[str, Any] = {**BODY, "ai_type": AiType.OPENAI}
    del fields["aiType"]

    def call_with_httpx() -> None:
        for _ in range(CALLS_PER_ROUND):
            plain.put(f"{url}/ai/llm/{ID}", json=BODY).json()

    def call_with_client() -> None:
        for _ in range(CALLS_PER_ROUND):
            client.update_ai_llm(ID, **fields)

    calls = {HTTPX: call_with_httpx, CLIENT: call_with_client}
    return take_turns(calls, rounds, time.process_time, CALLS_PER_ROUND * 1e-6)


def time_imports(rounds: int) -> dict[str, float]:
    """Return the median CPU time that each import adds to Python's startup, in milliseconds."""
    environment = dict(os.environ)
    # Most users already have the bytecode. The first round, which is ignored, writes it.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)

    def importing(code: str) -> Callable[[], object]:
        # Hide click, which users rarely install: if click is installed, httpx imports more modules.
        code = f"import sys; sys.modules['click'] = None; {code}"
        return lambda: subprocess.run([sys.executable, "-c", code], env=environment, check=True)

    imports = {name: importing(code) for name, code in IMPORTS.items()}
    medians = take_turns(imports, rounds, _children_cpu_seconds, 1e-3)
    startup = medians.pop("python")
    for name in medians:
        medians[name] -= startup
    return medians


def take_turns(
    calls: Mapping[str, Callable[[], object]], rounds: int, clock: Callable[[], float], unit: float
) -> dict[str, float]:
    """Return each call's median time, in multiples of `unit` seconds. Ignore the first round."""
    spent: dict[str, list[float]] = defaultdict(list)
    for _ in range(rounds + 1):
        for name, call in calls.items():
            started = clock()
            call()
            spent[name].append(clock() - started)
    medians: dict[str, float] = {}
    for name, times in spent.items():
        medians[name] = median(times[1:]) / unit
    return medians


def _children_cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime

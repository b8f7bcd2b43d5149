"""Benchmark the mock with its in-memory store against a bare aiohttp server and Prism."""

from __future__ import annotations

import asyncio
import json
import shutil
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

from scripts.generate import CONTRACT
from scripts.maintenance.bench_server import BARE, BODY, ID, TOKEN, Server, serving

CONNECTIONS = 8
SECONDS = 1.0
FEW = "mock, 10"
MANY = "mock, 1,000,000"
MOCK = (sys.executable, "-m", "flashback_mock", "--log-level", "error")
# The minimum ratio of the mock's requests per second to Prism's requests per second.
TIMES_PRISM = {"Prism": 4.0, "Prism, silent": 2.5}
BAR = 40  # the length of the fastest server's bar, in characters

Measurements = dict[tuple[str, str], list[float]]  # keys are (kind of request, server)


def request(body: object) -> bytes:
    """Return an update request as bytes."""
    content = json.dumps(body).encode()
    head = (
        f"PUT /ai/llm/{ID} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


REQUESTS = {
    "valid update": request(BODY),
    "invalid update": request({**BODY, "aiType": "openai"}),
}


def measure(rounds: int) -> bool:
    """Print the tables, and return whether all targets are met."""
    rates: Measurements = defaultdict(list)
    cpu: Measurements = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as running:
        servers: list[Server] = []
        for name, command in commands(Path(folder)).items():
            print(f"Starting {name} ...", file=sys.stderr)
            servers.append(running.enter_context(serving(name, *command)))
        for number in range(rounds):
            print(f"Round {number + 1} of {rounds} ...", file=sys.stderr)
            for server in servers:
                for kind in REQUESTS:
                    load(server, kind, rates[kind, server.name], cpu[kind, server.name])
    median_rates = {key: statistics.median(values) for key, values in rates.items()}
    median_cpu = {key: statistics.median(values) for key, values in cpu.items()}
    show(median_rates, median_cpu)
    return check_targets(median_rates, median_cpu, startup_time(rounds))


def commands(folder: Path) -> dict[str, tuple[str, ...]]:
    """Map each server's name to its command, without the port, which is the last argument."""
    found = {
        "bare aiohttp": BARE,
        FEW: (*MOCK, "--fixtures", str(fixtures(folder, 10)), "--port"),
        MANY: (*MOCK, "--fixtures", str(fixtures(folder, 1_000_000)), "--port"),
    }
    prism = shutil.which("prism")
    if prism:
        command = (prism, "mock", str(CONTRACT))
        found["Prism"] = (*command, "--port")
        found["Prism, silent"] = (*command, "--verboseLevel", "silent", "--port")
    else:
        print(
            "Prism is not installed, so it is not measured; to install it, run:"
            " npm install -g @stoplight/prism-cli",
            file=sys.stderr,
        )
    return found


def fixtures(folder: Path, size: int) -> Path:
    """Write a fixtures file with `size` configurations, and return its path."""
    configurations = {"main": {"id": ID, "name": "OpenAI in production", "aiType": "OPENAI"}}
    for number in range(1, size):
        configuration = {"id": f"{number:036}", "name": f"Name {number}", "aiType": "OPENAI"}
        configurations[str(number)] = configuration
    workspace = {"members": {"owner": "WRITE"}, "configurations": configurations}
    document = {"users": {"owner": {"token": TOKEN}}, "workspaces": {"acme": workspace}}
    file = folder / f"{size}.json"
    file.write_text(json.dumps(document), "utf-8")
    return file


def load(server: Server, kind: str, rates: list[float], cpu: list[float]) -> None:
    """Send requests for a second. Append the requests per second and the CPU µs per request."""
    before = server.cpu_seconds()
    started = time.perf_counter()
    count = asyncio.run(send(server.url, REQUESTS[kind]))
    rates.append(count / (time.perf_counter() - started))
    cpu.append((server.cpu_seconds() - before) / count * 1e6)


async def send(url: str, sent: bytes) -> int:
    """Send the request over a few connections for a second; return the number of responses."""
    until = time.perf_counter() + SECONDS
    port = urlsplit(url).port

    async def one_connection() -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        count = 0
        while time.perf_counter() < until:
            writer.write(sent)
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
            length = int(head.lower().partition(b"content-length:")[2].split(b"\r")[0])
            await reader.readexactly(length)
            count += 1
        writer.close()
        return count

    return sum(await asyncio.gather(*(one_connection() for _ in range(CONNECTIONS))))


def startup_time(rounds: int) -> float:
    """Return the median time from starting the mock to its first response, in seconds."""
    taken: list[float] = []
    for _ in range(rounds):
        started = time.perf_counter()
        with serving("mock", *MOCK, "--port"):
            taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def show(rates: dict[tuple[str, str], float], cpu: dict[tuple[str, str], float]) -> None:
    """Print a row with a bar for each kind of request and each server."""
    fastest = max(rates.values())
    print("\n                                         requests/s   µs CPU")
    for (kind, name), rate in sorted(rates.items()):
        bar = "█" * round(BAR * rate / fastest)
        print(f"  {kind:16} {name:20} {rate:10.0f} {cpu[kind, name]:8.0f}   {bar}")


def check_targets(
    rates: dict[tuple[str, str], float], cpu: dict[tuple[str, str], float], startup: float
) -> bool:
    """Print each target with the measured value, and return whether all targets are met."""
    print("\nTargets")
    results = [show_target("seconds to the first response", startup, "at most 0.5", startup <= 0.5)]
    for kind in REQUESTS:
        growth = cpu[kind, MANY] / cpu[kind, FEW]
        results.append(
            show_target(f"{kind}: CPU of {MANY} / {FEW}", growth, "at most 1.5", growth <= 1.5)
        )
        for name, least in TIMES_PRISM.items():
            if (kind, name) in rates:
                times = rates[kind, FEW] / rates[kind, name]
                what = f"{kind}: requests/s of {FEW} / {name}"
                results.append(show_target(what, times, f"at least {least}", times >= least))
    return all(results)


def show_target(what: str, value: float, target: str, met: bool) -> bool:  # noqa: FBT001
    """Print a target with the measured value, and return whether the target is met."""
    print(f"  {what:56} {value:7.2f}   {target}, {'met' if met else 'MISSED'}")
    return met

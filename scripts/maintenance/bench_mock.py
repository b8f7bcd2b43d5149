"""Benchmark the mock with its in-memory store against Prism."""

import asyncio
import json
import shutil
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import ExitStack
from itertools import product
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from scripts.generate import CONTRACT
from scripts.maintenance.bench_server import BODY, ID, MOCK, TOKEN, Server, Target, serving

CONNECTIONS = 8
SECONDS = 1.0
FEW = "mock, 10"
MANY = "mock, 1,000,000"
# The lowest acceptable ratio of the mock's requests per second to Prism's.
TIMES_PRISM = {"Prism": 4.0, "Prism, silent": 2.5}
BAR = 40  # the length of the fastest server's bar, in characters


class Load(NamedTuple):
    """The requests per second, and the server's CPU time per request in microseconds."""

    rate: float
    cpu: float


def request(body: object) -> bytes:
    """Return the bytes of an update request with this body."""
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


def measure(rounds: int) -> list[Target]:
    """Measure the servers' performance, print a table and return the targets."""
    loads: dict[tuple[str, str], list[Load]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as running:
        servers: list[Server] = []
        for name, command in commands(Path(folder)).items():
            print(f"Starting {name} ...", file=sys.stderr)
            servers.append(running.enter_context(serving(name, *command)))
        for number in range(rounds):
            print(f"Round {number + 1} of {rounds} ...", file=sys.stderr)
            for kind, server in product(REQUESTS, servers):
                loads[kind, server.name].append(apply_load(server, REQUESTS[kind]))
    medians = {key: _median(values) for key, values in loads.items()}
    show(medians)
    return _targets(medians, startup_time(rounds))


def commands(folder: Path) -> dict[str, tuple[str, ...]]:
    """Return the servers' commands, keyed by name. The caller appends the port."""
    found: dict[str, tuple[str, ...]] = {
        FEW: (*MOCK, "--fixtures", str(fixtures(folder, 10)), "--port"),
        MANY: (*MOCK, "--fixtures", str(fixtures(folder, 1_000_000)), "--port"),
    }
    if shutil.which("prism"):
        prism = ("prism", "mock", str(CONTRACT))
        found["Prism"] = (*prism, "--port")
        found["Prism, silent"] = (*prism, "--verboseLevel", "silent", "--port")
    else:
        print("Prism is not measured; run: npm install -g @stoplight/prism-cli", file=sys.stderr)
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


def apply_load(server: Server, sent: bytes) -> Load:
    """Send the request repeatedly for a second, and measure the load on the server."""
    before = server.cpu_seconds()
    count = asyncio.run(send(server.url, sent))
    return Load(count / SECONDS, (server.cpu_seconds() - before) / count * 1e6)


def _median(loads: list[Load]) -> Load:
    rate = statistics.median(load.rate for load in loads)
    return Load(rate, statistics.median(load.cpu for load in loads))


async def send(url: str, sent: bytes) -> int:
    """Repeat the request on several connections for a second; return the number of responses."""
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


def show(medians: dict[tuple[str, str], Load]) -> None:
    """Print one row, with a bar, for each server and kind of request."""
    fastest = max(load.rate for load in medians.values())
    print("\n                                         requests/s   µs CPU")
    for (kind, name), load in sorted(medians.items()):
        bar = "█" * round(BAR * load.rate / fastest)
        print(f"  {kind:16} {name:20} {load.rate:10.0f} {load.cpu:8.0f}   {bar}")


def _targets(medians: dict[tuple[str, str], Load], startup: float) -> list[Target]:
    found = [Target("seconds to the first response", startup, "at most", 0.5)]
    for kind in REQUESTS:
        growth = medians[kind, MANY].cpu / medians[kind, FEW].cpu
        found.append(Target(f"{kind}: CPU of {MANY} / {FEW}", growth, "at most", 1.5))
        for name, least in TIMES_PRISM.items():
            if (kind, name) in medians:
                times = medians[kind, FEW].rate / medians[kind, name].rate
                what = f"{kind}: requests/s of {FEW} / {name}"
                found.append(Target(what, times, "at least", least))
    return found

"""Benchmark the mock, with its in-memory store, against Prism."""

import asyncio
import json
import shutil
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

from scripts.generate import CONTRACT
from scripts.maintenance.bench_server import BODY, ID, MOCK, TOKEN, Target, serving

CONNECTIONS = 8
SECONDS = 1.0
FEW = "mock, 10"
MANY = "mock, 1,000,000"
# The highest acceptable ratio of Prism's requests per second to the mock's.
LIMITS = {"Prism": 0.25, "Prism, silent": 0.4}


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
    """Print each server's median requests per second and CPU time, and return the targets."""
    rates: dict[tuple[str, str], list[float]] = defaultdict(list)
    cpus: dict[tuple[str, str], list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as running:
        servers = []
        for name, command in commands(Path(folder)).items():
            servers.append(running.enter_context(serving(name, *command)))
        for number in range(rounds):
            print(f"Round {number + 1} of {rounds} ...", file=sys.stderr)
            for kind, sent in REQUESTS.items():
                for server in servers:
                    before = server.cpu_seconds()
                    count = asyncio.run(send(server.url, sent))
                    rates[kind, server.name].append(count / SECONDS)
                    spent = server.cpu_seconds() - before
                    cpus[kind, server.name].append(spent / count * 1e6)
    print("\n                                         requests/s   µs CPU")
    for kind, name in sorted(rates):
        rate = median(rates[kind, name])
        print(f"  {kind:16} {name:20} {rate:10.0f} {median(cpus[kind, name]):8.0f}")
    targets = [Target("seconds to the first response", startup_time(rounds), 0.5)]
    for kind in REQUESTS:
        growth = median(cpus[kind, MANY]) / median(cpus[kind, FEW])
        targets.append(Target(f"{kind}: CPU time of {MANY} relative to {FEW}", growth, 1.5))
        for name, limit in LIMITS.items():
            if (kind, name) in rates:
                ratio = median(rates[kind, name]) / median(rates[kind, FEW])
                what = f"{kind}: requests/s of {name} relative to {FEW}"
                targets.append(Target(what, ratio, limit))
    return targets


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
        print(
            "Prism is not installed; to include it, run: npm install -g @stoplight/prism-cli",
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


async def send(url: str, sent: bytes) -> int:
    """Repeat the request on several connections for one second; return the number of responses."""
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

    connections = [one_connection() for _ in range(CONNECTIONS)]
    return sum(await asyncio.gather(*connections))


def startup_time(rounds: int) -> float:
    """Return the median time from starting the mock to its first response, in seconds."""
    taken: list[float] = []
    for _ in range(rounds):
        started = time.perf_counter()
        with serving("mock", *MOCK, "--port"):
            taken.append(time.perf_counter() - started)
    return median(taken)

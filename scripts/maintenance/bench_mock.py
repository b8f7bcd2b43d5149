"""Benchmark the mock's stores at several sizes against a bare aiohttp server and Prism."""

from __future__ import annotations

import asyncio
import json
import shutil
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

from scripts.maintenance import postgresql
from scripts.maintenance.bench_server import BARE, BODY, ID, TOKEN, Server, serving

ROOT = Path(__file__).resolve().parents[2]
CONTRACT = str(ROOT / "openapi.yaml")
CONNECTIONS = 8
SECONDS = 1.0
SIZES = (10, 10_000, 1_000_000)
WITH_CREDENTIALS = 1_000  # encrypting more of them only makes the start slower
MOST_STORED = 100_000  # filling a database with more takes minutes; the target is about memory
MOCK = (sys.executable, "-m", "flashback_mock", "--log-level", "error")
PRISM = "Prism"
SILENT_PRISM = "Prism, silent"
# The least that the memory store must serve, as a multiple of Prism.
TIMES_PRISM = {PRISM: 4.0, SILENT_PRISM: 2.5}
BAR = 40  # characters of the fastest server's bar

Commands = dict[str, tuple[str, ...]]


def request(body: object) -> bytes:
    """Return the bytes of an update request."""
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


def measure(rounds: int, most: int) -> bool:
    """Print the tables; return whether every target is met."""
    sizes = [size for size in SIZES if size <= most]
    servers: dict[str, Server] = {}
    # On the checkout's disk, because the stores' speed depends on the disk.
    with (
        tempfile.TemporaryDirectory(dir=ROOT, prefix=".bench-") as folder,
        ExitStack() as running,
    ):
        for name, command in commands(Path(folder), sizes, running).items():
            print(f"starting {name} ...", file=sys.stderr)
            servers[name] = running.enter_context(serving(name, *command))
        for number in range(rounds):
            print(f"round {number + 1} of {rounds} ...", file=sys.stderr)
            for server in servers.values():
                load(server)
    show(list(servers.values()))
    return judge(servers, sizes, start_up(rounds))


def commands(folder: Path, sizes: list[int], running: ExitStack) -> Commands:
    """Return the command of each server by name, the bare one first."""
    found: Commands = {"bare aiohttp": BARE}
    programs = postgresql.programs()
    cluster = running.enter_context(postgresql.running(programs)) if programs else None
    for size in sizes:
        mock = (*MOCK, "--fixtures", str(fixtures(folder, size)))
        stores: Commands = {"memory": (), "SQLite": ("--store", str(folder / f"{size}.db"))}
        if cluster:
            stores["PostgreSQL"] = ("--store", cluster.schema())
        for name, store in stores.items():
            keys = ("--keys", str(folder / "keys" / f"{name}-{size}")) if store else ()
            found[f"{name}, {size:,}"] = (*mock, *store, *keys, "--port")
    if prism := shutil.which("prism"):
        found[PRISM] = (prism, "mock", CONTRACT, "--port")
        found[SILENT_PRISM] = (prism, "mock", CONTRACT, "--verboseLevel", "silent", "--port")
    else:
        print("Prism is not measured: npm install -g @stoplight/prism-cli", file=sys.stderr)
    return found


def fixtures(folder: Path, size: int) -> Path:
    """Write fixtures with `size` configurations, and return the file."""
    configurations = {"main": {"id": ID, "name": "OpenAI in production", "aiType": "OPENAI"}}
    for number in range(1, size):
        configuration = {"id": f"{number:036}", "name": f"Name {number}", "aiType": "OPENAI"}
        if number < WITH_CREDENTIALS:
            configuration["secret"] = f"secret {number}"
        configurations[str(number)] = configuration
    workspace = {"members": {"owner": "WRITE"}, "configurations": configurations}
    document = {"users": {"owner": {"token": TOKEN}}, "workspaces": {"acme": workspace}}
    file = folder / f"{size}.json"
    file.write_text(json.dumps(document), "utf-8")
    return file


def load(server: Server) -> None:
    """Send each kind of request for a second, and record their rate and CPU time."""
    for kind, sent in REQUESTS.items():
        before = server.cpu_seconds()
        started = time.perf_counter()
        count = asyncio.run(send(server.url, sent))
        taken = time.perf_counter() - started
        server.rates.setdefault(kind, []).append(count / taken)
        server.cpu.setdefault(kind, []).append((server.cpu_seconds() - before) / count * 1e6)


async def send(url: str, sent: bytes) -> int:
    """Send the request on a few connections for a second; return the number of responses."""
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


def start_up(rounds: int) -> float:
    """Return the median time from starting the mock to its first answer, in seconds."""
    taken: list[float] = []
    for _ in range(rounds):
        started = time.perf_counter()
        with serving("mock", *MOCK, "--port"):
            taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def show(servers: list[Server]) -> None:
    """Print a table for each kind of request, with bars on a linear axis."""
    for kind in REQUESTS:
        fastest = max(server.rate(kind) for server in servers)
        print(f"\n{kind:22} requests/s   µs CPU")
        for server in servers:
            rate = server.rate(kind)
            bar = "█" * round(BAR * rate / fastest)
            print(f"  {server.name:20} {rate:10.0f} {server.cpu_per_request(kind):8.0f}   {bar}")


def judge(servers: dict[str, Server], sizes: list[int], started: float) -> bool:
    """Print each target with its value; return whether all are met."""
    print("\nTargets")
    small = servers[f"memory, {sizes[0]:,}"]
    large = servers[f"memory, {sizes[-1]:,}"]
    results = [show_target("seconds to the first answer", started, "at most 0.5", started <= 0.5)]
    for kind in REQUESTS:
        growth = large.cpu_per_request(kind) / small.cpu_per_request(kind)
        what = f"{kind}: CPU with {sizes[-1]:,}, times {sizes[0]}"
        results.append(show_target(what, growth, "at most 1.5", growth <= 1.5))
        for name, least in TIMES_PRISM.items():
            if name in servers:
                times = small.rate(kind) / servers[name].rate(kind)
                what = f"{kind}: memory, times {name}"
                results.append(show_target(what, times, f"at least {least}", times >= least))
    return all(results)


def show_target(what: str, value: float, target: str, met: bool) -> bool:  # noqa: FBT001
    """Print a target with its value; return whether it is met."""
    print(f"  {what:48} {value:7.2f}   {target}, {'met' if met else 'MISSED'}")
    return met

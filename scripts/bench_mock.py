"""Measures the mock: its stores and sizes, beside a bare server, the disk, and Prism.

All servers run at the same time and are asked in turns, so that a busy machine is busy for all:
read the ratios, not the requests per second.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Iterable
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import flashback_mock
from flashback_mock.fixtures import Configuration, Fixtures
from flashback_mock.server import Server, listen, mock_at, prepared, store_at

from scripts import generate

ID = "550e8400-e29b-41d4-a716-446655440000"
CONNECTIONS = 8
WITH_CREDENTIALS = 1000
CHUNK = 10_000
SIZES = (10, 10_000, 1_000_000)
PRISM = "@stoplight/prism-cli@5"
TICKS = os.sysconf("SC_CLK_TCK")
HELLO = """
import sys, uvicorn
from flashback_mock.protocol import Protocol
body = b'{"success":true}'
head = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
async def app(scope, receive, send):
    while (await receive()).get("more_body"): pass
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": body})
uvicorn.run(app, port=int(sys.argv[1]), http=Protocol, ws="none", lifespan="off", log_level="critical")
"""


def request(body: object, token: str = "owner-token", id: str = ID) -> bytes:  # noqa: A002, S107
    """An update as it is written."""
    content = json.dumps(body).encode()
    head = (
        f"PUT /ai/llm/{id} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


VALID = {
    "name": "Updated OpenAI Config",
    "aiType": "OPENAI",
    "endpoint": "https://api.openai.com/v2",
    "key": "new-access-key",
    "secret": "new-secret-key",
}
KINDS = {
    "200, every field": (request(VALID), 200),
    "400, wrong type": (request({**VALID, "aiType": "openai"}), 400),
}
# Each does what the one before does, and one thing more.
LAYERS = {
    "404, another path": (request(VALID).replace(b"/ai/llm", b"/ai/mlm"), 404, "Starlette, journal, request id"),
    "401, bad token": (request({}, "bad-token"), 401, "the body, JSON, the schema, the token"),
    "200, {}": (request({}), 200, "the configuration, the member"),
    "200, name": (request({"name": "Updated"}), 200, "a transaction"),
    "200, name and secret": (request({"name": "Updated", "secret": "s"}), 200, "encryption, its cell"),
    "200, every field": (request(VALID), 200, "a second credential, two plain fields"),
}


@dataclass
class Target:
    """A server under load, and what was measured of it."""

    name: str
    process: subprocess.Popen[str]
    port: int
    rates: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    cpu: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    waits: dict[str, list[float]] = field(default_factory=dict[str, list[float]])

    def used(self) -> float:
        """CPU seconds of the server so far."""
        stat = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(stat[11]) + int(stat[12])) / TICKS

    def memory(self) -> float:
        """Megabytes that it has in memory."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024

    def load(self, kind: str, octets: bytes, status: int, seconds: float) -> None:
        """Ask for `seconds`, and take down what that took."""
        before, started = self.used(), time.perf_counter()
        waits = asyncio.run(ask(self.port, octets, status, seconds))
        taken, used = time.perf_counter() - started, self.used() - before
        self.rates.setdefault(kind, []).append(len(waits) / taken)
        self.cpu.setdefault(kind, []).append(used / len(waits) * 1e6)
        self.waits.setdefault(kind, []).extend(waits)


async def ask(port: int, octets: bytes, status: int, seconds: float) -> list[float]:
    """The seconds that each answer took, on a few connections, for some time."""
    until, waits = time.perf_counter() + seconds, list[float]()

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while (asked := time.perf_counter()) < until:
            writer.write(octets)
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
            length = int(head.lower().partition(b"content-length:")[2].split(b"\r")[0])
            await reader.readexactly(length)
            waits.append(time.perf_counter() - asked)
            if int(head[9:12]) != status:
                raise SystemExit(f"port {port}: expected {status}, came {head[:12].decode()}")
        writer.close()

    await asyncio.gather(*(one() for _ in range(CONNECTIONS)))
    return waits


def serve(count: int, where: str, port: int) -> None:
    """Serve a mock that holds `count` configurations, a thousand of them with credentials."""
    contract = flashback_mock.Contract()
    with listen("127.0.0.1", port) as listener:
        store = store_at(where or None, contract)
        server = prepared(listener, mock_at(listener, contract, store=store))
        filled: list[asyncio.Task[None]] = []
        server.when_started = lambda _mock, new: filled.append(
            asyncio.ensure_future(fill(server, count if new else 0))
        )
        server.run(sockets=[listener])


async def fill(server: Server, count: int) -> None:
    """Add configurations to the fixtures' own, and say when it is done."""
    have = len(server.mock.fixtures.configurations)
    for first in range(have, count, CHUNK):
        numbers = range(first, min(first + CHUNK, count))
        more = tuple(Configuration("", "acme", f"{n:036}", properties(n)) for n in numbers)
        await server.mock.store.add(Fixtures(configurations=more))
    print("ready", flush=True)


def properties(number: int) -> dict[str, str]:
    """The fields of one configuration of many."""
    plain = {"name": f"Configuration {number}", "aiType": "OPENAI"}
    credentials = {"key": f"key {number}", "secret": f"secret {number}"}
    return plain | (credentials if number < WITH_CREDENTIALS else {})


def free_port() -> int:
    """A port that nobody listens on now."""
    with listen("127.0.0.1", 0) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def running(name: str, *command: str, **options: Any) -> Generator[Target]:
    """A server in a process of its own; it gets its port as the last argument."""
    port = free_port()
    with subprocess.Popen(
        [*command, str(port)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, **options
    ) as process:
        try:
            yield Target(name, process, port)
        finally:
            process.terminate()


@contextmanager
def mock(name: str, count: int, where: str, folder: Path) -> Generator[Target]:
    """A mock of so many configurations that is ready."""
    code = "import sys; from scripts.bench_mock import serve; serve(int(sys.argv[1]), *sys.argv[2:3], int(sys.argv[3]))"
    keys = {**os.environ, "FLASHBACK_MOCK_KEYS_FILE": str(folder / "keys")}
    with running(name, sys.executable, "-c", code, str(count), where, env=keys) as target:
        assert target.process.stdout  # noqa: S101 - it is a pipe
        if target.process.stdout.readline() != "ready\n":
            raise SystemExit(f"{name}: did not start")
        yield target


def wait_for(target: Target, octets: bytes, status: int) -> Target:
    """The target, once it answers."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            asyncio.run(ask(target.port, octets, status, 0.01))
        except (OSError, asyncio.IncompleteReadError):
            time.sleep(0.05)
        else:
            return target
    raise SystemExit(f"{target.name}: does not answer")


def targets(stack: ExitStack, folder: Path, sizes: Iterable[int], postgres: str | None) -> list[Target]:
    """All servers, ready: the ceiling first."""
    octets, _ = KINDS["200, every field"]
    found = [wait_for(stack.enter_context(running("bare server", sys.executable, "-c", HELLO)), octets, 200)]
    for count in sizes:
        stores = {"memory": "", "file": str(folder / f"{count}.db")}
        if postgres and count < max(SIZES):
            stores["PostgreSQL"] = postgres
        for store, where in stores.items():
            print(f"filling {store} with {count:,} ...", file=sys.stderr)
            found.append(stack.enter_context(mock(f"{store}, {count:,}", count, where, folder)))
    return found + [wait_for(each, octets, 200) for each in prism(stack)]


def prism(stack: ExitStack) -> list[Target]:
    """Prism with its default log and silent, if npx has it."""
    npx = shutil.which("npx")
    here = npx and subprocess.run([npx, "--no-install", PRISM, "--version"], capture_output=True, check=False)
    if not npx or not here or here.returncode:
        print("Prism is not measured: npx has it not; npm install -g " + PRISM, file=sys.stderr)
        return []
    command = [npx, "--no-install", PRISM, "mock", str(generate.CONTRACT)]
    return [
        stack.enter_context(running(name, *command, *options, "-p"))
        for name, options in {"Prism": [], "Prism silent": ["-v", "silent"]}.items()
    ]

"""Measures the mock: its stores and sizes, beside a bare server, the disk, and Prism.

All servers run at the same time and are asked in turns, so that a busy machine is busy for all:
read the ratios, not the requests per second.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import flashback_mock
from flashback_mock.fixtures import Configuration, Fixtures
from flashback_mock.server import Server, listen, mock_at, store_at

from scripts import generate
from tests.mock import cluster

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

ID = "550e8400-e29b-41d4-a716-446655440000"
CONNECTIONS = 8
WITH_CREDENTIALS = 1000
CHUNK = 10_000
SIZES = (10, 10_000, 1_000_000)
FIRST = f"memory, {SIZES[0]}"
PRISM, SILENT = "@stoplight/prism-cli@5", "Prism silent"
PLOT = generate.ROOT / ".github" / "bench-mock.svg"
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
port = int(sys.argv[1])
quiet = {"log_level": "critical", "access_log": False}
uvicorn.run(app, port=port, http=Protocol, ws="none", lifespan="off", **quiet)
"""
LOGGING = "memory, with its log"  # as the command runs by default


def request(body: object, token: str = "owner-token", id: str = ID) -> bytes:  # noqa: A002, S107
    """An update as it is written."""
    content = json.dumps(body).encode()
    head = (
        f"PUT /ai/llm/{id} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


VALID: dict[str, str] = flashback_mock.Contract().examples["everything"]
KINDS = {
    "200, every field": (request(VALID), 200),
    "400, wrong type": (request({**VALID, "aiType": "openai"}), 400),
}
# Each does what the one before does, and one thing more.
LAYERS = {
    "404, another path": (
        request(VALID).replace(b"/ai/llm", b"/ai/mlm"),
        404,
        "Starlette, journal, request id",
    ),
    "401, bad token": (request({}, "bad-token"), 401, "the body, JSON, the schema, the token"),
    "200, {}": (request({}), 200, "the configuration, the member"),
    "200, name": (request({"name": "Updated"}), 200, "a name that has to be free"),
    "200, name and secret": (
        request({"name": "Updated", "secret": "s"}),
        200,
        "a credential to encrypt",
    ),
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


def serve(count: str, port: str) -> None:
    """Serve a mock that holds `count` configurations, a thousand of them with credentials."""
    where = os.environ["BENCH_STORE"]  # a URL may hold a password, and a command line is public
    contract = flashback_mock.Contract()
    with listen("127.0.0.1", int(port)) as listener:
        store = store_at(where or None, contract)
        server = Server(listener, mock_at(listener, contract, store=store))
        filled: list[asyncio.Task[None]] = []
        server.when_started = lambda _mock, new: filled.append(
            asyncio.ensure_future(fill(server, int(count) if new else 0))
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


@contextmanager
def running(name: str, *command: str, **options: Any) -> Generator[Target]:
    """A server in a process of its own; it gets its port as the last argument."""
    port = cluster.free_port()
    options = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **options}
    with subprocess.Popen([*command, str(port)], text=True, **options) as process:
        try:
            yield Target(name, process, port)
        finally:
            process.terminate()


@contextmanager
def mock(name: str, count: int, where: str, folder: Path) -> Generator[Target]:
    """A mock of so many configurations that is ready."""
    code = "import sys; from scripts.bench_mock import serve; serve(*sys.argv[1:])"
    keys = {"FLASHBACK_MOCK_KEYS_FILE": str(folder / f"{name}.keys"), "BENCH_STORE": where}
    with running(
        name, sys.executable, "-c", code, str(count), env=os.environ | keys, stdout=subprocess.PIPE
    ) as target:
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


def targets(stack: ExitStack, folder: Path, sizes: Iterable[int]) -> list[Target]:
    """All servers, ready: the ceiling first."""
    octets, _ = KINDS["200, every field"]
    bare = stack.enter_context(running("bare server", sys.executable, "-c", HELLO))
    logging = running(LOGGING, sys.executable, "-m", "flashback_mock", "--port")
    found = [wait_for(bare, octets, 200), wait_for(stack.enter_context(logging), octets, 200)]
    postgres = cluster.programs()
    database = stack.enter_context(cluster.running(postgres)) if postgres else None
    for count in sizes:
        stores = {"memory": "", "file": str(folder / f"{count}.db")}
        if database:
            stores["PostgreSQL"] = database.schema()
        for store, where in stores.items():
            print(f"filling {store} with {count:,} ...", file=sys.stderr)
            found.append(stack.enter_context(mock(f"{store}, {count:,}", count, where, folder)))
    return found + [wait_for(each, octets, 200) for each in prism(stack)]


def prism(stack: ExitStack) -> list[Target]:
    """Prism with its default log and silent, if it is installed."""
    found = shutil.which("prism")  # npx would stand between it and its CPU time
    if not found:
        print(f"Prism is not measured; npm install -g {PRISM}", file=sys.stderr)
        return []
    command = [found, "mock", str(generate.CONTRACT)]
    return [
        stack.enter_context(running(name, *command, *options, "-p"))
        for name, options in {"Prism": [], SILENT: ["-v", "silent"]}.items()
    ]


def start_up(rounds: int) -> float:
    """Seconds from the start of the command to its first answer: the median."""
    octets, status = KINDS["200, every field"]
    taken = list[float]()
    for _ in range(rounds):
        started = time.perf_counter()
        with running("start", sys.executable, "-m", "flashback_mock", "--port") as target:
            wait_for(target, octets, status)
            taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def syncs(folder: Path, count: int = 200) -> float:
    """How often a second the disk takes 4 KiB for good."""
    with (folder / "sync").open("wb", buffering=0) as file:
        started = time.perf_counter()
        for _ in range(count):
            file.seek(0)
            file.write(bytes(4096))
            os.fdatasync(file.fileno())
        return count / (time.perf_counter() - started)


def measure(rounds: int, seconds: float, sizes: Iterable[int]) -> int:
    """Measure all of it, show it, and draw it; exit status 1 if a target is missed."""
    folder = Path(tempfile.mkdtemp(dir=generate.ROOT, prefix=".bench-"))  # on the disk that counts
    disk = list[float]()
    try:
        with ExitStack() as stack:
            found = targets(stack, folder, sizes)
            for number in range(rounds):
                print(f"round {number + 1} of {rounds} ...", file=sys.stderr)
                disk.append(syncs(folder))
                for target in found:
                    for kind, (octets, status) in KINDS.items():
                        bare = target.name == "bare server"
                        target.load(kind, octets, 200 if bare else status, seconds)
                for kind, (octets, status, _) in LAYERS.items():
                    if kind not in KINDS:
                        named(found, FIRST).load(kind, octets, status, seconds)
            return show(found, statistics.median(disk), start_up(rounds))
    finally:
        shutil.rmtree(folder)


def show(found: list[Target], disk: float, started: float) -> int:
    """Print the tables and write the plot; 1 if a target is missed."""
    for kind in KINDS:
        print(f"\n{kind}\n{'':24} requests/s    p50 ms    p99 ms   µs CPU   beside the bare server")
        bare = statistics.median(found[0].rates[kind])
        for each in found:
            rate, cpu = statistics.median(each.rates[kind]), statistics.median(each.cpu[kind])
            waits = [wait * 1e3 for wait in statistics.quantiles(each.waits[kind], n=100)]
            row = f"{rate:10.0f} {waits[49]:9.2f} {waits[98]:9.2f} {cpu:8.0f}   {rate / bare:.3f}"
            print(f"  {each.name:22} {row}")
    print("\nmemory, MB: " + ", ".join(f"{each.name} {each.memory():.0f}" for each in found))
    print(
        f"disk: {disk:.0f} fdatasync of 4 KiB a second; an update of a file store takes four, "
        f"so {disk / 4:.0f} updates at most"
    )
    layers(named(found, FIRST))
    draw(found)
    return judge(found, started)


def named(found: list[Target], name: str) -> Target:
    """The target of this name."""
    return next(each for each in found if each.name == name)


def layers(target: Target) -> None:
    """Print what each kind of request costs more than the one before it."""
    print("\nlayers: µs CPU a request, each with all that the one before it does")
    before = 0.0
    for kind, (_, _, adds) in LAYERS.items():
        cpu = statistics.median(target.cpu[kind])
        print(f"  {kind:22} {cpu:6.0f}  {cpu - before:+6.0f}  {adds}")
        before = cpu


def judge(found: list[Target], started: float) -> int:
    """Print each target, and whether it is reached."""
    by = {each.name: each for each in found}
    kept = True

    def say(what: str, value: float, limit: float, *, least: bool = False) -> None:
        nonlocal kept
        good = value >= limit if least else value <= limit
        kept &= good
        asked = f"at {'least' if least else 'most '} {limit:g}"
        print(f"  {what:58} {value:7.2f}   {asked}{'' if good else '   MISSED'}")

    print("\ntargets")
    first = by[FIRST]
    for kind in KINDS:
        for name, times in (("Prism", 4.0), (SILENT, 2.5)):
            if name in by:
                pairs = zip(first.rates[kind], by[name].rates[kind], strict=True)
                ratio = statistics.median(ours / theirs for ours, theirs in pairs)
                say(f"{kind}: memory store, times {name}", ratio, times, least=True)
        if last := by.get(f"memory, {SIZES[-1]:,}"):
            pairs = zip(last.cpu[kind], first.cpu[kind], strict=True)
            ratio = statistics.median(many / few for many, few in pairs)
            say(f"{kind}: CPU at {SIZES[-1]:,}, times that at {SIZES[0]}", ratio, 1.5)
    say("start-up to the first answer, seconds", started, 0.5)
    say(f"memory at {SIZES[0]} configurations, MB", first.memory(), 80)
    return int(not kept)


def draw(found: list[Target]) -> None:
    """Write the plot that the README shows: bars on a logarithmic scale."""
    kind = "200, every field"
    rates = {each.name: statistics.median(each.rates[kind]) for each in found}
    top, rows = max(rates.values()), list[str]()
    for row, (name, rate) in enumerate(rates.items()):
        width, y = 60 + 420 * math.log10(max(rate, 10) / 10) / math.log10(top / 10), 24 * row + 40
        colour = "#8b949e" if "Prism" in name or "bare" in name else "#2f81f7"
        rows.append(f'<text x="168" y="{y + 14}" text-anchor="end">{name}</text>')
        rows.append(
            f'<rect x="176" y="{y}" width="{width:.0f}" height="18" rx="3" fill="{colour}"/>'
        )
        rows.append(f'<text x="{184 + width:.0f}" y="{y + 14}">{rate / top:.3f}</text>')
    height = 24 * len(rates) + 52
    PLOT.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 740 {height}" role="img" '
        f'font-family="sans-serif" font-size="13" fill="#6e7781">\n'
        f"<title>Valid updates a second, beside a bare server</title>\n"
        f'<text x="176" y="24">valid updates a second, beside a bare server (logarithmic)</text>\n'
        + "\n".join(rows)
        + "\n</svg>\n",
        "utf-8",
    )

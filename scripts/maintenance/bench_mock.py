"""Benchmark the mock's stores at several sizes against a bare aiohttp server and Prism."""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from scripts import generate
from scripts.maintenance import postgresql
from scripts.maintenance.bench_servers import BODY, ID, TOKEN, Target, prism, running, serving

if TYPE_CHECKING:
    from collections.abc import Iterable

CONNECTIONS = 8
SECONDS = 1.0
SIZES = (10, 10_000, 1_000_000)
PLOT = generate.ROOT / ".github" / "bench-mock.svg"
BARE, COMMAND, PRISM, SILENT = "bare aiohttp", "mock, with its log", "Prism", "Prism, silent"
VALID, INVALID = "valid update", "invalid update"


def request(body: object) -> bytes:
    """Return the bytes of an update request."""
    content = json.dumps(body).encode()
    head = (
        f"PUT /ai/llm/{ID} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


REQUESTS = {VALID: request(BODY), INVALID: request({**BODY, "aiType": "openai"})}


def measure(rounds: int, most: int, prism_program: str) -> int:
    """Print the tables and write the plot; return 1 if a target is missed."""
    sizes = [size for size in SIZES if size <= most]
    # On the checkout's disk, because the stores' speed depends on the disk.
    with (
        tempfile.TemporaryDirectory(dir=generate.ROOT, prefix=".bench-") as folder,
        ExitStack() as stack,
    ):
        targets = start(stack, Path(folder), sizes, prism_program)
        for number in range(rounds):
            print(f"round {number + 1} of {rounds} ...", file=sys.stderr)
            for target in targets:
                for kind, sent in REQUESTS.items():
                    load(target, kind, sent)
        show(targets)
        draw(targets)
        return int(not judge(targets, sizes, start_up(rounds)))


def start(stack: ExitStack, folder: Path, sizes: Iterable[int], prism_program: str) -> list[Target]:
    """Start all servers, the bare one first."""
    command = (sys.executable, "-m", "flashback_mock", "--port")
    targets: list[Target | None] = [
        stack.enter_context(running("bare", name=BARE)),
        stack.enter_context(serving(COMMAND, *command)),
    ]
    programs = postgresql.programs()
    cluster = stack.enter_context(postgresql.running(programs)) if programs else None
    for size in sizes:
        stores = {"memory": "", "SQLite": str(folder / f"{size}.db")}
        if cluster:
            stores["PostgreSQL"] = cluster.schema()
        for name, store in stores.items():
            print(f"filling {name} with {size:,} ...", file=sys.stderr)
            mock = running("mock", size, store, f"{name}, {size:,}")
            targets.append(stack.enter_context(mock))
    targets.append(stack.enter_context(prism(PRISM, prism_program)))
    targets.append(stack.enter_context(prism(SILENT, prism_program, "--verboseLevel", "silent")))
    if None in targets:
        print("Prism is not measured: npm install -g @stoplight/prism-cli", file=sys.stderr)
    return [target for target in targets if target]


def load(target: Target, kind: str, sent: bytes) -> None:
    """Send requests for a second and record how many, and their CPU time in the server."""
    before = target.cpu_seconds()
    started = time.perf_counter()
    count = asyncio.run(send(target.url, sent, SECONDS))
    taken = time.perf_counter() - started
    target.rates.setdefault(kind, []).append(count / taken)
    target.cpu.setdefault(kind, []).append((target.cpu_seconds() - before) / count * 1e6)


async def send(url: str, sent: bytes, seconds: float) -> int:
    """Send the request on a few connections for some time; return how often it was answered."""
    until = time.perf_counter() + seconds
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
    """Return the seconds from the mock's command to its first answer, the median."""
    taken: list[float] = []
    for _ in range(rounds):
        started = time.perf_counter()
        with serving("start", sys.executable, "-m", "flashback_mock", "--port"):
            taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def show(targets: list[Target]) -> None:
    """Print a table for each kind of request."""
    for kind in REQUESTS:
        bare = statistics.median(targets[0].rates[kind])
        print(f"\n{kind:24} requests/s   µs CPU   of the bare server")
        for target in targets:
            rate = statistics.median(target.rates[kind])
            cpu = statistics.median(target.cpu[kind])
            print(f"  {target.name:22} {rate:10.0f} {cpu:8.0f}   {rate / bare:.3f}")


def judge(targets: list[Target], sizes: list[int], started: float) -> bool:
    """Print each target with its value; return whether all are met."""
    named = {target.name: target for target in targets}
    first = named[f"memory, {sizes[0]:,}"]
    last = named[f"memory, {sizes[-1]:,}"]
    results = [
        at_most("seconds to the first answer", started, 0.5),
        at_most("MB of memory", first.megabytes(), 80),
    ]
    for kind in REQUESTS:
        growth = statistics.median(last.cpu[kind]) / statistics.median(first.cpu[kind])
        results.append(at_most(f"{kind}: CPU at {sizes[-1]:,}, times {sizes[0]}", growth, 1.5))
        for name, least in ((PRISM, 4.0), (SILENT, 2.5)):
            if name in named:
                rate = statistics.median(named[name].rates[kind])
                times = statistics.median(first.rates[kind]) / rate
                # A minimum: compare the inverse.
                results.append(at_most(f"{kind}: {name}, times memory", 1 / times, 1 / least))
    return all(results)


def at_most(what: str, value: float, limit: float) -> bool:
    """Print a value and its limit; return whether it is met."""
    met = value <= limit
    print(f"  {what:48} {value:7.2f}   at most {limit:.2f}, {'met' if met else 'MISSED'}")
    return met


def draw(targets: list[Target]) -> None:
    """Write the plot: bars of valid updates a second, on a linear axis."""
    rates = {target.name: statistics.median(target.rates[VALID]) for target in targets}
    longest = max(rates.values())
    rows: list[str] = []
    for row, (name, rate) in enumerate(rates.items()):
        y = 24 * row + 40
        width = 440 * rate / longest
        ours = "Prism" not in name and name != BARE
        color = "#2f81f7" if ours else "#8b949e"
        rows.append(f'<text x="168" y="{y + 14}" text-anchor="end">{name}</text>')
        rows.append(f'<rect x="176" y="{y}" width="{width:.0f}" height="18" fill="{color}"/>')
        rows.append(f'<text x="{184 + width:.0f}" y="{y + 14}">{rate:,.0f}</text>')
    height = 24 * len(rates) + 52
    title = "Valid updates a second, on one core"
    PLOT.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 740 {height}" role="img"'
        f' font-family="sans-serif" font-size="13" fill="#6e7781">\n<title>{title}</title>\n'
        f'<text x="176" y="24">{title}</text>\n' + "\n".join(rows) + "\n</svg>\n",
        "utf-8",
    )

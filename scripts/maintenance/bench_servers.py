"""The servers that scripts/bench measures, each in its own process."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
from aiohttp import web

import flashback_mock
from flashback_mock.control.mock import Mock
from flashback_mock.fixtures import Configuration, Fixtures
from flashback_mock.http.server import listen
from flashback_mock.serving import new_event_loop
from flashback_mock.serving import serving as serving_mock
from flashback_mock.stores import store_at
from scripts import generate

if TYPE_CHECKING:
    from collections.abc import Generator

ID = "550e8400-e29b-41d4-a716-446655440000"
TOKEN = "owner-token"  # noqa: S105 - a fixture of the mock
BODY: dict[str, str] = flashback_mock.Contract().examples["everything"]
ANSWER = {"success": True, "aiLlmId": ID, "message": "updated"}
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
START_SECONDS = 300  # filling a store with 10^6 configurations takes a while
WITH_CREDENTIALS = 1_000


@dataclass
class Target:
    """A running server and its measurements, by kind of request."""

    name: str
    url: str
    process: subprocess.Popen[bytes]
    rates: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    cpu: dict[str, list[float]] = field(default_factory=dict[str, list[float]])

    def cpu_seconds(self) -> float:
        """Return the CPU time of the server so far."""
        stat = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(stat[11]) + int(stat[12])) / CLOCK_TICKS

    def megabytes(self) -> float:
        """Return the server's resident memory."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024


@contextmanager
def running(kind: str, count: int = 0, store: str = "", name: str = "") -> Generator[Target]:
    """Run a server of this module: "bare" or "mock", the mock with `count` configurations."""
    module = [sys.executable, "-m", __name__, kind, str(count)]
    with serving(name or kind, *module, BENCH_STORE=store) as target:
        yield target


@contextmanager
def serving(name: str, *command: str, **variables: str) -> Generator[Target]:
    """Run a command that serves on the port that is its last argument, once it answers."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with subprocess.Popen(
        [*command, str(port)],
        env=os.environ | variables,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        target = Target(name, f"http://127.0.0.1:{port}", process)
        try:
            wait_for(target)
            yield target
        finally:
            process.terminate()


def wait_for(target: Target) -> None:
    """Return once the server answers the update."""
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and target.process.poll() is None:
        try:
            headers = {"Authorization": f"Bearer {TOKEN}"}
            url = f"{target.url}/ai/llm/{ID}"
            httpx.put(url, json=BODY, headers=headers, timeout=5).raise_for_status()
        except httpx.HTTPError:
            time.sleep(0.02)
        else:
            return
    raise SystemExit(f"{target.name}: does not answer the update with 200")


@contextmanager
def prism(name: str, program: str, *options: str) -> Generator[Target | None]:
    """Run Prism with the contract; None if it is not installed."""
    found = shutil.which(program)
    if found is None:
        yield None
        return
    command = (found, "mock", str(generate.CONTRACT), *options, "--port")
    with serving(name, *command) as target:
        yield target


def serve_bare(port: int) -> None:
    """Serve the fixed answer to every request, with aiohttp alone."""

    async def answer(request: web.Request) -> web.Response:
        await request.read()
        return web.json_response(ANSWER)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    web.run_app(app, host="127.0.0.1", port=port, access_log=None, print=None)


async def serve_mock(port: int, count: int, store: str) -> None:
    """Serve the mock with `count` more configurations, the first of them with credentials."""
    contract = flashback_mock.Contract()
    fixtures = Fixtures.read(contract)
    more = (Configuration("", "acme", f"{n:036}", properties(n)) for n in range(count))
    fixtures = replace(fixtures, configurations=(*fixtures.configurations, *more))
    mock = Mock(contract, fixtures, store_at(store or None, contract.credentials))
    with listen("127.0.0.1", port) as listener:
        async with serving_mock(mock, listener):
            await asyncio.Event().wait()


def properties(number: int) -> dict[str, str]:
    """Return the fields of one configuration of many."""
    plain = {"name": f"Configuration {number}", "aiType": "OPENAI"}
    if number >= WITH_CREDENTIALS:
        return plain
    return {**plain, "key": f"key {number}", "secret": f"secret {number}"}


if __name__ == "__main__":
    _, chosen, configurations, last = sys.argv
    if chosen == "bare":
        serve_bare(int(last))
    else:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(serve_mock(int(last), int(configurations), os.environ["BENCH_STORE"]))

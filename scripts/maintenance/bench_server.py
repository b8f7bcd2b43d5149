"""The servers and targets of scripts/bench."""

import os
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple, cast

import httpx

import flashback_mock

ID = "550e8400-e29b-41d4-a716-446655440000"
TOKEN = "owner-token"  # noqa: S105 # a fixture of the mock
BODY: dict[str, str] = flashback_mock.Contract().examples["everything"]
MOCK = (sys.executable, "-m", "flashback_mock", "--log-level", "error")
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
START_SECONDS = 300  # enough for the mock to load a million configurations


class Target(NamedTuple):
    """A measured value and its limit. `comparison` is `at most` or `at least`."""

    what: str
    value: float
    comparison: str
    limit: float


class Server(NamedTuple):
    """A server that runs in another process."""

    name: str
    url: str
    process: subprocess.Popen[bytes]

    def cpu_seconds(self) -> float:
        """Return the CPU time that the server has used so far."""
        stat = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        user = int(stat[11])
        system = int(stat[12])
        return (user + system) / CLOCK_TICKS


@contextmanager
def serving(name: str, *command: str) -> Generator[Server]:
    """Run the command with a free port as its last argument. Yield the server when it is ready."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    devnull = subprocess.DEVNULL
    with subprocess.Popen([*command, str(port)], stdout=devnull, stderr=devnull) as process:
        server = Server(name, f"http://127.0.0.1:{port}", process)
        try:
            wait_for(server)
            yield server
        finally:
            process.terminate()


def wait_for(server: Server) -> None:
    """Wait until an update succeeds; exit if the server does not become ready."""
    url = f"{server.url}/ai/llm/{ID}"
    headers = {"Authorization": f"Bearer {TOKEN}"}
    until = time.monotonic() + START_SECONDS
    # All attempts share one client, because creating a client takes longer than a request.
    with httpx.Client(headers=headers, timeout=5) as client:
        while time.monotonic() < until and server.process.poll() is None:
            with suppress(httpx.HTTPError):
                client.put(url, json=BODY).raise_for_status()
                return
            time.sleep(0.02)
    command = shlex.join(map(str, cast("list[str]", server.process.args)))
    sys.exit(f"{server.name} did not return 200 for an update; to see the error, run: {command}")

"""The servers that scripts/bench measures, and the targets for their performance."""

import os
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import httpx

import flashback_mock

ID = "550e8400-e29b-41d4-a716-446655440000"
TOKEN = "owner-token"  # noqa: S105 # a fixture of the mock
BODY: dict[str, str] = flashback_mock.Contract().examples["everything"]
MOCK = (sys.executable, "-m", "flashback_mock", "--log-level", "error")
START_SECONDS = 300  # long enough for the mock to load a million configurations


class Target(NamedTuple):
    """A measured value and its limit, which is the highest acceptable value."""

    what: str
    value: float
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
        return (user + system) / os.sysconf("SC_CLK_TCK")


@contextmanager
def serving(name: str, *command: str) -> Generator[Server]:
    """Run the command with a free port as its last argument. Yield the server when it is ready."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = (*command, str(port))
    devnull = subprocess.DEVNULL
    with subprocess.Popen(command, stdout=devnull, stderr=devnull) as process:
        server = Server(name, f"http://127.0.0.1:{port}", process)
        try:
            if not is_ready(server):
                why = "did not return 200 for an update; to see the error, run:"
                sys.exit(f"{name} {why} {shlex.join(command)}")
            yield server
        finally:
            process.terminate()


def is_ready(server: Server) -> bool:
    """Wait until an update succeeds. Return False if the server stops or takes too long."""
    url = f"{server.url}/ai/llm/{ID}"
    headers = {"Authorization": f"Bearer {TOKEN}"}
    until = time.monotonic() + START_SECONDS
    # All attempts share one client, because creating a client takes longer than a request.
    with httpx.Client(headers=headers, timeout=5) as client:
        while time.monotonic() < until and server.process.poll() is None:
            with suppress(httpx.HTTPError):
                client.put(url, json=BODY).raise_for_status()
                return True
            time.sleep(0.02)
    return False

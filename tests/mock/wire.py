"""Helpers for raw connections to a mock and for mocks in child processes."""

import socket
import subprocess
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import httpx

from flashback_mock import Mock

MOCK = (sys.executable, "-m", "flashback_mock")
JSON = {"Content-Type": "application/json"}
OWNER = "owner-token"
MAIN = "550e8400-e29b-41d4-a716-446655440000"
UPGRADE = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAEAAEAA")


@contextmanager
def connected(url: str) -> Generator[socket.socket]:
    """Yield a socket that is connected to the mock at this URL."""
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port), timeout=20) as connection:
        yield connection


def request_head(mock: Mock, *lines: str) -> bytes:
    """Return the head of a valid request, with additional header lines."""
    first = f"PUT /ai/llm/{mock.ids['main']} HTTP/1.1"
    fixed = (first, "Host: x", f"Authorization: Bearer {mock.tokens['owner']}")
    return "\r\n".join([*fixed, "Content-Type: application/json", *lines, "", ""]).encode()


def empty_update(mock: Mock, *lines: str) -> bytes:
    """Return a complete, valid request that has additional header lines and changes nothing."""
    return request_head(mock, *lines, "Content-Length: 2") + b"{}"


def receive_all(connection: socket.socket) -> bytes:
    """Return all bytes received until the connection is closed or reset."""
    content = b""
    with suppress(ConnectionError):
        while chunk := connection.recv(1 << 16):
            content += chunk
    return content


def exchange(mock: Mock, content: bytes) -> bytes:
    """Send bytes on a new connection, and return all bytes received until it is closed."""
    with connected(mock.base_url) as connection:
        connection.sendall(content)
        return receive_all(connection)


@contextmanager
def command(
    *options: str, program: Sequence[str] = MOCK, **popen: Any
) -> Generator[tuple[subprocess.Popen[str], str, str]]:
    """Run the mock command on a free port, and yield its process, its banner and its URL."""
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    line = [*program, "--port", "0", *options]
    with subprocess.Popen(line, **{**pipes, **popen}) as process:
        assert process.stdout
        banner = ""
        while "backend on http://" not in banner:
            printed = process.stdout.readline()
            assert printed, f"the mock did not start: {banner}"
            banner += printed
        try:
            yield process, banner, banner.partition("backend on ")[2].split(maxsplit=1)[0]
        finally:
            process.kill()


def put(url: str, id: str, body: object, token: str = OWNER) -> httpx.Response:
    """Send one update on a new connection, and return the response."""
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.put(f"{url}/ai/llm/{id}", json=body, headers=headers, trust_env=False, timeout=15)

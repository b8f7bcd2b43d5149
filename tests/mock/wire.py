"""Bare connections to a mock, for what no client sends, and mocks in processes of their own."""

import socket
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from urllib.parse import urlsplit

from flashback_mock import Mock


@contextmanager
def connected(mock: Mock) -> Generator[socket.socket]:
    """A bare connection to the mock."""
    url = urlsplit(mock.base_url)
    with socket.create_connection((url.hostname or "", url.port or 0), timeout=20) as wire:
        yield wire


def head(mock: Mock, *lines: str) -> bytes:
    """The head of a good request, with more header lines."""
    first = f"PUT /ai/llm/{mock.ids['main']} HTTP/1.1"
    fixed = (first, "Host: x", f"Authorization: Bearer {mock.tokens['owner']}")
    return "\r\n".join([*fixed, "Content-Type: application/json", *lines, "", ""]).encode()


def welcome_of(process: subprocess.Popen[str]) -> str:
    """What a mock that was started says until it serves; it fails if that does not happen."""
    assert process.stdout
    said = ""
    while "backend on http://" not in said:
        line = process.stdout.readline()
        assert line, f"it serves nothing: {said}"
        said += line
    return said


def url_in(welcome: str) -> str:
    """Where a mock that says this serves."""
    return welcome.partition("backend on ")[2].split(maxsplit=1)[0]

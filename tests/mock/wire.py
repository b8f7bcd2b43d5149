"""Bare connections to a mock, for what no client sends."""

import socket
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

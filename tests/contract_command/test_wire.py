"""Tests for the HTTP client that the contract tests use."""

import gc
import gzip
import socket
import socketserver
import threading
import time
import zlib
from argparse import Namespace
from unittest.mock import Mock

import pytest

from flashback_mock.http.server import RESET
from support.backend import Backend
from support.exchange import Exchange, Request
from support.promise import Promise
from support.wire import LARGEST_RESPONSE, Wire
from tests.backends.serving import serving_tcp


def exchange_of(response: bytes, *, resets: bool = False) -> Exchange:
    """Return the exchange with a server that responds with these bytes.

    If `resets` is true, the server then resets the connection.
    """

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(65536)
            self.request.sendall(response)
            if resets:
                time.sleep(0.1)
                self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                self.request.close()

    with serving_tcp(Handler) as url:
        wire = Wire(url, timeout=4)
        exchange = wire.send(Request(target="/", headers=()))
        wire.close()
    return exchange


GZIP = gzip.compress(b"{", mtime=0) + gzip.compress(b"}", mtime=0)
DEFLATE = zlib.compress(b"{}")
LARGE = b" " * (LARGEST_RESPONSE + 1)
BODIES: dict[str, tuple[str, bytes, bytes | str]] = {
    "gzip in two members": ("gzip", GZIP, b"{}"),
    "gzip with trailing zeros": ("x-gzip", GZIP + bytes(8), b"{}"),
    "deflate": ("deflate", DEFLATE, b"{}"),
    "deflate without a zlib header": ("Deflate", DEFLATE[2:-4], b"{}"),
    "empty gzip": ("gzip", b"", b""),
    "empty deflate": ("deflate", b"", b""),
    "not gzip": ("gzip", b"{}", "cannot be decompressed"),
    "large gzip": ("gzip", gzip.compress(LARGE, mtime=0), "exceeds 1 MiB"),
    "large deflate": ("deflate", zlib.compress(LARGE), "exceeds 1 MiB"),
}


@pytest.mark.parametrize("case", BODIES)
def test_compressed_response_is_decompressed(case: str) -> None:
    """A gzip or deflate response is decompressed; if that fails, it counts as no response."""
    encoding, body, expected = BODIES[case]
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\n\r\n"
    exchange = exchange_of(head.encode() + body)
    if isinstance(expected, bytes):
        assert (exchange.status, exchange.body) == (200, expected)
    else:
        assert expected in exchange.failure


def test_reset_during_a_response_leaves_no_socket_open(recwarn: pytest.WarningsRecorder) -> None:
    """A reset leaves no socket open, so the run does not end with a ResourceWarning."""
    response = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 9\r\n\r\n{"
    assert exchange_of(response, resets=True).status == 0
    gc.collect()
    assert recwarn.list == []


def test_interim_response_is_not_the_final_one() -> None:
    """An interim (1xx) response is skipped; the final one follows it (RFC 9110, section 15.2)."""
    response = b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"
    assert exchange_of(response).status == 204


def test_only_lost_responses_count_as_resent() -> None:
    """A request is sent again if the connection was closed, but counts only if it seemed open."""
    closed = threading.Event()
    requests: list[bytes] = []

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            requests.append(self.request.recv(65536))
            self.request.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
            if len(requests) == 2:
                requests.append(self.request.recv(65536))
            self.request.shutdown(socket.SHUT_RDWR)
            closed.set()

    with serving_tcp(Handler) as url:
        wire = Wire(url, timeout=4)
        resent = []
        for _ in range(3):
            assert wire.send(Request(target="/", headers=())).status == 204
            resent.append(wire.resent)
            closed.wait(5)
        wire.close()
    assert resent == [0, 0, 1]
    assert len(requests) == 4


def test_concurrent_requests_do_not_keep_their_connections() -> None:
    """Concurrent requests all get a response from a server with a single worker.

    The worker serves one connection until the client closes it.
    """
    worker = threading.Lock()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with worker:
                while self.request.recv(65536):
                    self.request.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    promise = Promise("", "", "", "")
    with serving_tcp(Handler) as url:
        option = Namespace(backend_url=url, id="42", rate_limit=0, timeout=4, ca=None)
        promise.run = Mock(backend=Backend(option, {}))
        request = Request(target="/", headers=())
        exchanges = promise.exchange_concurrently([request] * 3)
        promise.backend.wire.close()
    assert [exchange.status for exchange in exchanges] == [204] * 3

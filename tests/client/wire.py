"""Small loopback servers that misbehave on the wire."""

from __future__ import annotations

import json
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from io import BufferedIOBase

Behaviour = Callable[[socket.socket, "Request", int], None]


@dataclass
class Request:
    """One request as the server received it."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    connection: int


@dataclass
class Wire:
    """A running server: its address, its requests and its connections."""

    url: str = ""
    requests: list[Request] = field(default_factory=list[Request])
    connections: int = 0
    ended: int = 0

    def wait_for_request(self) -> None:
        """Wait until a request has arrived."""
        while not self.requests:
            time.sleep(0.01)

    def all_end(self) -> bool:
        """Return whether every connection is closed within a second."""
        until = time.monotonic() + 1
        while self.ended < self.connections and time.monotonic() < until:
            time.sleep(0.01)
        return self.ended == self.connections


def answer(
    status: int = 200, body: bytes | dict[str, object] | None = None, **headers: str
) -> bytes:
    """Return an HTTP/1.1 response. Header names are written with `_` for `-`."""
    if body is None:
        body = {"success": status < 300, "message": f"answer {status}"}
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    fields = {"Content-Type": "application/json", "Content-Length": str(len(content)), **headers}
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    return "\r\n".join([f"HTTP/1.1 {status} Said", *lines, "", ""]).encode() + content


def says(*answers: bytes) -> Behaviour:
    """Send these responses in turn, and repeat the last one."""
    return in_turn(*(partial(_send, content) for content in answers))


def _send(content: bytes, connection: socket.socket, _: Request, __: int) -> None:
    connection.sendall(content)


def in_turn(*behaviours: Behaviour) -> Behaviour:
    """Handle each request with the next of these, and all further ones with the last."""

    def behave(connection: socket.socket, request: Request, number: int) -> None:
        behaviours[min(number, len(behaviours) - 1)](connection, request, number)

    return behave


def hangs_up(connection: socket.socket, _: Request, __: int) -> None:
    """Close the connection without a response."""
    connection.shutdown(socket.SHUT_RDWR)


def waits_for_close(connection: socket.socket, _: Request, __: int) -> None:
    """Send nothing, and wait until the client disconnects."""
    connection.recv(1)


class _Server(socketserver.ThreadingTCPServer):
    request_queue_size = 128  # connections that wait, as many tests open dozens at once


@contextmanager
def serving(behave: Behaviour) -> Generator[Wire]:
    """Run a server on a free loopback port; `behave` gets every request and its number."""
    wire = Wire()
    lock = threading.Lock()
    connections: list[socket.socket] = []

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            with lock:
                connections.append(self.connection)
                wire.connections = name = len(connections)
            with suppress(OSError, ValueError):
                while (request := _read(self.rfile, name)) is not None:
                    with lock:
                        number = len(wire.requests)
                        wire.requests.append(request)
                    behave(self.connection, request, number)
            with lock:
                wire.ended += 1

    with _Server(("127.0.0.1", 0), Handler) as server:
        wire.url = f"http://127.0.0.1:{server.server_address[1]}"
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        try:
            yield wire
        finally:
            server.shutdown()
            for connection in connections:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)


def _read(stream: BufferedIOBase, name: int) -> Request | None:
    line = stream.readline().decode("latin-1").split()
    if len(line) != 3:
        return None
    headers: dict[str, str] = {}
    while (header := stream.readline().decode("latin-1").strip()) != "":
        key, _, value = header.partition(":")
        headers[key.lower()] = value.strip()
    body = stream.read(int(headers.get("content-length", "0")))
    if headers.get("transfer-encoding") == "chunked":
        while size := int(stream.readline(), 16):
            body += stream.read(size)
            stream.readline()
        stream.readline()
    return Request(line[0], line[1], headers, body, name)

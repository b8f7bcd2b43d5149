"""A loopback HTTP server that sends exactly the bytes that a test specifies."""

import json
import socket
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Responder = Callable[[socket.socket, "Request"], None]


@dataclass
class Request:
    """A request that the server received."""

    method: str
    target: str
    headers: Message
    body: bytes
    connection: int


@dataclass
class Server:
    """A running server, with its URL, the requests that it received and its connection counts."""

    url: str = ""
    requests: list[Request] = field(default_factory=list[Request])
    sockets: list[socket.socket] = field(default_factory=list[socket.socket])
    closed: int = 0

    @property
    def connections(self) -> int:
        """Return the number of connections that the server has accepted."""
        return len(self.sockets)

    def wait_for_request(self) -> None:
        """Wait until the server has received a request."""
        while not self.requests:
            time.sleep(0.01)

    def all_closed(self) -> bool:
        """Wait up to one second for all connections to close, and return whether they did."""
        deadline = time.monotonic() + 1
        while self.closed < self.connections and time.monotonic() < deadline:
            time.sleep(0.01)
        return self.closed == self.connections


def http_response(
    status: int = 200, body: bytes | dict[str, object] | None = None, **headers: str
) -> bytes:
    """Return the bytes of an HTTP/1.1 response; in header names, `_` stands for `-`."""
    if body is None:
        body = {"success": status < 300, "message": f"answer {status}"}
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    fields = {"Content-Type": "application/json", "Content-Length": str(len(content)), **headers}
    head = f"HTTP/1.1 {status} Said\r\n"
    for name, value in fields.items():
        head += f"{name.replace('_', '-')}: {value}\r\n"
    return f"{head}\r\n".encode() + content


def disconnect(connection: socket.socket, _: Request) -> None:
    """Close the connection without sending a response."""
    connection.shutdown(socket.SHUT_RDWR)


def never_respond(connection: socket.socket, _: Request) -> None:
    """Send nothing and wait until the client disconnects."""
    connection.recv(1)


class _Handler(BaseHTTPRequestHandler):
    """Handles the requests on one connection."""

    protocol_version = "HTTP/1.1"
    log: Server
    planned: tuple[Responder | bytes, ...]
    lock: threading.Lock

    def handle(self) -> None:
        with self.lock:
            self.log.sockets.append(self.connection)
            self.number = self.log.connections
        with suppress(OSError, ValueError):
            super().handle()
        with self.lock:
            self.log.closed += 1

    def respond(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        request = Request(self.command, self.path, self.headers, body, self.number)
        with self.lock:
            response = self.planned[min(len(self.log.requests), len(self.planned) - 1)]
            self.log.requests.append(request)
        if isinstance(response, bytes):
            self.connection.sendall(response)
        else:
            response(self.connection, request)

    do_CONNECT = do_POST = do_PUT = respond  # noqa: N815


@contextmanager
def serving(*responses: Responder | bytes) -> Generator[Server]:
    """Run a loopback server that uses the responses in order and then repeats the last one."""
    server = Server()
    attributes = {"log": server, "planned": responses, "lock": threading.Lock()}
    handler = type("Handler", (_Handler,), attributes)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as tcp_server:
        tcp_server.socket.listen(128)  # some tests open dozens of connections at once
        server.url = f"http://127.0.0.1:{tcp_server.server_address[1]}"
        threading.Thread(target=tcp_server.serve_forever, args=(0.01,)).start()
        try:
            yield server
        finally:
            tcp_server.shutdown()
            for connection in server.sockets:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

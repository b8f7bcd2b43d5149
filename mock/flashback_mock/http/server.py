"""The HTTP server: aiohttp with size limits, time limits and planned faults."""

import asyncio
import logging
import os
import socket
import struct
from asyncio import sleep  # users' tests might patch asyncio.sleep
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from typing import Any, cast

from aiohttp import HttpVersion11, web
from multidict import CIMultiDict

from .body import too_large
from .messages import Answer, Handler, HttpError, Request

SECONDS = 10.0  # time limit for receiving a body and for sending a response
IDLE_SECONDS = 20.0  # time limit for receiving headers and for idle connections
STOP_SECONDS = 0.2  # time limit for pending requests at shutdown; aiohttp can apply it twice
BACKLOG = 2048
MAX_PORT = 65535
# If a client sends one-byte chunks, parsing a full receive buffer of the default size takes 100 ms.
# A smaller buffer keeps other connections responsive.
RECEIVE_BYTES = 1 << 15
RESET = struct.pack("ii", 1, 0)  # with an SO_LINGER of 0 s, closing a socket sends a TCP reset
UNPARSABLE = (
    "not a valid HTTP/1.1 request, or headers too large; use http:// (not https:// or HTTP/2) and "
    "check for malformed, repeated or very long headers"
)
# Silence aiohttp, which would otherwise log request lines, including any token sent in a URL.
QUIET = logging.getLogger("flashback_mock.http")
QUIET.setLevel(logging.CRITICAL + 1)


class Connection(web.RequestHandler):
    """An aiohttp connection with time limits and a custom response to unparsable requests."""

    reject: Callable[[int, str], web.Response]
    is_answering = False  # whether a complete request is waiting for a response
    _unread: asyncio.TimerHandle

    def eof_received(self) -> bool:  # type: ignore[override] # asyncio expects a bool
        """Keep a half-closed connection open for a few seconds so that responses still arrive."""
        asyncio.get_running_loop().call_later(SECONDS, self.force_close)
        return True

    def close_after_response(self) -> None:
        """Close the connection. If a complete request is waiting for a response, respond first."""
        if self.is_answering:
            self.close()
        else:
            self.force_close()

    def pause_writing(self) -> None:
        """Disconnect the client unless it reads the response in time."""
        super().pause_writing()
        transport = cast("asyncio.Transport", self.transport)  # None after `force_close`
        self._unread = asyncio.get_running_loop().call_later(SECONDS, transport.abort)

    def resume_writing(self) -> None:
        """Cancel the time limit for reading the response, because the client is reading again."""
        super().resume_writing()
        self._unread.cancel()

    def handle_error(
        self,
        request: web.BaseRequest,  # noqa: ARG002 - aiohttp's signature
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002
    ) -> web.StreamResponse:
        """Respond to an unparsable request. aiohttp's own response would echo the request."""
        if isinstance(exc, ConnectionError):  # raised to close the connection without a response
            raise exc
        if status == HTTPStatus.INTERNAL_SERVER_ERROR:
            return self.reject(500, f"failed: {type(exc).__name__}")
        return self.reject(400, UNPARSABLE)


class Server:
    """An HTTP server that passes requests to a handler. Bodies are limited to `max_body` bytes.

    `reject` returns the response to an unparsable request.
    """

    def __init__(
        self,
        listener: socket.socket,
        handler: Handler,
        reject: Callable[[Request, int, str], Answer],
        max_body: int,
    ) -> None:
        self._listener = listener
        self.handler = handler
        self._reject = reject
        self.max_body = max_body
        self._stopping = asyncio.Event()
        self._manager = web.Server(self._serve)
        self._asyncio_server: asyncio.Server
        self._port_lock = asyncio.Lock()  # held while the port is being opened or closed
        self._opening: asyncio.Task[None] | None = None  # a task that reopens the port later

    async def start(self) -> None:
        """Start accepting connections."""
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
        loop = asyncio.get_running_loop()
        self._asyncio_server = await loop.create_server(
            self._connect, sock=self._listener, backlog=BACKLOG
        )

    async def stop(self) -> None:
        """Stop accepting connections, and close all open connections within a second."""
        self._stopping.set()
        if self._opening:
            self._opening.cancel()
        self._stop_listening()
        self._manager.pre_shutdown()
        await self._manager.shutdown(STOP_SECONDS)

    def _stop_listening(self) -> None:
        with suppress(OSError):  # the socket is not listening, or the system is not Linux
            # A child process that was forked while the mock was starting has a copy of the socket.
            self._listener.shutdown(socket.SHUT_RDWR)
        self._asyncio_server.close()
        self._listener.close()

    def release_sockets(self) -> None:
        """Release all sockets in a forked child process, so that the parent can close them."""
        transports = [connection.transport for connection in self._manager.connections]
        sockets = [opened.get_extra_info("socket") for opened in transports if opened]
        null = os.open(os.devnull, os.O_RDWR)
        for opened in [self._listener, *sockets]:
            with suppress(OSError):  # the socket is already closed
                # The child's Python objects still refer to this descriptor, so keep it valid.
                os.dup2(null, opened.fileno(), inheritable=False)
        os.close(null)

    async def close_port(self, seconds: float) -> None:
        """Close all connections, and refuse new ones for this many seconds."""
        async with self._port_lock:
            if self._opening:
                self._opening.cancel()
            if self._asyncio_server.is_serving():
                address = self._listener.getsockname()
                self._stop_listening()
                for connection in cast("list[Connection]", self._manager.connections):
                    connection.close_after_response()
                self._listener = await _reserve(self._listener.family, address)
            self._opening = asyncio.create_task(self._open_later(seconds))

    async def open_port(self) -> None:
        """Accept connections again if a `refused` fault closed the port."""
        async with self._port_lock:
            if not self._asyncio_server.is_serving():
                await self.start()

    async def _open_later(self, seconds: float) -> None:
        await sleep(seconds)
        await self.open_port()

    def _connect(self) -> Connection:
        connection = Connection(
            self._manager,
            loop=asyncio.get_running_loop(),
            logger=QUIET,
            access_log=QUIET,
            auto_decompress=False,
            keepalive_timeout=IDLE_SECONDS,
            lingering_time=SECONDS,  # closing a socket with unread data would send a TCP reset
        )
        connection.reject = self._reject_request
        return connection

    def _reject_request(self, status: int, message: str) -> web.Response:
        request = Request("other", "", CIMultiDict())
        response = _response(self._reject(request, status, message))
        response.force_close()
        return response

    async def _serve(self, incoming: web.BaseRequest) -> web.StreamResponse:
        if incoming.version.major != 1:
            return self._reject_request(400, UNPARSABLE)
        connection = cast("Connection", incoming.protocol)
        request = Request(incoming.method, incoming.raw_path, incoming.headers.copy())
        request.peer = connection.peername
        if incoming.content.is_eof():  # the body was received together with the headers
            request.body = incoming.content.read_nowait()
        else:
            request.incomplete = await self._read_body(incoming, request)
        connection.is_answering = True
        try:
            answer = await self.handler(request)
            if answer.delay:
                await self._pause(answer.delay)
            if answer.fault:
                await self._inject_fault(incoming, answer)
        finally:
            connection.is_answering = False
        response = _response(answer)
        # Do not reuse the connection: aiohttp would drop requests after an Upgrade request, and it
        # would add the trailer fields of a chunked body to the headers of the next request.
        headers = incoming.headers
        if request.incomplete or "Upgrade" in headers or "Transfer-Encoding" in headers:
            response.force_close()
        return response

    async def _read_body(self, incoming: web.BaseRequest, request: Request) -> HttpError | None:
        """Read the body into `request`. Return an error if the body is incomplete or too large."""
        if (incoming.content_length or 0) > self.max_body:
            return too_large(self.max_body)
        is_continue = incoming.headers.get("Expect", "").lower() == "100-continue"
        if is_continue and incoming.version >= HttpVersion11:
            await incoming.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            incoming.writer.output_size = 0
        try:
            async with asyncio.timeout(SECONDS):
                request.body = await incoming.clone(client_max_size=self.max_body).read()
        except web.HTTPRequestEntityTooLarge:
            return too_large(self.max_body)
        except (TimeoutError, web.RequestPayloadError):
            # Invalid chunks can also cause a timeout, because aiohttp does not always report them.
            return HttpError(400, "body: was not received in time or contains invalid chunks")
        except (ConnectionError, RuntimeError):  # raised by aiohttp if the client disconnects
            raise ConnectionAbortedError from None
        return None

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()

    async def _inject_fault(self, incoming: web.BaseRequest, answer: Answer) -> None:
        """Shorten the body, or close the connection and raise `ConnectionAbortedError`."""
        half = answer.body[: len(answer.body) // 2]
        if answer.fault == "malformed":
            answer.body = half
            return
        if answer.fault == "truncated":
            response = _response(answer)
            await response.prepare(incoming)
            await response.write(half)
        while answer.fault == "timeout" and incoming.transport and not self._stopping.is_set():
            await self._pause(0.1)
        transport = incoming.transport
        if transport and answer.fault == "reset":
            client: socket.socket = transport.get_extra_info("socket")
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            transport.abort()
        elif transport:
            transport.close()
        raise ConnectionAbortedError


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens on a host and port. Port 0 chooses a free port.

    If the mock cannot listen on this address, raise an `OSError` that says why.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    reason = "not a valid address or port"
    if host and 0 <= port <= MAX_PORT:  # an empty host would mean all addresses
        try:
            return socket.create_server((host, port), family=family, backlog=BACKLOG)
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or reason
            reason = reason.partition(" (")[0]  # the part in parentheses repeats the address
    raise OSError(
        f"host {host}, port {port}: {reason}; listen on an address of this machine, "
        "such as 127.0.0.1, and on a free port (0 chooses one)"
    )


async def _reserve(family: int, address: Any) -> socket.socket:
    """Wait until the address is free, and return a socket that is bound to it.

    The socket is not listening, so the port refuses connections. Because the socket is bound, no
    other program can use the port.
    """
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # ignore connections in TIME_WAIT
    if family == socket.AF_INET6:
        bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    while True:
        try:
            bound.bind(address)
        except OSError:
            await sleep(0.01)
        else:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
            return bound


def _response(answer: Answer) -> web.Response:
    answer.headers.setdefault("Server", "flashback-mock")
    return web.Response(status=answer.status, body=answer.body, headers=answer.headers)

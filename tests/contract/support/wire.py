"""An HTTP/1.1 client that sends targets and headers unchanged, on one connection per thread."""

import http.client
import io
import socket
import ssl
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import urllib3
from urllib3.util import wait_for_read

from support.exchange import Exchange, Request

LARGEST_RESPONSE = 1 << 20
TIMED_OUT = "no complete response before the timeout"
# On Linux, this option disables delayed TCP acknowledgments for the next segment. A server that
# sends headers and body separately may otherwise wait 40 ms per response for an acknowledgment.
QUICKACK = getattr(socket, "TCP_QUICKACK", None)
Connection = http.client.HTTPConnection


class Wire:
    """Sends requests exactly as given; HTTP client libraries would normalize them."""

    def __init__(self, url: str, timeout: float, ca: Path | None = None) -> None:
        """Send requests to `url`; wait up to `timeout` seconds for each complete response."""
        self.timeout = timeout
        self.resent = 0  # number of requests sent again although the connection had seemed open
        self._url = urlsplit(url)
        self._tls = None
        if self._url.scheme == "https":
            self._tls = ssl.create_default_context(cafile=ca)
        self._connections: dict[int, Connection] = {}  # by thread id
        self._deadlines: dict[Any, float] = {}  # by socket
        self._closed = threading.Event()
        threading.Thread(target=self._disconnect_late, daemon=True).start()

    def send(self, request: Request) -> Exchange:
        """Send the request once, or twice if the server has closed the idle connection."""
        connection = self._connections.get(threading.get_ident())
        if connection and not request.on_new_connection:
            seems_open = connection.sock is None or not wait_for_read(connection.sock, 0)
            exchange = self._exchange(connection, request)
            if exchange.status or exchange.timed_out or exchange.is_incomplete:
                return exchange
            self.resent += seems_open and not exchange.never_sent
            again = self._exchange(self._new_connection(), request)
            return exchange if again.never_sent else again
        self.disconnect()
        return self._exchange(self._new_connection(), request)

    def disconnect(self) -> None:
        """Close the current thread's connection."""
        if connection := self._connections.pop(threading.get_ident(), None):
            connection.close()

    def close(self) -> None:
        """Close every connection."""
        self._closed.set()
        for connection in self._connections.values():
            connection.close()

    def _new_connection(self) -> Connection:
        host = self._url.hostname or ""
        port = self._url.port
        if self._tls:
            return http.client.HTTPSConnection(host, port, timeout=self.timeout, context=self._tls)
        return Connection(host, port, timeout=self.timeout)

    def _exchange(self, connection: Connection, request: Request) -> Exchange:
        # Store the connection before opening it so that `close` finds it after an interruption.
        self._connections[threading.get_ident()] = connection
        server = None
        deadline = 0.0
        try:
            if connection.sock is None:
                connection.connect()
            server = connection.sock
            deadline = time.monotonic() + self.timeout
            self._deadlines[server] = deadline
            self._write(connection, request)
            exchange = _read(connection, request)
            if time.monotonic() < deadline:
                return exchange
            # A response without Content-Length seems complete when its connection is shut down.
            raise TimeoutError
        except (OSError, http.client.HTTPException, ValueError) as error:
            connection.close()
            del self._connections[threading.get_ident()]
            timed_out = server is not None and time.monotonic() >= deadline
            failure = _words(error)
            if timed_out:
                failure = TIMED_OUT
            return Exchange(
                request,
                failure=failure,
                never_sent=not server,
                timed_out=timed_out,
                is_incomplete=isinstance(error, (http.client.IncompleteRead, ValueError)),
            )
        finally:
            self._deadlines.pop(server, None)

    def _disconnect_late(self) -> None:
        """Abort late responses, because a socket's own timeout restarts with each byte."""
        while not self._closed.wait(0.05):
            for server, deadline in self._deadlines.copy().items():
                if time.monotonic() >= deadline:
                    with suppress(OSError):  # the socket may already be closed
                        server.shutdown(socket.SHUT_RDWR)

    def _write(self, connection: Connection, request: Request) -> None:
        target = self._url.path + request.target
        connection.putrequest(request.method, target, skip_host=True, skip_accept_encoding=True)
        connection.putheader("Host", self._url.netloc)
        for name, value in request.headers:
            connection.putheader(name, value.encode("latin-1", errors="replace"))
        # The server may have responded and closed the connection before reading the whole body.
        with suppress(BrokenPipeError, ConnectionResetError):
            if request.chunks is None:
                connection.endheaders(request.body)
            else:
                connection.endheaders(iter(request.chunks), encode_chunked=True)
        if QUICKACK is not None and connection.sock is not None:
            connection.sock.setsockopt(socket.IPPROTO_TCP, QUICKACK, 1)


def _read(connection: Connection, request: Request) -> Exchange:
    with connection.getresponse() as answer:
        while 100 < answer.status < 200:  # interim responses precede the final one
            answer.headers = None  # type: ignore[assignment] # begin() does nothing if it is set
            answer.begin()
        body = answer.read(LARGEST_RESPONSE + 1)
        if answer.length:
            raise http.client.IncompleteRead(body, answer.length)
        headers = tuple(answer.getheaders())
        encoded = urllib3.HTTPResponse(
            io.BytesIO(body),
            urllib3.HTTPHeaderDict(headers),
            preload_content=False,
            enforce_content_length=False,  # already checked above
        )
        try:
            body = encoded.read(LARGEST_RESPONSE + 1, decode_content=True)
        except urllib3.exceptions.HTTPError:
            raise ValueError("response body cannot be decompressed") from None
        if len(body) > LARGEST_RESPONSE:
            raise ValueError("response body exceeds 1 MiB")
        return Exchange(request, answer.status, answer.reason, headers, body)


def _words(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return TIMED_OUT
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"TLS failed: invalid certificate: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {error.reason or error}"
    if isinstance(error, http.client.HTTPException) and not isinstance(error, OSError):
        return f"an incomplete response, or one that is not HTTP ({type(error).__name__})"
    return str(getattr(error, "strerror", None) or error)

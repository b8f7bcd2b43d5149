"""Raw HTTP/1.1: every octet of target and headers, in order, over one connection."""

import http.client
import socket
import ssl
import threading
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from support.exchange import Request, Response

LARGEST_RESPONSE = 1 << 20


class WireError(OSError):
    """No complete response came; `never_sent` tells whether there was a connection at all."""

    def __init__(self, reason: str, *, never_sent: bool, cause: BaseException) -> None:
        """Have a reason in words, and the error it is from."""
        super().__init__(reason)
        self.never_sent = never_sent
        self.cause = cause


class Wire:
    """Sends requests without normalizing them, as libraries do; one connection per thread."""

    def __init__(self, url: str, timeout: float, ca: Path | None = None) -> None:
        """Talk to the server of `url`; a response may take `timeout` seconds, start to end."""
        parts = urlsplit(url)
        self._host = parts.hostname or ""
        self._port = parts.port
        self._authority = parts.netloc
        self._path = parts.path
        self.timeout = timeout
        self._tls: ssl.SSLContext | None = None
        if parts.scheme == "https":
            self._tls = ssl.create_default_context(cafile=ca)
        self._connections: dict[int, http.client.HTTPConnection] = {}

    def send(self, request: Request) -> Response:
        """Return the response; raise `WireError` if no complete one comes."""
        connection = self._connections.get(threading.get_ident())
        if connection is None or request.on_new_connection:
            if connection:
                connection.close()
            return self._exchange(self._connect(), request)
        try:
            return self._exchange(connection, request)
        except WireError as error:
            if isinstance(error.cause, TimeoutError):
                raise
            try:  # the server may have closed an idle connection
                return self._exchange(self._connect(), request)
            except WireError as second:
                raise error if second.never_sent else second from None

    def close(self) -> None:
        """Close every connection."""
        for connection in self._connections.values():
            connection.close()
        self._connections.clear()

    def _connect(self) -> http.client.HTTPConnection:
        if self._tls:
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                self._host, self._port, timeout=self.timeout, context=self._tls
            )
        else:
            connection = http.client.HTTPConnection(self._host, self._port, timeout=self.timeout)
        # Known from the start, so that an interrupted run closes it too.
        self._connections[threading.get_ident()] = connection
        try:
            connection.connect()
        except OSError as error:
            self._drop(connection)
            raise WireError(_words(error), never_sent=True, cause=error) from None
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def _exchange(self, connection: http.client.HTTPConnection, request: Request) -> Response:
        due = time.monotonic() + self.timeout
        timer = threading.Timer(self.timeout, _interrupt, [connection])  # even if it trickles
        timer.daemon = True
        timer.start()
        try:
            self._write(connection, request)
            response = _read(connection)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self._drop(connection)
            cause: BaseException = TimeoutError() if time.monotonic() >= due else error
            raise WireError(_words(cause), never_sent=False, cause=cause) from None
        finally:
            timer.cancel()
        return response

    def _drop(self, connection: http.client.HTTPConnection) -> None:
        connection.close()
        del self._connections[threading.get_ident()]

    def _write(self, connection: http.client.HTTPConnection, request: Request) -> None:
        connection.putrequest(
            request.method, self._path + request.target, skip_host=True, skip_accept_encoding=True
        )
        connection.putheader("Host", self._authority)
        for name, value in request.headers:
            connection.putheader(name, value.encode("latin-1", errors="replace"))
        # A server may respond, and close, before it has read a body to its end.
        with suppress(BrokenPipeError, ConnectionResetError):
            if request.chunks is None:
                connection.endheaders(request.body)
            else:
                connection.endheaders(iter(request.chunks), encode_chunked=True)


def _read(connection: http.client.HTTPConnection) -> Response:
    answer = connection.getresponse()
    body = answer.read(LARGEST_RESPONSE)
    if answer.read(1):
        raise ValueError("response body exceeds 1 MiB")
    if answer.length:
        raise http.client.IncompleteRead(body, answer.length)
    headers = tuple(answer.getheaders())
    return Response(answer.status, answer.reason, headers, body)


def _interrupt(connection: http.client.HTTPConnection) -> None:
    with suppress(OSError, AttributeError):  # it may be closed already
        connection.sock.shutdown(socket.SHUT_RDWR)


def _words(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "no complete response in time"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {getattr(error, 'verify_message', '') or error.reason or error}"
    if isinstance(error, http.client.RemoteDisconnected):
        return "the connection was closed without a response"
    if isinstance(error, http.client.IncompleteRead):
        return "the connection was closed in the middle of the response"
    if isinstance(error, http.client.HTTPException):
        return f"the response is not HTTP ({type(error).__name__})"
    return str(getattr(error, "strerror", None) or error)

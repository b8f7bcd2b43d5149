"""Raw HTTP/1.1: sends request targets and headers unchanged, on one connection per thread."""

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
Connection = http.client.HTTPConnection


class WireError(OSError):
    """Raised if there is no complete response.

    `never_sent` is true if no connection was established, so the request was not sent.
    """

    def __init__(self, cause: Exception, *, never_sent: bool) -> None:
        """Convert the cause to a message."""
        super().__init__(_words(cause))
        self.never_sent = never_sent
        self.timed_out = isinstance(cause, TimeoutError)


class Wire:
    """Sends requests exactly as given; HTTP client libraries would normalize them."""

    def __init__(self, url: str, timeout: float, ca: Path | None = None) -> None:
        """Send requests to `url`; wait up to `timeout` seconds for each complete response."""
        parts = urlsplit(url)
        self.timeout = timeout
        self._authority = parts.netloc
        self._address = (parts.hostname or "", parts.port)
        self._path = parts.path
        self._tls = ssl.create_default_context(cafile=ca) if parts.scheme == "https" else None
        self._connections: dict[int, Connection] = {}  # by thread id
        self._due: dict[Connection, float] = {}  # deadlines
        self._watchdog = threading.Thread(target=self._interrupt_late, daemon=True)

    def send(self, request: Request) -> Response:
        """Send the request; raise `WireError` if no complete response arrives in time."""
        connection = self._connections.get(threading.get_ident())
        if connection is None or request.on_new_connection:
            if connection:
                connection.close()
            return self._exchange(self._connect(), request)
        try:
            return self._exchange(connection, request)
        except WireError as error:
            if error.timed_out:
                raise
            try:  # retry once, because the server may have closed the idle connection
                return self._exchange(self._connect(), request)
            except WireError as second:
                raise error if second.never_sent else second from None

    def close(self) -> None:
        """Close every connection."""
        for connection in self._connections.values():
            connection.close()
        self._connections.clear()

    def _connect(self) -> Connection:
        if not self._watchdog.ident:
            self._watchdog.start()
        host, port = self._address
        if self._tls:
            connection: Connection = http.client.HTTPSConnection(
                host, port, timeout=self.timeout, context=self._tls
            )
        else:
            connection = Connection(host, port, timeout=self.timeout)
        # Store the connection before opening it so that an interrupted run also closes it.
        self._connections[threading.get_ident()] = connection
        try:
            connection.connect()
        except OSError as error:
            self._drop(connection)
            raise WireError(error, never_sent=True) from None
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def _exchange(self, connection: Connection, request: Request) -> Response:
        due = time.monotonic() + self.timeout
        self._due[connection] = due
        try:
            self._write(connection, request)
            _acknowledge_at_once(connection)
            return _read(connection)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self._drop(connection)
            cause = TimeoutError() if time.monotonic() >= due else error
            raise WireError(cause, never_sent=False) from None
        finally:
            del self._due[connection]

    def _interrupt_late(self) -> None:
        """Interrupt responses that exceed the timeout, even if they arrive byte by byte."""
        while True:
            time.sleep(0.1)
            for connection, due in list(self._due.items()):
                if time.monotonic() >= due:
                    with suppress(OSError, AttributeError):  # the connection may already be closed
                        connection.sock.shutdown(socket.SHUT_RDWR)

    def _drop(self, connection: Connection) -> None:
        connection.close()
        del self._connections[threading.get_ident()]

    def _write(self, connection: Connection, request: Request) -> None:
        target = self._path + request.target
        connection.putrequest(request.method, target, skip_host=True, skip_accept_encoding=True)
        connection.putheader("Host", self._authority)
        for name, value in request.headers:
            connection.putheader(name, value.encode("latin-1", errors="replace"))
        # A server may respond and close the connection before it has read the whole body.
        with suppress(BrokenPipeError, ConnectionResetError):
            if request.chunks is None:
                connection.endheaders(request.body)
            else:
                connection.endheaders(iter(request.chunks), encode_chunked=True)


def _acknowledge_at_once(connection: Connection) -> None:
    """Disable delayed TCP acknowledgments for the next segment on Linux.

    A server that sends headers and body separately may wait until the headers are acknowledged,
    which would add 40 ms to each of its responses.
    """
    option = getattr(socket, "TCP_QUICKACK", None)
    if option is not None and connection.sock is not None:
        connection.sock.setsockopt(socket.IPPROTO_TCP, option, 1)


def _read(connection: Connection) -> Response:
    answer = connection.getresponse()
    body = answer.read(LARGEST_RESPONSE)
    if answer.read(1):
        raise ValueError("response body exceeds 1 MiB")
    if answer.length:
        raise http.client.IncompleteRead(body, answer.length)
    return Response(answer.status, answer.reason, tuple(answer.getheaders()), body)


def _words(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no complete response before the timeout"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {getattr(error, 'verify_message', '') or error.reason or error}"
    if isinstance(error, http.client.RemoteDisconnected):
        return "the connection was closed without a response"
    if isinstance(error, http.client.IncompleteRead):
        return "the connection was closed in the middle of the response"
    if isinstance(error, http.client.HTTPException):
        return f"the response is not HTTP ({type(error).__name__})"
    return str(getattr(error, "strerror", None) or error)

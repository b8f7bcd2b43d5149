"""Connection pools, TLS, and how the blocking client sends a request within its deadline.

The other modules import httpx from here, so that moving to httpx2 is a small change.
"""

from __future__ import annotations

import errno
import functools
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Coroutine
from contextlib import closing, suppress
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar, cast

import httpx

from .errors import ArgumentError, FlashbackError
from .secrets import Secret

if TYPE_CHECKING:
    import httpcore

__all__ = ("Connections", "Proxy", "Route", "httpx")

R = TypeVar("R")

CLOSED: Final = "this client is closed; create a new one"
MAX_BODY: Final = 1 << 20  # bytes of a response; documented responses are far smaller
_WRITE_SIZE: Final = 16384  # bytes; one write to a slow server must not outlast the deadline
_CA_VARIABLES: Final = ("SSL_CERT_FILE", "SSL_CERT_DIR")  # httpx reads the first that is set
_IN_MEMORY: Final = (httpx.MockTransport, httpx.ASGITransport, httpx.WSGITransport)


class TimeLimitError(Exception):
    """The deadline of the call or of the attempt has passed."""


class Proxy(NamedTuple):
    """The address of a proxy, and its login if it requires one."""

    url: str
    login: tuple[Secret, Secret] | None


class Route(NamedTuple):
    """The key of a connection pool. Requests with the same route share connections."""

    is_tls: bool
    proxy: Proxy | None


class Connections:
    """The connections of a client. Clients that `with_options` returns share them.

    The coroutines of this class block and never suspend. `AsyncConnections` overrides them.
    """

    def __init__(self, given: Any) -> None:
        """Use the given httpx client or transport, or pools of our own if it is None."""
        self.given = given
        self._home: tuple[int, Any] | None = None
        # Pools instead of an httpx.Client, which would store one tenant's cookies for all others.
        self._pools: dict[tuple[int, Any, Route], Any] = {}
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether this client or the given httpx client is closed."""
        return self._closed or getattr(self.given, "is_closed", False)

    def get(self, route: Route) -> Any:
        """Return the given client, or the pool for this route, process and event loop."""
        if self.closed:
            raise FlashbackError(CLOSED)
        here = (os.getpid(), self.event_loop())
        if self.given is not None:
            self._home = self._home or here
            if self._home != here and not isinstance(self.given, _IN_MEMORY):
                raise FlashbackError(
                    "the http_client or transport belongs to another event loop or process;"
                    " create one in this event loop, after the fork"
                )
            return self.given
        key = (*here, route)
        if key not in self._pools:
            self._forget_closed_loops()
            self._pools.setdefault(key, self.new_pool(route))
        return self._pools[key]

    def _forget_closed_loops(self) -> None:
        # A forked child keeps its parent's pools: closing them would disconnect the parent.
        for process, loop, route in list(self._pools):
            if loop is not None and loop.is_closed() and process == os.getpid():
                self._pools.pop((process, loop, route), None)

    def close(self) -> list[Any]:
        """Reject further calls; return the transports for the caller to close."""
        here = (os.getpid(), self.event_loop())
        self._closed = True
        if self.given is None:
            return [self._pools.pop(key) for key in list(self._pools) if key[:2] == here]
        if isinstance(self.given, (httpx.BaseTransport, httpx.AsyncBaseTransport)):
            return [self.given]
        return []

    def event_loop(self) -> Any:
        """Return the running event loop; None in a blocking client."""

    def new_pool(self, route: Route) -> Any:
        """Return an httpx transport with an empty pool."""
        return BlockingTransport(route)

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)  # noqa: ASYNC251 - see the class

    async def call(self, function: Callable[[], object], ends_at: float) -> object:
        """Return the result of a token function; raise TimeLimitError."""
        del ends_at
        return function()

    async def exchange(
        self, http: Any, request: httpx.Request, ends_at: float
    ) -> tuple[httpx.Response, bytes | None]:
        """Return the response and its undecoded body, or None if a hook has read the body.

        Raise TimeLimitError, the errors of httpx, and any error of a hook.
        """
        _attempt.ends_at = ends_at
        response: httpx.Response
        if isinstance(http, httpx.Client):
            response = http.send(request, stream=True, auth=None, follow_redirects=False)
        else:
            response = http.handle_request(request)
        stream = cast("httpx.SyncByteStream", response.stream)
        with closing(stream):
            if response.is_stream_consumed:
                return response, None
            body = bytearray()
            for chunk in stream:
                body += chunk
                if time.monotonic() > ends_at:
                    raise TimeLimitError
                if len(body) > MAX_BODY:
                    break
            return response, bytes(body)


def run(coroutine: Coroutine[Any, Any, R]) -> R:
    """Return the result of a coroutine that never suspends."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        result: R = end.value
        return result
    raise RuntimeError("a blocking call was suspended")


class BlockingTransport(httpx.HTTPTransport):
    """An httpx transport whose connections observe the deadline of the attempt.

    `_pool` is the only private name of httpx that we use. The constructor of `HTTPTransport`
    accepts no network backend, and tools for tests and tracing patch
    `HTTPTransport.handle_request`, so another base class would hide calls from them.
    """

    def __init__(self, route: Route) -> None:
        import httpcore  # noqa: PLC0415 - a third of the time that importing httpx takes

        backend: Any = DeadlineBackend(httpcore.SyncBackend())
        self._pool = httpcore.ConnectionPool(network_backend=backend, **pool_options(route))


class _Attempt(threading.local):
    ends_at: float = inf


_attempt = _Attempt()


class DeadlineBackend:
    """Opens connections that time out at the deadline of the thread's current attempt.

    httpcore limits each read, so a server that sends byte by byte could prolong a call forever.
    """

    def __init__(self, backend: httpcore.NetworkBackend) -> None:
        self._backend = backend

    def connect_tcp(self, timeout: float | None = None, **options: Any) -> DeadlineStream:
        limit = within(_attempt.ends_at, timeout)
        return DeadlineStream(self._backend.connect_tcp(timeout=limit, **options))


class DeadlineStream:
    """A connection of `DeadlineBackend`.

    It buffers the head of a request, to send head and body in one packet.
    """

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream
        self._unsent = b""
        self.get_extra_info = stream.get_extra_info

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        self._flush()
        if time.monotonic() > _attempt.ends_at:
            raise TimeLimitError
        return self._stream.read(max_bytes, within(_attempt.ends_at, timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        del timeout
        self._unsent += buffer
        if not buffer:  # httpcore ends a request like this
            self._flush()

    def _flush(self) -> None:
        unsent = self._unsent
        self._unsent = b""
        for start in range(0, len(unsent), _WRITE_SIZE):
            part = unsent[start : start + _WRITE_SIZE]
            self._stream.write(part, within(_attempt.ends_at))

    def close(self) -> None:
        # Closing a socket does not end a read in another thread; shutting it down does.
        with suppress(OSError):
            self._stream.get_extra_info("socket").shutdown(socket.SHUT_RDWR)
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> DeadlineStream:
        limit = within(_attempt.ends_at, timeout)
        return DeadlineStream(self._stream.start_tls(ssl_context, server_hostname, limit))


def left(until: float) -> float:
    """Return the seconds left, but never 0, which means non-blocking for a socket."""
    return max(0.001, until - time.monotonic())


def within(until: float, limit: float | None = None) -> float | None:
    """Return the limit or the seconds left, whichever is shorter; None if both are unlimited."""
    shorter = left(until) if limit is None else min(limit, left(until))
    return None if shorter == inf else shorter


def pool_options(route: Route) -> dict[str, Any]:
    """Return the arguments of httpcore's connection pools."""
    import httpcore  # noqa: PLC0415 - see BlockingTransport

    proxy = None
    if route.proxy is not None:
        login = route.proxy.login
        auth = None
        if login is not None:
            auth = (login[0].reveal().encode(), login[1].reveal().encode())
        proxy = httpcore.Proxy(route.proxy.url, auth=auth)
    return {
        "ssl_context": tls_context() if route.is_tls else None,
        "proxy": proxy,
        "max_connections": 100,
        "max_keepalive_connections": 20,
        "keepalive_expiry": 5.0,
    }


def tls_context() -> ssl.SSLContext:
    """Return the TLS context that all pools share; it is rebuilt when a CA file changes.

    Raise ArgumentError if SSL_CERT_FILE or SSL_CERT_DIR cannot be used, and OSError if no file
    descriptor is free.
    """
    variable = next(filter(os.environ.get, _CA_VARIABLES), None)
    value = os.environ[variable] if variable else ""
    paths = value.split(os.pathsep) if variable == "SSL_CERT_DIR" else [value]
    try:
        return _tls_context(tuple(_state_of_file(path) for path in paths if path))
    except OSError as error:
        if error.errno in {errno.EMFILE, errno.ENFILE} and not isinstance(error, ssl.SSLError):
            raise
        reason = error.strerror or type(error).__name__
        problem = f"cannot be used ({reason}); set it to a PEM file, or unset it"
        raise ArgumentError.about(variable or "certifi", problem) from None


def _state_of_file(path: str) -> tuple[object, ...]:
    status = Path(path).stat()
    return (path, status.st_mtime_ns, status.st_size, status.st_ino)


@functools.lru_cache(maxsize=8)
def _tls_context(_: tuple[object, ...]) -> ssl.SSLContext:
    # Reading the certificates takes 18 ms. The argument is only the key of the cache.
    return httpx.create_ssl_context()

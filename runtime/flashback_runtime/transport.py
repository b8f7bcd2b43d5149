"""Connection pools, TLS contexts, and the blocking client's transport.

The other modules import httpx from this module so that a later switch to httpx2 is a small change.
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
# The maximum size of a response body, in bytes. Documented responses are far smaller.
MAX_BODY: Final = 1 << 20
# The chunk size for writing requests, in bytes. It is small so that the deadline is checked often
# while a slow server reads.
_WRITE_SIZE: Final = 16384
# httpx reads the first variable that is set.
_CA_VARIABLES: Final = ("SSL_CERT_FILE", "SSL_CERT_DIR")
_IN_MEMORY: Final = (httpx.MockTransport, httpx.ASGITransport, httpx.WSGITransport)


class TimeLimitError(Exception):
    """The deadline for the call or the attempt has passed."""


class Proxy(NamedTuple):
    """A proxy's URL, plus a user name and password if the proxy requires them."""

    url: str
    login: tuple[Secret, Secret] | None


class Route(NamedTuple):
    """The key for a connection pool. Requests with the same route share a pool."""

    is_tls: bool
    proxy: Proxy | None


class Connections:
    """A client's connections, shared with the clients that `with_options` returns.

    The coroutines in this class block instead of suspending. `AsyncConnections` overrides them.
    """

    def __init__(self, given: Any) -> None:
        """Use `given`, an httpx client or transport, or create connection pools if it is None."""
        self.given = given
        self._owner: tuple[int, Any] | None = None
        # Do not use an httpx.Client: it stores cookies, so it would send one tenant's cookies with
        # other tenants' requests.
        self._pools: dict[tuple[int, Any, Route], Any] = {}
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether this client or the httpx client that it uses is closed."""
        return self._closed or getattr(self.given, "is_closed", False)

    def get(self, route: Route) -> Any:
        """Return the given client or transport, or the pool for this route, process and loop."""
        if self.closed:
            raise FlashbackError(CLOSED)
        here = (os.getpid(), self.event_loop())
        if self.given is not None:
            self._owner = self._owner or here
            if self._owner != here and not isinstance(self.given, _IN_MEMORY):
                raise FlashbackError(
                    "the http_client or transport was first used in another event loop or process;"
                    " create a new one in this event loop, after the fork"
                )
            return self.given
        key = (*here, route)
        if key not in self._pools:
            self._drop_pools_of_closed_loops()
            self._pools.setdefault(key, self.new_pool(route))
        return self._pools[key]

    def _drop_pools_of_closed_loops(self) -> None:
        # In a forked child, keep the parent's pools: closing them would disconnect the parent.
        for process, loop, route in list(self._pools):
            if loop is not None and loop.is_closed() and process == os.getpid():
                self._pools.pop((process, loop, route), None)

    def close(self) -> list[Any]:
        """Reject further calls, and return the transports that the caller must close."""
        here = (os.getpid(), self.event_loop())
        self._closed = True
        if self.given is None:
            return [self._pools.pop(key) for key in list(self._pools) if key[:2] == here]
        if isinstance(self.given, (httpx.BaseTransport, httpx.AsyncBaseTransport)):
            return [self.given]
        return []

    def event_loop(self) -> Any:
        """Return the running event loop, or None in a blocking client."""

    def new_pool(self, route: Route) -> Any:
        """Return an httpx transport with an empty connection pool."""
        return BlockingTransport(route)

    async def sleep(self, seconds: float) -> None:
        """Sleep for this number of seconds."""
        time.sleep(seconds)  # noqa: ASYNC251 - these coroutines block; see the class docstring

    async def call(self, function: Callable[[], object], ends_at: float) -> object:
        """Call a token function and return its result. Only the async client enforces `ends_at`."""
        del ends_at
        return function()

    async def exchange(
        self, http: Any, request: httpx.Request, ends_at: float
    ) -> tuple[httpx.Response, bytes | None]:
        """Send the request, and return the response and its undecoded body.

        The body is None if an event hook has already read it. Raise TimeLimitError at the
        deadline. Exceptions from httpx and from event hooks propagate.
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
    """Run a coroutine that never suspends, and return its result."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        result: R = end.value
        return result
    raise RuntimeError("a coroutine of the blocking client was suspended")


class BlockingTransport(httpx.HTTPTransport):
    """An httpx transport whose connections enforce the attempt's deadline.

    It sets `_pool`, the only private httpx attribute that this package uses, because
    `HTTPTransport`'s constructor does not accept a network backend. It must be a subclass of
    `HTTPTransport`, because test and tracing tools patch `HTTPTransport.handle_request`.
    """

    def __init__(self, route: Route) -> None:
        # This import is deferred because it accounts for a third of httpx's import time.
        import httpcore  # noqa: PLC0415

        backend: Any = DeadlineBackend(httpcore.SyncBackend())
        self._pool = httpcore.ConnectionPool(network_backend=backend, **pool_options(route))


class _Attempt(threading.local):
    ends_at: float = inf


_attempt = _Attempt()


class DeadlineBackend:
    """A network backend whose connections time out at the current thread's attempt deadline.

    httpcore's timeouts apply to single reads. Without this deadline, a server that sends one
    byte at a time could keep a call open forever.
    """

    def __init__(self, backend: httpcore.NetworkBackend) -> None:
        self._backend = backend

    def connect_tcp(self, timeout: float | None = None, **options: Any) -> DeadlineStream:
        limit = timeout_until(_attempt.ends_at, timeout)
        return DeadlineStream(self._backend.connect_tcp(timeout=limit, **options))


class DeadlineStream:
    """A network stream that `DeadlineBackend` opened.

    It buffers the request head so that the head and the body are sent in one packet.
    """

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream
        self._unsent = b""
        self.get_extra_info = stream.get_extra_info

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        self._flush()
        if time.monotonic() > _attempt.ends_at:
            raise TimeLimitError
        return self._stream.read(max_bytes, timeout_until(_attempt.ends_at, timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        del timeout
        self._unsent += buffer
        if not buffer:  # httpcore writes an empty chunk at the end of a request
            self._flush()

    def _flush(self) -> None:
        unsent = self._unsent
        self._unsent = b""
        for start in range(0, len(unsent), _WRITE_SIZE):
            part = unsent[start : start + _WRITE_SIZE]
            self._stream.write(part, timeout_until(_attempt.ends_at))

    def close(self) -> None:
        # Closing a socket does not interrupt a read in another thread, but shutting it down does.
        with suppress(OSError):
            self._stream.get_extra_info("socket").shutdown(socket.SHUT_RDWR)
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> DeadlineStream:
        limit = timeout_until(_attempt.ends_at, timeout)
        return DeadlineStream(self._stream.start_tls(ssl_context, server_hostname, limit))


def seconds_left(until: float) -> float:
    """Return the seconds left, but at least 0.001: a socket timeout of 0 means non-blocking."""
    return max(0.001, until - time.monotonic())


def timeout_until(until: float, limit: float | None = None) -> float | None:
    """Return the shorter of the limit and the remaining seconds, or None if both are unlimited."""
    shorter = seconds_left(until) if limit is None else min(limit, seconds_left(until))
    return None if shorter == inf else shorter


def pool_options(route: Route) -> dict[str, Any]:
    """Return the keyword arguments for httpcore's connection pools."""
    import httpcore  # noqa: PLC0415 - slow to import; see BlockingTransport

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
    """Return the TLS context that all pools share. It is rebuilt when a CA file changes.

    Raise ArgumentError if SSL_CERT_FILE or SSL_CERT_DIR cannot be used, and OSError if the process
    has no free file descriptors.
    """
    variable = next(filter(os.environ.get, _CA_VARIABLES), None)
    value = os.environ[variable] if variable else ""
    paths = value.split(os.pathsep) if variable == "SSL_CERT_DIR" else [value]
    try:
        return _tls_context(tuple(_file_state(path) for path in paths if path))
    except OSError as error:
        if error.errno in {errno.EMFILE, errno.ENFILE} and not isinstance(error, ssl.SSLError):
            raise
        reason = error.strerror or type(error).__name__
        problem = f"cannot be used ({reason}); set it to a readable file or folder, or unset it"
        raise ArgumentError.about(variable or "certifi", problem) from None


def _file_state(path: str) -> tuple[object, ...]:
    status = Path(path).stat()
    return (path, status.st_mtime_ns, status.st_size, status.st_ino)


@functools.lru_cache(maxsize=8)
def _tls_context(_: tuple[object, ...]) -> ssl.SSLContext:
    # Reading the certificates takes 18 ms, so the result is cached. The argument is the cache key.
    return httpx.create_ssl_context()

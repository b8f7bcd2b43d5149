"""Connection pools, TLS contexts, and the blocking client's network backend.

The other modules import httpx from this module so that a later switch to httpx2 is a small change.
Only errors.py imports httpx directly, because this module imports errors.py.
"""

from __future__ import annotations

import functools
import os
import socket
import ssl
import time
from collections.abc import Callable, Coroutine
from contextlib import closing, suppress
from contextvars import ContextVar
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import httpx

from .errors import ArgumentError, FlashbackError
from .secrets import Secret

if TYPE_CHECKING:
    import httpcore

__all__ = ("httpx",)  # tells type checkers that other modules may import httpx from here

R = TypeVar("R")

CLOSED = "this client is closed; create a new one"
LATE = "no complete response was received within the time limit"
# The maximum size of a response body, in bytes. Documented responses are far smaller.
MAX_BODY = 1 << 20
# The deadline of the current attempt. A thread-local variable would not be enough, because each
# greenlet has its own context, but not its own thread.
_ends_at: ContextVar[float] = ContextVar("ends_at")
_IN_MEMORY = (httpx.MockTransport, httpx.ASGITransport, httpx.WSGITransport)


class DeadlineBackend:
    """A network backend whose connections time out at the deadline of the current attempt.

    httpcore limits only the time for each read. Without this deadline, a server that sends one
    byte at a time could keep a call open forever.
    """

    def __init__(self, backend: httpcore.NetworkBackend) -> None:
        self._backend = backend

    def connect_tcp(self, timeout: float | None = None, **options: Any) -> DeadlineStream:
        limit = timeout_until(_ends_at.get(), timeout)
        return DeadlineStream(self._backend.connect_tcp(timeout=limit, **options))


class DeadlineStream:
    """A network stream that sends the request's head and body in one packet."""

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream
        self._unsent = b""
        self.get_extra_info = stream.get_extra_info

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        self._flush()
        if time.monotonic() > _ends_at.get():
            raise httpx.ReadTimeout(LATE)
        return self._stream.read(max_bytes, timeout_until(_ends_at.get(), timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        del timeout
        self._unsent += buffer
        if not buffer:  # httpcore writes an empty chunk at the end of a request
            self._flush()

    def _flush(self) -> None:
        unsent = self._unsent
        self._unsent = b""
        self._stream.write(unsent, timeout_until(_ends_at.get()))

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
        limit = timeout_until(_ends_at.get(), timeout)
        return DeadlineStream(self._stream.start_tls(ssl_context, server_hostname, limit))


def timeout_until(until: float, limit: float | None = None) -> float | None:
    """Return the lower of the two limits in seconds, or None if there is no limit."""
    seconds_left = max(0.001, until - time.monotonic())  # a socket timeout of 0 means non-blocking
    if limit is not None:
        seconds_left = min(seconds_left, limit)
    return None if seconds_left == inf else seconds_left


class Connections:
    """A client's connections, shared with the clients that `with_options` returns.

    The coroutines in this class block instead of suspending. `AsyncConnections` overrides them.
    """

    def __init__(self, given: Any) -> None:
        self.given = given
        self._owner: object = None
        # Do not use an httpx.Client: it stores cookies, so it would send one tenant's cookies with
        # other tenants' requests.
        self._pools: dict[tuple[Any, Secret | None], Any] = {}
        self._closed = False

    @property
    def closed(self) -> bool:
        return self._closed or getattr(self.given, "is_closed", False)

    def get(self, proxy: Secret | None) -> Any:
        """Return the caller's client or transport, or the pool for this proxy and owner."""
        if self.closed:
            raise FlashbackError(CLOSED)
        owner = self.owner()
        if self.given is None:
            key = (owner, proxy)
            return self._pools.get(key) or self._pools.setdefault(key, self.new_pool(proxy))
        self._owner = self._owner or owner
        if self._owner != owner and not isinstance(self.given, _IN_MEMORY):
            raise FlashbackError(
                "the http_client or transport was first used in another event loop or process;"
                " create a separate one for each event loop and process"
            )
        return self.given

    def close(self) -> list[Any]:
        """Reject further calls, and return the transports that the caller must close."""
        owner = self.owner()
        self._closed = True
        if isinstance(self.given, (httpx.BaseTransport, httpx.AsyncBaseTransport)):
            return [self.given]
        return [self._pools.pop(key) for key in list(self._pools) if key[0] == owner]

    def owner(self) -> Any:
        """Return the process id and, for an async client, the running event loop.

        Each owner has its own pools. A forked child must not close its parent's connections.
        """
        return os.getpid()

    def new_pool(self, proxy: Secret | None) -> Any:
        """Return an httpx transport whose connections enforce the attempt's deadline.

        httpx has no public way to set a network backend, so this method uses private attributes. No
        other code in this package uses them. A custom transport class would not need them, but
        pytest-httpx and OpenTelemetry work only with `httpx.HTTPTransport`, which they patch.
        """
        transport = httpx.HTTPTransport(**pool_options(proxy))
        pool = vars(transport)["_pool"]
        pool._network_backend = DeadlineBackend(pool._network_backend)  # noqa: SLF001
        return transport

    async def sleep(self, seconds: float) -> None:
        time.sleep(seconds)  # noqa: ASYNC251 - these coroutines block; see the class docstring

    async def call(self, function: Callable[[], Any], ends_at: float) -> Any:
        """Call a token function and return its result.

        In the async client, this method cancels the function at `ends_at` and then returns UNSET.
        """
        del ends_at
        return function()

    async def exchange(
        self, http: Any, request: httpx.Request, ends_at: float
    ) -> tuple[httpx.Response, bytes | None]:
        """Send the request, and return the response and its undecoded body.

        The body is None if an event hook has already read it. Raise httpx.ReadTimeout if the
        deadline passes. Exceptions from httpx and from event hooks propagate.
        """
        # A signal handler can make another call, so restore the deadline afterwards.
        outer_deadline = _ends_at.set(ends_at)
        try:
            return _exchange(http, request, ends_at)
        finally:
            _ends_at.reset(outer_deadline)


def _exchange(
    http: Any, request: httpx.Request, ends_at: float
) -> tuple[httpx.Response, bytes | None]:
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
                raise httpx.ReadTimeout(LATE)
            if len(body) > MAX_BODY:
                break
        return response, bytes(body)


def pool_options(proxy: Secret | None) -> dict[str, Any]:
    """Return the arguments for an httpx transport.

    All clients share one TLS context. A new one is created after SSL_CERT_FILE, SSL_CERT_DIR or
    the certificate file changes.
    """
    file = os.environ.get("SSL_CERT_FILE")
    try:
        modified = Path(file).stat().st_mtime_ns if file else 0
        verify = _read_certificates(file, os.environ.get("SSL_CERT_DIR"), modified)
    except OSError as error:
        if not file:
            raise
        problem = f"cannot be used ({error.strerror or error}); set it to a readable CA file"
        raise ArgumentError.about("SSL_CERT_FILE", problem) from None
    return {"verify": verify, "proxy": proxy and httpx.Proxy(proxy.reveal())}


@functools.lru_cache(maxsize=1)
def _read_certificates(*_: object) -> ssl.SSLContext:
    return httpx.create_ssl_context()  # takes 18 ms


def run(coroutine: Coroutine[Any, Any, R]) -> R:
    """Run a coroutine that never suspends, and return its result."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        result: R = end.value
        return result
    raise RuntimeError("the blocking client cannot await a coroutine that suspends")

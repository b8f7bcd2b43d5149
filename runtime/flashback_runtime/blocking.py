"""How the blocking client sends, waits and keeps the deadline.

httpcore limits each read by itself. Connections made here share the deadline of the attempt; they
have the methods of httpcore's NetworkStream and NetworkBackend.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Coroutine
from contextlib import closing, suppress
from math import inf
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from .connections import LIMITS, MAX_BODY, httpcore_proxy, httpx, tls_context
from .deadlines import TimeLimitError, within
from .proxies import Route

if TYPE_CHECKING:
    import httpcore

R = TypeVar("R")
_CHUNK: Final = 16384  # bytes; a slow reader must not hold one write longer than the deadline


class _Attempt(threading.local):
    ends_at: float = inf


_attempt = _Attempt()


def run(coroutine: Coroutine[Any, Any, R]) -> R:
    """Return the result of a coroutine that never suspends, as BlockingIO never does."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        result: R = end.value
        return result
    raise RuntimeError("a blocking call was suspended")


class BlockingIO:
    """What differs from `awaited.AsyncIO`: the coroutines block and never suspend."""

    def loop(self) -> None:
        """Return None: there is no event loop."""

    def new_pool(self, route: Route) -> BlockingTransport:
        """Return a transport with a new pool."""
        return BlockingTransport(route)

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)  # noqa: ASYNC251 - see the class

    async def call(self, function: Callable[[], object], ends_at: float) -> object:
        """Return what a token function returns."""
        del ends_at
        return function()

    async def exchange(
        self, http: Any, request: httpx.Request, ends_at: float
    ) -> tuple[httpx.Response, bytes | None]:
        """Return the response and its body as it was sent, None if a hook or a mock read it.

        Raise TimeLimitError, and what httpx and its hooks raise.
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


class BlockingTransport(httpx.HTTPTransport):
    """httpx's transport on our own pool, whose reads share one deadline.

    `_pool` is the one private name of httpx here: its constructor takes no network backend, and
    tools for tests and tracing patch `HTTPTransport.handle_request`, so that another base class
    would hide calls from them.
    """

    def __init__(self, route: Route) -> None:
        import httpcore  # noqa: PLC0415 - a third of what importing httpx costs

        backend: Any = DeadlineBackend(httpcore.SyncBackend())
        context = tls_context() if route.is_tls else None
        proxy = httpcore_proxy(route.proxy)
        self._pool = httpcore.ConnectionPool(
            context, proxy=proxy, network_backend=backend, **LIMITS
        )


class DeadlineBackend:
    """Opens connections that give up when the attempt's time is over."""

    def __init__(self, backend: httpcore.NetworkBackend) -> None:
        self._backend = backend

    def connect_tcp(self, timeout: float | None = None, **options: Any) -> DeadlineStream:
        return DeadlineStream(self._backend.connect_tcp(timeout=_limit(timeout), **options))


class DeadlineStream:
    """Writes are sent when the response is read: head and body in one packet."""

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream
        self._unsent = b""
        self.get_extra_info = stream.get_extra_info

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        from httpcore import WriteError  # noqa: PLC0415 - a third of what importing httpx costs

        unsent = self._unsent
        self._unsent = b""
        with suppress(WriteError):  # there may still be a response
            for start in range(0, len(unsent), _CHUNK):
                self._stream.write(unsent[start : start + _CHUNK], _limit(None))
        return self._stream.read(max_bytes, _limit(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        del timeout
        self._unsent += buffer

    def close(self) -> None:
        # Closing alone does not end a read in another thread.
        with suppress(OSError):
            self._stream.get_extra_info("socket").shutdown(socket.SHUT_RDWR)
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> DeadlineStream:
        stream = self._stream.start_tls(ssl_context, server_hostname, _limit(timeout))
        return DeadlineStream(stream)


def _limit(timeout: float | None) -> float | None:
    return within(_attempt.ends_at, timeout)

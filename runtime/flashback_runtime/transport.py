"""Pools of connections, and which of them a call uses.

No other module imports httpx, so that a move to httpx2 starts here.
"""

from __future__ import annotations

import errno
import os
import ssl
import threading
from collections.abc import AsyncGenerator, Callable, Hashable
from pathlib import Path
from typing import Any, Final, Generic, Protocol, TypeVar

import httpx

from .deadlines import DeadlineBackend
from .errors import ArgumentError, FlashbackError
from .proxies import Proxy, Route

__all__ = ("CLOSED", "AsyncTransport", "BlockingTransport", "Connections", "httpx", "tls_context")

_LIMITS: Final[dict[str, Any]] = {
    "max_connections": 100,
    "max_keepalive_connections": 20,
    "keepalive_expiry": 5.0,
}
_CA_VARIABLES: Final = ("SSL_CERT_FILE", "SSL_CERT_DIR")
H = TypeVar("H")
CLOSED: Final = "this client is closed; make a new one"
_contexts: dict[tuple[object, ...], ssl.SSLContext] = {}
_contexts_lock = threading.Lock()


class BlockingTransport(httpx.HTTPTransport):
    """httpx's transport on a pool of ours, whose reads share one deadline.

    `_pool` is the one private name of httpx here: its constructor takes no network backend, and
    tools for tests and tracing patch `HTTPTransport.handle_request`, so that another base class
    would hide calls from them.
    """

    def __init__(self, route: Route) -> None:
        import httpcore  # noqa: PLC0415 - a third of what importing httpx costs

        backend: Any = DeadlineBackend(httpcore.SyncBackend())
        self._pool = httpcore.ConnectionPool(
            tls_context() if route.is_tls else None,
            proxy=_proxy(route.proxy),
            network_backend=backend,
            **_LIMITS,
        )


class AsyncTransport(httpx.AsyncHTTPTransport):
    """The same for one event loop; when the loop ends, it closes the pool."""

    _held: AsyncGenerator[None] | None = None

    def __init__(self, route: Route) -> None:
        import httpcore  # noqa: PLC0415 - a third of what importing httpx costs

        self._pool = httpcore.AsyncConnectionPool(
            tls_context() if route.is_tls else None, proxy=_proxy(route.proxy), **_LIMITS
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request, and from the first one on wait for the end of the loop."""
        if self._held is None:
            self._held = self._until_the_loop_ends()
            await anext(self._held)
        return await super().handle_async_request(request)

    async def _until_the_loop_ends(self) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            await self.aclose()


def tls_context() -> ssl.SSLContext:
    """Return one context for all pools, as making it takes 18 ms; a new one if a CA file changed.

    Raise ArgumentError when the file that SSL_CERT_FILE or SSL_CERT_DIR names cannot be used,
    OSError when there is no free file descriptor.
    """
    key: list[object] = []
    try:
        for variable in _CA_VARIABLES:
            path = os.environ.get(variable)
            status = Path(path).stat() if path else None
            key += [path, status and (status.st_mtime_ns, status.st_size, status.st_ino)]
        with _contexts_lock:
            if tuple(key) not in _contexts:
                _contexts[tuple(key)] = httpx.create_ssl_context()
            return _contexts[tuple(key)]
    except OSError as error:
        if error.errno in {errno.EMFILE, errno.ENFILE} and not isinstance(error, ssl.SSLError):
            raise
        named = [variable for variable in _CA_VARIABLES if os.environ.get(variable)]
        reason = error.strerror or type(error).__name__
        problem = f"cannot be used ({reason}); name a PEM file, or unset it"
        raise ArgumentError.about(named[0] if named else "certifi", problem) from None


def _proxy(proxy: Proxy | None) -> Any:
    import httpcore  # noqa: PLC0415 - a third of what importing httpx costs

    if proxy is None:
        return None
    url = httpcore.URL(scheme=proxy.scheme, host=proxy.host, port=proxy.port, target=b"/")
    if proxy.user is None or proxy.password is None:
        return httpcore.Proxy(url)
    login = (proxy.user.reveal().encode(), proxy.password.reveal().encode())
    return httpcore.Proxy(url, auth=login)


class _Loop(Protocol):
    def is_closed(self) -> bool: ...


class Connections(Generic[H]):
    """Shared by a client and those derived from it.

    Pools and no httpx.Client, which would send one tenant's cookies with another's calls.
    """

    def __init__(self, given: H | None, *, is_portable: bool, new: Callable[[Route], H]) -> None:
        """Use `given` if it is not None; a portable one in any process and event loop."""
        self._given = given
        self._is_portable = is_portable
        self._new = new
        self._pools: dict[tuple[int, Any, Hashable], H] = {}
        self._home: tuple[int, Any] | None = None
        self.closed = False

    def get(self, route: Route, loop: _Loop | None = None) -> H:
        """Return what this process and event loop may use for the route."""
        if self.closed:
            raise FlashbackError(CLOSED)
        process = os.getpid()
        if self._given is not None:
            self._check_home((process, loop))
            return self._given
        key = (process, loop, route)
        return self._pools.get(key) or self._pools.setdefault(key, self._made(process, route))

    def _check_home(self, here: tuple[int, Any]) -> None:
        if self._is_portable:
            return
        self._home = self._home or here
        if self._home != here:
            raise FlashbackError(
                "the httpx client or transport given belongs to another event loop or process;"
                " make one in this loop, after the fork"
            )

    def _made(self, process: int, route: Route) -> H:
        # Pools of other processes stay referenced: closing them here would close them there.
        for key in list(self._pools):
            loop = key[1]
            if loop is not None and loop.is_closed() and key[0] == process:
                self._pools.pop(key, None)
        return self._new(route)

    def close(self, loop: _Loop | None = None) -> list[H]:
        """Refuse calls from now on; return what has to be closed here."""
        self.closed = True
        here = (os.getpid(), loop)
        mine = [key for key in self._pools if key[:2] == here]
        opened = [self._pools.pop(key) for key in mine]
        return opened if self._given is None else [self._given]

"""Pools of connections for the blocking and the async client, with or without a proxy."""

from __future__ import annotations

import os
import ssl
import threading
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any, Final

from .errors import ArgumentError
from .http import httpx
from .proxies import Proxy
from .settings import Route

_LIMITS: Final[dict[str, Any]] = {
    "max_connections": 100,
    "max_keepalive_connections": 20,
    "keepalive_expiry": 5.0,
}
_CA_VARIABLES: Final = ("SSL_CERT_FILE", "SSL_CERT_DIR")
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

        from .streams import DeadlineBackend  # noqa: PLC0415 - imports httpcore

        backend: Any = DeadlineBackend(httpcore.SyncBackend())
        self._pool = httpcore.ConnectionPool(
            tls_context() if route.is_tls else None,
            proxy=_proxy(route.proxy),
            network_backend=backend,
            **_LIMITS,
        )


class AsyncTransport(httpx.AsyncHTTPTransport):
    """The same for one event loop, whose end closes it: loops close generators that are open."""

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

    Raise ArgumentError when the file that SSL_CERT_FILE or SSL_CERT_DIR names cannot be used.
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

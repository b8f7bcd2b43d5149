"""Pools of connections, and which of them a call uses.

No other module imports httpx, so that a move to httpx2 starts here.
"""

from __future__ import annotations

import errno
import os
import ssl
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import httpx

from .errors import ArgumentError, FlashbackError
from .proxies import Proxy, Route

if TYPE_CHECKING:
    from .awaited import AsyncIO
    from .blocking import BlockingIO

__all__ = ("CLOSED", "IO", "LIMITS", "MAX_BODY", "Connections", "httpcore_proxy", "httpx")

IO: TypeAlias = "BlockingIO | AsyncIO"

CLOSED: Final = "this client is closed; make a new one"
MAX_BODY: Final = 1 << 20  # bytes of a response; documented ones are far smaller
LIMITS: Final[dict[str, Any]] = {
    "max_connections": 100,
    "max_keepalive_connections": 20,
    "keepalive_expiry": 5.0,
}
_CA_VARIABLES: Final = ("SSL_CERT_FILE", "SSL_CERT_DIR")
_IN_MEMORY: Final = (httpx.MockTransport, httpx.ASGITransport, httpx.WSGITransport)
_contexts: dict[tuple[object, ...], ssl.SSLContext] = {}
_contexts_lock = threading.Lock()


class Connections:
    """Shared by a client and those derived from it.

    Pools and no httpx.Client, which would send one tenant's cookies with another's calls.
    """

    def __init__(self, given: Any, io: IO) -> None:
        """Use the client or transport `given`, if it is not None."""
        self._given = given
        self.io = io
        self._home: tuple[int, Any] | None = None
        self._pools: dict[tuple[int, Any, Route], Any] = {}
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether the client, or the httpx client that it was given, is closed."""
        return self._closed or getattr(self._given, "is_closed", False)

    def get(self, route: Route) -> Any:
        """Return the client or pool of this process and event loop for the route."""
        if self.closed:
            raise FlashbackError(CLOSED)
        loop = self.io.loop()
        here = (os.getpid(), loop)
        if self._given is not None:
            self._home = self._home or here
            if self._home != here and not isinstance(self._given, _IN_MEMORY):
                raise FlashbackError(
                    "the httpx client or transport given belongs to another event loop or process;"
                    " make one in this loop, after the fork"
                )
            return self._given
        key = (*here, route)
        if key not in self._pools:
            self._forget_ended_loops()
            self._pools.setdefault(key, self.io.new_pool(route))
        return self._pools[key]

    def _forget_ended_loops(self) -> None:
        # Pools of other processes stay referenced: closing them here would close them there.
        for process, loop, route in list(self._pools):
            if loop is not None and loop.is_closed() and process == os.getpid():
                self._pools.pop((process, loop, route), None)

    def close(self) -> list[Any]:
        """Refuse calls from now on; return the transports that have to be closed here."""
        here = (os.getpid(), self.io.loop())
        self._closed = True
        if self._given is None:
            return [self._pools.pop(key) for key in list(self._pools) if key[:2] == here]
        if isinstance(self._given, (httpx.BaseTransport, httpx.AsyncBaseTransport)):
            return [self._given]
        return []


def tls_context() -> ssl.SSLContext:
    """Return the TLS context that all pools share (it takes 18 ms), renewed if a CA file changed.

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


def httpcore_proxy(proxy: Proxy | None) -> Any:
    """Convert the proxy to httpcore's type."""
    import httpcore  # noqa: PLC0415 - a third of what importing httpx costs

    if proxy is None:
        return None
    url = httpcore.URL(scheme=proxy.scheme, host=proxy.host, port=proxy.port, target=b"/")
    if proxy.user is None or proxy.password is None:
        return httpcore.Proxy(url)
    login = (proxy.user.reveal().encode(), proxy.password.reveal().encode())
    return httpcore.Proxy(url, auth=login)

"""Which connections a call uses: those handed in, else a pool per process, event loop and route."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable
from typing import Any, Generic, Protocol, TypeVar

from .errors import FlashbackError
from .settings import Route


class _Loop(Protocol):
    def is_closed(self) -> bool: ...


H = TypeVar("H")
CLOSED = "this client is closed; make a new one"


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

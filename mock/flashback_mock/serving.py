"""Run a mock: all of its parts on one listening socket, in this thread or in one of its own."""

import asyncio
import socket
import threading
from collections.abc import AsyncGenerator, Callable, Collection, Coroutine, Generator
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Any, TypeVar

from .contract import Contract
from .control.backend import Backend
from .control.mock import Mock
from .fixtures import Fixtures
from .http.admin import Admin, register_health
from .http.app import App
from .http.guard import Guard
from .http.messages import Handler
from .http.server import Server, listen
from .stores import store_at

T = TypeVar("T")
Wrap = Callable[[Handler], Handler]

# On all addresses it is shown with the loopback one.
LOOPBACK_OF = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - not listened on
WRAPPED_BYTES = 1 << 26  # of a body, for whoever wraps the handler


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Return an event loop, uvloop's if it is installed."""
    try:
        import uvloop  # noqa: PLC0415 - there is none for Windows
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


def base_url(listener: socket.socket) -> str:
    """Return the URL of a listening socket on this machine."""
    host, port = listener.getsockname()[:2]
    host = LOOPBACK_OF.get(host, str(host))
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def is_loopback(listener: socket.socket) -> bool:
    """Return whether only this machine can connect to a listening socket."""
    return ip_address(listener.getsockname()[0]).is_loopback


@asynccontextmanager
async def serving(
    backend: Backend,
    listener: socket.socket,
    *,
    guard: Guard | None = None,
    cors_origins: Collection[str] = (),
    wrap: Wrap | None = None,
) -> AsyncGenerator[bool]:
    """Serve in this event loop until the block ends; yield whether the store is new.

    Without a guard `/__admin` is served on loopback only; `/__admin/health` always is.
    """
    is_new = await backend.store.open(backend.fixtures)
    try:
        app = App(backend, cors_origins)
        if guard or is_loopback(listener):
            Admin(backend, guard or Guard()).register(app.routes)
        else:
            register_health(app.routes, backend)
        handler = wrap(app.answer) if wrap else app.answer
        max_body = WRAPPED_BYTES if wrap else backend.contract.max_body_bytes
        server = Server(handler, app.refuse, max_body)
        backend.close_port = server.close_port
        await server.start(listener)
        try:
            yield is_new
        finally:
            await server.stop()
    finally:
        await backend.store.close()


@contextmanager
def running(  # noqa: PLR0913 - all have a default
    contract: Contract | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
    fixtures: Path | None = None,
    store: str | None = None,
    *,
    cors_origins: Collection[str] = (),
    wrap: Wrap | None = None,
) -> Generator[Mock]:
    """Serve from a thread of this process until the block ends, and yield the mock.

    `wrap` puts something around the handler of all requests. Raise `OSError` for a port that is
    in use, `ValueError` for invalid fixtures, and `StoreError` if the store cannot be opened.
    """
    contract = contract or Contract()
    given = Fixtures.read(contract, fixtures)
    backend = Backend(contract, given, store_at(store, contract.credentials))
    with listen(host, port) as listener:  # from now on, whoever connects is queued
        url = base_url(listener)
        thread = _Thread(serving(backend, listener, cors_origins=cors_origins, wrap=wrap))
        try:
            yield Mock(url, backend, thread.run)
        finally:
            thread.stop()


class _Thread:
    """A thread with an event loop, which serves until it is stopped."""

    def __init__(self, block: Any) -> None:
        """Enter the asynchronous block, and raise what it raises."""
        self._block = block
        self._started: Future[asyncio.AbstractEventLoop] = Future()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._main, name="flashback-mock", daemon=True)
        self._thread.start()
        self._loop = self._started.result()

    def run(self, work: Coroutine[Any, Any, T], timeout: float) -> T:
        """Run a coroutine in the thread's event loop, and return its result."""
        if self._stop.is_set() or self._loop.is_closed():
            work.close()
            raise RuntimeError("the mock has stopped; use it before its block ends")
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout)

    def stop(self) -> None:
        """Leave the block, and wait until the thread has ended."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _main(self) -> None:
        try:
            with asyncio.Runner(loop_factory=new_event_loop) as runner:
                runner.run(self._serve())
        except BaseException as error:
            if self._started.done():
                raise
            self._started.set_exception(error)

    async def _serve(self) -> None:
        async with self._block:
            self._started.set_result(asyncio.get_running_loop())
            await self._stop.wait()

"""Functions that serve a mock on a listening socket, in the current event loop or a new thread."""

import asyncio
import atexit
import os
import socket
from collections.abc import AsyncGenerator, Collection, Generator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from ipaddress import ip_address
from pathlib import Path

from .contract import Contract
from .control.mock import Mock
from .fixtures import Fixtures
from .http.admin import Admin
from .http.app import App
from .http.guard import Guard
from .http.server import Server, listen
from .stores import store_at

# If a mock listens on a wildcard address, its URL contains the loopback address instead.
CLIENT_HOSTS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - not used for listening

_served = set[Mock]()


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Return a new event loop. Use uvloop if it is installed."""
    try:
        import uvloop  # noqa: PLC0415 - not available on Windows
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


def base_url(listener: socket.socket) -> str:
    """Return the URL at which clients on this machine can reach a listening socket."""
    host, port = listener.getsockname()[:2]
    host = CLIENT_HOSTS.get(host, str(host))
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def is_loopback(listener: socket.socket) -> bool:
    """Return whether a listening socket can be reached only from this machine."""
    return ip_address(listener.getsockname()[0]).is_loopback


@asynccontextmanager
async def serving(
    mock: Mock,
    listener: socket.socket,
    *,
    guard: Guard | None = None,
    cors_origins: Collection[str] = (),
) -> AsyncGenerator[None]:
    """Serve the mock in the current event loop until the block ends.

    If `guard` is None, the health check is the only `/__admin` path that is served on non-loopback
    addresses.
    """
    app = App(mock, cors_origins)
    if guard or is_loopback(listener):
        Admin(mock, guard or Guard(), app).add_routes()
    mock.server = Server(listener, app.answer, app.reject, mock.contract.max_body_bytes)
    await mock.store.open(mock.fixtures)
    try:
        mock.base_url = base_url(listener)
        mock.loop = asyncio.get_running_loop()
        await mock.server.start()
        _served.add(mock)
        yield
    finally:
        mock.loop = None
        _served.discard(mock)
        await mock.server.stop()
        await mock.store.close()


def _disable_in_child() -> None:
    """Disable the mocks in a forked child process, where their event loops do not run."""
    for mock in _served:
        mock.loop = None
        mock.server.release_sockets()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_disable_in_child)


@contextmanager
def running(  # noqa: PLR0913 - all parameters have defaults
    contract: Contract | Path | str | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
    fixtures: Path | str | None = None,
    store: Path | str | None = None,
    *,
    keys: Path | str | None = None,
    cors_origins: Collection[str] = (),
) -> Generator[Mock]:
    """Serve a mock in a new thread until the block ends. Yield the mock.

    Raise `OSError` if the mock cannot listen on the address, `ValueError` for an invalid argument,
    and `StoreError` for an unusable store.
    """
    from anyio.from_thread import start_blocking_portal  # noqa: PLC0415 - slow to import

    if not isinstance(contract, Contract):
        contract = Contract(contract)
    initial = Fixtures.read(contract, fixtures)
    key_file = Path(keys) if keys else None
    mock = Mock(contract, initial, store_at(store, contract.credentials, key_file))
    options = {"loop_factory": new_event_loop}
    with ExitStack() as stack:
        # If the block never ends, for example because `setUpClass` failed, stop the mock at exit.
        atexit.register(stack.close)
        stack.callback(atexit.unregister, stack.close)
        listener = stack.enter_context(listen(host, port))
        portal = stack.enter_context(start_blocking_portal("asyncio", options))
        block = serving(mock, listener, cors_origins=cors_origins)
        stack.enter_context(portal.wrap_async_context_manager(block))
        yield mock

"""The mock as a server: one process or one thread, on one socket."""

import asyncio
import socket
import threading
from asyncio import sleep  # bound here: tests replace `asyncio.sleep`, to wait for nothing
from collections.abc import Callable, Generator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path

import uvicorn

from .admin import Admin
from .contract import Contract
from .fixtures import Fixtures
from .mock import Mock
from .protocol import Protocol
from .stores import Store, store_at

# Listening on every address, it is shown, and found, at the loopback one.
LOOPBACK_OF = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - not listened on


class Server(uvicorn.Server):
    """Runs a mock on a socket, and says so once it does."""

    def __init__(
        self, listener: socket.socket, mock: Mock, admin_token: str | None = None, grace: int = 1
    ) -> None:
        """Serve `/__admin` too, on loopback, and elsewhere to who has the token.

        When it stops, it gives what is under way `grace` seconds to finish.
        """
        local = ip_address(listener.getsockname()[0]).is_loopback
        config = uvicorn.Config(
            Admin(mock, admin_token) if local or admin_token else mock.asgi,
            http=Protocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,  # it would log query strings, and with them tokens at the wrong place
            server_header=False,
            headers=[("Server", "flashback-mock")],
            timeout_keep_alive=75,
            timeout_graceful_shutdown=grace,
        )
        super().__init__(config)
        self.mock = mock
        self.when_started: Callable[[Mock, bool], None] = lambda _mock, _new: None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to serve; raises `StoreError`. From here on signals end it in an orderly way."""
        self.mock.loop = asyncio.get_running_loop()
        new = await self.mock.store.open(self.mock.fixtures)
        await super().startup(sockets)
        self.when_started(self.mock, new)

    async def main_loop(self) -> None:
        """As uvicorn's, which would stand still where a test has replaced `asyncio.sleep`."""
        ticks = 0
        while not await self.on_tick(ticks):
            await sleep(0.1)
            ticks += 1

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Finish what is under way, then let go of the store."""
        await super().shutdown(sockets)
        await self.mock.store.close()


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens on host and port (0: a free one); raises `OSError`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=2048)


def mock_at(
    listener: socket.socket,
    contract: Contract,
    fixtures: Fixtures | None = None,
    store: Store | None = None,
) -> Mock:
    """A mock that is to serve on the socket, by default in memory with the default fixtures."""
    host, port = listener.getsockname()[:2]
    shown = LOOPBACK_OF.get(host, str(host))
    base_url = f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"
    fixtures = fixtures or Fixtures.read(contract)
    return Mock(base_url, contract, fixtures, store or store_at(None, contract.credentials))


@contextmanager
def running(
    contract: Contract | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
    fixtures: Path | None = None,
    store: str | None = None,
) -> Generator[Mock]:
    """A mock that serves from a thread of this process until the block ends.

    Raises `OSError` for a port that is taken, `ValueError` for fixtures with a mistake, and
    `StoreError` for a store that cannot be opened.
    """
    contract = contract or Contract()
    given = Fixtures.read(contract, fixtures)
    with listen(host, port) as listener:  # from now on: whoever connects early is queued
        server = Server(
            listener, mock_at(listener, contract, given, store_at(store, contract.credentials))
        )
        with in_thread(server, listener):
            yield server.mock


@contextmanager
def in_thread(server: Server, listener: socket.socket) -> Generator[None]:
    """The server serves on the socket, from a thread, until the block ends."""
    started, failed = threading.Event(), list[BaseException]()
    server.when_started = lambda _mock, _new: started.set()

    def run() -> None:
        try:
            server.run(sockets=[listener])
        except BaseException as error:  # noqa: BLE001 - told to who started it
            failed.append(error)
        finally:
            started.set()

    thread = threading.Thread(target=run, name="flashback-mock", daemon=True)
    thread.start()
    started.wait()
    try:
        if failed:
            raise failed[0]
        yield
    finally:
        server.should_exit = True
        thread.join()

"""The mock as a server: one process or one thread, on one socket."""

import socket
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

import uvicorn

from .app import App
from .contract import Contract
from .fixtures import Fixtures
from .protocol import Protocol
from .store import Store

# Listening on every address, it is shown, and found, at the loopback one.
LOOPBACK_OF = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - not listened on


@dataclass(frozen=True)
class Mock:
    """A mock that is listening, and what it knows."""

    base_url: str
    contract: Contract
    fixtures: Fixtures
    store: Store = field(repr=False)

    @property
    def tokens(self) -> dict[str, str]:
        """The bearer tokens by role: owner, admin, reader, stranger, expired."""
        return {token.user: token.value for token in self.fixtures.tokens}

    @property
    def ids(self) -> dict[str, str]:
        """The configurations' ids by role: main, sibling, foreign (another workspace)."""
        return {given.role: given.id for given in self.fixtures.configurations}


class Server(uvicorn.Server):
    """Runs a mock, and says so once it does."""

    def __init__(self, config: uvicorn.Config, mock: Mock) -> None:
        """Run `mock` as `config` says."""
        super().__init__(config)
        self.mock = mock
        self.when_started: Callable[[Mock], None] = lambda _: None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to serve; from here on signals end it in an orderly way."""
        await super().startup(sockets)
        self.when_started(self.mock)


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens on host and port (0: a free one); raises `OSError`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=2048)


@contextmanager
def prepared(listener: socket.socket, contract: Contract) -> Generator[Server]:
    """A server for a mock with fresh fixtures on the socket."""
    host: str
    host, port = listener.getsockname()[:2]
    fixtures = Fixtures.default()
    store = Store(fixtures, contract.credentials)
    config = uvicorn.Config(
        App(contract, store),
        http=Protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,  # it would log query strings, and with them tokens at the wrong place
        server_header=False,
        headers=[("Server", "flashback-mock")],
        timeout_keep_alive=75,
        timeout_graceful_shutdown=1,
    )
    try:
        host = LOOPBACK_OF.get(host, host)
        address = f"[{host}]" if ":" in host else host
        yield Server(config, Mock(f"http://{address}:{port}", contract, fixtures, store))
    finally:
        store.close()


@contextmanager
def running(
    contract: Contract | None = None, host: str = "127.0.0.1", port: int = 0
) -> Generator[Mock]:
    """A mock that serves from a thread of this process until the block ends."""
    listener = listen(host, port)  # listens from now on: whoever connects early is queued
    with listener, prepared(listener, contract or Contract()) as server:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            yield server.mock
        finally:
            server.should_exit = True
            thread.join()

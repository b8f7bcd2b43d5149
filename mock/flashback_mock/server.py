"""The mock as a server: one process or one thread, on one socket."""

import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

import uvicorn

from .app import App
from .contract import Contract
from .fixtures import Fixtures
from .store import Store


@dataclass(frozen=True)
class Mock:
    """A mock that is listening, and what it knows."""

    base_url: str
    contract: Contract
    fixtures: Fixtures

    @property
    def tokens(self) -> dict[str, str]:
        """The bearer tokens by role: owner, admin, reader, stranger, expired."""
        return {token.user: token.value for token in self.fixtures.tokens}

    @property
    def ids(self) -> dict[str, str]:
        """The configurations' ids by role: main, sibling, foreign (another workspace)."""
        return {given.role: given.id for given in self.fixtures.configurations}


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens on host and port (0: a free one); raises `OSError`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=2048)


@contextmanager
def prepared(listener: socket.socket, contract: Contract) -> Generator[tuple[Mock, uvicorn.Server]]:
    """A mock with fresh fixtures on the socket, and the server that is to run it."""
    host, port = listener.getsockname()[:2]
    fixtures = Fixtures.default()
    store = Store(fixtures, contract.credentials)
    config = uvicorn.Config(
        App(contract, store),
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,  # it would log query strings, and with them tokens at the wrong place
        server_header=False,
        headers=[("Server", "flashback-mock")],
        timeout_keep_alive=75,
        timeout_graceful_shutdown=5,
    )
    try:
        address = f"[{host}]" if ":" in host else host
        yield Mock(f"http://{address}:{port}", contract, fixtures), uvicorn.Server(config)
    finally:
        store.close()


@contextmanager
def running(
    contract: Contract | None = None, host: str = "127.0.0.1", port: int = 0
) -> Generator[Mock]:
    """A mock that serves from a thread of this process until the block ends."""
    listener = listen(host, port)  # listens from now on: whoever connects early is queued
    with listener, prepared(listener, contract or Contract()) as (mock, server):
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            yield mock
        finally:
            server.should_exit = True
            thread.join()

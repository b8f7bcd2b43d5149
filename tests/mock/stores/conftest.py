"""Stores of every kind, and a PostgreSQL server."""

import asyncio
import base64
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any

import httpx
import pytest

from flashback_mock import Contract, Fixtures
from flashback_mock.stores import Store
from flashback_mock.stores.keys import KeyFile
from flashback_mock.stores.memory import MemoryStore
from flashback_mock.stores.postgresql import PostgresqlStore
from flashback_mock.stores.sqlite import SqliteStore
from flashback_mock.stores.vault import Vault
from scripts.maintenance.postgresql import Cluster, programs, running
from tests.conftest import lacking

Run = Callable[[Coroutine[Any, Any, Any]], Any]
CONTRACT = Contract()
FIXTURES = Fixtures.read(CONTRACT)
MAIN, SIBLING, FOREIGN = (configuration.id for configuration in FIXTURES.configurations)
OWNER = "owner-token"


@dataclass
class Place:
    """Where a store is or will be; its keys are below `home`."""

    location: str | None
    home: Path
    cluster: Cluster | None = None
    environment: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        """Put the default key file below `home`."""
        self.environment = {"XDG_DATA_HOME": str(self.home)}

    @property
    def key_file(self) -> Path:
        """The file of the store's master keys."""
        (file,) = self.home.glob("flashback-mock/*.keys")
        return file

    def vaults(self) -> list[Vault]:
        """Return a vault for each of the store's master keys."""
        return [Vault(base64.b64decode(line)) for line in self.key_file.read_text().split()]

    def store(self, key_file: Path | None = None) -> Store:
        """Return the store, not yet open."""
        keys = KeyFile(key_file, self.environment)
        if self.location is None:
            return MemoryStore(CONTRACT.credentials)
        if self.cluster:
            return PostgresqlStore(self.location, CONTRACT.credentials, keys)
        return SqliteStore(Path(self.location), CONTRACT.credentials, keys)

    @contextmanager
    def opened(self, run: Run, *, is_new: bool = False) -> Generator[Store]:
        """The store, which must be new or not, open until the block ends."""
        store = self.store()
        assert run(store.open(FIXTURES)) == is_new
        try:
            yield store
        finally:
            run(store.close())

    def sql(self, statement: str) -> list[Any]:
        """Execute a statement behind the store's back."""
        if self.cluster:
            return self.cluster.sql(statement, url=self.location or "")
        database = sqlite3.connect(self.location or "")
        try:
            with database:
                return database.execute(statement).fetchall()
        finally:
            database.close()


class Served:
    """A mock in another process."""

    def __init__(self, process: int, url: str) -> None:
        """Send requests to the mock as the owner."""
        self.process = process
        headers = {"Authorization": f"Bearer {OWNER}"}
        self.http = httpx.Client(base_url=url, headers=headers, trust_env=False, timeout=20)

    def put(self, id: str, **changes: str) -> int:
        """Return the status of an update."""
        return self.http.put(f"/ai/llm/{id}", json=changes).status_code

    def kill(self) -> None:
        """Kill the process, and wait until its files are closed."""
        with suppress(ProcessLookupError):
            os.kill(self.process, signal.SIGKILL)
            while True:
                os.kill(self.process, 0)
                time.sleep(0.001)


class Mocks:
    """Starts mocks in other processes."""

    def __init__(self, server: subprocess.Popen[str]) -> None:
        """Start them as forks of this process, which runs `mocks.py`."""
        self._server = server

    @contextmanager
    def on(self, place: Place, number: int = 1) -> Generator[list[Served]]:
        """Mocks on the store, killed at the end; they write errors to the file `log`."""
        assert self._server.stdin
        assert self._server.stdout
        place.home.mkdir(exist_ok=True)
        line = json.dumps([place.location, str(place.home), str(place.home / "log")])
        self._server.stdin.write(f"{line}\n" * number)
        self._server.stdin.flush()
        mocks = list[Served]()
        try:
            for _ in range(number):
                process, url = self._server.stdout.readline().split()
                mocks.append(Served(int(process), url))
            yield mocks
        finally:
            for mock in mocks:
                mock.http.close()
                mock.kill()


@dataclass
class Updates:
    """Updates of one configuration, numbered from 1, one after the other."""

    id: str
    sent: int = 0
    answered: int = 0  # the last one that was answered with 200
    statuses: list[int] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)

    def run(self, mock: Served) -> None:
        """Send updates whose fields all contain the same number until the mock is killed."""
        with suppress(httpx.TransportError):
            while not self._over.is_set():
                self.sent += 1
                fields = {"name": f"{self.id} {self.sent}", **credentials(self.sent)}
                status = mock.put(self.id, **fields)
                self.statuses.append(status)
                if status == 200:
                    self.answered = self.sent

    def stop(self) -> None:
        """Send no further update."""
        self._over.set()

    def wait_for(self, status: int, count: int) -> None:
        """Wait until this many updates have been answered with this status."""
        for _ in range(30_000):
            if self.statuses.count(status) >= count:
                return
            time.sleep(0.001)
        pytest.fail(f"expected {count} times status {status}, got {self.statuses}")

    async def assert_stored(self, store: Store) -> None:
        """Assert that the last answered update is stored, or a later one, and completely.

        An update may be stored although the process was killed before it answered.
        """
        number = int((await store.configuration(self.id))["name"].split()[1])
        assert 0 < self.answered <= number <= self.sent
        for name, credential in credentials(number).items():
            assert await store.reveals(self.id, name, credential)


def credentials(number: int) -> dict[str, str]:
    """Return the credentials of an update, of several sizes."""
    return {"key": f"{number}", "secret": "s" * (number * 40 % 3000 + 1)}


@contextmanager
def updating(mocks: list[Served], *ids: str) -> Generator[list[Updates]]:
    """Update configurations without a pause, each by one of the mocks, until the block ends."""
    updates = [Updates(id) for id in ids]
    with ThreadPoolExecutor(len(ids)) as threads:
        for mock, one in zip(cycle(mocks), updates, strict=False):
            threads.submit(one.run, mock)
        try:
            yield updates
        finally:
            for one in updates:
                one.stop()


@pytest.fixture(scope="session")
def mocks() -> Generator[Mocks]:
    """The launcher of mocks in other processes."""
    script = Path(__file__).with_name("mocks.py")
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, str(script)], **pipes) as server:
        yield Mocks(server)


@pytest.fixture(scope="session")
def cluster() -> Generator[Cluster]:
    """A PostgreSQL server."""
    with running(programs() or lacking("PostgreSQL")) as cluster:
        yield cluster


@pytest.fixture
def run() -> Generator[Run]:
    """Runs coroutines in one event loop."""
    with asyncio.Runner() as runner:  # not uvloop: it hangs on a TLS connection that is left open
        yield runner.run


@pytest.fixture(params=["memory", "file", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """A place for a new store of each kind."""
    if request.param == "postgresql":
        cluster: Cluster = request.getfixturevalue("cluster")
        return Place(cluster.schema(), tmp_path / "keys", cluster)
    location = str(tmp_path / "store") if request.param == "file" else None
    return Place(location, tmp_path / "keys")


@pytest.fixture
def store(place: Place, run: Run) -> Generator[Store]:
    """A new open store with the default fixtures."""
    with place.opened(run, is_new=True) as store:
        yield store

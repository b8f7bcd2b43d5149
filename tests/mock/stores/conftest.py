"""Stores of every kind, and a PostgreSQL server."""

import asyncio
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from flashback_mock import Contract, Fixtures
from flashback_mock.stores import Store
from flashback_mock.stores.keys import KeySource
from flashback_mock.stores.memory import MemoryStore
from flashback_mock.stores.postgresql import PostgresqlStore
from flashback_mock.stores.sqlite import SqliteStore
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
        """Have the default key file below `home`."""
        self.environment = {"XDG_DATA_HOME": str(self.home)}

    @property
    def key_file(self) -> Path:
        """The file of the store's master keys."""
        (file,) = self.home.glob("flashback-mock/*.keys")
        return file

    def keys(self) -> list[bytes]:
        """Return the store's master keys."""
        return KeySource(self.key_file).load(self.key_file.stem)

    def store(self, **environment: str) -> Store:
        """Return the store, not yet open; `environment` may contain other keys."""
        keys = KeySource(None, self.environment | environment)
        if self.location is None:
            return MemoryStore(CONTRACT.credentials)
        if self.cluster:
            return PostgresqlStore(self.location, CONTRACT.credentials, keys)
        return SqliteStore(Path(self.location), CONTRACT.credentials, keys)

    @contextmanager
    def opened(self, run: Run, *, is_new: bool = False, **environment: str) -> Generator[Store]:
        """The store, which must be new or not, open until the block ends."""
        store = self.store(**environment)
        assert run(store.open(FIXTURES)) == is_new
        try:
            yield store
        finally:
            run(store.close())

    def command(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        """Start `python -m flashback_mock` on the store."""
        command = [sys.executable, "-m", "flashback_mock", "--store", self.location or ""]
        environment = os.environ | self.environment
        pipe: dict[str, Any] = {"stdout": subprocess.PIPE, "text": True, **options}
        return subprocess.Popen([*command, *arguments], env=environment, **pipe)

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


async def rotate(store: Store) -> list[tuple[int, int]]:
    """Rotate the keys, and return the progress."""
    return [progress async for progress in store.rotate()]

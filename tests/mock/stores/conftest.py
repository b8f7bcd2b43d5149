"""Stores of every kind, and a PostgreSQL server of the tests' own."""

import asyncio
import sqlite3
from collections.abc import Callable, Coroutine, Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from flashback_mock import Contract, Fixtures
from flashback_mock.stores.keys import KeySource
from flashback_mock.stores.memory import MemoryStore
from flashback_mock.stores.sqlite import Sqlite
from flashback_mock.stores.store import Store

from tests.conftest import lacking
from tests.mock.stores.cluster import Cluster, programs, running

Run = Callable[[Coroutine[Any, Any, Any]], Any]


@pytest.fixture(scope="session")
def cluster() -> Generator[Cluster]:
    """A PostgreSQL server."""
    with running(programs() or lacking("PostgreSQL")) as cluster:
        yield cluster


@pytest.fixture
def schema(cluster: Cluster) -> str:
    """The URL of an empty schema."""
    return cluster.schema()


@pytest.fixture
def run() -> Generator[Run]:
    """Runs coroutines, all in one event loop."""
    with asyncio.Runner() as runner:  # uvloop's would hang on a TLS connection that is left open
        yield runner.run


@dataclass
class Place:
    """Where a store is, or is to be; its keys are in a folder of its own."""

    where: str | None
    home: Path
    cluster: Cluster | None = None
    contract: Contract = field(default_factory=Contract)

    @property
    def fixtures(self) -> Fixtures:
        """The default fixtures."""
        return Fixtures.read(self.contract)

    @property
    def key_file(self) -> Path:
        """The file of its master keys."""
        (file,) = self.home.glob("flashback-mock/*.keys")
        return file

    def keys(self) -> list[bytes]:
        """Its master keys."""
        return KeySource(self.key_file).load(self.key_file.stem)

    def store(self, **environment: str) -> Store:
        """The store, not yet open; with other keys if the environment has them."""
        keys = KeySource(None, {"XDG_DATA_HOME": str(self.home), **environment})
        if self.cluster:
            from flashback_mock.stores.postgres import Postgres

            return Postgres(self.where or "", self.contract.credentials, keys)
        if self.where is None:
            return MemoryStore(self.contract.credentials)
        return Sqlite(Path(self.where), self.contract.credentials, keys)

    def sql(self, statement: str) -> list[Any]:
        """What is said of the database behind the store's back."""
        if self.cluster:
            return self.cluster.sql(statement, url=self.where or "")
        db = sqlite3.connect(self.where or "")
        try:
            with db:
                return db.execute(statement).fetchall()
        finally:
            db.close()


@pytest.fixture(params=["memory", "file", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """A place for a new store of each kind."""
    if request.param == "postgresql":
        cluster: Cluster = request.getfixturevalue("cluster")
        return Place(cluster.schema(), tmp_path / "keys", cluster)
    return Place(str(tmp_path / "store") if request.param == "file" else None, tmp_path / "keys")


@pytest.fixture
def store(place: Place, run: Run) -> Generator[Store]:
    """A new store with the default fixtures, open."""
    store = place.store()
    assert run(store.open(place.fixtures))
    yield store
    run(store.close())

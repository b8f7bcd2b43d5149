"""Stores of every kind, and a PostgreSQL server."""

import asyncio
from collections.abc import Generator
from pathlib import Path

import pytest

from flashback_mock.stores import Store
from scripts.maintenance.postgresql import Cluster, find_programs, running
from tests.conftest import skip_without
from tests.mock.stores.places import Place, Run


@pytest.fixture(scope="session")
def cluster() -> Generator[Cluster]:
    """A PostgreSQL server."""
    with running(find_programs() or skip_without("PostgreSQL")) as cluster:
        yield cluster


@pytest.fixture
def run() -> Generator[Run]:
    """Runs coroutines in one event loop."""
    with asyncio.Runner() as runner:  # not uvloop: it hangs on a TLS connection that is left open
        yield runner.run


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the key files of new stores."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "keys"))
    return tmp_path / "keys"


@pytest.fixture(params=["memory", "file", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path, home: Path) -> Place:
    """A place for a new store of each kind."""
    if request.param == "memory":
        return Place("", home)
    if request.param == "file":
        return Place(str(tmp_path / "store.db"), home)
    cluster: Cluster = request.getfixturevalue("cluster")
    return Place(cluster.schema(), home)


@pytest.fixture
def store(place: Place, run: Run) -> Generator[Store]:
    """A new open store with the default fixtures."""
    with place.opened(run, is_new=True) as store:
        yield store

"""Fixtures for the store tests: a store of each kind, and a PostgreSQL server."""

import asyncio
from collections.abc import Generator
from pathlib import Path

import pytest

from flashback_mock.stores.store import Store
from tests.conftest import skip_without
from tests.mock.stores.cluster import Cluster, find_programs, running
from tests.mock.stores.locations import Run, StoreLocation


@pytest.fixture(scope="session")
def cluster() -> Generator[Cluster]:
    """A PostgreSQL server that all tests share."""
    with running(find_programs() or skip_without("PostgreSQL")) as cluster:
        yield cluster


@pytest.fixture
def run() -> Generator[Run]:
    """A function that runs a coroutine; all coroutines of a test share one event loop."""
    # Use asyncio's event loop: uvloop hangs if a TLS connection is left open.
    with asyncio.Runner() as runner:
        yield runner.run


@pytest.fixture(autouse=True)
def key_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The default directory for new stores' key files."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "keys"))
    return tmp_path / "keys"


@pytest.fixture(params=["memory", "file", "postgresql"])
def location(request: pytest.FixtureRequest, tmp_path: Path, key_folder: Path) -> StoreLocation:
    """A location for a new store; each test runs once for every kind of store."""
    if request.param == "memory":
        return StoreLocation("", key_folder)
    if request.param == "file":
        return StoreLocation(str(tmp_path / "store.db"), key_folder)
    cluster: Cluster = request.getfixturevalue("cluster")
    return StoreLocation(cluster.schema(), key_folder)


@pytest.fixture
def store(location: StoreLocation, run: Run) -> Generator[Store]:
    """A new, open store that contains the default fixtures."""
    with location.opened(run, is_new=True) as store:
        yield store

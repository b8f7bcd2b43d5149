"""Fixtures for the store tests: a store of each kind, and a PostgreSQL server."""

from asyncio import Runner
from collections.abc import Generator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.conftest import skip_without
from tests.mock.stores.cluster import Cluster, find_programs
from tests.mock.stores.locations import BlockingStore, StoreLocation


@pytest.fixture(scope="session")
def cluster() -> Generator[Cluster]:
    """A PostgreSQL server that all tests share."""
    programs = find_programs() or skip_without("PostgreSQL")
    # Do not use pytest's temporary folder, because its path is too long for a Unix socket.
    # In addition, the user that runs the server cannot access that folder's parent folders.
    with TemporaryDirectory(prefix="pg") as folder:
        cluster = Cluster(programs, Path(folder))
        cluster.start()
        yield cluster
        cluster.stop()


@pytest.fixture
def runner() -> Generator[Runner]:
    """An event loop that all stores in a test share."""
    with Runner() as runner:
        yield runner


@pytest.fixture(autouse=True)
def key_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The default directory for new stores' key files."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "keys"))
    return tmp_path / "keys"


@pytest.fixture(params=["memory", "file", "postgresql"])
def location(
    request: pytest.FixtureRequest, tmp_path: Path, key_folder: Path, runner: Runner
) -> StoreLocation:
    """A location for a new store; each test runs once for every kind of store."""
    address = ""
    if request.param == "file":
        address = str(tmp_path / "store.db")
    elif request.param == "postgresql":
        cluster: Cluster = request.getfixturevalue("cluster")
        address = cluster.schema()
    return StoreLocation(address, key_folder, runner)


@pytest.fixture
def store(location: StoreLocation) -> Generator[BlockingStore]:
    """A new, open store that contains the default fixtures."""
    with location.opened() as store:
        yield store

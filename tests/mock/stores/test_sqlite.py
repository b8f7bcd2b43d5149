"""Tests for SQLite stores: unusable files, locking and durability."""

import asyncio
import sqlite3
import sys
from asyncio import Runner
from contextlib import closing
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from sqlalchemy import Connection

from flashback_mock import Fixtures
from flashback_mock.stores.errors import StoreError
from flashback_mock.stores.sqlite import SqliteStore
from tests.mock.stores.locations import CONTRACT, FIXTURES, MAIN, OWNER, StoreLocation
from tests.programs import run

READ = "import sqlite3, sys; sqlite3.connect(sys.argv[1], 0).execute('SELECT 1 FROM sqlite_master')"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The path for a new store."""
    return tmp_path / "store.db"


@pytest.fixture
def location(path: Path, key_folder: Path, runner: Runner) -> StoreLocation:
    """A location for a new store at this path."""
    return StoreLocation(str(path), key_folder, runner)


def assert_rejected(path: Path, reason: str, fixtures: Fixtures | None = FIXTURES) -> None:
    """Assert that opening the store fails and that the error matches `reason`."""
    with pytest.raises(StoreError, match=reason):
        asyncio.run(SqliteStore(path, CONTRACT.credentials, None).open(fixtures))


def test_file_from_another_program_is_not_changed(tmp_path: Path) -> None:
    """A file that is not a store is rejected, and its content and mode do not change."""
    with closing(sqlite3.connect(tmp_path / "database")) as database:
        database.execute("CREATE TABLE other (content)")
    (tmp_path / "text").write_bytes(b"hello")
    (tmp_path / "header").write_bytes(b"SQLite format 3\0" + bytes(100))
    for file in sorted(tmp_path.iterdir()):
        content = file.read_bytes()
        file.chmod(0o644)
        assert_rejected(file, f"{file}: is not a mock store")
        assert file.read_bytes() == content
        assert file.stat().st_mode & 0o777 == 0o644
    assert {file.name for file in tmp_path.iterdir()} == {"database", "header", "text"}


def test_damaged_file_is_not_changed(location: StoreLocation, path: Path) -> None:
    """A store with an overwritten page is rejected, and its file does not change."""
    with location.opened():
        pass
    content = bytearray(path.read_bytes())
    content[8192:8300] = b"x" * 108
    path.write_bytes(content)
    assert_rejected(path, "or is damaged; choose a new file, or restore")
    assert path.read_bytes() == content


def test_read_only_file_is_rejected(location: StoreLocation, path: Path) -> None:
    """A store that cannot be written to is rejected when it is opened, not at the first update."""
    with location.opened():
        pass
    connect = sqlite3.connect

    def connect_read_only(path: str, **options: Any) -> Any:
        # A read-only file mode would not prevent root from writing.
        return connect(path.replace("mode=rw", "mode=ro"), **options)

    with patch.object(sqlite3, "connect", connect_read_only):
        assert_rejected(path, "store.db: is read-only")


def test_rotation_creates_no_store(path: Path, key_folder: Path) -> None:
    """Trying to rotate the keys of a missing store or an empty file does not create a store."""
    assert_rejected(path, "is missing or cannot be opened", None)
    assert not path.exists()
    path.touch()
    assert_rejected(path, "contains no store; run the mock", None)
    assert path.read_bytes() == b""
    assert not key_folder.exists()


def test_only_one_process_can_open_a_store_at_a_time(location: StoreLocation, path: Path) -> None:
    """While a store is open, no other process can read or open it."""
    with location.opened():
        assert_rejected(path, "store.db: is already open; stop the other mock")
        # The failed attempt must not release the lock.
        assert "database is locked" in run(sys.executable, "-c", READ, path, status=1)
    with location.opened():
        pass


def test_updates_fail_if_file_is_deleted_or_replaced(location: StoreLocation, path: Path) -> None:
    """If a store's file was deleted or replaced, updates fail instead of being lost."""
    with location.opened() as store:
        path.unlink()
        for content in (None, b"", b"another file"):
            if content is not None:
                path.write_bytes(content)
            with pytest.raises(StoreError, match="was deleted, moved or replaced while it was"):
                store.update(OWNER, MAIN, {"name": "lost"})
    assert path.read_bytes() == b"another file"


def test_full_disk_gives_a_clear_error(location: StoreLocation) -> None:
    """The error says that the disk is full. The limit on the number of pages simulates this."""

    def limit_size(db: Connection) -> None:
        db.exec_driver_sql("PRAGMA max_page_count = 1")  # SQLite raises this to the current size

    with location.opened() as store:
        store.run(limit_size)
        with pytest.raises(StoreError, match="the disk is full; free some space"):
            store.update(OWNER, MAIN, {"key": "k" * 8192, "secret": "s" * 8192})


def test_sqlite_pragmas_are_set(location: StoreLocation) -> None:
    """SQLite syncs each commit, overwrites deleted data, truncates its journal and holds a lock."""
    names = ("synchronous", "secure_delete", "journal_mode", "locking_mode")

    def read_pragmas(db: Connection) -> list[Any]:
        return [db.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in names]

    with location.opened() as store:
        assert store.run(read_pragmas) == [2, 1, "truncate", "exclusive"]


@pytest.mark.parametrize(
    ("missing", "location"), [("sqlalchemy", "store.db"), ("asyncpg", "postgresql://h/d")]
)
def test_missing_extra_gives_a_clear_error(missing: str, location: str) -> None:
    """If the `store` extra is not installed, `--store` prints the command that installs it."""
    code = (
        f"import sys; sys.modules['{missing}'] = None; from flashback_mock.__main__ import main; "
        f"sys.argv = ['flashback_mock', '--store', '{location}']; sys.exit(main())"
    )
    output = run(sys.executable, "-c", code, status=1)
    assert f"--store requires {missing}; run: pip install 'flashback-client[store]'" in output
    assert "Traceback" not in output

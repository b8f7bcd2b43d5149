"""The file of a SQLite store: ownership, locking, and files that are left alone."""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from flashback_mock import Fixtures
from flashback_mock.stores import StoreError, store_at
from flashback_mock.stores.sqlite import APPLICATION_ID
from tests.mock.stores.conftest import CONTRACT, FIXTURES, Place, Run

READ = "import sqlite3, sys; sqlite3.connect(sys.argv[1], 0).execute('SELECT 1 FROM sqlite_master')"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The path of a store, alone in its folder."""
    (tmp_path / "folder").mkdir()
    return tmp_path / "folder" / "store.db"


@pytest.fixture
def place(path: Path, tmp_path: Path) -> Place:
    """The place of that store."""
    return Place(str(path), tmp_path / "keys")


def assert_refused(
    place: Place, run: Run, reason: str, fixtures: Fixtures | None = FIXTURES
) -> None:
    """Assert that the store does not open, for this reason."""
    with pytest.raises(StoreError, match=reason):
        run(place.store().open(fixtures))


def test_existing_empty_file_becomes_private(place: Place, path: Path, run: Run) -> None:
    """The store has mode 0600, even if an empty file existed."""
    path.touch(0o644)
    with place.opened(run, is_new=True):
        assert path.stat().st_mode & 0o777 == 0o600


def test_file_of_another_program_is_left_unchanged(tmp_path: Path, run: Run) -> None:
    """A file that is not a store is refused; neither it nor its mode changes."""
    database = sqlite3.connect(tmp_path / "database")
    database.execute("CREATE TABLE other (content)")
    database.close()
    (tmp_path / "text").write_bytes(b"hello")
    (tmp_path / "header").write_bytes(b"SQLite format 3\0" + bytes(100))
    for file in sorted(tmp_path.iterdir()):
        content = file.read_bytes()
        file.chmod(0o644)
        assert_refused(Place(str(file), tmp_path), run, f"{file}: is not a store of this mock")
        assert file.read_bytes() == content
        assert file.stat().st_mode & 0o777 == 0o644
    assert {file.name for file in tmp_path.iterdir()} == {"database", "header", "text"}


def test_damaged_file_is_left_unchanged(place: Place, path: Path, run: Run) -> None:
    """A store with an overwritten page, or without its tables, is refused and left unchanged."""
    with place.opened(run, is_new=True):
        pass
    content = bytearray(path.read_bytes())
    content[8192:8300] = b"x" * 108
    path.write_bytes(content)
    assert_refused(place, run, "or is damaged; choose a new file, or restore it")
    assert path.read_bytes() == content
    path.unlink()
    place.sql(f"PRAGMA application_id = {APPLICATION_ID}")
    assert_refused(place, run, "or is damaged")


def test_other_kinds_of_files_are_refused(place: Place, path: Path, run: Run) -> None:
    """A pipe, a folder, and a path in a missing folder are refused immediately."""
    os.mkfifo(path)
    assert_refused(place, run, "the disk fails")
    assert_refused(Place(str(path.parent), place.home), run, "cannot be opened; it must be a file")
    nowhere = Place(str(path.parent / "nowhere" / "store.db"), place.home)
    assert_refused(nowhere, run, "cannot be opened: No such file or directory")


def test_rotation_creates_no_store(place: Place, path: Path, run: Run) -> None:
    """Rotating the keys of a missing store, or of an empty file, creates no store."""
    assert_refused(place, run, "cannot be opened", None)
    assert not path.exists()
    path.touch()
    assert_refused(place, run, "contains no store yet", None)
    assert path.read_bytes() == b""
    assert not place.home.exists()


def assert_locked(path: Path) -> None:
    """Assert that another process cannot read the file."""
    other = [sys.executable, "-c", READ, str(path)]
    done = subprocess.run(other, capture_output=True, text=True, check=False)
    assert "database is locked" in done.stderr


def test_store_is_open_in_one_process_at_a_time(place: Place, path: Path, run: Run) -> None:
    """An open store cannot be read, and does not open, in another process."""
    with place.opened(run, is_new=True) as first:
        assert_locked(path)
        assert_refused(place, run, "is open already; stop the other mock")
        assert_locked(path)  # that attempt did not release the lock
    with place.opened(run):
        run(first.close())  # again: it must not release the other's lock
        assert_locked(path)
    database = sqlite3.connect(path)
    database.execute("BEGIN EXCLUSIVE")
    assert_refused(place, run, "store.db: is open already; stop the other mock")
    database.close()


def test_commits_are_synced_and_replaced_bytes_wiped(
    place: Place, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite syncs fully, wipes freed bytes, truncates its journal and holds an exclusive lock."""
    connections = list[sqlite3.Connection]()
    connect = sqlite3.connect

    def recorded(*args: Any, **options: Any) -> sqlite3.Connection:
        connections.append(connect(*args, **options))
        return connections[-1]

    monkeypatch.setattr(sqlite3, "connect", recorded)
    store = place.store()
    run(store.open(FIXTURES))
    names = ("synchronous", "secure_delete", "journal_mode", "locking_mode")
    found = [connections[0].execute(f"PRAGMA {name}").fetchone()[0] for name in names]
    run(store.close())
    assert len(connections) == 1
    assert found == [2, 1, "truncate", "exclusive"]


def test_option_needs_a_path(tmp_path: Path) -> None:
    """An empty --store is refused."""
    with pytest.raises(ValueError, match="--store: is empty"):
        store_at("", CONTRACT.credentials, tmp_path / "keys")


@pytest.mark.parametrize("missing", ["sqlalchemy", "asyncpg"])
def test_missing_extra_is_a_clear_error(missing: str) -> None:
    """Without the extra, --store prints the command that installs it."""
    location = "postgresql://h/d" if missing == "asyncpg" else "store.db"
    code = (
        f"import sys; sys.modules['{missing}'] = None; from flashback_mock.__main__ import main; "
        f"sys.argv = ['flashback_mock', '--store', '{location}']; sys.exit(main())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"--store: needs {missing}: pip install 'flashback-client[store]'" in done.stderr
    assert "Traceback" not in done.stderr

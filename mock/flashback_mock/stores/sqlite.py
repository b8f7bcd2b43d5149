"""A store in a SQLite file, which one process has open at a time."""

import os
import sqlite3
import threading
from collections.abc import Callable, Collection
from pathlib import Path

from sqlalchemy import Connection, StaticPool, create_engine, inspect
from sqlalchemy.dialects import sqlite

from flashback_mock.fixtures import Fixtures

from .keys import KeySource
from .schema import STORE
from .sql import R, SqlStore
from .store import StoreError

MAGIC = b"SQLite format 3\0"
APPLICATION_ID = 0x666C6D73  # "flms", at offset 68 of the file
# A rollback journal that is truncated after each transaction keeps what was replaced no longer than
# that; a write-ahead log would keep it until a checkpoint. Without spilling, the file's header,
# which identifies the file as ours, is written before all other pages.
PRAGMAS = """
PRAGMA locking_mode = EXCLUSIVE;
PRAGMA journal_mode = TRUNCATE;
PRAGMA synchronous = FULL;
PRAGMA secure_delete = ON;
PRAGMA temp_store = MEMORY;
PRAGMA cache_spill = OFF;
"""
DAMAGED = "is damaged; restore it from a backup"
REASONS = {
    "SQLITE_BUSY": "is open in another process; stop it, or share a PostgreSQL store",
    "SQLITE_FULL": "the disk is full",
    "SQLITE_READONLY": "cannot be written",
    "SQLITE_CORRUPT": DAMAGED,
    "SQLITE_NOTADB": DAMAGED,
}
_open_files = set[tuple[int, int]]()  # of this process, by device and inode


class SqliteStore(SqlStore):
    """A `Store` in a SQLite file. Several threads may use it."""

    def __init__(self, path: Path, credentials: Collection[str], keys: KeySource) -> None:
        """Create a store in the file; `credentials` are the names of the secret fields."""
        super().__init__(str(path), credentials, keys, sqlite.insert)
        self._path = path
        self._lock = threading.Lock()
        self._file = (0, 0)
        self._engine = create_engine(
            "sqlite://", creator=self._connect, poolclass=StaticPool, hide_parameters=True
        )

    async def open(self, fixtures: Fixtures | None) -> bool:
        _check_file(self._path, create=fixtures is not None)
        is_new = await super().open(fixtures)
        self._file = _inode(self._path)
        _open_files.add(self._file)
        return is_new

    async def close(self) -> None:
        with self._lock:
            self._engine.dispose()
        _open_files.discard(self._file)
        self._file = (0, 0)  # another store may open it now

    async def run(self, work: Callable[[Connection], R]) -> R:
        # SQLite begins the transaction with the first change: see `isolation_level` of sqlite3.
        with self._lock, self._engine.begin() as connection:
            return work(connection)

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, timeout=0, isolation_level="IMMEDIATE", check_same_thread=False
        )
        connection.executescript(PRAGMAS)
        return connection

    def check(self, db: Connection) -> None:
        db.exec_driver_sql("BEGIN EXCLUSIVE")  # in this mode the lock is kept from now on
        intact = db.exec_driver_sql("PRAGMA quick_check(1)").scalar_one() == "ok"
        is_store = db.exec_driver_sql("PRAGMA application_id").scalar_one() == APPLICATION_ID
        if not intact or is_store != inspect(db).has_table(STORE.name):
            raise self.error(DAMAGED)
        db.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")

    def reason(self, error: BaseException) -> str:
        name = getattr(error, "sqlite_errorname", type(error).__name__)
        return REASONS.get(name, f"the disk fails ({name})")


def _inode(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_dev, stat.st_ino


def _check_file(path: Path, *, create: bool) -> None:
    """Make sure that the file is a store or empty, and readable by its owner only.

    Raise `StoreError` for the file of another program, and leave it unchanged. A file that is
    created here stays if the start fails later: another process may have opened it by then.
    """
    if path.exists() and not path.is_file():
        raise StoreError(f"{path}: cannot be opened: not a file")
    if path.exists() and _inode(path) in _open_files:  # closing it here would release its lock
        raise StoreError(f"{path}: is open in this process already")
    try:
        descriptor = os.open(path, os.O_RDWR | (os.O_CREAT if create else 0), 0o600)
        with os.fdopen(descriptor, "rb") as file:
            head = file.read(100)
            is_store = head[:16] == MAGIC and head[68:72] == APPLICATION_ID.to_bytes(4, "big")
            if is_store or not head:
                os.fchmod(descriptor, 0o600)
                return
    except OSError as error:
        raise StoreError(f"{path}: cannot be opened: {error.strerror}") from None
    raise StoreError(f"{path}: is not a store of this mock; choose a new file with --store")

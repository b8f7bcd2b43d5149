"""A store in a SQLite file, which only one process can open at a time."""

import os
import sqlite3
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, StaticPool, create_engine, func, inspect
from sqlalchemy.dialects.sqlite import insert

from flashback_mock.fixtures import Fixtures

from .schema import CREDENTIAL, STORE
from .sql import R, SqlStore

# After each transaction, SQLite truncates the rollback journal, which contains overwritten data.
# A write-ahead log would keep overwritten data until the next checkpoint.
# In exclusive mode, SQLite holds its locks until it closes the file.
PRAGMAS = """
PRAGMA locking_mode = EXCLUSIVE;
PRAGMA synchronous = FULL;
PRAGMA secure_delete = ON;
PRAGMA temp_store = MEMORY;
"""
NOT_A_STORE = (
    "is not a mock store, or is damaged; choose a new file, or restore the store from a backup"
)
KEYS_IN_STORE_FOLDER = (
    "the key file is in the store's folder; a copy of this folder would reveal every credential, "
    "so use --keys to specify a file in another folder or on another volume"
)
REASONS = {
    "SQLITE_BUSY": "is already open; stop the other mock, or use a PostgreSQL store for both",
    "SQLITE_CANTOPEN": "is missing or cannot be opened; use a file in a folder you can write to",
    "SQLITE_CORRUPT": NOT_A_STORE,
    "SQLITE_FULL": "the disk is full; free some space, then try again",
    "SQLITE_NOTADB": NOT_A_STORE,
    "SQLITE_READONLY": "is read-only; run chmod u+w, or specify another file",
}


class SqliteStore(SqlStore):
    """A `Store` in a SQLite file."""

    insert = staticmethod(insert)
    erase = (
        CREDENTIAL.update()
        .where(CREDENTIAL.c.in_use)
        .values(in_use=False, sealed=func.zeroblob(CREDENTIAL.c.size))
    )

    def __init__(self, path: Path, credentials: Collection[str], keys: Path | None) -> None:
        super().__init__(str(path), credentials, keys)
        self._path = path.absolute()
        self._file: os.stat_result | None = None  # the open file
        self._engine = create_engine(
            "sqlite://", creator=self._connect, poolclass=StaticPool, hide_parameters=True
        )

    async def open(self, fixtures: Fixtures | None) -> None:
        if self.key_file.resolve().parent == self._path.resolve().parent:
            raise self.error(KEYS_IN_STORE_FOLDER)
        if fixtures:
            with suppress(OSError):  # SQLite raises a clear error if the file cannot be created
                self._path.touch(0o600)
        await super().open(fixtures)

    async def close(self) -> None:
        self._engine.dispose()

    async def run(self, work: Callable[[Connection], R]) -> R:
        if self._file and not self._is_in_place(self._file):
            # Without this check, SQLite would update the old file, which is no longer at this path.
            raise self.error("was deleted, moved or replaced while it was open; stop the mock")
        # Because `isolation_level` is set, sqlite3 begins a transaction before the first change.
        with self._engine.begin() as connection:
            return work(connection)

    def _is_in_place(self, file: os.stat_result) -> bool:
        try:
            return os.path.samestat(file, self._path.stat())
        except OSError:
            return False

    def _connect(self) -> sqlite3.Connection:
        uri = f"{self._path.as_uri()}?mode=rw"
        connection = sqlite3.connect(uri, timeout=0, isolation_level="IMMEDIATE", uri=True)
        try:
            connection.executescript(PRAGMAS)
        except sqlite3.Error:
            connection.close()  # Python 3.13 warns about connections that are not closed
            raise
        self._file = self._path.stat()
        return connection

    def prepare(self, db: Connection) -> None:
        # In exclusive mode, SQLite holds this lock even after the transaction ends.
        db.exec_driver_sql("BEGIN EXCLUSIVE")
        db.exec_driver_sql("ROLLBACK")
        intact = db.exec_driver_sql("PRAGMA quick_check(1)").scalar_one() == "ok"
        tables = inspect(db).get_table_names()
        if not intact or (tables and STORE.name not in tables):
            raise self.error(NOT_A_STORE)
        # This pragma can change the file, so run it only after the checks.
        db.exec_driver_sql("PRAGMA journal_mode = TRUNCATE")
        db.exec_driver_sql("BEGIN")
        db.exec_driver_sql("PRAGMA user_version = 0")  # this fails if the file is read-only

    def reason(self, error: Any) -> str:
        name = getattr(error, "sqlite_errorname", type(error).__name__)
        return REASONS.get(name, f"reading or writing the file failed ({name})")

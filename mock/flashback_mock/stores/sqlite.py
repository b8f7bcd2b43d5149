"""A store in a SQLite file, which one process has open at a time."""

import os
import sqlite3
import threading
from collections.abc import Callable, Collection, Generator
from contextlib import AbstractAsyncContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Concatenate

from sqlalchemy import (
    Connection,
    StaticPool,
    bindparam,
    create_engine,
    false,
    func,
    inspect,
    update,
)
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DBAPIError, IntegrityError

from flashback_mock.fixtures import Fixtures

from .keys import KeySource
from .schema import CREDENTIAL, STORE
from .sql import P, R, Row, SqlStore, execute_each, key_of
from .store import NameTakenError, StoreError

MAGIC = b"SQLite format 3\0"
APPLICATION_ID = 0x666C6D73  # "flms", at offset 68 of the file
# A rollback journal that is truncated after each transaction keeps what was replaced no longer than
# that; a write-ahead log would keep it until a checkpoint. Without spilling, the file's header,
# which says whose file it is, is written before anything that follows.
PRAGMAS = """
PRAGMA locking_mode = EXCLUSIVE;
PRAGMA journal_mode = TRUNCATE;
PRAGMA synchronous = FULL;
PRAGMA secure_delete = ON;
PRAGMA temp_store = MEMORY;
PRAGMA cache_spill = OFF;
"""
REASONS = {
    "SQLITE_BUSY": "is open in another process; stop it, or share a PostgreSQL store",
    "SQLITE_FULL": "the disk is full",
    "SQLITE_READONLY": "cannot be written",
    "SQLITE_CORRUPT": "is damaged; restore it from a backup",
    "SQLITE_NOTADB": "is damaged; restore it from a backup",
}
EMPTY = (
    update(CREDENTIAL)
    .where(CREDENTIAL.c.configuration == bindparam("of"), CREDENTIAL.c.held)
    .values(held=false(), sealed=func.zeroblob(CREDENTIAL.c.size))
)
EMPTY_OTHERS = EMPTY.where(
    CREDENTIAL.c.field == bindparam("named"), CREDENTIAL.c.size != bindparam("sized")
)
_open_files = set[tuple[int, int]]()  # of this process, by device and inode


class SqliteStore(SqlStore):
    """A `Store` in a SQLite file. Several threads may use it."""

    def __init__(self, path: Path, credentials: Collection[str], keys: KeySource) -> None:
        """Create a store in the file; `credentials` are the names of the secret fields."""
        super().__init__(str(path), credentials, keys, sqlite.insert)
        self._path = path
        self._lock = threading.Lock()
        self._file = (0, 0)
        self._connection: Connection
        self._engine = create_engine(
            "sqlite://", creator=self._connect, poolclass=StaticPool, hide_parameters=True
        )

    async def open(self, fixtures: Fixtures | None) -> bool:
        """See `Store`: files of other programs are refused and left unchanged."""
        _check_file(self._path, create=fixtures is not None)
        try:
            with self._errors():
                self._connection = self._engine.connect()
            is_new = await super().open(fixtures)
        except BaseException:
            self._engine.dispose()
            raise
        self._file = _inode(self._path)
        _open_files.add(self._file)
        return is_new

    async def close(self) -> None:
        """See `Store`."""
        with self._lock, self._errors():
            self._connection.close()
            self._engine.dispose()
        _open_files.discard(self._file)
        self._file = (0, 0)  # another store may open it now

    async def _run(
        self, function: Callable[Concatenate[Connection, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        # The first change begins a transaction in SQLite: see `isolation_level` of sqlite3.
        with self._lock, self._errors(), self._connection.begin():
            return function(self._connection, *args, **kwargs)

    _run_alone = _run

    def _rotating(self) -> AbstractAsyncContextManager[None]:
        return nullcontext()  # the file is open in one process only

    def _lock_updates(self, connection: Connection) -> None:
        """Do nothing: the lock of this store suffices."""

    def _size(self, sealed: bytes) -> int:
        return len(sealed)

    def _put_credentials(self, connection: Connection, rows: list[Row]) -> None:
        super()._put_credentials(connection, rows)
        execute_each(connection, EMPTY_OTHERS, [key_of(row) for row in rows])

    def _erase_credentials(self, connection: Connection, id: str) -> None:
        connection.execute(EMPTY, {"of": id.encode()})

    def _open(self, connection: Connection, fixtures: Fixtures | None) -> bool:
        connection.exec_driver_sql("BEGIN EXCLUSIVE")  # in this mode the lock is kept from now on
        if connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one() != "ok":
            raise StoreError(f"{self._path}: is damaged; restore it from a backup")
        application_id = connection.exec_driver_sql("PRAGMA application_id").scalar_one()
        if application_id and not inspect(connection).has_table(STORE.name):
            raise StoreError(f"{self._path}: is damaged; restore it from a backup")
        connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")
        return super()._open(connection, fixtures)

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, timeout=0, isolation_level="IMMEDIATE", check_same_thread=False
        )
        connection.executescript(PRAGMAS)
        return connection

    @contextmanager
    def _errors(self) -> Generator[None]:
        """Translate errors; SQLite's own words are hidden, since they may quote a value."""
        try:
            yield
        except IntegrityError:
            raise NameTakenError from None
        except (DBAPIError, sqlite3.Error) as error:
            cause = error.orig if isinstance(error, DBAPIError) else error
            name = getattr(cause, "sqlite_errorname", type(cause).__name__)
            reason = REASONS.get(name, f"the disk fails ({name})")
            raise StoreError(f"{self._path}: {reason}") from None


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

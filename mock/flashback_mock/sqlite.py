"""A store in SQLite: in memory, or in a file that one process has open at a time."""

import json
import os
import secrets
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Collection, Generator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .fixtures import Fixtures
from .keys import KeySource
from .store import (
    LEVELS,
    MAY_UPDATE,
    ForbiddenError,
    NameTakenError,
    NotFoundError,
    StoreError,
    UnauthorizedError,
    digest_of,
)
from .vault import Vault, sealed_by

MAGIC = b"SQLite format 3\0"
APPLICATION_ID = 0x666C6D6B  # "flmk", at offset 68 of the file; the schema's version is at 60
# Each script brings the schema one version further.
MIGRATIONS = (
    f"""
    -- One row; see vault.py for the proof.
    CREATE TABLE store (id TEXT NOT NULL, proof BLOB NOT NULL);
    CREATE TABLE token (digest BLOB PRIMARY KEY, user TEXT NOT NULL, expires REAL);
    CREATE TABLE member (
        workspace TEXT NOT NULL, user TEXT NOT NULL,
        access TEXT NOT NULL CHECK (access IN {LEVELS}),
        PRIMARY KEY (workspace, user)
    );
    CREATE TABLE configuration (
        number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, workspace TEXT NOT NULL,
        name TEXT, -- a column, since it is unique in its workspace
        properties TEXT NOT NULL, -- every other field that is no credential: JSON
        UNIQUE (workspace, name)
    );
    -- Cells are appended, never deleted, and overwritten by others of the same size only. A page
    -- that is rebalanced, or a row that grows, would leave copies of what they held.
    CREATE TABLE cell (number INTEGER PRIMARY KEY, sealed BLOB NOT NULL);
    CREATE TABLE credential (
        configuration INTEGER NOT NULL, field TEXT NOT NULL, size INTEGER NOT NULL,
        cell INTEGER NOT NULL UNIQUE,
        changed TEXT, -- when; NULL: the credential is in a cell of another size
        PRIMARY KEY (configuration, field, size)
    );
    """,
)
# A rollback journal that is truncated after each transaction keeps what is replaced no longer
# than that, where a write-ahead log would have to be checkpointed for it.
PRAGMAS = """
PRAGMA locking_mode = EXCLUSIVE;
PRAGMA journal_mode = TRUNCATE;
PRAGMA synchronous = FULL;
PRAGMA secure_delete = ON;
PRAGMA temp_store = MEMORY;
"""
BATCH = 100  # credentials that are re-encrypted in one transaction
FIND = """
SELECT user, number, configuration.workspace, access
FROM token LEFT JOIN configuration ON id = ? LEFT JOIN member USING (workspace, user)
WHERE digest = ? AND coalesce(expires > ?, TRUE)
"""
CHANGE = """
UPDATE configuration SET name = coalesce(?, name), properties = json_patch(properties, ?)
WHERE number = ?
"""
EMPTY = "UPDATE cell SET sealed = zeroblob(length(sealed)) WHERE number = ?"
CELLS = """
SELECT size, cell, changed IS NOT NULL FROM credential WHERE configuration = ? AND field = ?
"""
STORED = """
SELECT sealed, workspace, id, field, cell FROM cell
JOIN credential ON cell = cell.number AND changed IS NOT NULL
JOIN configuration ON configuration = configuration.number
"""


class Sqlite:
    """A `Store` in SQLite. It may be used from several threads, though not for long by one."""

    def __init__(self, path: Path | None, credentials: Collection[str], keys: KeySource) -> None:
        """A store in the file, or in memory; `credentials` are the secret fields."""
        self.path, self._keys = path, keys
        self._credentials = frozenset(credentials)
        self._lock = threading.RLock()
        self._db: sqlite3.Connection
        self._vault = Vault()  # unless the store has master keys of its own
        self._id = ""

    @property
    def where(self) -> str:
        """See `Store`."""
        if self.path is None:
            return "in memory, which forgets everything when it stops"
        return f"{self.path}, its master keys in {self._keys.where(self._id)}"

    async def open(self, fixtures: Fixtures | None) -> bool:
        """See `Store`: other files than a store's own are refused, and left as they are."""
        if self.path:
            _judge_file(self.path, new=fixtures is not None)
        self._db = _connect(self.path)
        try:
            with self._guarded():
                return self._prepare(fixtures)
        except BaseException:
            self._db.close()
            raise

    async def close(self) -> None:
        """See `Store`."""
        with self._lock:
            self._db.close()

    async def user_of(self, token: str) -> str | None:
        """See `Store`."""
        with self._guarded():
            row = self._db.execute(FIND, ("", digest_of(token), time.time())).fetchone()
        return row and str(row[0])

    async def update(self, token: str, configuration: str, changes: Mapping[str, str]) -> str:
        """See `Store`."""
        with self._guarded():
            asked = (configuration, digest_of(token), time.time())
            row = self._db.execute(FIND, asked).fetchone()
            if row is None:
                raise UnauthorizedError
            user, number, workspace, access = row
            if number is None:
                raise NotFoundError(user)
            if access not in MAY_UPDATE:
                raise ForbiddenError(user)
            if changes:  # a transaction that changes nothing would be synced all the same
                try:
                    with self._transaction():
                        self._change(number, workspace, configuration, changes)
                except sqlite3.IntegrityError:
                    raise NameTakenError(user) from None
        return str(user)

    async def configuration(self, id: str) -> dict[str, Any]:
        """See `Store`."""
        with self._guarded():
            row = self._db.execute(
                "SELECT number, workspace, name, properties FROM configuration WHERE id = ?", (id,)
            ).fetchone()
            if row is None:
                raise NotFoundError
            changed = self._db.execute(
                "SELECT field, changed FROM credential "
                "WHERE configuration = ? AND changed IS NOT NULL ORDER BY field",
                (row[0],),
            ).fetchall()
        plain = {"workspace": row[1], "name": row[2], **json.loads(row[3])}
        return plain | {field: {"set": True, "changedAt": when} for field, when in changed}

    async def configurations(self) -> dict[str, str]:
        """See `Store`."""
        with self._guarded():
            query = "SELECT id, workspace FROM configuration ORDER BY number LIMIT 1000"
            return dict(self._db.execute(query).fetchall())

    async def reveals(self, id: str, field: str, credential: str) -> bool:
        """See `Store`."""
        with self._guarded():
            row = self._db.execute(f"{STORED} WHERE id = ? AND field = ?", (id, field)).fetchone()
            return row is not None and bool(self._vault.open(*row[:4]) == credential)

    async def add(self, more: Fixtures) -> None:
        """See `Store`."""
        with self._guarded(), self._transaction():
            self._load(more)

    async def reset(self, fixtures: Fixtures) -> None:
        """See `Store`."""
        with self._guarded(), self._transaction():
            self._db.execute("UPDATE cell SET sealed = zeroblob(length(sealed))")
            for table in ("token", "member", "configuration", "cell", "credential"):
                self._db.execute(f"DELETE FROM {table}")  # noqa: S608 - our own names
            self._load(fixtures)

    async def rotate(self) -> AsyncIterator[tuple[int, int]]:
        """See `Store`: killed at any instant, it goes on where it was when it is called again."""
        with self._guarded():
            keys = self._keys.begin_rotation(self._id)
            self._vault = Vault(keys)
            self._db.execute("UPDATE store SET proof = ?", (self._vault.proof(self._id),))
            rows = self._db.execute(STORED).fetchall()
            old = [row for row in rows if sealed_by(row[0]) != self._vault.key_ids[0]]
            for first in range(0, len(old), BATCH):
                batch = old[first : first + BATCH]
                with self._transaction():
                    for row in batch:
                        self._reseal(*row)
                yield first + len(batch), len(old)
            self._keys.end_rotation(self._id, keys)

    def _prepare(self, fixtures: Fixtures | None) -> bool:
        for pragma in PRAGMAS.strip().split("\n"):
            self._db.execute(pragma)
        with self._transaction("EXCLUSIVE"):  # in this mode the lock is kept from here on
            (version,) = self._db.execute("PRAGMA user_version").fetchone()
            self._judge_content(version)
            if version == 0 and fixtures is None:
                raise StoreError(f"{self.path}: is empty; there is no store in it yet")
            for script in MIGRATIONS[version:]:
                for statement in script.split(";\n"):
                    self._db.execute(statement)
            self._db.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
            self._db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            self._unlock()
            if version == 0:
                self._load(fixtures or Fixtures())
        return bool(version == 0)

    def _judge_content(self, version: int) -> None:
        if version > len(MIGRATIONS):
            raise StoreError(
                f"{self.path}: was written by a newer mock (schema {version}, this one knows "
                f"{len(MIGRATIONS)}); install that one"
            )
        (tables,) = self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        (found,) = self._db.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok" or (tables and not version):
            raise StoreError(f"{self.path}: is damaged; restore it from a backup")

    def _unlock(self) -> None:
        if self.path is None:
            return
        row = self._db.execute("SELECT id, proof FROM store").fetchone()
        self._id, proof = row or (secrets.token_hex(8), None)
        self._vault = Vault.of_store(self._keys, self._id, proof)
        if row is None:
            row = (self._id, self._vault.proof(self._id))
            self._db.execute("INSERT INTO store VALUES (?, ?)", row)

    def _change(
        self, number: int, workspace: str, configuration: str, changes: Mapping[str, str]
    ) -> None:
        plain = {k: v for k, v in changes.items() if k not in self._credentials}
        name = plain.pop("name", None)
        if name is not None or plain:
            self._db.execute(CHANGE, (name, json.dumps(plain), number))
        for field in self._credentials & changes.keys():
            place = (workspace, configuration, field)
            self._put(number, field, self._vault.seal(changes[field], *place))

    def _put(self, number: int, field: str, sealed: bytes) -> None:
        """Store a credential in its cell of this size; empty the one that held it, if another."""
        now = datetime.now(UTC).isoformat()
        cells = {
            size: (cell, used) for size, cell, used in self._db.execute(CELLS, (number, field))
        }
        cell, used = cells.pop(len(sealed), (None, False))
        if cell is None:
            cell = self._db.execute("INSERT INTO cell (sealed) VALUES (?)", (sealed,)).lastrowid
            row = (number, field, len(sealed), cell, now)
            self._db.execute("INSERT INTO credential VALUES (?, ?, ?, ?, ?)", row)
        else:
            self._db.execute("UPDATE cell SET sealed = ? WHERE number = ?", (sealed, cell))
            self._db.execute("UPDATE credential SET changed = ? WHERE cell = ?", (now, cell))
        for other, held in cells.values() if not used else ():
            if held:
                self._db.execute(EMPTY, (other,))
                self._db.execute("UPDATE credential SET changed = NULL WHERE cell = ?", (other,))

    def _reseal(self, sealed: bytes, workspace: str, id: str, field: str, cell: int) -> None:
        place = (workspace, id, field)
        again = self._vault.seal(self._vault.open(sealed, *place), *place)
        self._db.execute("UPDATE cell SET sealed = ? WHERE number = ?", (again, cell))

    def _load(self, fixtures: Fixtures) -> None:
        self._db.executemany(
            "REPLACE INTO token VALUES (?, ?, ?)",
            (
                (digest_of(t.value), t.user, t.expires and t.expires.timestamp())
                for t in fixtures.tokens
            ),
        )
        self._db.executemany(
            "REPLACE INTO member VALUES (?, ?, ?)",
            ((m.workspace, m.user, m.access) for m in fixtures.members),
        )
        for given in fixtures.configurations:
            number = self._db.execute(
                "INSERT INTO configuration (id, workspace, properties) VALUES (?, ?, '{}')",
                (given.id, given.workspace),
            ).lastrowid
            self._change(number or 0, given.workspace, given.id, given.fields)

    @contextmanager
    def _guarded(self) -> Generator[None]:
        """One user at a time; the database's own words do not get out, they might quote a value."""
        with self._lock:
            try:
                yield
            except sqlite3.IntegrityError:
                raise NameTakenError from None
            except sqlite3.Error as error:
                raise StoreError(f"{self.path}: {_why(error)}") from None

    @contextmanager
    def _transaction(self, kind: str = "IMMEDIATE") -> Generator[None]:
        self._db.execute(f"BEGIN {kind}")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):  # a failing disk has rolled back by itself
                self._db.execute("ROLLBACK")
            raise


def _connect(path: Path | None) -> sqlite3.Connection:
    return sqlite3.connect(
        path or ":memory:", timeout=0, isolation_level=None, check_same_thread=False
    )


def _judge_file(path: Path, *, new: bool) -> None:
    """Make the file if it may be new, for its owner only.

    Raises `StoreError` for one that is no store's, and leaves it as it is. What was made stays,
    empty, where the start fails later: another process may have opened it by then.
    """
    if path.exists() and not path.is_file():
        raise StoreError(f"{path}: cannot be opened: it is no file")
    try:
        descriptor = os.open(path, os.O_RDWR | (os.O_CREAT if new else 0), 0o600)
        with os.fdopen(descriptor, "rb") as file:
            head = file.read(100)
            ours = head[:16] == MAGIC and head[68:72] == APPLICATION_ID.to_bytes(4, "big")
            if ours or not head:
                os.fchmod(descriptor, 0o600)
                return
    except OSError as error:
        raise StoreError(f"{path}: cannot be opened: {error.strerror}") from None
    raise StoreError(f"{path}: is no store of this mock; --store names a new file, or its own")


def _why(error: sqlite3.Error) -> str:
    name = getattr(error, "sqlite_errorname", "")
    cures = {
        "SQLITE_BUSY": "is open in another process; stop it, or share a PostgreSQL store",
        "SQLITE_FULL": "the disk is full",
        "SQLITE_READONLY": "cannot be written",
        "SQLITE_CORRUPT": "is damaged; restore it from a backup",
        "SQLITE_NOTADB": "is damaged; restore it from a backup",
    }
    return cures.get(name) or f"the disk fails ({name or type(error).__name__})"

"""A store in a SQLite file, which one process has open at a time."""

import json
import os
import secrets
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Collection, Generator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flashback_mock.fixtures import Fixtures

from .keys import KeySource
from .store import LEVELS, NameTakenError, NotFoundError, StoreError, authorize, token_digest
from .vault import Vault, sealed_by

MAGIC = b"SQLite format 3\0"
MICROSECONDS = 1_000_000  # a second
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
    """
    ALTER TABLE credential RENAME TO held;
    -- A row each field and size class. Rows are appended, never deleted, and overwritten by others
    -- of the same size only: a page that is rebalanced, or a row that grows, would leave copies of
    -- what they held.
    CREATE TABLE credential (
        number INTEGER PRIMARY KEY,
        configuration INTEGER NOT NULL, field TEXT NOT NULL, size INTEGER NOT NULL,
        changed INTEGER NOT NULL, -- when, in microseconds since 1970, which take eight bytes
        sealed BLOB NOT NULL, -- its first octet is 1; in a row that holds nothing all are 0
        UNIQUE (configuration, field, size)
    );
    INSERT INTO credential SELECT
        cell.number, configuration, field, size,
        1000000 * strftime('%s', coalesce(changed, 'now')), sealed
    FROM held JOIN cell ON cell.number = cell;
    DROP TABLE held;
    DROP TABLE cell;
    """,
)
# A rollback journal that is truncated after each transaction keeps what is replaced no longer
# than that, where a write-ahead log would have to be checkpointed for it. Without spilling, the
# head of a file, which says whose it is, is written before all that follows.
PRAGMAS = """
PRAGMA locking_mode = EXCLUSIVE;
PRAGMA journal_mode = TRUNCATE;
PRAGMA synchronous = FULL;
PRAGMA secure_delete = ON;
PRAGMA temp_store = MEMORY;
PRAGMA cache_spill = OFF;
"""
BATCH = 100  # credentials that are re-encrypted in one transaction
FIND = """
SELECT user, number, configuration.workspace, access
FROM token LEFT JOIN configuration ON id = ? LEFT JOIN member USING (workspace, user)
WHERE digest = ? AND coalesce(expires > ?, TRUE)
"""
OPEN = set[tuple[int, int]]()  # files that this process has open, by device and inode
NOBODY: tuple[Any, ...] = (None, None, None, None)
CHANGE = """
UPDATE configuration SET name = coalesce(?, name), properties = json_patch(properties, ?)
WHERE number = ?
"""
PUT = """
INSERT INTO credential (configuration, field, size, changed, sealed) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (configuration, field, size)
DO UPDATE SET changed = excluded.changed, sealed = excluded.sealed
"""
EMPTY_OTHERS = """
UPDATE credential SET sealed = zeroblob(size)
WHERE configuration = ? AND field = ? AND size <> ? AND sealed > x'01'
"""
STORED = """
SELECT sealed, workspace, id, field, credential.number
FROM credential JOIN configuration ON configuration = configuration.number AND sealed > x'01'
"""


class Sqlite:
    """A `Store` in SQLite. It may be used from several threads, though not for long by one."""

    def __init__(self, path: Path, credentials: Collection[str], keys: KeySource) -> None:
        """A store in the file; `credentials` are the secret fields."""
        self.path, self._keys = path, keys
        self._credentials = frozenset(credentials)
        self._lock = threading.RLock()  # `close` may find it with a rotation that was stopped
        self._db: sqlite3.Connection
        self._vault: Vault
        self._id, self._file = "", (0, 0)

    @property
    def location(self) -> str:
        """See `Store`."""
        return f"{self.path}, its master keys in {self._keys.where(self._id)}"

    async def open(self, fixtures: Fixtures | None) -> bool:
        """See `Store`: other files than a store's own are refused, and left as they are."""
        _judge_file(self.path, new=fixtures is not None)
        # The first change begins a transaction, which `with self._db` ends.
        self._db = sqlite3.connect(
            self.path, timeout=0, isolation_level="IMMEDIATE", check_same_thread=False
        )
        try:
            with self._guarded():
                new = self._prepare(fixtures)
        except BaseException:
            self._db.close()
            raise
        self._file = _inode(self.path)
        OPEN.add(self._file)
        return new

    async def close(self) -> None:
        """See `Store`."""
        with self._guarded():
            self._db.close()
        OPEN.discard(self._file)
        self._file = (0, 0)  # from here on it may be another's

    async def user_of(self, token: str) -> str | None:
        """See `Store`."""
        with self._guarded():
            row = self._db.execute(FIND, ("", token_digest(token), time.time())).fetchone()
        return row and str(row[0])

    async def update(self, token: str, configuration: str, changes: Mapping[str, str]) -> str:
        """See `Store`."""
        with self._guarded():
            asked = (configuration, token_digest(token), time.time())
            holder, found, workspace, access = self._db.execute(FIND, asked).fetchone() or NOBODY
            user, number = authorize(holder, found, access)
            try:
                with self._db:
                    self._change(number, workspace, configuration, changes)
            except sqlite3.IntegrityError:
                raise NameTakenError(user) from None
        return user

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
                "WHERE configuration = ? AND sealed > x'01' ORDER BY field",
                (row[0],),
            ).fetchall()
        plain = {"workspace": row[1], "name": row[2], **json.loads(row[3])}
        when = {field: datetime.fromtimestamp(at / MICROSECONDS, UTC) for field, at in changed}
        return plain | {
            field: {"set": True, "changedAt": at.isoformat()} for field, at in when.items()
        }

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
        with self._guarded(), self._db:
            self._load(more)

    async def reset(self, fixtures: Fixtures) -> None:
        """See `Store`."""
        with self._guarded(), self._db:
            self._db.execute("UPDATE credential SET sealed = zeroblob(size)")
            for table in ("token", "member", "configuration", "credential"):
                self._db.execute(f"DELETE FROM {table}")  # noqa: S608 - our own names
            self._load(fixtures)

    async def rotate(self) -> AsyncIterator[tuple[int, int]]:
        """See `Store`: killed at any instant, it goes on where it was when it is called again."""
        with self._guarded():
            keys = self._keys.begin_rotation(self._id)
            self._vault = Vault(keys)
            with self._db:
                self._db.execute("UPDATE store SET proof = ?", (self._vault.proof(self._id),))
            rows = self._db.execute(STORED).fetchall()
            old = [row for row in rows if sealed_by(row[0]) != self._vault.key_ids[0]]
            for first in range(0, len(old), BATCH):
                batch = old[first : first + BATCH]
                with self._db:
                    for row in batch:
                        self._reseal(*row)
                yield first + len(batch), len(old)
            self._keys.end_rotation(self._id, keys)

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

    def _prepare(self, fixtures: Fixtures | None) -> bool:
        self._db.executescript(PRAGMAS)
        with self._db:
            self._db.execute("BEGIN EXCLUSIVE")  # in this mode the lock is kept from here on
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
        sealed = {
            field: self._vault.seal(changes[field], workspace, configuration, field)
            for field in self._credentials & changes.keys()
        }
        if sealed:
            now = int(time.time() * MICROSECONDS)
            rows = [(number, field, len(value), now, value) for field, value in sealed.items()]
            self._db.executemany(PUT, rows)
            self._db.executemany(EMPTY_OTHERS, [row[:3] for row in rows])

    def _reseal(self, sealed: bytes, workspace: str, id: str, field: str, number: int) -> None:
        place = (workspace, id, field)
        again = self._vault.seal(self._vault.open(sealed, *place), *place)
        self._db.execute("UPDATE credential SET sealed = ? WHERE number = ?", (again, number))

    def _load(self, fixtures: Fixtures) -> None:
        self._db.executemany(
            "REPLACE INTO token VALUES (?, ?, ?)",
            (
                (token_digest(t.value), t.user, t.expires and t.expires.timestamp())
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


def _inode(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_dev, stat.st_ino


def _judge_file(path: Path, *, new: bool) -> None:
    """Make the file if it may be new, for its owner only.

    Raises `StoreError` for one that is no store's, and leaves it as it is. What was made stays,
    empty, where the start fails later: another process may have opened it by then.
    """
    if path.exists() and not path.is_file():
        raise StoreError(f"{path}: cannot be opened: it is no file")
    if path.exists() and _inode(path) in OPEN:  # looking at it would end SQLite's lock of it
        raise StoreError(f"{path}: is open in this process already")
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

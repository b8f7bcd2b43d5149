"""Configurations, members and tokens in SQLite, and who may change what."""

import hashlib
import hmac
import json
import sqlite3
import time
from collections.abc import Collection, Generator, Mapping
from contextlib import contextmanager

from .fixtures import Fixtures
from .vault import Vault

SCHEMA = """
CREATE TABLE token (digest BLOB PRIMARY KEY, user TEXT NOT NULL, expires REAL);
CREATE TABLE member (
    workspace TEXT NOT NULL, user TEXT NOT NULL,
    access TEXT NOT NULL CHECK (access IN ('READ', 'WRITE', 'ADMIN')),
    PRIMARY KEY (workspace, user)
);
CREATE TABLE configuration (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, workspace TEXT NOT NULL,
    name TEXT, -- a column, since it is unique in its workspace
    properties TEXT NOT NULL, -- every other field that is no credential: JSON
    UNIQUE (workspace, name)
);
CREATE TABLE credential (
    configuration INTEGER NOT NULL REFERENCES configuration (number),
    field TEXT NOT NULL, sealed BLOB NOT NULL, -- see vault.py
    PRIMARY KEY (configuration, field)
);
"""
FIND = """
SELECT number, configuration.workspace, access FROM configuration
LEFT JOIN member ON member.workspace = configuration.workspace AND user = ? WHERE id = ?
"""
CHANGE = """
UPDATE configuration SET name = coalesce(?, name), properties = json_patch(properties, ?)
WHERE number = ?
"""
STORED = """
SELECT workspace, sealed FROM credential
JOIN configuration ON configuration = number WHERE id = ? AND field = ?
"""


class NotFoundError(Exception):
    """No configuration has this id."""


class ForbiddenError(Exception):
    """The user may not update this configuration."""


class NameTakenError(Exception):
    """Another configuration of the workspace has this name."""


class Store:
    """The state of one mock. Tokens are kept as SHA-256 only, credentials only sealed."""

    def __init__(self, fixtures: Fixtures, credentials: Collection[str]) -> None:
        """Open a store in memory that holds the fixtures; `credentials` are the secret fields."""
        self._credentials = frozenset(credentials)
        self._vault = Vault()
        self._db = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        self._db.executescript(SCHEMA)
        with self._transaction():
            self._load(fixtures)

    def close(self) -> None:
        """Let go of the state."""
        self._db.close()

    def user_of(self, token: str) -> str | None:
        """The user whom a bearer token stands for; None if it is unknown or expired."""
        digest = _digest(token)
        row = self._db.execute(
            "SELECT digest, user, expires FROM token WHERE digest = ?", (digest,)
        ).fetchone()
        # Looked up by its hash, then compared in constant time: no timing tells a prefix.
        if row is None or not hmac.compare_digest(row[0], digest):
            return None
        return None if row[2] is not None and row[2] <= time.time() else row[1]

    def update(self, user: str, configuration: str, changes: Mapping[str, str]) -> None:
        """Change the given fields of a configuration, all of them or none.

        Raises `NotFoundError`, `ForbiddenError` or `NameTakenError`.
        """
        with self._transaction():
            row = self._db.execute(FIND, (user, configuration)).fetchone()
            if row is None:
                raise NotFoundError
            number, workspace, access = row
            if access not in ("WRITE", "ADMIN"):
                raise ForbiddenError
            self._change(number, workspace, configuration, changes)

    def read(self, configuration: str) -> dict[str, str]:
        """What is stored now, without credentials; raises `NotFoundError`."""
        row = self._db.execute(
            "SELECT name, properties FROM configuration WHERE id = ?", (configuration,)
        ).fetchone()
        if row is None:
            raise NotFoundError
        return {"name": row[0], **json.loads(row[1])}

    def reveals(self, configuration: str, field: str, credential: str) -> bool:
        """Whether the stored credential is this one: how a test learns that a rotation happened."""
        row = self._db.execute(STORED, (configuration, field)).fetchone()
        if row is None:
            return False
        stored = self._vault.open(row[1], row[0], configuration, field)
        return hmac.compare_digest(stored.encode(), credential.encode(errors="surrogatepass"))

    def _change(
        self, number: int, workspace: str, configuration: str, changes: Mapping[str, str]
    ) -> None:
        plain = {k: v for k, v in changes.items() if k not in self._credentials}
        try:
            self._db.execute(CHANGE, (plain.pop("name", None), json.dumps(plain), number))
        except sqlite3.IntegrityError:
            raise NameTakenError from None
        for field in self._credentials & changes.keys():
            sealed = self._vault.seal(changes[field], workspace, configuration, field)
            self._db.execute("REPLACE INTO credential VALUES (?, ?, ?)", (number, field, sealed))

    def _load(self, fixtures: Fixtures) -> None:
        for token in fixtures.tokens:
            expires = token.expires and token.expires.timestamp()
            self._db.execute(
                "INSERT INTO token VALUES (?, ?, ?)", (_digest(token.value), token.user, expires)
            )
        for member in fixtures.members:
            self._db.execute(
                "INSERT INTO member VALUES (?, ?, ?)",
                (member.workspace, member.user, member.access),
            )
        for number, given in enumerate(fixtures.configurations, 1):
            self._db.execute(
                "INSERT INTO configuration VALUES (?, ?, ?, NULL, '{}')",
                (number, given.id, given.workspace),
            )
            self._change(number, given.workspace, given.id, given.fields)

    @contextmanager
    def _transaction(self) -> Generator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("latin-1")).digest()  # as header values are decoded

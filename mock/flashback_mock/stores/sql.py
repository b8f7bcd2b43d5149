"""The base class for durable stores in an SQL database.

The methods use a synchronous connection, but SQLAlchemy can run them with an asynchronous driver.
"""

import hashlib
import secrets
import time
from abc import abstractmethod
from collections.abc import Callable, Collection, Coroutine, Mapping
from functools import wraps
from pathlib import Path
from typing import Any, ClassVar, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, Table, inspect, select
from sqlalchemy.exc import DBAPIError, IntegrityError

from flashback_mock.fixtures import Fixtures

from . import schema
from .errors import ForbiddenError, NameTakenError, NotFoundError, StoreError, UnauthorizedError
from .keys import key_path, read_vault, write_keys
from .schema import CONFIGURATION, CREDENTIAL, MEMBER, STORE, TOKEN
from .store import MAY_UPDATE, Store, StoredConfiguration
from .vault import Vault

P = ParamSpec("P")
R = TypeVar("R")


def transaction(
    work: Callable[Concatenate["SqlStore", Connection, P], R],
) -> Callable[Concatenate["SqlStore", P], Coroutine[Any, Any, R]]:
    """Return a method that runs `work` in a transaction. A driver error becomes a `StoreError`."""

    @wraps(work)
    async def method(self: "SqlStore", /, *args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return await self.run(lambda db: work(self, db, *args, **kwargs))
        except IntegrityError:
            raise NameTakenError from None
        except self.driver_errors as error:
            reason = self.reason(getattr(error, "orig", None) or error)
            raise self.error(reason) from None

    return method


class SqlStore(Store):
    """A `Store` in an SQL database. Subclasses connect to the database."""

    driver_errors: ClassVar[tuple[type[Exception], ...]] = (DBAPIError,)
    insert: ClassVar[Any]  # the dialect's `insert`, which supports `on_conflict_do_update`
    erase: ClassVar[Any]  # the statement that erases credentials; callers add a condition

    def __init__(self, name: str, credentials: Collection[str], keys: Path | None) -> None:
        """Create a store whose error messages begin with `name`."""
        self._name = name
        self._credentials = frozenset(credentials)
        self._keys = keys
        self._id = ""
        self._vault: Vault | None = None
        self._erase_field = self.erase.where(schema.OF_FIELD)
        # An upsert inserts a row, or overwrites the row that has the same primary key.
        self._upserts = dict[Table, Any]()
        for table in (TOKEN, MEMBER, CREDENTIAL):
            insert = self.insert(table)
            self._upserts[table] = insert.on_conflict_do_update(
                index_elements=table.primary_key, set_=insert.excluded
            )

    @abstractmethod
    async def run(self, work: Callable[[Connection], R]) -> R:
        """Run `work` in a transaction."""

    @abstractmethod
    def prepare(self, db: Connection) -> None:
        """Lock the database. Raise `StoreError` if the database cannot be used as a store."""

    def lock(self, db: Connection) -> None:
        """Prevent other processes from changing the store until the transaction ends."""

    @abstractmethod
    def reason(self, error: Any) -> str:
        """Describe the error without using its message, which could quote a value."""

    def error(self, reason: str) -> StoreError:
        """Return an error that contains the store's name and this reason."""
        return StoreError(f"{self._name}: {reason}")

    @property
    def key_file(self) -> Path:
        return key_path(self._keys, self._id)

    @property
    def location(self) -> str:
        return f"{self._name}, master keys in {self.key_file}"

    async def open(self, fixtures: Fixtures | None) -> None:
        """Open the store. If `fixtures` is None, the store must already exist."""
        try:
            await self._open(fixtures)
        except BaseException:
            await self.close()
            raise

    @transaction
    def _open(self, db: Connection, fixtures: Fixtures | None) -> None:
        self.prepare(db)
        if inspect(db).has_table(STORE.name):
            self._current_vault(db)
            return
        if fixtures is None:
            raise self.error("contains no store; run the mock with the same --store to create one")
        schema.METADATA.create_all(db, checkfirst=False)
        self._id = secrets.token_hex(8)
        self._vault = Vault()
        db.execute(STORE.insert(), {"id": self._id, "key_id": self._vault.key_id})
        self._insert(db, fixtures)
        # Write the keys last so that no key file is left behind if an earlier step fails.
        write_keys(self.key_file, self._vault, is_new=True)

    @transaction
    def user_of(self, db: Connection, token: str) -> str | None:
        return _user_of(db, token)

    @transaction
    def update(self, db: Connection, token: str, id: str, changes: Mapping[str, str]) -> str:
        user = _user_of(db, token)
        if user is None:
            raise UnauthorizedError
        row = db.execute(schema.FIND, {"id": id, "user": user}).one_or_none()
        if row is None:
            raise NotFoundError
        if row.access not in MAY_UPDATE:
            raise ForbiddenError
        stored = StoredConfiguration(self._vault_for(row.key_id), row.workspace, id, row.plain)
        changed = stored.with_changes(changes, self._credentials)
        if changed.plain != stored.plain:
            db.execute(CONFIGURATION.update().where(CONFIGURATION.c.id == id), _columns(changed))
        self._replace_credentials(db, changed)
        return user

    @transaction
    def find(self, db: Connection, id: str) -> StoredConfiguration:
        rows = db.execute(schema.STORED.where(CONFIGURATION.c.id == id)).all()
        if not rows:
            raise NotFoundError
        credentials = {row.field: row.sealed for row in rows if row.field}
        vault = self._vault_for(rows[0].key_id)
        return StoredConfiguration(vault, rows[0].workspace, id, rows[0].plain, credentials)

    @transaction
    def delete_configuration(self, db: Connection, id: str) -> None:
        if not db.execute(CONFIGURATION.delete().where(CONFIGURATION.c.id == id)).rowcount:
            raise NotFoundError
        db.execute(self.erase.where(CREDENTIAL.c.configuration == id))

    @transaction
    def add(self, db: Connection, more: Fixtures) -> None:
        self.lock(db)
        self._insert(db, more)

    @transaction
    def reset(self, db: Connection, fixtures: Fixtures) -> None:
        self.lock(db)
        for table in (TOKEN, CONFIGURATION, MEMBER, CREDENTIAL):
            db.execute(table.delete())
        self._insert(db, fixtures)

    async def rotate(self) -> int:
        """Re-encrypt all credentials with a new master key. Return the number of credentials."""
        count = await self._reencrypt()
        await self._destroy_old_keys()
        return count

    @transaction
    def _reencrypt(self, db: Connection) -> int:
        self.lock(db)
        old = self._current_vault(db)
        new = Vault()
        write_keys(self.key_file, old, new)
        rows = db.execute(schema.STORED.where(CREDENTIAL.c.in_use)).all()
        for row in rows:
            place = (row.workspace, row.id, row.field)
            sealed = new.seal(old.open(row.sealed, *place), *place)
            resealed = StoredConfiguration(new, row.workspace, row.id, {}, {row.field: sealed})
            self._replace_credentials(db, resealed)
        db.execute(STORE.update(), {"key_id": new.key_id})
        return len(rows)

    @transaction
    def _destroy_old_keys(self, db: Connection) -> None:
        self.lock(db)  # another rotation could have started in the meantime
        write_keys(self.key_file, self._current_vault(db))

    def _current_vault(self, db: Connection) -> Vault:
        stored = db.execute(select(STORE)).one_or_none()
        if stored is None:
            raise self.error("table flashback_mock_store is empty; restore the store from a backup")
        self._id = stored.id
        return self._vault_for(stored.key_id)

    def _vault_for(self, key_id: bytes) -> Vault:
        """Return the vault for the key with this id. Reread the key file if the key has changed."""
        if self._vault is None or self._vault.key_id != key_id:
            self._vault = read_vault(self.key_file, key_id)
        return self._vault

    def _insert(self, db: Connection, fixtures: Fixtures) -> None:
        vault = self._current_vault(db)
        for token in fixtures.tokens:
            expires = token.expires.timestamp() if token.expires else None
            row = {"digest": _digest(token.value), "user": token.user, "expires": expires}
            db.execute(self._upserts[TOKEN], row)
        for member in fixtures.members:
            db.execute(self._upserts[MEMBER], vars(member))
        for given in fixtures.configurations:
            empty = StoredConfiguration(vault, given.workspace, given.id)
            added = empty.with_changes(given.fields, self._credentials)
            columns = {"id": added.id, "workspace": added.workspace, **_columns(added)}
            db.execute(CONFIGURATION.insert(), columns)
            self._replace_credentials(db, added)

    def _replace_credentials(self, db: Connection, stored: StoredConfiguration) -> None:
        """Erase the previous values of these credentials, and insert the new values."""
        for field, sealed in stored.credentials.items():
            db.execute(self._erase_field, {"of_configuration": stored.id, "of_field": field})
            row = {"configuration": stored.id, "field": field, "size": len(sealed)}
            row |= {"in_use": True, "sealed": sealed}
            db.execute(self._upserts[CREDENTIAL], row)


def _user_of(db: Connection, token: str) -> str | None:
    parameters = {"digest": _digest(token), "now": time.time()}
    return db.execute(schema.USER, parameters).scalar_one_or_none()


def _digest(token: str) -> bytes:
    """Return the SHA-256 hash of a token. The store does not contain the token itself."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def _columns(stored: StoredConfiguration) -> dict[str, Any]:
    return {"name": stored.plain.get("name"), "plain": stored.plain}

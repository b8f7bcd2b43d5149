"""The base class for durable stores in a SQL database.

The methods use a synchronous connection, but SQLAlchemy can run them with an asynchronous driver.
"""

import secrets
from abc import abstractmethod
from collections.abc import Callable, Collection, Coroutine, Mapping
from functools import wraps
from typing import Any, ClassVar, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, Table, inspect, select
from sqlalchemy.exc import DBAPIError, IntegrityError

from flashback_mock.fixtures import Fixtures

from . import schema
from .errors import NameTakenError, NotFoundError, StoreError, UnauthorizedError
from .keys import KeyFile
from .schema import CONFIGURATION, CREDENTIAL, MEMBER, STORE, TOKEN
from .store import Store, authorize, token_digest
from .stored import Credential, Stored, timestamp
from .vault import Vault

P = ParamSpec("P")
R = TypeVar("R")
Work = Callable[Concatenate["SqlStore", Connection, P], R]
Method = Callable[Concatenate["SqlStore", P], Coroutine[Any, Any, R]]
Row = dict[str, Any]


def transaction(work: Work[P, R]) -> Method[P, R]:
    """Return a method that runs `work` in a transaction and translates the driver's errors."""

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
    """A `Store` in a SQL database. Subclasses connect to the database."""

    driver_errors: ClassVar[tuple[type[Exception], ...]] = (DBAPIError,)
    insert: ClassVar[Any]  # the dialect's `insert`, which has `on_conflict_do_update`
    erase: ClassVar[Any]  # the statement that erases credentials; callers add a condition

    def __init__(self, name: str, credentials: Collection[str], keys: KeyFile) -> None:
        """Create a store. Error messages begin with `name`."""
        self._name = name
        self._credentials = frozenset(credentials)
        self._keys = keys
        self._id = ""
        self._vault: Vault | None = None
        self._put_token = self._upsert(TOKEN)
        self._put_member = self._upsert(MEMBER)
        self._put_credential = self._upsert(CREDENTIAL)
        self._erase_other_sizes = self.erase.where(schema.OTHER_SIZES)

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
        """Return what went wrong and how to fix it.

        The result does not contain the error's message, which could quote a value.
        """

    def error(self, reason: str) -> StoreError:
        """Return an error whose message begins with the store's name."""
        return StoreError(f"{self._name}: {reason}")

    @property
    def location(self) -> str:
        return f"{self._name}, master keys in {self._keys.path(self._id)}"

    async def open(self, fixtures: Fixtures | None) -> bool:
        try:
            return await self._open(fixtures)
        except BaseException as error:
            # After an interruption, keep the keys, because the store may already have been created.
            if isinstance(error, Exception):
                self._keys.discard()
            await self.close()
            raise

    @transaction
    def _open(self, db: Connection, fixtures: Fixtures | None) -> bool:
        self.prepare(db)
        if inspect(db).has_table(STORE.name):
            self._current_vault(db)
            return False
        if fixtures is None:
            raise self.error("contains no store; start the mock with this --store to create one")
        schema.METADATA.create_all(db, checkfirst=False)
        self._id = secrets.token_hex(8)
        vault = Vault.generate()
        self._keys.write(self._id, vault, is_new=True)
        db.execute(STORE.insert(), {"id": self._id, "key_id": vault.key_id})
        self._insert_fixtures(db, fixtures)
        return True

    @transaction
    def user_of(self, db: Connection, token: str) -> str | None:
        return _user_of(db, token)

    @transaction
    def update(self, db: Connection, token: str, id: str, changes: Mapping[str, str]) -> str:
        parameters = {"id": id, "digest": token_digest(token), "now": timestamp()}
        found = db.execute(schema.FIND, parameters).one_or_none()
        token_user = found.user if found else _user_of(db, token)
        user, row = authorize(token_user, found, found.access if found else None)
        stored = Stored(self._vault_for(row.key_id), row.workspace, id, row.plain)
        changed = stored.with_changes(changes, self._credentials)
        if changed.plain != stored.plain:
            try:
                db.execute(schema.CHANGE, {"of_id": id, **_columns(changed)})
            except IntegrityError:
                raise NameTakenError(user) from None
        for field, credential in changed.credentials.items():
            db.execute(self._put_credential, _row(id, field, credential))
            place = {"of_configuration": id, "of_field": field, "of_size": len(credential.sealed)}
            db.execute(self._erase_other_sizes, place)
        return user

    @transaction
    def find(self, db: Connection, id: str) -> Stored:
        rows = db.execute(schema.STORED.where(CONFIGURATION.c.id == id)).all()
        if not rows:
            raise NotFoundError
        credentials = dict[str, Credential]()
        for row in rows:
            if row.field is not None:
                credentials[row.field] = Credential(row.sealed, row.changed)
        first = rows[0]
        vault = self._vault_for(first.key_id)
        return Stored(vault, first.workspace, id, first.plain, credentials)

    @transaction
    def configurations(self, db: Connection) -> dict[str, str]:
        first = select(CONFIGURATION).order_by(CONFIGURATION.c.id).limit(1000)
        return {row.id: row.workspace for row in db.execute(first)}

    @transaction
    def revoke_token(self, db: Connection, token: str) -> None:
        self.lock(db)  # a concurrent reset could replace the token's row
        if not db.execute(TOKEN.delete().where(TOKEN.c.digest == token_digest(token))).rowcount:
            raise UnauthorizedError

    @transaction
    def delete_configuration(self, db: Connection, id: str) -> None:
        if not db.execute(CONFIGURATION.delete().where(CONFIGURATION.c.id == id)).rowcount:
            raise NotFoundError
        db.execute(self.erase.where(CREDENTIAL.c.configuration == id))

    @transaction
    def add(self, db: Connection, more: Fixtures) -> None:
        self.lock(db)
        self._insert_fixtures(db, more)

    @transaction
    def reset(self, db: Connection, fixtures: Fixtures) -> None:
        self.lock(db)
        for table in (TOKEN, CONFIGURATION, MEMBER, CREDENTIAL):
            db.execute(table.delete())
        self._insert_fixtures(db, fixtures)

    async def rotate(self) -> int:
        count = await self._reencrypt()
        await self._destroy_old_keys()
        return count

    @transaction
    def _reencrypt(self, db: Connection) -> int:
        """Re-encrypt all credentials with a new key and return their number."""
        self.lock(db)
        old = self._current_vault(db)
        new = Vault.generate()
        self._keys.write(self._id, old, new)
        rows = db.execute(schema.STORED.where(schema.IN_USE)).all()
        for row in rows:
            place = (row.workspace, row.id, row.field)
            sealed = new.seal(old.open(row.sealed, *place), *place)
            credential = Credential(sealed, row.changed)
            db.execute(self._put_credential, _row(row.id, row.field, credential))
        db.execute(STORE.update(), {"key_id": new.key_id})
        return len(rows)

    @transaction
    def _destroy_old_keys(self, db: Connection) -> None:
        self.lock(db)  # another rotation could have started
        self._keys.write(self._id, self._current_vault(db))

    def _current_vault(self, db: Connection) -> Vault:
        """Return the vault for the store's current key.

        Raise `StoreError` if the key file does not contain the key.
        """
        stored = db.execute(select(STORE)).one()
        self._id = stored.id
        return self._vault_for(stored.key_id)

    def _vault_for(self, key_id: bytes) -> Vault:
        """Return the vault for the key with this id. Reread the key file if the key has changed."""
        if self._vault is None or self._vault.key_id != key_id:
            self._vault = self._keys.vault(self._id, key_id)
        return self._vault

    def _insert_fixtures(self, db: Connection, fixtures: Fixtures) -> None:
        """Insert the fixtures into the tables."""
        vault = self._current_vault(db)
        tokens = list[Row]()
        for token in fixtures.tokens:
            expires = token.expires and timestamp(token.expires)
            row = {"digest": token_digest(token.value), "user": token.user, "expires": expires}
            tokens.append(row)
        configurations = list[Row]()
        credentials = list[Row]()
        for configuration in fixtures.configurations:
            empty = Stored(vault, configuration.workspace, configuration.id)
            added = empty.with_changes(configuration.fields, self._credentials)
            key = {"id": added.id, "workspace": added.workspace}
            configurations.append({**key, **_columns(added)})
            for field, credential in added.credentials.items():
                credentials.append(_row(added.id, field, credential))
        _execute(db, self._put_token, tokens)
        _execute(db, self._put_member, [vars(member) for member in fixtures.members])
        _execute(db, CONFIGURATION.insert(), configurations)
        _execute(db, self._put_credential, credentials)

    def _upsert(self, table: Table) -> Any:
        """Return an INSERT statement that overwrites an existing row with the same primary key."""
        insert = self.insert(table)
        changed = {c.name: insert.excluded[c.name] for c in table.columns if not c.primary_key}
        return insert.on_conflict_do_update(index_elements=table.primary_key, set_=changed)


def _user_of(db: Connection, token: str) -> str | None:
    parameters = {"digest": token_digest(token), "now": timestamp()}
    return db.execute(schema.USER, parameters).scalar_one_or_none()


def _columns(stored: Stored) -> Row:
    return {"name": stored.plain.get("name"), "plain": stored.plain}


def _row(id: str, field: str, credential: Credential) -> Row:
    place = {"configuration": id, "field": field, "size": len(credential.sealed)}
    return {**place, **credential._asdict()}


def _execute(db: Connection, statement: Any, rows: list[Row]) -> None:
    """Execute a statement once for each row."""
    if rows:  # for an empty list, SQLAlchemy would execute the statement once without parameters
        db.execute(statement, rows)

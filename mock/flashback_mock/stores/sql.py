"""A durable store in a SQL database, in functions that take a synchronous connection."""

import secrets
from abc import abstractmethod
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from datetime import UTC, datetime
from functools import wraps
from typing import Any, ClassVar, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, Row, Table, inspect, select
from sqlalchemy.exc import DBAPIError, IntegrityError

from flashback_mock.fixtures import Fixtures

from . import schema
from .keys import KeyFile
from .schema import CONFIGURATION, CREDENTIAL, MEMBER, STORE, TOKEN
from .store import (
    NameTakenError,
    NotFoundError,
    Store,
    StoreError,
    UnauthorizedError,
    authorize,
    token_digest,
)
from .vault import Vault

P = ParamSpec("P")
R = TypeVar("R")
Work = Callable[Concatenate["SqlStore", Connection, P], R]
Method = Callable[Concatenate["SqlStore", P], Coroutine[Any, Any, R]]
Values = dict[str, Any]
SECOND = 1_000_000  # microseconds
BATCH = 1000  # rows of a statement, whose time is limited


def transaction(work: Work[P, R]) -> Method[P, R]:
    """Return a method that does the work in one transaction, and translates its errors."""

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
    """A `Store` in a SQL database; subclasses connect to it."""

    driver_errors: ClassVar[tuple[type[Exception], ...]] = (DBAPIError,)
    insert: ClassVar[Any]  # the database's own, which has `on_conflict_do_update`
    erase: ClassVar[Any]  # the statement that erases credentials, without a condition

    def __init__(self, name: str, credentials: Collection[str], keys: KeyFile) -> None:
        """Create a store; errors call it `name`."""
        self._name = name
        self._credentials = frozenset(credentials)
        self._keys = keys
        self._id = ""
        self._vault: Vault
        self._put_token = self._upsert(TOKEN)
        self._put_member = self._upsert(MEMBER)
        self._put_credential = self._upsert(CREDENTIAL)
        self._erase_other_sizes = self.erase.where(schema.OTHER_SIZES)

    @abstractmethod
    async def run(self, work: Callable[[Connection], R]) -> R:
        """Do the work in one transaction."""

    @abstractmethod
    def prepare(self, db: Connection) -> None:
        """Lock out other processes; raise `StoreError` if the store cannot be used."""

    def lock(self, db: Connection) -> None:
        """Until the transaction ends, let no other process change the store."""

    @abstractmethod
    def reason(self, error: Any) -> str:
        """Return what went wrong and what to do, in our own words: the error may quote a value."""

    def error(self, reason: str) -> StoreError:
        """Return an error that names the store."""
        return StoreError(f"{self._name}: {reason}")

    @property
    def location(self) -> str:
        return f"{self._name}, master keys in {self._keys.path(self._id)}"

    async def open(self, fixtures: Fixtures | None) -> bool:
        try:
            return await self._open(fixtures)
        except BaseException:
            await self.close()
            raise

    @transaction
    def _open(self, db: Connection, fixtures: Fixtures | None) -> bool:
        self.prepare(db)
        if inspect(db).has_table(STORE.name):
            self._unlock(db)
            return False
        if fixtures is None:
            raise self.error("contains no store yet; start the mock on it first")
        schema.METADATA.create_all(db, checkfirst=False)
        self._id = secrets.token_hex(8)
        self._vault = self._keys.create(self._id)
        db.execute(STORE.insert(), {"id": self._id, "key_id": self._vault.key_id})
        self._load(db, fixtures)
        return True

    @transaction
    def user_of(self, db: Connection, token: str) -> str | None:
        return _user_of(db, token)

    @transaction
    def update(self, db: Connection, token: str, id: str, changes: Mapping[str, str]) -> str:
        parameters = {"id": id.encode(), "digest": token_digest(token), "now": _now()}
        found = db.execute(schema.FIND, parameters).one_or_none()
        holder = found.user if found else _user_of(db, token)
        user, stored = authorize(holder, found, found.access if found else None)
        if plain := self._plain(changes):
            try:
                db.execute(schema.CHANGE, {"of_id": id.encode(), **_columns(stored.plain | plain)})
            except IntegrityError:
                raise NameTakenError(user) from None
        self._use_key(stored.key_id)
        self._put_credentials(db, self._sealed(stored.workspace, id, changes))
        return user

    @transaction
    def configuration(self, db: Connection, id: str) -> dict[str, Any]:
        rows = self._stored(db, id)
        if not rows:
            raise NotFoundError
        shown: Values = {"workspace": rows[0].workspace, "name": None, **rows[0].plain}
        for row in rows:
            if row.field is not None:
                changed = datetime.fromtimestamp(row.changed / SECOND, UTC)
                shown[row.field] = {"set": True, "changedAt": changed.isoformat()}
        return shown

    @transaction
    def configurations(self, db: Connection) -> dict[str, str]:
        first = select(CONFIGURATION).order_by(CONFIGURATION.c.id).limit(1000)
        return {row.id.decode(): row.workspace for row in db.execute(first)}

    @transaction
    def reveals(self, db: Connection, id: str, field: str, credential: str) -> bool:
        for row in self._stored(db, id):
            if row.field == field:
                self._use_key(row.key_id)
                return self._vault.open(row.sealed, row.workspace, id, field) == credential
        return False

    @transaction
    def expire_token(self, db: Connection, token: str) -> None:
        _end_token(db, TOKEN.update().values(expires=_now()), token)

    @transaction
    def revoke_token(self, db: Connection, token: str) -> None:
        _end_token(db, TOKEN.delete(), token)

    @transaction
    def delete_configuration(self, db: Connection, id: str) -> None:
        if not db.execute(CONFIGURATION.delete().where(CONFIGURATION.c.id == id.encode())).rowcount:
            raise NotFoundError
        db.execute(self.erase.where(CREDENTIAL.c.configuration == id.encode()))

    @transaction
    def add(self, db: Connection, more: Fixtures) -> None:
        self.lock(db)
        self._unlock(db)
        self._load(db, more)

    @transaction
    def reset(self, db: Connection, fixtures: Fixtures) -> None:
        self.lock(db)
        self._unlock(db)
        for table in (TOKEN, CONFIGURATION, MEMBER, CREDENTIAL):
            db.execute(table.delete())
        self._load(db, fixtures)

    async def rotate(self) -> int:
        count = await self._reseal()
        await self._destroy_old_keys()
        return count

    @transaction
    def _reseal(self, db: Connection) -> int:
        """Re-encrypt all credentials with a new key, and return their number."""
        self.lock(db)
        self._unlock(db)
        new = self._keys.add_key(self._id, self._vault)
        rows = db.execute(schema.STORED.where(CREDENTIAL.c.held)).all()
        resealed = [self._resealed(row, new) for row in rows]
        for start in range(0, len(resealed), BATCH):
            db.execute(self._put_credential, resealed[start : start + BATCH])
        db.execute(STORE.update(), {"key_id": new.key_id})
        return len(resealed)

    @transaction
    def _destroy_old_keys(self, db: Connection) -> None:
        self.lock(db)  # another rotation may have begun
        self._unlock(db)
        self._keys.keep(self._id, self._vault)

    def _resealed(self, row: Row[Any], new: Vault) -> Values:
        place = (row.workspace, row.id.decode(), row.field)
        sealed = new.seal(self._vault.open(row.sealed, *place), *place)
        return _credential(row.id, row.field, sealed, row.changed)

    def _unlock(self, db: Connection) -> None:
        """Load the key that the store needs now; raise `StoreError`."""
        stored = db.execute(select(STORE)).one()
        self._id = stored.id
        self._vault = self._keys.vault(self._id, stored.key_id)

    def _use_key(self, key_id: bytes) -> None:
        """Load the current key if another process has rotated the keys."""
        if key_id != self._vault.key_id:
            self._vault = self._keys.vault(self._id, key_id)

    def _load(self, db: Connection, fixtures: Fixtures) -> None:
        tokens = list[Values]()
        for token in fixtures.tokens:
            expires = token.expires and int(token.expires.timestamp() * SECOND)
            row = {"digest": token_digest(token.value), "user": token.user, "expires": expires}
            tokens.append(row)
        configurations = list[Values]()
        credentials = list[Values]()
        for given in fixtures.configurations:
            key = {"id": given.id.encode(), "workspace": given.workspace}
            configurations.append({**key, **_columns(self._plain(given.fields))})
            credentials += self._sealed(given.workspace, given.id, given.fields)
        _execute(db, self._put_token, tokens)
        _execute(db, self._put_member, [vars(member) for member in fixtures.members])
        _execute(db, CONFIGURATION.insert(), configurations)
        self._put_credentials(db, credentials)

    def _stored(self, db: Connection, id: str) -> Sequence[Row[Any]]:
        """Return a row for each credential of the configuration, or one without a field."""
        return db.execute(schema.STORED.where(CONFIGURATION.c.id == id.encode())).all()

    def _plain(self, fields: Mapping[str, str]) -> Values:
        return {name: value for name, value in fields.items() if name not in self._credentials}

    def _sealed(self, workspace: str, id: str, fields: Mapping[str, str]) -> list[Values]:
        """Return a row for each credential among the fields."""
        rows = list[Values]()
        for field in self._credentials & fields.keys():
            sealed = self._vault.seal(fields[field], workspace, id, field)
            rows.append(_credential(id.encode(), field, sealed, _now()))
        return rows

    def _put_credentials(self, db: Connection, rows: list[Values]) -> None:
        _execute(db, self._put_credential, rows)
        places = [{f"of_{name}": value for name, value in row.items()} for row in rows]
        _execute(db, self._erase_other_sizes, places)

    def _upsert(self, table: Table) -> Any:
        """Return an insert that overwrites the row with the same primary key."""
        insert = self.insert(table)
        changed = {c.name: insert.excluded[c.name] for c in table.columns if not c.primary_key}
        return insert.on_conflict_do_update(index_elements=table.primary_key, set_=changed)


def _user_of(db: Connection, token: str) -> str | None:
    parameters = {"digest": token_digest(token), "now": _now()}
    return db.execute(schema.USER, parameters).scalar_one_or_none()


def _end_token(db: Connection, statement: Any, token: str) -> None:
    if not db.execute(statement.where(TOKEN.c.digest == token_digest(token))).rowcount:
        raise UnauthorizedError


def _columns(plain: Values) -> Values:
    return {"name": plain.get("name"), "plain": plain}


def _credential(id: bytes, field: str, sealed: bytes, changed: int) -> Values:
    place = {"configuration": id, "field": field, "size": len(sealed)}
    return {**place, "held": True, "changed": changed, "sealed": sealed}


def _execute(db: Connection, statement: Any, rows: list[Values]) -> None:
    """Execute a statement once per row."""
    if rows:  # without rows, SQLAlchemy would execute it once without parameters
        db.execute(statement, rows)


def _now() -> int:
    return int(datetime.now(UTC).timestamp() * SECOND)

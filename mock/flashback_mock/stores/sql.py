"""A durable store in a SQL database, in functions that take a synchronous connection."""

import secrets
from abc import abstractmethod
from collections.abc import (
    AsyncIterator,
    Callable,
    Collection,
    Coroutine,
    Mapping,
)
from datetime import UTC, datetime
from functools import wraps
from typing import Any, ClassVar, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, Insert, Select, Table, func, inspect, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, IntegrityError

from flashback_mock.fixtures import Fixtures

from . import schema
from .keys import KeySource
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
Row = dict[str, Any]
SECOND = 1_000_000  # microseconds
OF_PLACE = ("of_configuration", "of_field", "of_size")
BATCH = 100  # credentials that a rotation re-encrypts in one transaction


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

    def __init__(
        self,
        name: str,
        credentials: Collection[str],
        keys: KeySource,
        insert: Callable[[Table], sqlite.Insert | postgresql.Insert],
    ) -> None:
        """Create a store; errors call it `name`."""
        self._name = name
        self._credentials = frozenset(credentials)
        self._keys = keys
        self._vault: Vault
        self._id = ""
        self._is_sqlite = insert is sqlite.insert
        self._put_token = _upsert(insert(TOKEN), TOKEN)
        self._put_member = _upsert(insert(MEMBER), MEMBER)
        self._put_credential = _upsert(insert(CREDENTIAL), CREDENTIAL)

    @abstractmethod
    async def run(self, work: Callable[[Connection], R]) -> R:
        """Do the work in one transaction."""

    @abstractmethod
    def check(self, db: Connection) -> None:
        """Raise `StoreError` if the database cannot be used."""

    @abstractmethod
    def reason(self, error: BaseException) -> str:
        """Return what went wrong and what to do, in other words: the error may quote a value."""

    def error(self, reason: str) -> StoreError:
        """Return an error that names the store."""
        return StoreError(f"{self._name}: {reason}")

    @property
    def location(self) -> str:
        return f"{self._name}, master keys in {self._keys.location(self._id)}"

    async def open(self, fixtures: Fixtures | None) -> bool:
        try:
            return await self._open(fixtures)
        except BaseException:
            await self.close()
            raise

    @transaction
    def _open(self, db: Connection, fixtures: Fixtures | None) -> bool:
        self._exclude_others(db)
        self.check(db)
        if inspect(db).has_table(STORE.name):
            self._unlock(db)
            return False
        if fixtures is None:
            raise self.error("contains no store yet; start the mock on it first")
        schema.METADATA.create_all(db, checkfirst=False)
        self._id = secrets.token_hex(8)
        self._vault = Vault(self._keys.make(self._id))
        row = {"id": self._id, "version": schema.VERSION, "key_id": self._vault.sealing_key}
        db.execute(STORE.insert(), row)
        self._load(db, fixtures)
        return True

    @transaction
    def user_of(self, db: Connection, token: str) -> str | None:
        return _user_of(db, token)

    @transaction
    def update(self, db: Connection, token: str, id: str, changes: Mapping[str, str]) -> str:
        find = schema.FIND_FOR_UPDATE if changes else schema.FIND
        parameters = {"id": id.encode(), "digest": token_digest(token), "now": _now()}
        found = db.execute(find, parameters).one_or_none()
        holder = found.user if found else _user_of(db, token)
        user, stored = authorize(holder, found, found.access if found else None)
        if stored.key_id != self._vault.sealing_key:  # rotated by another process
            self._unlock(db)
        plain = self._plain(changes)
        name = plain.pop("name", stored.name)
        properties = stored.properties | plain
        if (name, properties) != (stored.name, stored.properties):
            change = {"of_id": id.encode(), "name": name, "properties": properties}
            try:
                db.execute(schema.CHANGE, change)
            except IntegrityError:
                raise NameTakenError(user) from None
        self._put_credentials(db, self._sealed(stored.workspace, id, changes))
        return user

    @transaction
    def configuration(self, db: Connection, id: str) -> dict[str, Any]:
        rows = db.execute(schema.SHOWN.where(CONFIGURATION.c.id == id.encode())).all()
        if not rows:
            raise NotFoundError
        shown: Row = {"workspace": rows[0].workspace, "name": rows[0].name, **rows[0].properties}
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
        query = schema.SEALED.where(CONFIGURATION.c.id == id.encode(), CREDENTIAL.c.field == field)
        found = db.execute(query).one_or_none()
        if found is None:
            return False
        if not self._vault.has_key_of(found.sealed):
            self._unlock(db)
        return self._vault.open(found.sealed, found.workspace, id, field) == credential

    @transaction
    def expire_token(self, db: Connection, token: str) -> None:
        known = TOKEN.c.digest == token_digest(token)
        if not db.execute(TOKEN.update().where(known).values(expires=_now())).rowcount:
            raise UnauthorizedError

    @transaction
    def revoke_token(self, db: Connection, token: str) -> None:
        known = TOKEN.c.digest == token_digest(token)
        if not db.execute(TOKEN.delete().where(known)).rowcount:
            raise UnauthorizedError

    @transaction
    def delete_configuration(self, db: Connection, id: str) -> None:
        if not db.execute(CONFIGURATION.delete().where(CONFIGURATION.c.id == id.encode())).rowcount:
            raise NotFoundError
        erase = schema.EMPTY if self._is_sqlite else CREDENTIAL.delete()
        db.execute(erase.where(CREDENTIAL.c.configuration == id.encode()))

    @transaction
    def add(self, db: Connection, more: Fixtures) -> None:
        self._exclude_others(db)
        self._unlock(db)
        self._load(db, more)

    @transaction
    def reset(self, db: Connection, fixtures: Fixtures) -> None:
        self._exclude_others(db)
        self._unlock(db)
        for table in (TOKEN, CONFIGURATION, MEMBER, CREDENTIAL):  # as an update locks them
            db.execute(table.delete())
        self._load(db, fixtures)

    async def rotate(self) -> AsyncIterator[tuple[int, int]]:
        total = await self._begin_rotation()
        done = 0
        places: list[Any] = [(b"", "", 0)]
        while places := await self._reseal(places[-1]):
            done += len(places)
            yield done, total
        await self._end_rotation()

    @transaction
    def _begin_rotation(self, db: Connection) -> int:
        """Make all further updates seal with a new key; count the values sealed with an old one."""
        self._exclude_others(db)
        if not self._is_sqlite:  # wait for updates, which lock this table before they read the key
            db.exec_driver_sql(f"LOCK TABLE {CONFIGURATION.name} IN EXCLUSIVE MODE")
        self._vault = Vault(self._keys.begin_rotation(self._id))
        db.execute(STORE.update(), {"key_id": self._vault.sealing_key})
        return self._old_count(db)

    @transaction
    def _reseal(self, db: Connection, after: Any) -> list[Any]:
        """Re-encrypt the next old credentials after a place, and return their places."""
        self._check_rotation(db)
        old = self._old().where(tuple_(*schema.PLACE) > after)
        batch = old.order_by(*schema.PLACE).limit(BATCH).with_for_update(of=CONFIGURATION)
        places = list[Any]()
        changes = list[Row]()
        for row in db.execute(batch).all():
            bound = (row.workspace, row.configuration.decode(), row.field)
            sealed = self._vault.seal(self._vault.open(row.sealed, *bound), *bound)
            place = (row.configuration, row.field, row.size)
            places.append(place)
            changes.append({**dict(zip(OF_PLACE, place, strict=True)), "sealed": sealed})
        _execute(db, schema.RESEAL, changes)
        return places

    @transaction
    def _end_rotation(self, db: Connection) -> None:
        self._check_rotation(db)
        if self._old_count(db):
            raise self.error("some credentials are not re-encrypted; run rotate-keys again")
        self._keys.end_rotation(self._id)

    def _check_rotation(self, db: Connection) -> None:
        """Raise `StoreError` if another process rotates to another key now."""
        self._exclude_others(db)
        if db.scalar(select(STORE.c.key_id)) != self._vault.sealing_key:
            raise self.error("another process rotates its keys; wait for it")

    def _old(self) -> Select[Any]:
        return schema.SEALED.where(schema.KEY_ID.is_distinct_from(self._vault.sealing_key))

    def _old_count(self, db: Connection) -> int:
        return db.execute(select(func.count()).select_from(self._old().subquery())).scalar_one()

    def _exclude_others(self, db: Connection) -> None:
        """Until the transaction ends, no other process changes more than a configuration."""
        if not self._is_sqlite:  # which only one process has open
            db.execute(schema.LOCK)

    def _unlock(self, db: Connection) -> None:
        """Load the keys that the store needs now; raise `StoreError`."""
        stored = db.execute(select(STORE)).one()
        if stored.version != schema.VERSION:
            raise self.error(
                f"was written by another version of the mock (schema {stored.version}, expected "
                f"{schema.VERSION}); install that version"
            )
        self._id = stored.id
        self._vault = Vault.of_store(self._keys, self._id, stored.key_id)

    def _load(self, db: Connection, fixtures: Fixtures) -> None:
        tokens = list[Row]()
        for token in fixtures.tokens:
            expires = token.expires and int(token.expires.timestamp() * SECOND)
            row = {"digest": token_digest(token.value), "user": token.user, "expires": expires}
            tokens.append(row)
        configurations = list[Row]()
        credentials = list[Row]()
        for given in fixtures.configurations:
            plain = self._plain(given.fields)
            key = {"id": given.id.encode(), "workspace": given.workspace}
            configurations.append({**key, "name": plain.pop("name", None), "properties": plain})
            credentials += self._sealed(given.workspace, given.id, given.fields)
        _execute(db, self._put_token, tokens)
        _execute(db, self._put_member, [vars(member) for member in fixtures.members])
        _execute(db, CONFIGURATION.insert(), configurations)
        self._put_credentials(db, credentials)

    def _plain(self, fields: Mapping[str, str]) -> Row:
        return {name: value for name, value in fields.items() if name not in self._credentials}

    def _sealed(self, workspace: str, id: str, fields: Mapping[str, str]) -> list[Row]:
        """Return a row for each credential among the fields."""
        rows = list[Row]()
        for field in self._credentials & fields.keys():
            sealed = self._vault.seal(fields[field], workspace, id, field)
            size = len(sealed) if self._is_sqlite else 0
            place = {"configuration": id.encode(), "field": field, "size": size}
            rows.append({**place, "held": True, "changed": _now(), "sealed": sealed})
        return rows

    def _put_credentials(self, db: Connection, rows: list[Row]) -> None:
        _execute(db, self._put_credential, rows)
        if self._is_sqlite:
            places = [{f"of_{name}": value for name, value in row.items()} for row in rows]
            _execute(db, schema.EMPTY_OTHER_SIZES, places)


def _user_of(db: Connection, token: str) -> str | None:
    parameters = {"digest": token_digest(token), "now": _now()}
    return db.execute(schema.USER, parameters).scalar_one_or_none()


def _execute(db: Connection, statement: Any, rows: list[Row]) -> None:
    """Execute a statement once per row."""
    if rows:  # without rows, SQLAlchemy would execute it once without parameters
        db.execute(statement, rows)


def _upsert(insert: sqlite.Insert | postgresql.Insert, table: Table) -> Insert:
    """Return an insert that overwrites the row with the same primary key."""
    changed = {c.name: insert.excluded[c.name] for c in table.columns if not c.primary_key}
    return insert.on_conflict_do_update(index_elements=table.primary_key, set_=changed)


def _now() -> int:
    return int(datetime.now(UTC).timestamp() * SECOND)

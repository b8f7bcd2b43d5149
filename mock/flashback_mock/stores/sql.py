"""A durable store in a SQL database; its methods take a synchronous connection."""

import secrets
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Collection, Generator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, Insert, Table, inspect, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, IntegrityError

from flashback_mock.fixtures import Fixtures

from . import schema
from .keys import KeySource
from .schema import CONFIGURATION, CREDENTIAL, MEMBER, STORE, TOKEN
from .store import (
    NameTakenError,
    NotFoundError,
    StoreError,
    UnauthorizedError,
    authorize,
    token_digest,
)
from .vault import Vault, sealing_key_id

P = ParamSpec("P")
R = TypeVar("R")
SECOND = 1_000_000  # microseconds
Row = dict[str, Any]


class SqlStore(ABC):
    """A `Store` in a SQL database; subclasses connect to it."""

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
        self._proof = b""
        self._is_sqlite = insert is sqlite.insert
        self._put_token = _upsert(insert(TOKEN), TOKEN)
        self._put_member = _upsert(insert(MEMBER), MEMBER)
        self._put_credential = _upsert(insert(CREDENTIAL), CREDENTIAL)

    @abstractmethod
    async def run(self, work: Callable[[Connection], R], *, alone: bool) -> R:
        """Do the work in a transaction; `alone`, it may take long, and no other process does so."""

    @abstractmethod
    def _reason(self, error: BaseException) -> str:
        """Return what went wrong and what to do, but not the error's own words.

        They may quote a value.
        """

    async def _do(
        self, work: Callable[Concatenate[Connection, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        with self.errors():
            return await self.run(lambda db: work(db, *args, **kwargs), alone=False)

    async def _do_alone(
        self, work: Callable[Concatenate[Connection, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        with self.errors():
            return await self.run(lambda db: work(db, *args, **kwargs), alone=True)

    @contextmanager
    def errors(self) -> Generator[None]:
        """Translate the database's errors."""
        try:
            yield
        except IntegrityError:
            raise NameTakenError from None
        except DBAPIError as error:
            raise self.error(self._reason(error.orig or error)) from None

    def error(self, reason: str) -> StoreError:
        """Return an error that names the store."""
        return StoreError(f"{self._name}: {reason}")

    @property
    def location(self) -> str:
        """See `Store`."""
        return f"{self._name}, master keys in {self._keys.location(self._id)}"

    async def open(self, fixtures: Fixtures | None) -> bool:
        """See `Store`."""
        return await self._do_alone(self._open, fixtures)

    async def user_of(self, token: str) -> str | None:
        """See `Store`."""
        return await self._do(_user_of, token)

    async def update(self, token: str, id: str, changes: Mapping[str, str]) -> str:
        """See `Store`."""
        return await self._do(self._update, token, id, changes)

    async def configuration(self, id: str) -> dict[str, Any]:
        """See `Store`."""
        return await self._do(self._configuration, id)

    async def configurations(self) -> dict[str, str]:
        """See `Store`."""
        return await self._do(self._configurations)

    async def reveals(self, id: str, field: str, credential: str) -> bool:
        """See `Store`."""
        return await self._do(self._reveals, id, field, credential)

    async def expire_token(self, token: str) -> None:
        """See `Store`."""
        await self._do(self._expire_token, token)

    async def revoke_token(self, token: str) -> None:
        """See `Store`."""
        await self._do(self._revoke_token, token)

    async def delete_configuration(self, id: str) -> None:
        """See `Store`."""
        await self._do(self._delete_configuration, id)

    async def add(self, more: Fixtures) -> None:
        """See `Store`."""
        await self._do_alone(self._add, more)

    async def reset(self, fixtures: Fixtures) -> None:
        """See `Store`."""
        await self._do_alone(self._reset, fixtures)

    async def rotate(self) -> AsyncIterator[tuple[int, int]]:
        """See `Store`."""
        total = await self._do_alone(self._begin_rotation)
        done = 0
        place: Row = {"configuration": b"", "field": "", "size": 0}
        while places := await self._do_alone(self._reseal, place):
            done += len(places)
            place = places[-1]
            yield done, total
        await self._do_alone(self._end_rotation)

    def _open(self, db: Connection, fixtures: Fixtures | None) -> bool:
        self._check(db)
        is_new = not inspect(db).has_table(STORE.name)
        if not is_new:
            self._unlock(db)
        elif fixtures is None:
            raise self.error("contains no store yet; start the mock on it first")
        else:
            schema.METADATA.create_all(db, checkfirst=False)
            self._id = secrets.token_hex(8)
            self._vault = Vault.of_store(self._keys, self._id, None)
            self._proof = self._vault.proof(self._id)
            row = {"id": self._id, "version": schema.VERSION, "proof": self._proof}
            db.execute(STORE.insert(), row)
            self._load(db, fixtures)
        return is_new

    @abstractmethod
    def _check(self, db: Connection) -> None:
        """Raise `StoreError` if the database cannot be used."""

    def _update(self, db: Connection, token: str, id: str, changes: Mapping[str, str]) -> str:
        find = schema.FIND_FOR_UPDATE if changes else schema.FIND
        parameters = {"id": id.encode(), "digest": token_digest(token), "now": _now()}
        found = db.execute(find, parameters).one_or_none()
        holder = found.user if found else _user_of(db, token)
        user, stored = authorize(holder, found, found.access if found else None)
        if stored.proof != self._proof:  # another process has rotated the keys
            self._unlock(db)
        plain = self._plain(changes)
        name = plain.pop("name", stored.name)
        properties = stored.properties | plain
        if (name, properties) != (stored.name, stored.properties):
            try:
                db.execute(
                    schema.CHANGE, {"of_id": id.encode(), "name": name, "properties": properties}
                )
            except IntegrityError:
                raise NameTakenError(user) from None
        self._put_credentials(db, self._sealed(stored.workspace, id, changes))
        return user

    def _configuration(self, db: Connection, id: str) -> dict[str, Any]:
        rows = db.execute(schema.SHOWN, {"id": id.encode()}).all()
        if not rows:
            raise NotFoundError
        shown: Row = {"workspace": rows[0].workspace, "name": rows[0].name, **rows[0].properties}
        for row in rows:
            if row.field is not None:
                changed = datetime.fromtimestamp(row.changed / SECOND, UTC)
                shown[row.field] = {"set": True, "changedAt": changed.isoformat()}
        return shown

    def _configurations(self, db: Connection) -> dict[str, str]:
        return {row.id.decode(): row.workspace for row in db.execute(schema.LISTED)}

    def _reveals(self, db: Connection, id: str, field: str, credential: str) -> bool:
        found = db.execute(schema.SEALED, {"id": id.encode(), "field": field}).one_or_none()
        if found is None:
            return False
        if sealing_key_id(found.sealed) not in self._vault.key_ids:
            self._unlock(db)
        return self._vault.open(found.sealed, found.workspace, id, field) == credential

    def _expire_token(self, db: Connection, token: str) -> None:
        expired = {"of_digest": token_digest(token), "expires": _now()}
        if not db.execute(schema.EXPIRE, expired).rowcount:
            raise UnauthorizedError

    def _revoke_token(self, db: Connection, token: str) -> None:
        if not db.execute(schema.REVOKE, {"of_digest": token_digest(token)}).rowcount:
            raise UnauthorizedError

    def _delete_configuration(self, db: Connection, id: str) -> None:
        if not db.execute(schema.DELETE, {"of_id": id.encode()}).rowcount:
            raise NotFoundError
        erase = schema.EMPTY if self._is_sqlite else schema.ERASE
        db.execute(erase, {"of_configuration": id.encode()})

    def _add(self, db: Connection, more: Fixtures) -> None:
        self._unlock(db)
        self._load(db, more)

    def _reset(self, db: Connection, fixtures: Fixtures) -> None:
        self._unlock(db)
        for table in (TOKEN, CONFIGURATION, MEMBER, CREDENTIAL):  # as an update locks them
            db.execute(table.delete())
        self._load(db, fixtures)

    def _begin_rotation(self, db: Connection) -> int:
        """Let every update from now on seal with a new key; count what an old one sealed."""
        if not self._is_sqlite:  # wait for updates, which lock this table before they read the key
            db.exec_driver_sql(f"LOCK TABLE {CONFIGURATION.name} IN EXCLUSIVE MODE")
        self._vault = Vault(self._keys.begin_rotation(self._id))
        self._proof = self._vault.proof(self._id)
        db.execute(STORE.update(), {"proof": self._proof})
        return self._old_count(db)

    def _reseal(self, db: Connection, after: Row) -> list[Row]:
        """Re-encrypt the next old credentials after a place, and return their places."""
        self._check_rotation(db)
        old = {"key_id": self._vault.key_ids[0], **after}
        places = list[Row]()
        changes = list[Row]()
        for row in db.execute(schema.NEXT_OLD, old):
            bound = (row.workspace, row.configuration.decode(), row.field)
            sealed = self._vault.seal(self._vault.open(row.sealed, *bound), *bound)
            place = {"configuration": row.configuration, "field": row.field, "size": row.size}
            places.append(place)
            changes.append({**_of(place), "sealed": sealed})
        _execute(db, schema.RESEAL, changes)
        return places

    def _end_rotation(self, db: Connection) -> None:
        self._check_rotation(db)
        if self._old_count(db):
            raise self.error("not all is re-encrypted; run rotate-keys again")
        self._keys.end_rotation(self._id)

    def _check_rotation(self, db: Connection) -> None:
        """Raise `StoreError` if another process rotates the keys now."""
        if db.scalar(select(STORE.c.proof)) != self._proof:
            raise self.error("another process rotates its keys; wait for it")

    def _old_count(self, db: Connection) -> int:
        return db.execute(schema.OLD_COUNT, {"key_id": self._vault.key_ids[0]}).scalar_one()

    def _unlock(self, db: Connection) -> None:
        """Load the keys that the store needs now; raise `StoreError`."""
        id, version, proof = db.execute(select(STORE)).one()
        if version != schema.VERSION:
            raise self.error(
                f"was written by another version of the mock (schema {version}, expected "
                f"{schema.VERSION}); install that version"
            )
        self._vault = Vault.of_store(self._keys, id, proof)
        self._id = id
        self._proof = proof

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
            _execute(db, schema.EMPTY_OTHERS, [_of(row) for row in rows])


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


def _of(place: Row) -> Row:
    """Return the parameters that select the row of a credential."""
    return {f"of_{name}": place[name] for name in ("configuration", "field", "size")}


def _now() -> int:
    return int(datetime.now(UTC).timestamp() * SECOND)

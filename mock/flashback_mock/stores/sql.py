"""A durable store in a SQL database; its functions take a synchronous connection."""

import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, Insert, Table, bindparam, inspect, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError

from flashback_mock.fixtures import Configuration, Fixtures

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
    """A `Store` in a SQL database; subclasses connect to it and translate its errors."""

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
        self._put_token = _upsert(insert, TOKEN)
        self._put_member = _upsert(insert, MEMBER)
        self._put_credential = _upsert(insert, CREDENTIAL)

    @abstractmethod
    async def _run(
        self, function: Callable[Concatenate[Connection, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Call the function in a transaction, in the time that a request has."""

    @abstractmethod
    async def _run_alone(
        self, function: Callable[Concatenate[Connection, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Call the function in a transaction of any length, while no other process does so."""

    @abstractmethod
    def _rotating(self) -> AbstractAsyncContextManager[None]:
        """Keep other processes from rotating; raise `StoreError` if one does."""

    @abstractmethod
    def _lock_updates(self, connection: Connection) -> None:
        """Wait for all updates under way, and let no other begin in this transaction."""

    def _size(self, sealed: bytes) -> int:
        """Return which row of a field a sealed credential belongs into."""
        del sealed
        return 0

    def _put_credentials(self, connection: Connection, rows: list[Row]) -> None:
        """Store sealed credentials."""
        execute_each(connection, self._put_credential, rows)

    def _erase_credentials(self, connection: Connection, id: str) -> None:
        """Erase the credentials of a configuration."""
        erase = CREDENTIAL.delete().where(CREDENTIAL.c.configuration == bindparam("of"))
        connection.execute(erase, {"of": id.encode()})

    @property
    def location(self) -> str:
        """See `Store`."""
        return f"{self._name}, master keys in {self._keys.location(self._id)}"

    async def open(self, fixtures: Fixtures | None) -> bool:
        """See `Store`."""
        return await self._run_alone(self._open, fixtures)

    async def user_of(self, token: str) -> str | None:
        """See `Store`."""
        return await self._run(_user_of, token)

    async def update(self, token: str, id: str, changes: Mapping[str, str]) -> str:
        """See `Store`."""
        return await self._run(self._update, token, id, changes)

    async def configuration(self, id: str) -> dict[str, Any]:
        """See `Store`."""
        return await self._run(_configuration, id)

    async def configurations(self) -> dict[str, str]:
        """See `Store`."""
        return await self._run(_configurations)

    async def reveals(self, id: str, field: str, credential: str) -> bool:
        """See `Store`."""
        return await self._run(self._reveals, id, field, credential)

    async def add(self, more: Fixtures) -> None:
        """See `Store`."""
        await self._run_alone(self._add, more)

    async def expire_token(self, token: str) -> None:
        """See `Store`."""
        await self._run(_expire_token, token)

    async def revoke_token(self, token: str) -> None:
        """See `Store`."""
        await self._run(_revoke_token, token)

    async def delete_configuration(self, id: str) -> None:
        """See `Store`."""
        await self._run(self._delete_configuration, id)

    async def reset(self, fixtures: Fixtures) -> None:
        """See `Store`."""
        await self._run_alone(self._reset, fixtures)

    async def rotate(self) -> AsyncIterator[tuple[int, int]]:
        """See `Store`."""
        async with self._rotating():
            keys = self._keys.begin_rotation(self._id)
            await self._run_alone(self._switch, Vault(keys))
            total = await self._run_alone(self._old_count)
            done = 0
            place: Row = {"configuration": b"", "field": "", "size": 0}
            while resealed := await self._run_alone(self._reseal, place):
                done += len(resealed)
                place = resealed[-1]
                yield done, total
            if await self._run_alone(self._old_count):
                raise StoreError(f"{self._name}: not all is re-encrypted; run rotate-keys again")
            self._keys.end_rotation(self._id, keys)

    def _open(self, connection: Connection, fixtures: Fixtures | None) -> bool:
        is_new = not inspect(connection).has_table(STORE.name)
        if not is_new:
            self._unlock(connection)
        elif fixtures is None:
            raise StoreError(f"{self._name}: contains no store yet; start the mock on it first")
        else:
            self._create(connection, fixtures)
        return is_new

    def _create(self, connection: Connection, fixtures: Fixtures) -> None:
        schema.METADATA.create_all(connection, checkfirst=False)
        self._id = secrets.token_hex(8)
        self._vault = Vault.of_store(self._keys, self._id, None)
        self._proof = self._vault.proof(self._id)
        row = {"id": self._id, "version": schema.VERSION, "proof": self._proof}
        connection.execute(STORE.insert(), row)
        self._load(connection, fixtures)

    def _unlock(self, connection: Connection) -> None:
        """Load the keys that the store needs now; raise `StoreError`."""
        store = connection.execute(select(STORE)).one()
        if store.version != schema.VERSION:
            raise StoreError(
                f"{self._name}: was written by another version of the mock (schema "
                f"{store.version}, expected {schema.VERSION}); install that version"
            )
        self._vault = Vault.of_store(self._keys, store.id, store.proof)
        self._id = store.id
        self._proof = store.proof

    def _update(
        self, connection: Connection, token: str, id: str, changes: Mapping[str, str]
    ) -> str:
        find = schema.FIND_FOR_UPDATE if changes else schema.FIND
        parameters = {"id": id.encode(), "digest": token_digest(token), "now": _now()}
        found = connection.execute(find, parameters).one_or_none()
        holder = found.user if found else _user_of(connection, token)
        user, stored = authorize(holder, found, found.access if found else None)
        if stored.proof != self._proof:  # another process has rotated the keys
            self._unlock(connection)
        plain = self._plain(changes)
        name = plain.pop("name", stored.name)
        properties = stored.properties | plain
        if (name, properties) != (stored.name, stored.properties):
            change = {"key": id.encode(), "name": name, "properties": properties}
            try:
                connection.execute(schema.CHANGE, change)
            except IntegrityError:
                raise NameTakenError(user) from None
        self._put_credentials(connection, self._sealed(stored.workspace, id, changes))
        return user

    def _plain(self, fields: Mapping[str, str]) -> Row:
        return {name: value for name, value in fields.items() if name not in self._credentials}

    def _sealed(self, workspace: str, id: str, fields: Mapping[str, str]) -> list[Row]:
        """Return a row for each credential among the fields."""
        rows = list[Row]()
        for field in self._credentials & fields.keys():
            sealed = self._vault.seal(fields[field], workspace, id, field)
            key = {"configuration": id.encode(), "field": field, "size": self._size(sealed)}
            rows.append({**key, "held": True, "changed": _now(), "sealed": sealed})
        return rows

    def _reveals(self, connection: Connection, id: str, field: str, credential: str) -> bool:
        parameters = {"id": id.encode(), "field": field}
        found = connection.execute(schema.SEALED, parameters).one_or_none()
        if found is None:
            return False
        if sealing_key_id(found.sealed) not in self._vault.key_ids:
            self._unlock(connection)
        return self._vault.open(found.sealed, found.workspace, id, field) == credential

    def _delete_configuration(self, connection: Connection, id: str) -> None:
        if not connection.execute(schema.DELETE, {"key": id.encode()}).rowcount:
            raise NotFoundError
        self._erase_credentials(connection, id)

    def _add(self, connection: Connection, more: Fixtures) -> None:
        self._unlock(connection)
        self._load(connection, more)

    def _reset(self, connection: Connection, fixtures: Fixtures) -> None:
        self._unlock(connection)
        for table in (TOKEN, CONFIGURATION, MEMBER, CREDENTIAL):  # an update locks in this order
            connection.execute(table.delete())
        self._load(connection, fixtures)

    def _load(self, connection: Connection, fixtures: Fixtures) -> None:
        tokens = [
            {"digest": token_digest(t.value), "user": t.user, "expires": _microseconds(t.expires)}
            for t in fixtures.tokens
        ]
        members = [
            {"workspace": m.workspace, "user": m.user, "access": m.access} for m in fixtures.members
        ]
        credentials = [
            row
            for c in fixtures.configurations
            for row in self._sealed(c.workspace, c.id, c.fields)
        ]
        execute_each(connection, self._put_token, tokens)
        execute_each(connection, self._put_member, members)
        rows = [self._row(configuration) for configuration in fixtures.configurations]
        execute_each(connection, CONFIGURATION.insert(), rows)
        self._put_credentials(connection, credentials)

    def _row(self, given: Configuration) -> Row:
        plain = self._plain(given.fields)
        name = plain.pop("name", None)
        key = {"id": given.id.encode(), "workspace": given.workspace}
        return {**key, "name": name, "properties": plain}

    def _switch(self, connection: Connection, vault: Vault) -> None:
        """Let every update from now on seal with the new key."""
        self._lock_updates(connection)
        self._vault = vault
        self._proof = vault.proof(self._id)
        connection.execute(STORE.update(), {"proof": self._proof})

    def _old_count(self, connection: Connection) -> int:
        old = {"key_id": self._vault.key_ids[0]}
        return connection.execute(schema.OLD_COUNT, old).scalar_one()

    def _reseal(self, connection: Connection, after: Row) -> list[Row]:
        """Re-encrypt the next old credentials after this place, and return their places."""
        old = {"key_id": self._vault.key_ids[0], **after}
        places = list[Row]()
        changes = list[Row]()
        for row in connection.execute(schema.NEXT_OLD, old):
            place = (row.workspace, row.configuration.decode(), row.field)
            sealed = self._vault.seal(self._vault.open(row.sealed, *place), *place)
            key = {"configuration": row.configuration, "field": row.field, "size": row.size}
            places.append(key)
            changes.append({**key_of(key), "sealed": sealed})
        execute_each(connection, schema.RESEAL, changes)
        return places


def _user_of(connection: Connection, token: str) -> str | None:
    parameters = {"digest": token_digest(token), "now": _now()}
    return connection.execute(schema.USER, parameters).scalar_one_or_none()


def _configuration(connection: Connection, id: str) -> dict[str, Any]:
    rows = connection.execute(schema.SHOWN, {"id": id.encode()}).all()
    if not rows:
        raise NotFoundError
    first = rows[0]
    shown: Row = {"workspace": first.workspace, "name": first.name, **first.properties}
    for row in rows:
        if row.field is not None:
            changed = datetime.fromtimestamp(row.changed / SECOND, UTC)
            shown[row.field] = {"set": True, "changedAt": changed.isoformat()}
    return shown


def _configurations(connection: Connection) -> dict[str, str]:
    return {row.id.decode(): row.workspace for row in connection.execute(schema.LISTED)}


def _expire_token(connection: Connection, token: str) -> None:
    expired = {"key": token_digest(token), "expires": _now()}
    if not connection.execute(schema.EXPIRE, expired).rowcount:
        raise UnauthorizedError


def _revoke_token(connection: Connection, token: str) -> None:
    if not connection.execute(schema.REVOKE, {"key": token_digest(token)}).rowcount:
        raise UnauthorizedError


def execute_each(connection: Connection, statement: Any, rows: list[Row]) -> None:
    """Execute a statement once per row."""
    if rows:  # without rows it would be executed once, without parameters
        connection.execute(statement, rows)


def _upsert(insert: Callable[[Table], sqlite.Insert | postgresql.Insert], table: Table) -> Insert:
    """Return an insert that overwrites the row with the same primary key."""
    statement = insert(table)
    changed = {c.name: statement.excluded[c.name] for c in table.columns if not c.primary_key}
    return statement.on_conflict_do_update(index_elements=table.primary_key, set_=changed)


def key_of(row: Row) -> Row:
    """Return the parameters that select a credential's row."""
    return {"of": row["configuration"], "named": row["field"], "sized": row["size"]}


def _now() -> int:
    return int(time.time() * SECOND)


def _microseconds(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp() * SECOND)

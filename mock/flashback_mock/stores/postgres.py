"""A store in PostgreSQL, which several processes may have open at a time."""

import json
import secrets
from collections.abc import AsyncIterator, Collection, Mapping
from typing import Any

from flashback_mock.fixtures import Configuration, Fixtures

from . import postgres_sql as sql
from .keys import KeySource
from .store import MAY_UPDATE, NameTakenError, NotFoundError, StoreError, authorize, token_digest
from .vault import Vault, sealed_by

try:
    from .postgres_server import Connection, Record, Rows, Server
except ModuleNotFoundError:
    raise StoreError("needs asyncpg: pip install 'flashback-client[postgres]'") from None

NOBODY: dict[str, Any] = dict.fromkeys(("holder", "number", "access"))
ATTEMPTS = 5  # at an update whose workspace or key turned out to be another
MOST_WORKSPACES = 100_000  # that are remembered


class Postgres:
    """A `Store` in the connection's schema, for processes that have the same master keys."""

    def __init__(self, url: str, credentials: Collection[str], keys: KeySource) -> None:
        """A store at the URL; `credentials` are the secret fields. Raises `ValueError`."""
        self._server, self._keys = Server(url), keys
        self._credentials = frozenset(credentials)
        self._vault: Vault
        self._id, self._proof = "", b""
        self._workspaces = dict[str, str]()  # of configurations that were updated

    @property
    def location(self) -> str:
        """See `Store`."""
        return f"{self._server.shown}, its master keys in {self._keys.where(self._id)}"

    async def open(self, fixtures: Fixtures | None) -> bool:
        """See `Store`: a schema with tables of others is refused, and left as it is."""
        async with self._server.alone() as db:
            new = await self._prepare(db, fixtures)
        await self._server.open()
        return new

    async def close(self) -> None:
        """See `Store`."""
        await self._server.close()

    async def user_of(self, token: str) -> str | None:
        """See `Store`."""
        rows = await self._server.rows(sql.USER, token_digest(token))
        return str(rows[0]["holder"]) if rows else None

    async def update(self, token: str, configuration: str, changes: Mapping[str, str]) -> str:
        """See `Store`."""
        for _ in range(ATTEMPTS):
            # {} changes nothing, and neither does who does not know the workspace yet.
            workspace = self._workspaces.get(configuration) if changes else None
            rows = await self._ask(token, configuration, workspace, changes)
            found = rows[0] if rows else NOBODY
            user, _ = authorize(found["holder"], found["number"], found["access"])
            if found["done"] or not changes:
                return user
            if not found["current"]:
                await self._reload()
            if len(self._workspaces) >= MOST_WORKSPACES:
                self._workspaces.clear()
            self._workspaces[configuration] = found["workspace"]
        raise self._error("the configuration, or the master key, changes too often")

    async def configuration(self, id: str) -> dict[str, Any]:
        """See `Store`."""
        rows = await self._server.rows(sql.SHOWN, id.encode())
        if not rows:
            raise NotFoundError
        workspace, name, properties = rows[0][:3]
        credentials = {
            field: {"set": True, "changedAt": changed.isoformat()}
            for *_, field, changed in rows
            if field
        }
        return {"workspace": workspace, "name": name, **json.loads(properties), **credentials}

    async def configurations(self) -> dict[str, str]:
        """See `Store`."""
        rows = await self._server.rows(
            "SELECT id, workspace FROM configuration ORDER BY number LIMIT 1000"
        )
        return {id.decode(): workspace for id, workspace in rows}

    async def reveals(self, id: str, field: str, credential: str) -> bool:
        """See `Store`."""
        rows = await self._server.rows(
            f"{sql.STORED} WHERE id = $1 AND field = $2", id.encode(), field
        )
        if rows and sealed_by(rows[0]["sealed"]) not in self._vault.key_ids:
            await self._reload()
        return bool(rows) and self._vault.open(*_stored(rows[0])) == credential

    async def add(self, more: Fixtures) -> None:
        """See `Store`."""
        async with self._server.alone() as db:
            self._unlock(await db.fetch(sql.STORE))
            await self._load(db, more)

    async def reset(self, fixtures: Fixtures) -> None:
        """See `Store`."""
        async with self._server.alone() as db:
            self._unlock(await db.fetch(sql.STORE))
            # In the order in which an update locks them.
            await db.execute("DELETE FROM token; DELETE FROM configuration; DELETE FROM member")
            await self._load(db, fixtures)

    async def rotate(self) -> AsyncIterator[tuple[int, int]]:
        """See `Store`: killed at any instant, it goes on where it was when it is called again."""
        async with self._server.connected() as db:
            if not await db.fetchval(sql.ROTATING):  # one that is killed lets go of the lock
                raise self._error("another process rotates its keys; wait for it")
            keys = self._keys.begin_rotation(self._id)
            await self._switch(db, Vault(keys))
            of, done, place = await self._left(db), 0, (0, "")
            while resealed := await self._reseal(db, place):
                done, place = done + len(resealed), resealed[-1]
                yield done, of
            if await self._left(db):
                raise self._error("not all is re-encrypted; run rotate-keys again")
            self._keys.end_rotation(self._id, keys)

    async def _prepare(self, db: Connection, fixtures: Fixtures | None) -> bool:
        version = await self._version(db)
        if version == 0 and fixtures is None:
            raise self._error("holds no store; start the mock on it first")
        for script in sql.MIGRATIONS[version:]:
            await db.execute(script)
        if version:
            self._unlock(await db.fetch(sql.STORE))
        else:
            await self._make(db, fixtures or Fixtures())
        return version == 0

    async def _version(self, db: Connection) -> int:
        """The schema's version, 0 where there is none yet; raises `StoreError`."""
        if await db.fetchval("SHOW server_encoding") != "UTF8":
            raise self._error(
                "its encoding is not UTF8; make it with: createdb --encoding UTF8 -T template0"
            )
        found, ours = (await db.fetch(sql.OURS, sql.TABLES, sql.MARK))[0]
        if not found:
            return 0
        if not ours:
            raise self._error(
                "has tables of another program; give the mock a schema of its own: "
                "CREATE SCHEMA mock, and ?search_path=mock at the end of the URL"
            )
        version = int(await db.fetchval("SELECT version FROM store"))
        if version > len(sql.MIGRATIONS):
            raise self._error(
                f"was written by a newer mock (schema {version}, this one knows "
                f"{len(sql.MIGRATIONS)}); install that one"
            )
        return version

    async def _make(self, db: Connection, fixtures: Fixtures) -> None:
        self._id = secrets.token_hex(8)
        self._vault = Vault.of_store(self._keys, self._id, None)
        self._proof = self._vault.proof(self._id)
        row = (self._id, len(sql.MIGRATIONS), self._proof)
        await db.execute("INSERT INTO store VALUES ($1, $2, $3)", *row)
        await self._load(db, fixtures)

    def _unlock(self, store: Rows) -> None:
        """Have the keys that the store wants; raises `StoreError`."""
        id, proof = store[0]
        self._vault = Vault.of_store(self._keys, id, proof)
        self._id, self._proof = id, proof

    async def _reload(self) -> None:
        """Have the keys that the store wants now; raises `StoreError`."""
        self._unlock(await self._server.rows(sql.STORE))

    async def _ask(
        self, token: str, configuration: str, workspace: str | None, changes: Mapping[str, str]
    ) -> Rows:
        plain = {k: v for k, v in changes.items() if k not in self._credentials}
        asked = (token_digest(token), configuration.encode(), plain.pop("name", None))
        sealed = [] if workspace is None else self._sealed(workspace, configuration, changes)
        told = ([field for field, _ in sealed], [value for _, value in sealed], MAY_UPDATE)
        try:
            return await self._server.rows(
                sql.UPDATE, *asked, json.dumps(plain), workspace, self._proof, *told
            )
        except NameTakenError:
            raise NameTakenError(await self.user_of(token) or "") from None

    def _sealed(
        self, workspace: str, configuration: str, changes: Mapping[str, str]
    ) -> list[tuple[str, bytes]]:
        """The credentials among the changes, in the order in which all lock their rows."""
        return [
            (field, self._vault.seal(changes[field], workspace, configuration, field))
            for field in sorted(self._credentials & changes.keys())
        ]

    async def _load(self, db: Connection, fixtures: Fixtures) -> None:
        tokens = [(token_digest(t.value), t.user, t.expires) for t in fixtures.tokens]
        await db.executemany(sql.ADD_BEARER, tokens)
        members = [(m.workspace, m.user, m.access) for m in fixtures.members]
        await db.executemany(sql.ADD_MEMBER, members)
        await db.executemany(sql.ADD_CONFIGURATION, map(self._row, fixtures.configurations))
        credentials = (
            (c.id.encode(), field, sealed)
            for c in fixtures.configurations
            for field, sealed in self._sealed(c.workspace, c.id, c.fields)
        )
        await db.executemany(sql.ADD_CREDENTIAL, credentials)

    def _row(self, given: Configuration) -> tuple[bytes, str, str | None, str]:
        plain = {k: v for k, v in given.fields.items() if k not in self._credentials}
        return given.id.encode(), given.workspace, plain.pop("name", None), json.dumps(plain)

    async def _switch(self, db: Connection, vault: Vault) -> None:
        """Have every statement from here on seal with the new key, and no other be under way."""
        self._vault, self._proof = vault, vault.proof(self._id)
        async with db.transaction():
            await db.execute(f"{sql.ALONE}; LOCK TABLE credential IN SHARE ROW EXCLUSIVE MODE")
            await db.execute("UPDATE store SET proof = $1", self._proof)

    async def _left(self, db: Connection) -> int:
        return int(await db.fetchval(sql.LEFT, self._vault.key_ids[0]))

    async def _reseal(self, db: Connection, after: tuple[int, str]) -> list[tuple[int, str]]:
        """Re-encrypt some that follow this place; where they are."""
        async with db.transaction():
            rows = await db.fetch(sql.NEXT, self._vault.key_ids[0], *after)
            again = [
                (self._vault.seal(self._vault.open(*stored), *stored[1:]), row["number"], stored[3])
                for row in rows
                for stored in [_stored(row)]
            ]
            await db.executemany(sql.RESEAL, again)
        return [(number, field) for _, number, field in again]

    def _error(self, why: str) -> StoreError:
        return StoreError(f"{self._server.shown}: {why}")


def _stored(row: Record) -> tuple[bytes, str, str, str]:
    """A sealed credential and its place, as a vault opens it."""
    return row["sealed"], row["workspace"], row["id"].decode(), row["field"]

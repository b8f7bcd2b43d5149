"""A PostgreSQL store that several processes can use at the same time."""

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any
from weakref import WeakSet

import asyncpg
from sqlalchemy import Connection, exc
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import create_async_engine

from .schema import CONFIGURATION, CREDENTIAL
from .sql import R, SqlStore

UNUSABLE = (
    "the URL cannot be used; expected postgresql://user@host:port/database, optionally "
    "with asyncpg options or PostgreSQL settings as parameters (sslmode=verify-full also requires "
    "sslrootcert=FILE)"
)
# The time limit for opening a connection and for waiting for a lock.
# The limit for a statement is 2 s longer, and closing an unresponsive connection takes up to 2 s.
# An update therefore takes at most 19 s: 5 s to get a connection, 9 s to detect that it is not
# responding, and 5 s to open another one.
SECONDS = 5
CONNECTIONS = 8  # the maximum number of connections per process
SETTINGS = {
    "application_name": "flashback-mock",
    # After waiting for a lock, a statement must see newly committed changes, such as a new key.
    "default_transaction_isolation": "read committed",
    # An update must be durable before the 200 response is sent.
    # A rotation must be durable before the old key is deleted.
    "synchronous_commit": "on",
}
# Keyed by SQLSTATE; see https://www.postgresql.org/docs/current/errcodes-appendix.html
REASONS = {
    "22021": "a name contains U+0000, which PostgreSQL cannot store; remove this character",
    "22P05": "the database's encoding is not UTF8; run createdb -E UTF8 -T template0",
    "28000": "the server refused this user; check pg_hba.conf and the sslmode parameter in the URL",
    "28P01": "the server rejected the password; check the URL, $PGPASSWORD or ~/.pgpass",
    "3D000": "the database does not exist; create it with createdb",
    "3F000": "the schema does not exist; run CREATE SCHEMA, or change search_path in the URL",
    "42501": "this user cannot use the schema; run GRANT CREATE, USAGE ON SCHEMA … TO …",
    "55P03": "another session held a lock for too long",
}


class PostgresqlStore(SqlStore):
    """A `Store` in a PostgreSQL schema. All processes that use it must share its master keys."""

    insert = staticmethod(insert)
    erase = CREDENTIAL.delete()
    driver_errors = (  # SQLAlchemy does not wrap connection errors from asyncpg or the OS
        exc.DBAPIError,
        exc.TimeoutError,
        asyncpg.PostgresError,
        asyncpg.InterfaceError,
        OSError,
    )

    def __init__(self, url: str, credentials: Collection[str], keys: Path | None) -> None:
        super().__init__("PostgreSQL", credentials, keys)
        self._url = url
        self._connections = WeakSet[asyncpg.Connection]()
        self._engine = create_async_engine(
            "postgresql+asyncpg://",
            async_creator=self._connect,
            hide_parameters=True,
            pool_size=CONNECTIONS,
            max_overflow=0,
            pool_timeout=SECONDS,
            pool_pre_ping=True,  # replaces a connection that the server has closed
        )

    async def _connect(self, *_: Any, **__: Any) -> asyncpg.Connection:
        try:
            connection = await asyncpg.connect(
                self._url,
                timeout=SECONDS,
                command_timeout=SECONDS + 2,
                server_settings={**SETTINGS, "lock_timeout": f"{SECONDS}s"},
            )
        except OSError:  # a certificate error is both an OSError and a ValueError
            raise
        except ValueError:  # the error could quote part of the URL
            raise self.error(UNUSABLE) from None
        self._connections.add(connection)
        return connection

    async def close(self) -> None:
        # Terminate the connections, because closing a connection in the usual way can take seconds
        # if the server does not respond.
        for connection in self._connections:
            connection.terminate()
        await self._engine.dispose()

    async def run(self, work: Callable[[Connection], R]) -> R:
        async with self._engine.begin() as connection:
            return await connection.run_sync(work)

    def prepare(self, db: Connection) -> None:
        # Two processes must not both create a store in an empty schema.
        # The lock's number is arbitrary.
        db.exec_driver_sql("SELECT pg_advisory_xact_lock(4010)")

    def lock(self, db: Connection) -> None:
        # This table lock blocks updates, which must lock a row before they read the key.
        db.exec_driver_sql(f"LOCK TABLE {CONFIGURATION.name} IN EXCLUSIVE MODE")

    def reason(self, error: Any) -> str:
        error = error.__cause__ or error  # SQLAlchemy sets the asyncpg error as the cause
        if state := getattr(error, "sqlstate", None):
            return REASONS.get(state, f"the statement failed ({type(error).__name__}, {state})")
        if isinstance(error, TimeoutError | exc.TimeoutError):
            return "the server did not respond in time"
        if isinstance(error, OSError):
            problem = error.strerror or type(error).__name__
            remedy = "is the server running, and does it support the URL's sslmode?"
            return f"cannot connect to the server: {problem}; {remedy}"
        return f"the connection was lost ({type(error).__name__})"

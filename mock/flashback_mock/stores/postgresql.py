"""A store in PostgreSQL, which several processes may have open at a time."""

import ssl
from collections.abc import Callable, Collection
from typing import Any

import asyncpg
from sqlalchemy import Connection, event, exc, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import create_async_engine

from .keys import KeyFile
from .schema import CONFIGURATION, CREDENTIAL
from .sql import R, SqlStore

MALFORMED = "expected a URL of the form postgresql://user:password@host:port/database"
# The longest wait for a connection, and again for a lock. A statement may take 2 s more, and
# closing the connection of a silent server takes 2 s: an update takes at most 14 s.
SECONDS = 5
CONNECTIONS = 8  # in each process
SETTINGS = {
    "application_name": "flashback-mock",
    # A statement that waited for a lock sees everything committed since, such as a new key.
    "default_transaction_isolation": "read committed",
    # A 200 is durable; and a rotation is durable before the old key is destroyed.
    "synchronous_commit": "on",
}
# By SQLSTATE: https://www.postgresql.org/docs/current/errcodes-appendix.html
REASONS = {
    "22021": "a value contains U+0000, which PostgreSQL cannot store",
    "28000": "refuses this user; see pg_hba.conf, and sslmode in the URL",
    "28P01": "refuses the password; it comes from the URL, $PGPASSWORD or ~/.pgpass",
    "3D000": "has no such database; create it with createdb",
    "3F000": "has no such schema; run CREATE SCHEMA, or change search_path in the URL",
    "42501": "does not let this user use the schema; GRANT CREATE, USAGE ON SCHEMA … TO …",
    "53100": "its disk is full",
    "55P03": "another session held a lock for too long",
}
# Two processes may start on one empty schema at the same time: each schema has its own lock.
CREATION = "flashback-mock " + func.current_schema()
LOCK = select(func.pg_advisory_xact_lock(func.hashtextextended(CREATION, 0)))


class PostgresqlStore(SqlStore):
    """A `Store` in the connection's schema, for processes that share its master keys."""

    insert = staticmethod(insert)
    erase = CREDENTIAL.delete()
    driver_errors = (  # an error while connecting is asyncpg's or the system's own
        exc.DBAPIError,
        exc.TimeoutError,
        asyncpg.PostgresError,
        asyncpg.InterfaceError,
        asyncpg.InternalClientError,
        OSError,
    )

    def __init__(self, url: str, credentials: Collection[str], keys: KeyFile) -> None:
        """Create a store at the URL.

        asyncpg passes parameters of the URL that it does not know, such as `search_path`, to the
        server as settings of the session.
        """
        super().__init__("PostgreSQL", credentials, keys)
        self._url = url
        self._engine = create_async_engine(
            "postgresql+asyncpg://",
            async_creator=self._connect,
            hide_parameters=True,
            pool_size=CONNECTIONS,
            max_overflow=0,
            pool_timeout=SECONDS,
        )
        event.listen(self._engine.sync_engine, "checkout", _discard_closed)

    async def _connect(self, *_: Any, **__: Any) -> asyncpg.Connection:
        try:
            return await asyncpg.connect(
                self._url,
                timeout=SECONDS,
                command_timeout=SECONDS + 2,
                server_settings={**SETTINGS, "lock_timeout": f"{SECONDS}s"},
            )
        except OSError:  # some are also a ValueError
            raise
        except asyncpg.ClientConfigurationError as error:  # a parameter of the URL is wrong
            raise self.error(f"cannot be used: {error}") from None
        except ValueError:  # it may quote a part of the URL
            raise self.error(MALFORMED) from None

    async def close(self) -> None:
        await self._engine.dispose()

    async def run(self, work: Callable[[Connection], R]) -> R:
        async with self._engine.begin() as connection:
            return await connection.run_sync(work)

    def prepare(self, db: Connection) -> None:
        db.execute(LOCK)

    def lock(self, db: Connection) -> None:
        # Every update locks a row of this table before it reads the key, and therefore waits.
        db.exec_driver_sql(f"LOCK TABLE {CONFIGURATION.name} IN EXCLUSIVE MODE")

    def reason(self, error: Any) -> str:
        error = error.__cause__ or error  # asyncpg's own
        if state := getattr(error, "sqlstate", None):
            return REASONS.get(state, f"fails ({type(error).__name__}, {state})")
        if isinstance(error, TimeoutError | exc.TimeoutError):
            return "does not answer in time"
        if isinstance(error, ssl.SSLError):
            return f"TLS: {getattr(error, 'verify_message', '') or error.reason}"
        if isinstance(error, FileNotFoundError):
            return "a file or socket that the URL names does not exist"
        if isinstance(error, OSError):
            return f"cannot be reached: {error.strerror or type(error).__name__}; is it running?"
        return f"the connection is lost ({type(error).__name__})"


def _discard_closed(_connection: Any, record: Any, _proxy: Any) -> None:
    """Let the pool reconnect when the server has closed a connection; a ping would cost more."""
    if record.driver_connection.is_closed():
        raise exc.DisconnectionError

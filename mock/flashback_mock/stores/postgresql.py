"""A store in PostgreSQL, which several processes may have open at a time."""

import re
import ssl
from collections.abc import AsyncGenerator, Callable, Collection, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Concatenate
from urllib.parse import parse_qs, urlsplit

import asyncpg
from sqlalchemy import Connection, NullPool, event, exc, func, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from flashback_mock.fixtures import Fixtures

from .keys import KeySource
from .schema import CONFIGURATION
from .sql import P, R, SqlStore
from .store import NameTakenError, StoreError

# A request waits this long for a connection, and then for a lock; a statement may take a second
# more, and a server that stopped answering two: 12 seconds in all.
SECONDS = 5
PATIENT_SECONDS = 20  # everything else, for a lock
CONNECTIONS = 8  # of a process
SETTINGS = {
    "application_name": "flashback-mock",
    # Each statement sees what was committed when its locks were granted: see `_lock_updates`.
    "default_transaction_isolation": "read committed",
    # Answers are durable, and no key is destroyed before what it sealed is replaced.
    "synchronous_commit": "on",
}
FORM = "postgresql://user:password@host:port/database"
HOST = r"(?:[^\s:@/,\[\]]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]+)?"
HOSTS = re.compile(rf"{HOST}(?:,{HOST})*")
# By SQLSTATE: https://www.postgresql.org/docs/current/errcodes-appendix.html
REASONS = {
    "22021": "a value contains U+0000, which PostgreSQL cannot store",
    "25006": "is read-only; name the primary, or add ?target_session_attrs=read-write to the URL",
    "28000": "refuses this user; see pg_hba.conf, and sslmode in the URL",
    "28P01": "refuses the password; it comes from the URL, $PGPASSWORD or ~/.pgpass",
    "3D000": "has no such database; create it with createdb",
    "3F000": "has no such schema; run CREATE SCHEMA, or change search_path in the URL",
    "42501": "does not let this user use the schema; GRANT CREATE, USAGE ON SCHEMA … TO …",
    "53100": "its disk is full",
    "53300": "has no connection left; raise max_connections, or run fewer processes",
    "55P03": "another session held a lock for too long",
    "57014": "a statement took too long",
}
# Advisory locks of the schema: one for changes of many rows, one for rotations.
_SCHEMA = "flashback-mock " + func.current_schema()
LOCK = select(func.pg_advisory_xact_lock(func.hashtextextended(_SCHEMA, 0)))
TRY_ROTATION_LOCK = select(func.pg_try_advisory_lock(func.hashtextextended(_SCHEMA, 1)))


class PostgresqlStore(SqlStore):
    """A `Store` in the connection's schema, for processes that share its master keys."""

    def __init__(self, url: str, credentials: Collection[str], keys: KeySource) -> None:
        """Create a store at the URL; raise `ValueError`.

        Parameters of the URL that asyncpg does not know are settings of the session, such as
        `search_path`.
        """
        super().__init__(_redacted(url), credentials, keys, postgresql.insert)
        self._url = url
        self._pooled = self._engine(
            {"lock_timeout": f"{SECONDS}s", "statement_timeout": f"{SECONDS + 1}s"},
            {"command_timeout": SECONDS + 2},  # for a server that stopped answering
            pool_size=CONNECTIONS,
            max_overflow=0,
            pool_timeout=SECONDS,
        )
        event.listen(self._pooled.sync_engine, "checkout", _discard_closed)
        patience = {"lock_timeout": f"{PATIENT_SECONDS}s", "statement_timeout": "0"}
        self._patient = self._engine(patience, {}, poolclass=NullPool)

    def _engine(self, settings: dict[str, str], limits: dict[str, Any], **pool: Any) -> AsyncEngine:
        async def connect(*_: Any, **__: Any) -> asyncpg.Connection:
            return await asyncpg.connect(
                self._url, timeout=SECONDS, server_settings=SETTINGS | settings, **limits
            )

        return create_async_engine(
            "postgresql+asyncpg://", async_creator=connect, hide_parameters=True, **pool
        )

    async def close(self) -> None:
        """See `Store`."""
        await self._pooled.dispose()

    async def _run(
        self, function: Callable[Concatenate[Connection, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        with self._errors():
            async with self._pooled.begin() as connection:
                return await connection.run_sync(function, *args, **kwargs)

    async def _run_alone(
        self, function: Callable[Concatenate[Connection, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        with self._errors():
            async with self._patient.begin() as connection:
                await connection.execute(LOCK)
                return await connection.run_sync(function, *args, **kwargs)

    @asynccontextmanager
    async def _rotating(self) -> AsyncGenerator[None]:
        with self._errors():
            async with self._patient.connect() as connection:  # closing it releases the lock
                if not await connection.scalar(TRY_ROTATION_LOCK):
                    raise StoreError(f"{self._name}: another process rotates its keys; wait for it")
                await connection.commit()
                yield

    def _lock_updates(self, connection: Connection) -> None:
        # An update locks this table before it reads which key to use.
        connection.exec_driver_sql(f"LOCK TABLE {CONFIGURATION.name} IN EXCLUSIVE MODE")

    def _open(self, connection: Connection, fixtures: Fixtures | None) -> bool:
        if connection.exec_driver_sql("SHOW server_encoding").scalar_one() != "UTF8":
            raise StoreError(
                f"{self._name}: its encoding is not UTF8; create it with: "
                "createdb --encoding UTF8 -T template0"
            )
        return super()._open(connection, fixtures)

    @contextmanager
    def _errors(self) -> Generator[None]:
        """Translate errors; the server's own words are hidden, since they may quote a value."""
        try:
            yield
        except exc.IntegrityError:
            raise NameTakenError from None
        except (
            exc.SQLAlchemyError,
            asyncpg.PostgresError,
            asyncpg.InterfaceError,
            asyncpg.InternalClientError,
            OSError,
        ) as error:
            raise StoreError(f"{self._name}: {_reason(error)}") from None


def _discard_closed(connection: Any, record: Any, _proxy: Any) -> None:
    """Let the pool reconnect when the server has closed a connection."""
    del connection
    if record.driver_connection.is_closed():
        raise exc.DisconnectionError


def _redacted(url: str) -> str:
    """Return the URL without user, password and parameters; raise `ValueError`."""
    try:
        parts = urlsplit(url)
        parse_qs(parts.query, strict_parsing=bool(parts.query))
    except ValueError:  # whose text may quote the password
        raise ValueError(f"--store: expected a URL of the form {FORM}") from None
    user, _, hosts = parts.netloc.rpartition("@")
    if "@" in user + parts.path + parts.query + parts.fragment or not HOSTS.fullmatch(hosts):
        raise ValueError(
            f"--store: expected a URL of the form {FORM}; percent-encode user, password and "
            "parameters (@ is %40)"
        )
    return f"postgresql://{hosts}{parts.path}"


def _reason(error: BaseException) -> str:
    """Return what went wrong, and what to do."""
    if isinstance(error, exc.DBAPIError) and error.orig:
        error = error.orig.__cause__ or error.orig  # asyncpg's own
    if isinstance(error, asyncpg.ClientConfigurationError):  # about the URL's parameters
        return f"cannot be used: {error}"
    if state := getattr(error, "sqlstate", None):
        return REASONS.get(state, f"fails ({type(error).__name__}, {state})")
    if isinstance(error, TimeoutError | exc.TimeoutError):
        return "does not answer in time"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {getattr(error, 'verify_message', '') or error.reason}"
    if isinstance(error, OSError):
        return f"cannot be reached: {error.strerror or type(error).__name__}; is it running?"
    return f"the connection is lost ({type(error).__name__})"

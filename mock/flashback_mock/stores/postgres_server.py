"""Connections to a PostgreSQL server, and what is said of it: no password, no value."""

import asyncio
import re
import ssl
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from urllib.parse import parse_qs, urlsplit

import asyncpg

from .postgres_sql import ALONE
from .store import NameTakenError, StoreError

Connection = asyncpg.Connection
Record = asyncpg.Record
Rows = list[asyncpg.Record]

# A request waits so long for a connection, and then for a lock; a statement has a second more, a
# server that says nothing two: 12 seconds in all.
SECONDS = 5
PATIENT_SECONDS = 20  # everything else, for a lock
CONNECTIONS = 8  # of a process
SETTINGS = {
    "application_name": "flashback-mock",
    # Each statement sees what was committed when its locks were granted: see `Postgres.rotate`.
    "default_transaction_isolation": "read committed",
    # What is answered is on the disk; and no key is destroyed before what it sealed is replaced.
    "synchronous_commit": "on",
}
FORM = "postgresql://user:password@host:port/database"
HOST = r"(?:[^\s:@/,\[\]]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]+)?"
HOSTS = re.compile(rf"{HOST}(?:,{HOST})*")
# What PostgreSQL means by a state, https://www.postgresql.org/docs/current/errcodes-appendix.html
CURES = {
    "22021": "a value holds U+0000, which PostgreSQL cannot store",
    "22P05": "a value holds U+0000, which PostgreSQL cannot store",
    "25006": "is read-only; name the primary, or add ?target_session_attrs=read-write to the URL",
    "28000": "refuses this user; see pg_hba.conf, and sslmode in the URL",
    "28P01": "refuses the password; it comes from the URL, $PGPASSWORD or ~/.pgpass",
    "3D000": "has no such database; make it with createdb",
    "3F000": "has no such schema; make it with CREATE SCHEMA, or change search_path in the URL",
    "42501": "gives this user no right to the schema; GRANT CREATE, USAGE ON SCHEMA … TO …",
    "53100": "its disk is full",
    "53300": "has no connection left; raise max_connections, or run fewer processes",
    "55P03": "another session held a lock for too long",
    "57014": "a statement took too long",
}


class Server:
    """A server as its URL names it. Raises `StoreError`, and `NameTakenError` for what is unique.

    Parameters of the URL that are none of a connection are settings of the session, such as
    `search_path`. Ours come first.
    """

    def __init__(self, url: str) -> None:
        """A server to connect to; raises `ValueError`."""
        self._url, self.shown = url, _shown(url)
        self._pool: asyncpg.Pool

    async def open(self) -> None:
        """Be ready for requests."""
        limits = {"lock_timeout": f"{SECONDS}s", "statement_timeout": f"{SECONDS + 1}s"}
        with self._guarded():
            self._pool = await asyncpg.create_pool(
                self._url,
                min_size=1,
                max_size=CONNECTIONS,
                timeout=SECONDS,
                command_timeout=SECONDS + 2,  # for a server that says nothing any more
                server_settings=SETTINGS | limits,
                reset=_nothing,
            )

    async def close(self) -> None:
        """Let go of all connections."""
        try:
            await asyncio.wait_for(self._pool.close(), SECONDS)
        except TimeoutError:
            self._pool.terminate()

    async def rows(self, query: str, *arguments: object) -> Rows:
        """What a statement of a request returns."""
        with self._guarded():
            async with self._pool.acquire(timeout=SECONDS) as db:
                return await db.fetch(query, *arguments)

    @asynccontextmanager
    async def alone(self) -> AsyncGenerator[Connection]:
        """A transaction beside which no other process makes, fills or empties the tables."""
        async with self.connected() as db, db.transaction():
            await db.execute(ALONE)
            yield db

    @asynccontextmanager
    async def connected(self) -> AsyncGenerator[Connection]:
        """A connection for what may take longer than a request."""
        patience = {"lock_timeout": f"{PATIENT_SECONDS}s", "statement_timeout": "0"}
        with self._guarded():
            db = await asyncpg.connect(
                self._url, timeout=SECONDS, server_settings=SETTINGS | patience
            )
            try:
                yield db
            finally:
                await db.close(timeout=SECONDS)

    @contextmanager
    def _guarded(self) -> Generator[None]:
        """The server's own words do not get out, they might quote a value."""
        try:
            yield
        except asyncpg.UniqueViolationError:
            raise NameTakenError from None
        except (
            asyncpg.PostgresError,
            asyncpg.InterfaceError,
            asyncpg.InternalClientError,
            OSError,
        ) as error:
            raise StoreError(f"{self.shown}: {_why(error)}") from None


def _shown(url: str) -> str:
    """The URL without user, password and parameters; raises `ValueError` if it is none."""
    try:
        parts = urlsplit(url)
        parse_qs(parts.query, strict_parsing=bool(parts.query))
    except ValueError:  # whose text might quote the password
        raise ValueError(f"--store: is no URL of the form {FORM}") from None
    user, _, hosts = parts.netloc.rpartition("@")
    if "@" in user + parts.path + parts.query + parts.fragment or not HOSTS.fullmatch(hosts):
        raise ValueError(
            f"--store: is no URL of the form {FORM}; in user, password and parameters, "
            "what is neither a letter nor a digit is percent-encoded (@ is %40)"
        )
    return f"postgresql://{hosts}{parts.path}"


def _why(error: Exception) -> str:
    """What went wrong, and what helps."""
    if isinstance(error, asyncpg.ClientConfigurationError):  # of the URL's parameters
        return f"cannot be used: {error}"
    if isinstance(error, asyncpg.DataError | asyncpg.PostgresError):
        state = str(getattr(error, "sqlstate", None) or "no state")
        return CURES.get(state) or f"fails ({type(error).__name__}, {state})"
    if isinstance(error, TimeoutError):
        return "does not answer in time"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {getattr(error, 'verify_message', '') or error.reason}"
    if isinstance(error, OSError):
        return f"cannot be reached: {error.strerror or type(error).__name__}; is it running?"
    return f"the connection is lost ({type(error).__name__})"


async def _nothing(_: object) -> None:
    """Cost no round trip when a connection goes back: no request leaves a trace on it."""

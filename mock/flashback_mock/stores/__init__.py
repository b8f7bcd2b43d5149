"""Stores of the mock's state: in memory, in a SQLite file, in PostgreSQL."""

import re
from collections.abc import Collection
from pathlib import Path

from .errors import NAME_TAKEN as NAME_TAKEN
from .errors import ForbiddenError as ForbiddenError
from .errors import NameTakenError as NameTakenError
from .errors import NotFoundError as NotFoundError
from .errors import RefusedError as RefusedError
from .errors import StoreError as StoreError
from .errors import UnauthorizedError as UnauthorizedError
from .keys import KeyFile
from .memory import MemoryStore
from .store import LEVELS as LEVELS
from .store import Store as Store

SCHEME = re.compile(r"[a-z][a-z0-9+.-]+:/", re.IGNORECASE)


def store_at(
    location: str | None, credentials: Collection[str], key_file: Path | None = None
) -> Store:
    """Return the store at a path or a `postgresql://` URL, or in memory.

    `credentials` are the names of the secret fields. Raise `ValueError` for a malformed
    location, and `StoreError` if the extra `store` is not installed.
    """
    if location is None:
        return MemoryStore(credentials)
    if not location:
        raise ValueError("--store: is empty; without it the state is in memory")
    keys = KeyFile(key_file)
    try:
        if location.startswith(("postgresql://", "postgres://")):
            from .postgresql import PostgresqlStore  # noqa: PLC0415 - needs the extra

            return PostgresqlStore(location, credentials, keys)
        from .sqlite import SqliteStore  # noqa: PLC0415 - needs the extra
    except ModuleNotFoundError as missing:
        raise StoreError(
            f"--store: needs {missing.name}: pip install 'flashback-client[store]'"
        ) from None
    if SCHEME.match(location):  # shown as a path, it would reveal a password
        raise ValueError(
            "--store: expected a path or postgresql://user:password@host:port/database"
        )
    return SqliteStore(Path(location), credentials, keys)

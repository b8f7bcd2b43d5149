"""Stores for the mock's state: in memory, in a SQLite file or in PostgreSQL."""

import re
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import StoreError
from .memory import MemoryStore

if TYPE_CHECKING:
    from .sql import SqlStore  # requires the `store` extra

SCHEME = re.compile("[a-z][a-z0-9+.-]+:", re.IGNORECASE)


def store_at(
    location: Path | str | None, credentials: Collection[str], keys: Path | None = None
) -> "MemoryStore | SqlStore":
    """Return the store at `location`, or an in-memory store if `location` is None.

    `location` is a path or a `postgresql://` URL. `credentials` contains the names of the fields to
    encrypt, and `keys` is the key file. Raise `ValueError` if the location is malformed or if only
    `keys` is given, and `StoreError` if the `store` extra is not installed.
    """
    if location is None:
        if keys:
            raise ValueError("--keys requires --store; without a store, no keys are saved")
        return MemoryStore(credentials)
    location = str(location)
    try:
        if location.startswith(("postgresql://", "postgres://")):
            from .postgresql import PostgresqlStore  # noqa: PLC0415 - requires the `store` extra

            return PostgresqlStore(location, credentials, keys)
        from .sqlite import SqliteStore  # noqa: PLC0415 - requires the `store` extra
    except ModuleNotFoundError as missing:
        raise StoreError(
            f"--store requires {missing.name}; run: pip install 'flashback-client[store]'"
        ) from None
    if SCHEME.match(location):
        # Store paths are printed, so treating a URL as a path would leak the URL's password.
        raise ValueError("--store: expected a path or postgresql://user@host:port/database")
    return SqliteStore(Path(location), credentials, keys)

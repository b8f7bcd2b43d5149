"""Stores of the mock's state: in memory, in a SQLite file, in PostgreSQL."""

import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

from .keys import KeySource
from .memory import MemoryStore
from .store import (
    LEVELS,
    NAME_TAKEN,
    ForbiddenError,
    NameTakenError,
    NotFoundError,
    RefusedError,
    Store,
    StoreError,
    UnauthorizedError,
)

__all__ = (
    "LEVELS",
    "NAME_TAKEN",
    "ForbiddenError",
    "NameTakenError",
    "NotFoundError",
    "RefusedError",
    "Store",
    "StoreError",
    "UnauthorizedError",
    "store_at",
)

SCHEME = re.compile(r"[a-z][a-z0-9+.-]+:/", re.IGNORECASE)


def store_at(
    location: str | None, credentials: Collection[str], key_file: Path | None = None
) -> Store:
    """Return the store at a path or a `postgresql://` URL, or in memory; raise `ValueError`.

    `credentials` are the names of the secret fields.
    """
    if location is None:
        return MemoryStore(credentials)
    if not location:
        raise ValueError("--store: is empty; without it the state is in memory")
    store: Any
    if location.startswith(("postgresql://", "postgres://")):
        from .postgres import Postgres  # noqa: PLC0415 - needs an extra of its own

        store = Postgres(location, credentials, KeySource(key_file))
    elif SCHEME.match(location):  # as a path it would be shown, password and all
        raise ValueError("--store: takes a path or postgresql://user:password@host:port/database")
    else:
        from .sqlite import Sqlite  # noqa: PLC0415 - the same

        store = Sqlite(Path(location), credentials, KeySource(key_file))
    return store  # type: ignore[no-any-return]

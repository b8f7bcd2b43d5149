"""Store locations, with methods to open and inspect the stores."""

import base64
import sqlite3
from collections.abc import Callable, Coroutine, Generator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flashback_mock import Contract, Fixtures
from flashback_mock.stores import store_at
from flashback_mock.stores.store import Store
from flashback_mock.stores.vault import Vault
from tests.mock.stores.cluster import execute

Run = Callable[[Coroutine[Any, Any, Any]], Any]
CONTRACT = Contract()
FIXTURES = Fixtures.read(CONTRACT)
MAIN, SIBLING, FOREIGN = (configuration.id for configuration in FIXTURES.configurations)
OWNER = "owner-token"


@dataclass
class StoreLocation:
    """A store's file name or PostgreSQL URL, and the directory for its key file.

    `address` is the file name or the URL. For an in-memory store, it is an empty string.
    """

    address: str
    key_folder: Path

    @property
    def log(self) -> Path:
        """The log file for mocks in other processes."""
        return self.key_folder / "log"

    @property
    def key_file(self) -> Path:
        """The file that contains the store's master keys."""
        (file,) = self.key_folder.glob("flashback-mock/*.keys")
        return file

    def vaults(self) -> list[Vault]:
        """Return a vault for each of the store's master keys."""
        return [Vault(base64.b64decode(line)) for line in self.key_file.read_text().split()]

    def store(self, key_file: Path | None = None) -> Store:
        """Return the store without opening it."""
        return store_at(self.address or None, CONTRACT.credentials, key_file)

    @contextmanager
    def opened(self, run: Run, *, is_new: bool = False) -> Generator[Store]:
        """Keep the store open until the block ends.

        Assert that the store is new if `is_new` is true, and that it already exists otherwise.
        """
        store = self.store()
        assert run(store.open(FIXTURES)) == is_new
        try:
            yield store
        finally:
            run(store.close())

    def sql(self, statement: str) -> list[Any]:
        """Execute an SQL statement directly in the store's database."""
        if self.address.startswith("postgresql:"):
            return execute(self.address, statement)
        with closing(sqlite3.connect(self.address)) as database, database:
            return database.execute(statement).fetchall()

"""Places of stores that tests open, reopen and look into."""

import base64
import sqlite3
from collections.abc import Callable, Coroutine, Generator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flashback_mock import Contract, Fixtures
from flashback_mock.stores import Store, store_at
from flashback_mock.stores.vault import Vault
from scripts.maintenance.postgresql import execute

Run = Callable[[Coroutine[Any, Any, Any]], Any]
CONTRACT = Contract()
FIXTURES = Fixtures.read(CONTRACT)
MAIN, SIBLING, FOREIGN = (configuration.id for configuration in FIXTURES.configurations)
OWNER = "owner-token"


@dataclass
class Place:
    """The location of a store, empty for a store in memory; its key file is below `home`."""

    location: str
    home: Path

    @property
    def log(self) -> Path:
        """The log of the mocks in other processes."""
        return self.home / "log"

    @property
    def key_file(self) -> Path:
        """The file of the store's master keys."""
        (file,) = self.home.glob("flashback-mock/*.keys")
        return file

    def vaults(self) -> list[Vault]:
        """Return a vault for each of the store's master keys."""
        return [Vault(base64.b64decode(line)) for line in self.key_file.read_text().split()]

    def store(self, key_file: Path | None = None) -> Store:
        """Return the store, not yet open."""
        return store_at(self.location or None, CONTRACT.credentials, key_file)

    @contextmanager
    def opened(self, run: Run, *, is_new: bool = False) -> Generator[Store]:
        """Open the store, which must be new or not, until the block ends."""
        store = self.store()
        assert run(store.open(FIXTURES)) == is_new
        try:
            yield store
        finally:
            run(store.close())

    def sql(self, statement: str) -> list[Any]:
        """Execute a statement without the store."""
        if self.location.startswith("postgresql:"):
            return execute(self.location, statement)
        with closing(sqlite3.connect(self.location)) as database, database:
            return database.execute(statement).fetchall()

"""Store locations, with methods to open and inspect the stores."""

import asyncio
import base64
import sqlite3
from asyncio import Runner
from collections.abc import Callable, Coroutine, Generator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from flashback_mock import Contract, Fixtures
from flashback_mock.stores import store_at
from flashback_mock.stores.vault import Vault
from tests.mock.stores.cluster import execute

CONTRACT = Contract()
FIXTURES = Fixtures.read(CONTRACT)
MAIN, SIBLING, FOREIGN = (configuration.id for configuration in FIXTURES.configurations)
OWNER = "owner-token"
in_a_file = pytest.mark.parametrize("location", ["file"], indirect=True)


@dataclass
class BlockingStore:
    """A blocking wrapper around a store. Tests that use coroutines call `store` directly."""

    store: Any
    runner: Runner

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Return the method with this name as a blocking function."""
        method = getattr(self.store, name)
        return lambda *arguments: self.runner.run(method(*arguments))


@dataclass
class StoreLocation:
    """A store's file name or PostgreSQL URL, and the directory for its key file.

    `address` is the file name, the URL or, for an in-memory store, an empty string. The stores run
    in the event loop of `runner`.
    """

    address: str
    key_folder: Path
    runner: Runner

    @property
    def key_file(self) -> Path:
        """The file that contains the store's master keys."""
        (file,) = self.key_folder.glob("flashback-mock/*.keys")
        return file

    def vaults(self) -> list[Vault]:
        """Return a vault for each of the store's master keys."""
        return [Vault(base64.b64decode(line)) for line in self.key_file.read_text().split()]

    def store(self, key_file: Path | None = None) -> BlockingStore:
        """Return the store without opening it."""
        store = store_at(self.address or None, CONTRACT.credentials, key_file)
        return BlockingStore(store, self.runner)

    @contextmanager
    def opened(self) -> Generator[BlockingStore]:
        """Keep the store open until the block ends."""
        store = self.store()
        store.open(FIXTURES)
        try:
            yield store
        finally:
            store.close()

    def concurrently(self, *operations: Coroutine[Any, Any, Any]) -> list[Any]:
        """Run the coroutines concurrently, and return their results."""

        async def gather() -> list[Any]:
            return await asyncio.gather(*operations)

        return self.runner.run(gather())

    def sql(self, *statements: str) -> list[Any]:
        """Execute SQL directly in the store's database; return the last statement's rows."""
        if self.address.startswith("postgresql:"):
            return execute(self.address, *statements)
        with closing(sqlite3.connect(self.address)) as database, database:
            for statement in statements:
                rows = database.execute(statement).fetchall()
        return rows

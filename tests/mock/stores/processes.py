"""Helpers for crash tests that fill a disk or kill a process while it uses a store."""

import asyncio
import multiprocessing
import os
import resource
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from itertools import count
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from signal import SIGKILL
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.engine.default import DefaultDialect

from flashback_mock.stores import postgresql, sqlite, store_at
from flashback_mock.stores.sql import SqlStore
from tests.mock.stores.locations import CONTRACT, MAIN, OWNER

# The fork server imports these modules once, so that the processes it forks start quickly.
FORKSERVER = multiprocessing.get_context("forkserver")
FORKSERVER.set_forkserver_preload([__name__, postgresql.__name__, sqlite.__name__])
STEPS: list[tuple[Any, str]] = [
    (Connection, "execute"),
    (DefaultDialect, "do_commit"),
    (os, "fsync"),
]


def numbered(number: int) -> dict[str, str]:
    """Return the update with this number. The lengths of the secrets vary."""
    return {"name": f"{number}", "key": f"{number}", "secret": "s" * (number * 40 % 3000 + 1)}


async def open_store(address: str, keys: Path) -> SqlStore:
    """Open an existing store."""
    store = store_at(address, CONTRACT.credentials, keys)
    assert isinstance(store, SqlStore)
    await store.open(None)
    return store


async def update_forever(address: str, keys: Path, updated: Pipe) -> None:
    """Send numbered updates to a store; after each update, send its number to `updated`."""
    store = await open_store(address, keys)
    for number in count(1):
        await store.update(OWNER, MAIN, numbered(number))
        updated.send(number)


def kill_after(updates: int, address: str, keys: Path) -> int:
    """Kill a process after this many updates, and return its last update's number."""
    receiver, sender = FORKSERVER.Pipe(duplex=False)
    process = FORKSERVER.Process(target=run, args=(update_forever, address, keys, sender))
    process.start()
    sender.close()
    numbers = [receiver.recv() for _ in range(updates)]
    process.kill()
    process.join()
    with suppress(EOFError):
        while True:
            numbers.append(receiver.recv())
    return int(numbers[-1])


def kill_rotation(step: int, address: str, keys: Path) -> bool:
    """Kill a key rotation just before this step; return False if the rotation has fewer steps.

    A step is an SQL statement, a commit or a write to the key file.
    """
    process = FORKSERVER.Process(target=run, args=(rotate, address, keys, step))
    process.start()
    process.join()
    assert process.exitcode in (0, -SIGKILL)
    return process.exitcode != 0


async def rotate(address: str, keys: Path, last_step: int) -> None:
    """Rotate a store's keys, but kill this process just before step `last_step`."""
    numbers = count(1)

    def killing(step: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if next(numbers) == last_step:
                os.kill(os.getpid(), SIGKILL)
            return step(*args, **kwargs)

        return call

    store = await open_store(address, keys)
    for owner, name in STEPS:
        setattr(owner, name, killing(getattr(owner, name)))
    await store.rotate()
    await store.close()


def run(function: Callable[..., Any], *args: Any) -> None:
    """Run a coroutine function in a new event loop."""
    asyncio.run(function(*args))


@contextmanager
def full_disk(process: int) -> Generator[None]:
    """Simulate a full disk for the process until the block ends."""
    limit = resource.prlimit(process, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
    try:
        yield
    finally:
        resource.prlimit(process, resource.RLIMIT_FSIZE, limit)

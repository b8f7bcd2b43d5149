"""Mocks and key rotations in processes that a test kills, and updates that it sends meanwhile."""

import asyncio
import multiprocessing
import os
import resource
import signal
import sys
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count, cycle
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from threading import Event
from types import FrameType
from typing import Any

import httpx
import pytest

import flashback_mock
import flashback_mock.stores.postgresql
import flashback_mock.stores.sqlite
from flashback_mock import logs
from flashback_mock.stores import Store, store_at
from tests.mock.stores.places import CONTRACT, OWNER, Place

STEPS = ("do_execute", "do_commit", "write", "fsync")  # methods of SQLAlchemy and of files
# One process imports these modules and forks the others, which therefore start quickly.
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload([__name__, "flashback_mock.serving", "anyio.from_thread", "uvloop"])


def serve(place: Place, url: Connection) -> None:
    """Serve a mock on the store until this process is killed or the test's process ends."""
    os.environ["XDG_DATA_HOME"] = str(place.home)
    os.dup2(os.open(place.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
    logs.to_stderr("error", "json")
    with flashback_mock.running(CONTRACT, store=place.location or None) as mock:
        url.send(mock.base_url)
        test = multiprocessing.parent_process()
        assert test
        test.join()


def rotate(place: Place, steps: int) -> None:
    """Rotate the keys of the store, but kill this process after this many steps.

    A step is a statement, a commit, or a write to the key file.
    """
    os.environ["XDG_DATA_HOME"] = str(place.home)
    left = steps

    def kill_in_time(frame: FrameType, event: str, result: Any) -> None:
        nonlocal left
        name = result.__name__ if event == "c_return" else frame.f_code.co_name
        if event.endswith("return") and name in STEPS:
            left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)

    async def work() -> None:
        store = store_at(place.location or None, CONTRACT.credentials)
        await store.open(None)
        sys.setprofile(kill_in_time)
        await store.rotate()

    asyncio.run(work())


@dataclass
class Served:
    """A mock in another process."""

    process: BaseProcess
    http: httpx.Client

    def put(self, id: str, **changes: str) -> int:
        """Return the status of an update by the owner."""
        return self.http.put(f"/ai/llm/{id}", json=changes).status_code

    def kill(self) -> None:
        """Kill the process, and wait until its files are closed."""
        self.process.kill()
        self.process.join()


@contextmanager
def mocks_on(place: Place, number: int = 1) -> Generator[list[Served]]:
    """Start mocks on the store at the same time; kill them when the block ends."""
    place.home.mkdir(exist_ok=True)
    started = list[tuple[BaseProcess, Connection]]()
    process: BaseProcess
    for _ in range(number):
        receiver, sender = FORKS.Pipe(duplex=False)
        process = FORKS.Process(target=serve, args=(place, sender), daemon=True)
        process.start()
        sender.close()
        started.append((process, receiver))
    headers = {"Authorization": f"Bearer {OWNER}"}
    mocks = list[Served]()
    for process, receiver in started:
        url = receiver.recv()
        http = httpx.Client(base_url=url, headers=headers, trust_env=False, timeout=20)
        mocks.append(Served(process, http))
    try:
        yield mocks
    finally:
        for mock in mocks:
            mock.http.close()
            mock.kill()


@contextmanager
def full_disk(process: int) -> Generator[None]:
    """Simulate a full disk for the process until the block ends."""
    limit = resource.prlimit(process, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
    yield
    resource.prlimit(process, resource.RLIMIT_FSIZE, limit)


@dataclass
class Updates:
    """Updates of one configuration, numbered from 1, one after the other, and their statuses."""

    id: str
    statuses: list[int] = field(default_factory=list)
    over: Event = field(default_factory=Event)

    def run(self, mock: Served) -> None:
        """Send updates whose fields all contain the same number, until the mock is killed."""
        with suppress(httpx.TransportError):
            for number in count(1):
                if self.over.is_set():
                    return
                name = f"{self.id} {number}"
                self.statuses.append(mock.put(self.id, name=name, **credentials(number)))

    def wait_for(self, status: int, times: int) -> None:
        """Wait until this many updates have received this status."""
        for _ in range(30_000):
            if self.statuses.count(status) >= times:
                return
            time.sleep(0.001)
        pytest.fail(f"expected {times} times status {status}, got {self.statuses}")

    async def assert_stored(self, store: Store) -> None:
        """Assert that the last answered update is stored completely, or a later one is.

        An update may be stored although the process was killed before it answered.
        """
        number = int((await store.configuration(self.id))["name"].split()[1])
        answered = [sent for sent, status in enumerate(self.statuses, 1) if status == 200]
        assert answered[-1] <= number <= len(self.statuses) + 1
        for name, credential in credentials(number).items():
            assert await store.reveals(self.id, name, credential)


def credentials(number: int) -> dict[str, str]:
    """Return the credentials of an update, whose sizes vary."""
    return {"key": f"{number}", "secret": "s" * (number * 40 % 3000 + 1)}


@contextmanager
def updating(mocks: list[Served], *ids: str) -> Generator[list[Updates]]:
    """Update each configuration without a pause, through one of the mocks, until the block ends."""
    updates = [Updates(id) for id in ids]
    with ThreadPoolExecutor(len(ids)) as threads:
        for mock, update in zip(cycle(mocks), updates, strict=False):
            threads.submit(update.run, mock)
        try:
            yield updates
        finally:
            for update in updates:
                update.over.set()

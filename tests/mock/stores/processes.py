"""Helpers for crash tests: mocks and key rotations in child processes, and continuous updates."""

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
from flashback_mock.stores import store_at
from flashback_mock.stores.store import Store
from tests.mock.stores.locations import CONTRACT, OWNER, StoreLocation

STEPS = ("do_execute", "do_commit", "write", "fsync")
# The fork server imports these modules once so that the processes it forks start quickly.
FORKSERVER = multiprocessing.get_context("forkserver")
FORKSERVER.set_forkserver_preload(
    [__name__, "flashback_mock.serving", "anyio.from_thread", "uvloop"]
)


def serve(location: StoreLocation, url: Connection) -> None:
    """Run a mock on the store until this process is killed or the test process ends."""
    os.environ["XDG_DATA_HOME"] = str(location.key_folder)
    os.dup2(os.open(location.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
    logs.to_stderr("error", "json")
    with flashback_mock.running(CONTRACT, store=location.address or None) as mock:
        url.send(mock.base_url)
        test_process = multiprocessing.parent_process()
        assert test_process
        test_process.join()


def rotate(location: StoreLocation, steps: int) -> None:
    """Rotate the store's keys, but kill this process after the given number of steps.

    A step is an SQL statement, a commit or a write to the key file.
    """
    os.environ["XDG_DATA_HOME"] = str(location.key_folder)
    steps_left = steps

    def kill_after_steps(frame: FrameType, event: str, result: Any) -> None:
        nonlocal steps_left
        name = result.__name__ if event == "c_return" else frame.f_code.co_name
        if event.endswith("return") and name in STEPS:
            steps_left -= 1
        if not steps_left:
            os.kill(os.getpid(), signal.SIGKILL)

    async def rotate_keys() -> None:
        store = store_at(location.address or None, CONTRACT.credentials)
        await store.open(None)
        sys.setprofile(kill_after_steps)
        await store.rotate()

    asyncio.run(rotate_keys())


@dataclass
class MockProcess:
    """A mock in another process."""

    process: BaseProcess
    http: httpx.Client

    def put(self, id: str, **changes: str) -> int:
        """Send an update as the owner, and return the status."""
        return self.http.put(f"/ai/llm/{id}", json=changes).status_code

    def kill(self) -> None:
        """Kill the process, and wait until it has exited and its files are closed."""
        self.process.kill()
        self.process.join()


@contextmanager
def running_mocks(location: StoreLocation, number: int = 1) -> Generator[list[MockProcess]]:
    """Start mocks concurrently on the same store, and kill them when the block ends."""
    location.key_folder.mkdir(exist_ok=True)
    started = list[tuple[BaseProcess, Connection]]()
    process: BaseProcess
    for _ in range(number):
        receiver, sender = FORKSERVER.Pipe(duplex=False)
        process = FORKSERVER.Process(target=serve, args=(location, sender), daemon=True)
        process.start()
        sender.close()
        started.append((process, receiver))
    headers = {"Authorization": f"Bearer {OWNER}"}
    mocks = list[MockProcess]()
    for process, receiver in started:
        url = receiver.recv()
        http = httpx.Client(base_url=url, headers=headers, trust_env=False, timeout=20)
        mocks.append(MockProcess(process, http))
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
    """A series of numbered updates to one configuration, and the response statuses."""

    id: str
    statuses: list[int] = field(default_factory=list)
    stopped: Event = field(default_factory=Event)

    def run(self, mock: MockProcess) -> None:
        """Send numbered updates until the mock is killed or the series is stopped."""
        with suppress(httpx.TransportError):
            for number in count(1):
                if self.stopped.is_set():
                    return
                name = f"{self.id} {number}"
                self.statuses.append(mock.put(self.id, name=name, **credentials(number)))

    def wait_for(self, status: int, times: int) -> None:
        """Wait until the given number of updates have received this status."""
        for _ in range(30_000):
            if self.statuses.count(status) >= times:
                return
            time.sleep(0.001)
        pytest.fail(f"expected {times} responses with status {status}, got {self.statuses}")

    async def assert_stored(self, store: Store) -> None:
        """Assert that all stored fields come from the last acknowledged update or a later one.

        If the process was killed before it responded, a later update could have been stored.
        """
        stored = await store.find(self.id)
        number = int(stored.plain["name"].split()[1])
        acknowledged = [sent for sent, status in enumerate(self.statuses, 1) if status == 200]
        assert acknowledged[-1] <= number <= len(self.statuses) + 1
        for name, credential in credentials(number).items():
            assert stored.reveals(name, credential)


def credentials(number: int) -> dict[str, str]:
    """Return the credentials for the update with this number; their lengths vary."""
    return {"key": f"{number}", "secret": "s" * (number * 40 % 3000 + 1)}


@contextmanager
def updating(mocks: list[MockProcess], *ids: str) -> Generator[list[Updates]]:
    """Until the block ends, continuously update each configuration through one of the mocks."""
    updates = [Updates(id) for id in ids]
    with ThreadPoolExecutor(len(ids)) as threads:
        for mock, update in zip(cycle(mocks), updates, strict=False):
            threads.submit(update.run, mock)
        try:
            yield updates
        finally:
            for update in updates:
                update.stopped.set()

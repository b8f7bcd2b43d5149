"""The store in a file: answered updates are on the disk, replaced credentials are gone from it."""

import http.client
import json
import multiprocessing
import os
import random
import resource
import threading
import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

import flashback_mock
from flashback_mock.fixtures import Configuration, Fixtures
from flashback_mock.stores import Store
from flashback_mock.stores.vault import Vault
from tests.mock.stores.conftest import CONTRACT, MAIN, OWNER, SIBLING, Place, Run

KILLS = 50
UPDATES = 1000
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["flashback_mock.serving", "flashback_mock.stores.sqlite"])
pytestmark = pytest.mark.parametrize("place", ["file"], indirect=True)


def serve(place: Place, address: Connection) -> None:
    """Run a mock on the store until it is killed."""
    os.environ.update(place.environment)
    with flashback_mock.running(CONTRACT, store=place.location) as mock:
        address.send(mock.base_url)
        threading.Event().wait()


@contextmanager
def serving(place: Place) -> Generator[tuple[Any, str]]:
    """A process that serves the store, and its address; killed at the end."""
    here, there = FORKS.Pipe(duplex=False)
    process = FORKS.Process(target=serve, args=(place, there), daemon=True)
    process.start()
    there.close()
    try:
        yield process, here.recv().removeprefix("http://")
    finally:
        process.kill()
        process.join()


def put(connection: http.client.HTTPConnection, id: str, body: dict[str, str]) -> int:
    """Return the status of an update by the owner."""
    headers = {"Authorization": f"Bearer {OWNER}", "Content-Type": "application/json"}
    connection.request("PUT", f"/ai/llm/{id}", json.dumps(body), headers)
    response = connection.getresponse()
    response.read()
    return response.status


class Load:
    """Updates of one configuration, one after the other, as fast as they are answered."""

    def __init__(self, id: str) -> None:
        """Start with nothing sent and nothing answered."""
        self.id = id
        self.sent = 0
        self.answered = 0

    def run(self, address: str) -> None:
        """Send updates whose fields all contain the same number until the server is gone."""
        connection = http.client.HTTPConnection(address, timeout=10)
        with suppress(OSError, http.client.HTTPException):
            while True:
                self.sent += 1
                number = self.sent
                secret = "s" * (number % 700 + 1)
                body = {"name": f"{self.id} {number}", "key": f"{number}", "secret": secret}
                if put(connection, self.id, body) == 200:
                    self.answered = number
        connection.close()

    async def assert_stored(self, store: Store) -> None:
        """Assert that the store has the last answered update or a later one, completely."""
        number = int((await store.configuration(self.id))["name"].split()[1])
        assert self.answered <= number <= self.sent
        assert await store.reveals(self.id, "key", f"{number}")
        assert await store.reveals(self.id, "secret", "s" * (number % 700 + 1))


def test_killed_store_has_every_answered_update(place: Place, run: Run) -> None:
    """After each of fifty SIGKILLs under load, no answered update is lost, and none is partial."""
    loads = [Load(MAIN), Load(SIBLING)]
    for kill in range(KILLS):
        with serving(place) as (process, address):
            threads = [threading.Thread(target=load.run, args=(address,)) for load in loads]
            for thread in threads:
                thread.start()
            time.sleep(0.05 + kill % 7 * 0.01)
            process.kill()
        for thread in threads:
            thread.join()
        with place.opened(run) as store:
            for load in loads:
                if load.answered:
                    run(load.assert_stored(store))
    assert all(load.answered > KILLS for load in loads)


def test_replaced_credentials_are_in_no_file(
    place: Place, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After each of a thousand updates, no file contains a part of a replaced value.

    Nor does one after a configuration was deleted, or the store reset.
    """
    sealed = dict[tuple[str, ...], bytes]()
    replaced = list[bytes]()
    seal = Vault.seal

    def recorded(vault: Vault, credential: str, *at: str) -> bytes:
        if at in sealed:
            replaced.append(sealed[at])
        sealed[at] = seal(vault, credential, *at)
        return sealed[at]

    monkeypatch.setattr(Vault, "seal", recorded)
    with place.opened(run, is_new=True) as store:
        for number in range(UPDATES):
            run(update_by_chance(store, number))
            assert not pieces_in(tmp_path, replaced[-1:], 1000)
        assert len(replaced) > UPDATES * 0.9
        assert not pieces_in(tmp_path, replaced, 4000)
        for value in sealed.values():  # a piece may lie across two pages
            assert pieces_in(tmp_path, [value], 50)
        run(store.delete_configuration(MAIN))
        deleted = [value for at, value in sealed.items() if at[1] == MAIN]
        assert deleted
        assert not pieces_in(tmp_path, deleted, 1000)
        held = list(sealed.values())
        run(store.reset(Fixtures()))
        assert not pieces_in(tmp_path, held, 1000)


CHANCE = random.Random(2)  # noqa: S311 - the same each time


async def update_by_chance(store: Store, number: int) -> None:
    """Update a credential of one of 20 to 40 configurations; add one now and then.

    SQLite leaves copies most often where rows of these two size classes are neighbors.
    """
    listed = await store.configurations()
    ids = [id for id, workspace in listed.items() if workspace == "acme"]
    if len(ids) < 20 or number % 50 == 49:
        id = f"new {len(ids)}"
        added = Configuration("", "acme", id, {"name": id})
        await store.add(Fixtures(configurations=(added,)))
        ids.append(id)
    field = CHANCE.choice(["key", "secret"])
    changes = {field: "x" * CHANCE.choice([10, 5000]), "name": f"n {number}" * CHANCE.randint(1, 9)}
    await store.update(OWNER, CHANCE.choice(ids), changes)


def pieces_in(folder: Path, sealed: Iterable[bytes], step: int) -> bool:
    """Return whether a file of the folder contains a piece of one of the sealed credentials."""
    content = b"".join(file.read_bytes() for file in folder.iterdir() if file.is_file())
    return any(
        value[start : start + 12] in content
        for value in sealed
        for start in range(5, len(value) - 12, step)  # from the nonce on
    )


def test_full_disk_answers_500_and_recovers(place: Place, run: Run) -> None:
    """While the disk is full the answer is 500; nothing is lost, and updates resume afterwards."""
    with serving(place) as (process, address):
        connection = http.client.HTTPConnection(address, timeout=10)
        assert put(connection, MAIN, {"name": "before", "secret": "before"}) == 200
        full = (1, resource.RLIM_INFINITY)
        unlimited = resource.prlimit(process.pid, resource.RLIMIT_FSIZE, full)
        for _ in range(3):
            assert put(connection, MAIN, {"name": "too much", "secret": "too much"}) == 500
        assert put(connection, MAIN, {}) == 200
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, unlimited)
        assert put(connection, MAIN, {"key": "after"}) == 200
        connection.close()
    with place.opened(run) as store:
        assert run(store.configuration(MAIN))["name"] == "before"
        assert run(store.reveals(MAIN, "secret", "before"))
        assert run(store.reveals(MAIN, "key", "after"))

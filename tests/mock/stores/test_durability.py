"""The store in a file: answered updates are on the disk, replaced credentials are gone from it."""

import asyncio
import http.client
import json
import multiprocessing
import os
import random
import resource
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

import flashback_mock
from flashback_mock.fixtures import Configuration, Fixtures, Member, Token
from flashback_mock.stores import Store, store_at
from flashback_mock.stores.vault import Vault
from tests.mock.stores.conftest import CONTRACT, MAIN, SIBLING

KILLS = 50
ROTATIONS = 1000
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["flashback_mock.serving", "flashback_mock.stores.sqlite"])


def store_in(folder: Path) -> Store:
    """Return the store in a folder; its keys are in a folder below."""
    return store_at(str(folder / "store.db"), CONTRACT.credentials, folder / "keys" / "file")


def serve(folder: Path, address: Connection) -> None:
    """Run a mock on the folder's store until it is killed."""
    os.environ["FLASHBACK_MOCK_KEYS_FILE"] = str(folder / "keys" / "file")
    with flashback_mock.running(CONTRACT, store=str(folder / "store.db")) as mock:
        address.send(mock.base_url)
        threading.Event().wait()


@contextmanager
def serving(folder: Path) -> Generator[tuple[Any, str]]:
    """A process that serves the folder's store, and its address; killed at the end."""
    here, there = FORKS.Pipe(duplex=False)
    process = FORKS.Process(target=serve, args=(folder, there), daemon=True)
    process.start()
    there.close()
    try:
        yield process, here.recv().removeprefix("http://")
    finally:
        process.kill()
        process.join()


def put(connection: http.client.HTTPConnection, id: str, body: dict[str, str]) -> int:
    """Return the status of an update by the owner."""
    headers = {"Authorization": "Bearer owner-token", "Content-Type": "application/json"}
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
        """Send updates whose fields all carry the same number until the server is gone."""
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


async def stored_number(store: Store, id: str) -> int:
    """Return the number in the stored name; the credentials must carry the same."""
    number = int((await store.configuration(id))["name"].split()[1])
    assert await store.reveals(id, "key", f"{number}")
    assert await store.reveals(id, "secret", "s" * (number % 700 + 1))
    return number


async def stored_numbers(folder: Path, loads: list[Load]) -> list[int]:
    """Return the stored number of each configuration under load."""
    store = store_in(folder)
    await store.open(None)
    try:
        return [await stored_number(store, load.id) for load in loads]
    finally:
        await store.close()


def test_killed_store_has_every_answered_update(tmp_path: Path) -> None:
    """After each of fifty SIGKILLs under load, no answered update is lost, and none is partial."""
    loads = [Load(MAIN), Load(SIBLING)]
    for kill in range(KILLS):
        with serving(tmp_path) as (process, address):
            threads = [threading.Thread(target=load.run, args=(address,)) for load in loads]
            for thread in threads:
                thread.start()
            time.sleep(0.05 + kill % 7 * 0.01)
            process.kill()
        for thread in threads:
            thread.join()
        if all(load.answered for load in loads):
            numbers = asyncio.run(stored_numbers(tmp_path, loads))
            for load, number in zip(loads, numbers, strict=True):
                assert load.answered <= number <= load.sent
    assert all(load.answered > KILLS for load in loads)


def test_replaced_credentials_are_in_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After each of a thousand updates, no file contains a piece of what was replaced.

    Nor does one after a configuration was deleted, or the store reset.
    """
    sealed = dict[Any, bytes]()
    replaced = list[bytes]()
    seal = Vault.seal

    def recorded(vault: Vault, credential: str, *place: str) -> bytes:
        if place in sealed:
            replaced.append(sealed[place])
        sealed[place] = seal(vault, credential, *place)
        return sealed[place]

    monkeypatch.setattr(Vault, "seal", recorded)
    asyncio.run(update_and_search(tmp_path, sealed, replaced))
    assert len(replaced) > ROTATIONS * 0.9


async def update_and_search(folder: Path, sealed: dict[Any, bytes], replaced: list[bytes]) -> None:
    """Update credentials of all sizes among new configurations, and search for old ones."""
    chance = random.Random(2)  # noqa: S311 - the same each time
    store = store_in(folder)
    ids = [f"c{number}" for number in range(20)]
    tokens = (Token("t", "u"),)
    members = (Member("w", "u", "WRITE"),)
    await store.open(Fixtures(tokens, members, tuple(map(plain, ids))))
    for number in range(ROTATIONS):
        if number % 50 == 0:
            await store.add(Fixtures(configurations=(plain(f"new {number}"),)))
            ids.append(f"new {number}")
        # SQLite leaves copies most often where rows of these two size classes are neighbors.
        size = chance.choice([10, 5000])
        changes = {
            chance.choice(["key", "secret"]): "x" * size,
            "name": f"n {number}" * chance.randint(1, 9),
        }
        await store.update("t", chance.choice(ids), changes)
        content = all_of(folder)
        assert not any(piece in content for old in replaced[-1:] for piece in pieces(old, 1000))
    content = all_of(folder)
    credentials = {place: value for place, value in sealed.items() if len(place) == 3}
    # A piece may lie across two pages.
    assert all(any(piece in content for piece in pieces(now, 50)) for now in sealed.values())
    assert not any(piece in content for old in replaced for piece in pieces(old, 4000))
    await store.delete_configuration("c0")
    content = all_of(folder)
    assert not any(
        piece in content
        for place, old in credentials.items()
        if place[1] == "c0"
        for piece in pieces(old, 1000)
    )
    await store.reset(Fixtures())
    content = all_of(folder)
    assert not any(piece in content for old in credentials.values() for piece in pieces(old, 1000))
    await store.close()


def all_of(folder: Path) -> bytes:
    """Return the content of all files of a folder."""
    return b"".join(file.read_bytes() for file in folder.iterdir() if file.is_file())


def plain(id: str) -> Configuration:
    """Return a configuration without credentials."""
    return Configuration("", "w", id, {"name": id})


def pieces(sealed: bytes, step: int) -> list[bytes]:
    """Return pieces of a sealed credential, its nonce among them."""
    return [sealed[at : at + 12] for at in range(5, len(sealed) - 12, step)]


def test_full_disk_answers_500_and_recovers(tmp_path: Path) -> None:
    """While the disk is full the answer is 500; nothing is lost, and updates resume afterwards."""
    with serving(tmp_path) as (process, address):
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
    asyncio.run(assert_recovered(tmp_path))


async def assert_recovered(folder: Path) -> None:
    """Assert that the store has what was answered, and nothing of what was refused."""
    store = store_in(folder)
    await store.open(None)
    assert (await store.configuration(MAIN))["name"] == "before"
    assert await store.reveals(MAIN, "secret", "before")
    assert await store.reveals(MAIN, "key", "after")
    await store.close()

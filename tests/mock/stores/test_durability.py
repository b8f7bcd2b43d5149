"""The store in a file: what was answered is on the disk, what was replaced is gone from it."""

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

import flashback_mock
import pytest
from flashback_mock.fixtures import Configuration, Fixtures, Member, Token
from flashback_mock.stores import store_at
from flashback_mock.stores.store import Store
from flashback_mock.stores.vault import Vault

KILLS = 50
ROTATIONS = 1000
CONTRACT = flashback_mock.Contract()
MAIN, SIBLING, _ = (given.id for given in Fixtures.read(CONTRACT).configurations)
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["flashback_mock.server"])


def store_in(folder: Path) -> Store:
    """The store in a folder, with its key file beside it, for want of a better place."""
    return store_at(str(folder / "store.db"), CONTRACT.credentials, folder / "keys")


def serve(folder: Path, told: Connection) -> None:
    """Run a mock on the folder's store until it is killed."""
    os.environ["FLASHBACK_MOCK_KEYS_FILE"] = str(folder / "keys")
    with flashback_mock.running(CONTRACT, store=str(folder / "store.db")) as mock:
        told.send(mock.base_url)
        threading.Event().wait()


@contextmanager
def serving(folder: Path) -> Generator[tuple[Any, str]]:
    """A process that serves the folder's store, killed at the end, and where it serves."""
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
    """The status of an update by the owner."""
    headers = {"Authorization": "Bearer owner-token", "Content-Type": "application/json"}
    connection.request("PUT", f"/ai/llm/{id}", json.dumps(body), headers)
    answer = connection.getresponse()
    answer.read()
    return answer.status


class Load:
    """Updates of one configuration, one after the other, as fast as they are answered."""

    def __init__(self, id: str) -> None:
        """Nothing is sent, nothing answered yet."""
        self.id, self.sent, self.answered = id, 0, 0

    def run(self, address: str) -> None:
        """Send updates whose fields all carry the same number until the server is gone."""
        connection = http.client.HTTPConnection(address, timeout=10)
        with suppress(OSError, http.client.HTTPException):
            while True:
                self.sent += 1
                body = {
                    "name": f"{self.id} {self.sent}",
                    "key": f"{self.sent}",
                    "secret": "s" * (self.sent % 700 + 1),
                }
                if put(connection, self.id, body) == 200:
                    self.answered = self.sent
        connection.close()


async def number_of(store: Store, id: str) -> int:
    """The number that the stored name carries, if the credentials carry it too."""
    number = int((await store.configuration(id))["name"].split()[1])
    assert await store.reveals(id, "key", f"{number}")
    assert await store.reveals(id, "secret", "s" * (number % 700 + 1))
    return number


async def found(folder: Path, loads: list[Load]) -> list[int]:
    """What a store that was killed holds."""
    store = store_in(folder)
    await store.open(None)
    try:
        return [await number_of(store, load.id) for load in loads]
    finally:
        await store.close()


def test_kill_loses_no_answered_update_and_leaves_no_half(tmp_path: Path) -> None:
    """Killed 50 times under load, it comes back with every answered update, and halves of none."""
    loads = [Load(MAIN), Load(SIBLING)]
    chance = random.Random(1)  # noqa: S311 - the same each time
    for _ in range(KILLS):
        with serving(tmp_path) as (process, address):
            threads = [threading.Thread(target=load.run, args=(address,)) for load in loads]
            for thread in threads:
                thread.start()
            time.sleep(chance.uniform(0.01, 0.1))
            process.kill()
            for thread in threads:
                thread.join()
        if all(load.answered for load in loads):
            for load, number in zip(loads, asyncio.run(found(tmp_path, loads)), strict=True):
                assert load.answered <= number <= load.sent
    assert all(load.answered > KILLS for load in loads)


def test_replaced_credentials_are_in_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After each of a thousand rotations no file holds a piece of what was replaced."""
    sealed, replaced, seal = dict[Any, bytes](), list[bytes](), Vault.seal

    def recorded(vault: Vault, credential: str, *place: str) -> bytes:
        if place in sealed:
            replaced.append(sealed[place])
        sealed[place] = seal(vault, credential, *place)
        return sealed[place]

    monkeypatch.setattr(Vault, "seal", recorded)
    asyncio.run(rotate_and_search(tmp_path, sealed, replaced))
    assert len(replaced) > ROTATIONS * 0.9


async def rotate_and_search(folder: Path, sealed: dict[Any, bytes], replaced: list[bytes]) -> None:
    """Update credentials of all sizes among new configurations, and look for old ones each time."""
    chance = random.Random(2)  # noqa: S311 - the same each time
    store, ids = store_in(folder), ["a", "b"]
    await store.open(
        Fixtures((Token("t", "u"),), (Member("w", "u", "WRITE"),), tuple(map(plain, ids)))
    )
    for number in range(ROTATIONS):
        if number % 50 == 0:
            await store.add(Fixtures(configurations=(plain(f"new {number}"),)))
            ids.append(f"new {number}")
        size, field = int(8192 ** chance.random() ** 2), chance.choice(["key", "secret"])
        await store.update(
            "t",
            chance.choice(ids),
            {field: "é" * size, "name": f"n {number}" * chance.randint(1, 9)},
        )
        content = all_of(folder)
        assert not any(piece in content for old in replaced[-1:] for piece in pieces(old, 1000))
    content = all_of(folder)
    # A piece may lie across two pages.
    assert all(any(piece in content for piece in pieces(now, 50)) for now in sealed.values())
    assert not any(piece in content for old in replaced for piece in pieces(old, 4000))
    await store.close()


def all_of(folder: Path) -> bytes:
    """What all files of a folder hold."""
    return b"".join(file.read_bytes() for file in folder.iterdir())


def plain(id: str) -> Configuration:
    """A configuration without credentials."""
    return Configuration("", "w", id, {"name": id})


def pieces(sealed: bytes, step: int) -> list[bytes]:
    """Pieces of a sealed credential, its nonce among them."""
    return [sealed[at : at + 12] for at in range(5, len(sealed) - 12, step)]


def test_full_disk_answers_500_and_recovers(tmp_path: Path) -> None:
    """While the disk takes no more the answer is 500; nothing is lost, and then it goes on."""
    with serving(tmp_path) as (process, address):
        connection = http.client.HTTPConnection(address, timeout=10)
        assert put(connection, MAIN, {"name": "before", "secret": "before"}) == 200
        unlimited = resource.prlimit(
            process.pid, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY)
        )
        for _ in range(3):
            assert put(connection, MAIN, {"name": "too much", "secret": "too much"}) == 500
        assert put(connection, MAIN, {}) == 200
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, unlimited)
        assert put(connection, MAIN, {"key": "after"}) == 200
        connection.close()

    async def judged() -> None:
        store = store_in(tmp_path)
        await store.open(None)
        assert (await store.configuration(MAIN))["name"] == "before"
        assert await store.reveals(MAIN, "secret", "before")
        assert await store.reveals(MAIN, "key", "after")
        await store.close()

    asyncio.run(judged())

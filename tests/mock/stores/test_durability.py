"""Tests for crash safety: acknowledged updates, usable keys and wiped credentials."""

import random
from collections.abc import Iterable
from itertools import count
from pathlib import Path
from signal import SIGKILL

import pytest

from flashback_mock.fixtures import Configuration, Fixtures
from flashback_mock.stores.store import Store
from flashback_mock.stores.vault import Vault
from tests.mock.stores.locations import MAIN, SIBLING, Run, StoreLocation
from tests.mock.stores.processes import FORKSERVER, full_disk, rotate, running_mocks, updating

KILLS = 10
UPDATES = 300
in_a_file = pytest.mark.parametrize("location", ["file"], indirect=True)


@in_a_file
def test_killed_store_keeps_every_acknowledged_update(location: StoreLocation, run: Run) -> None:
    """After a SIGKILL under load, each acknowledged update is stored, and no update is partial."""
    for kill in range(KILLS):
        with running_mocks(location) as (mock,), updating([mock], MAIN, SIBLING) as updates:
            for update in updates:
                update.wait_for(200, 3 + kill)
            mock.kill()
        with location.opened(run) as store:
            for update in updates:
                run(update.assert_stored(store))


@pytest.mark.parametrize("location", ["file", "postgresql"], indirect=True)
def test_killed_rotation_leaves_usable_keys(location: StoreLocation, run: Run) -> None:
    """No matter when a key rotation is killed, the store can still be opened.

    After a rotation completes, only its new key is left.
    """
    secret = Configuration("", "acme", MAIN, {"secret": "sealed"})
    with location.opened(run, is_new=True) as store:
        run(store.reset(Fixtures(configurations=(secret,))))
    (first,) = location.vaults()
    leftover_keys = 0
    for steps in count(1):
        process = FORKSERVER.Process(target=rotate, args=(location, steps))
        process.start()
        process.join()
        with location.opened(run) as store:
            assert run(store.find(MAIN)).reveals("secret", "sealed")
        if process.exitcode == 0:
            break
        assert process.exitcode == -SIGKILL
        leftover_keys += len(location.vaults()) - 1
    assert leftover_keys > 3
    (last,) = location.vaults()
    assert last.key_id != first.key_id


@in_a_file
def test_replaced_credentials_are_in_no_file(
    location: StoreLocation, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No file contains a fragment of a replaced credential.

    The test checks the files after every change: updates, a deletion, a key rotation and a reset.
    """
    current = dict[tuple[str, ...], bytes]()
    replaced = list[bytes]()
    seal = Vault.seal

    def record(vault: Vault, credential: str, *at: str) -> bytes:
        if at in current:
            replaced.append(current[at])
        current[at] = seal(vault, credential, *at)
        return current[at]

    monkeypatch.setattr(Vault, "seal", record)
    with location.opened(run, is_new=True) as store:
        for number in range(UPDATES):
            run(update_random_configuration(store, number))
            assert not contain_fragments(tmp_path, replaced[-1:], 1000)
        assert len(replaced) > UPDATES * 0.8
        run(store.delete_configuration(MAIN))
        for at in [at for at in current if at[1] == MAIN]:
            replaced.append(current.pop(at))
        assert not contain_fragments(tmp_path, replaced, 4000)
        run(store.rotate())
        for sealed in current.values():
            assert contain_fragments(tmp_path, [sealed], 50)
        assert len(replaced) > len(current) + UPDATES * 0.8
        assert not contain_fragments(tmp_path, replaced, 4000)
        run(store.reset(Fixtures()))
        assert not contain_fragments(tmp_path, current.values(), 1000)


# With this seed, the test fails if the store deletes replaced credentials without wiping them.
# SQLite then leaves copies of two credentials in the file.
RANDOM = random.Random(1)  # noqa: S311 - not cryptography


async def update_random_configuration(store: Store, number: int) -> None:
    """Update a credential of a random configuration, and occasionally add a configuration first.

    The credentials belong to two size classes, because SQLite leaves the most copies behind when
    rows of both classes are adjacent.
    """
    listed = await store.configurations()
    ids = [id for id, workspace in listed.items() if workspace == "acme"]
    if len(ids) < 20 or number % 50 == 49:
        id = f"new {len(ids)}"
        added = Configuration("", "acme", id, {"name": id})
        await store.add(Fixtures(configurations=(added,)))
        ids.append(id)
    field = RANDOM.choice(["key", "secret"])
    changes = {field: "x" * RANDOM.choice([10, 5000]), "name": f"n {number}" * RANDOM.randint(1, 9)}
    await store.update("owner-token", RANDOM.choice(ids), changes)


def contain_fragments(folder: Path, sealed: Iterable[bytes], step: int) -> bool:
    """Return whether a file in the folder contains a fragment of any sealed credential."""
    content = b"".join(file.read_bytes() for file in folder.iterdir() if file.is_file())
    return any(
        value[start : start + 12] in content
        for value in sealed
        for start in range(4, len(value) - 12, step)  # skip the 4 bytes before the nonce
    )


@in_a_file
def test_full_disk_returns_500_and_recovers(location: StoreLocation, run: Run) -> None:
    """While the disk is full, updates return 500 and lose no data. Later updates succeed."""
    with running_mocks(location) as (mock,):
        assert mock.put(MAIN, name="before", secret="before") == 200
        with full_disk(mock.process.pid or 0):
            for _ in range(3):
                assert mock.put(MAIN, name="too much", secret="too much") == 500
            assert mock.put(MAIN) == 200
        assert mock.put(MAIN, key="after") == 200
    with location.opened(run) as store:
        assert run(store.find(MAIN)).describe()["name"] == "before"
        assert run(store.find(MAIN)).reveals("secret", "before")
        assert run(store.find(MAIN)).reveals("key", "after")

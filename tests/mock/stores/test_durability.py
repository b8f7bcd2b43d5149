"""What is left after a crash: answered updates, usable keys, and no replaced credential."""

import random
from collections.abc import Iterable
from itertools import count
from pathlib import Path
from signal import SIGKILL

import pytest

from flashback_mock.fixtures import Configuration, Fixtures
from flashback_mock.stores import Store
from flashback_mock.stores.vault import Vault
from tests.mock.stores.places import MAIN, OWNER, SIBLING, Place, Run
from tests.mock.stores.processes import FORKS, full_disk, mocks_on, rotate, updating

KILLS = 10
UPDATES = 300
in_a_file = pytest.mark.parametrize("place", ["file"], indirect=True)


@in_a_file
def test_killed_store_has_every_answered_update(place: Place, run: Run) -> None:
    """After each SIGKILL under load, no answered update is lost, and none is partial."""
    for kill in range(KILLS):
        with mocks_on(place) as (mock,), updating([mock], MAIN, SIBLING) as updates:
            for update in updates:
                update.wait_for(200, 3 + kill)
            mock.kill()
        with place.opened(run) as store:
            for update in updates:
                run(update.assert_stored(store))


@pytest.mark.parametrize("place", ["file", "postgresql"], indirect=True)
def test_killed_rotation_leaves_usable_keys(place: Place, run: Run) -> None:
    """A store opens no matter where a rotation was killed; the next one deletes all other keys."""
    secret = Configuration("", "acme", MAIN, {"secret": "sealed"})
    with place.opened(run, is_new=True) as store:
        run(store.reset(Fixtures(configurations=(secret,))))
    (first,) = place.vaults()
    leftovers = 0
    for steps in count(1):
        process = FORKS.Process(target=rotate, args=(place, steps))
        process.start()
        process.join()
        with place.opened(run) as store:
            assert run(store.reveals(MAIN, "secret", "sealed"))
        if process.exitcode == 0:
            break
        assert process.exitcode == -SIGKILL
        leftovers += len(place.vaults()) - 1
    assert leftovers > 3
    (last,) = place.vaults()
    assert last.key_id != first.key_id


@in_a_file
def test_replaced_credentials_are_in_no_file(
    place: Place, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After each of many updates, no file contains a part of a replaced credential.

    The same holds after a configuration is deleted, the keys are rotated or the store is reset.
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
    with place.opened(run, is_new=True) as store:
        for number in range(UPDATES):
            run(update_by_chance(store, number))
            assert not pieces_in(tmp_path, replaced[-1:], 1000)
        assert len(replaced) > UPDATES * 0.8
        run(store.delete_configuration(MAIN))
        for at in [at for at in current if at[1] == MAIN]:
            replaced.append(current.pop(at))
        assert not pieces_in(tmp_path, replaced, 4000)
        run(store.rotate())
        for sealed in current.values():  # a piece may lie across two pages
            assert pieces_in(tmp_path, [sealed], 50)
        assert len(replaced) > len(current) + UPDATES * 0.8
        assert not pieces_in(tmp_path, replaced, 4000)
        run(store.reset(Fixtures()))
        assert not pieces_in(tmp_path, current.values(), 1000)


# With this seed, SQLite leaves copies in the file twice if replaced credentials are deleted.
CHANCE = random.Random(1)  # noqa: S311 - the same each time


async def update_by_chance(store: Store, number: int) -> None:
    """Update a credential of a random configuration; now and then, add a configuration first.

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
        for start in range(4, len(value) - 12, step)  # from the nonce on
    )


@in_a_file
def test_full_disk_returns_500_and_recovers(place: Place, run: Run) -> None:
    """While the disk is full, updates get a 500; nothing is lost, and updates work afterwards."""
    with mocks_on(place) as (mock,):
        assert mock.put(MAIN, name="before", secret="before") == 200
        with full_disk(mock.process.pid or 0):
            for _ in range(3):
                assert mock.put(MAIN, name="too much", secret="too much") == 500
            assert mock.put(MAIN) == 200
        assert mock.put(MAIN, key="after") == 200
    with place.opened(run) as store:
        assert run(store.configuration(MAIN))["name"] == "before"
        assert run(store.reveals(MAIN, "secret", "before"))
        assert run(store.reveals(MAIN, "key", "after"))

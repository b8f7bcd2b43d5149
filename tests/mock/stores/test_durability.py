"""The store in a file: answered updates are on the disk, replaced credentials are gone from it."""

import random
import resource
from collections.abc import Iterable
from pathlib import Path

import pytest

from flashback_mock.fixtures import Configuration, Fixtures
from flashback_mock.stores import Store
from flashback_mock.stores.vault import Vault
from tests.mock.stores.conftest import MAIN, OWNER, SIBLING, Mocks, Place, Run, updating

KILLS = 10
UPDATES = 300
pytestmark = pytest.mark.parametrize("place", ["file"], indirect=True)


def test_killed_store_has_every_answered_update(place: Place, mocks: Mocks, run: Run) -> None:
    """After each SIGKILL under load, no answered update is lost, and none is partial."""
    for kill in range(KILLS):
        with mocks.on(place) as served, updating(served, MAIN, SIBLING) as updates:
            for one in updates:
                one.wait_for(200, 3 + kill)
            served[0].kill()
        with place.opened(run) as store:
            for one in updates:
                run(one.assert_stored(store))


def test_replaced_credentials_are_in_no_file(
    place: Place, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After each of many updates, no file contains a part of a replaced value.

    The same holds after a configuration is deleted, the keys are rotated or the store is reset.
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
        assert len(replaced) > UPDATES * 0.8
        run(store.delete_configuration(MAIN))
        for at in [at for at in sealed if at[1] == MAIN]:
            replaced.append(sealed.pop(at))
        assert not pieces_in(tmp_path, replaced, 4000)
        run(store.rotate())
        for value in sealed.values():  # a piece may lie across two pages
            assert pieces_in(tmp_path, [value], 50)
        assert len(replaced) > len(sealed) + UPDATES * 0.8
        assert not pieces_in(tmp_path, replaced, 4000)
        run(store.reset(Fixtures()))
        assert not pieces_in(tmp_path, sealed.values(), 1000)


# With this seed, rows that change their size leave copies in the file three times.
CHANCE = random.Random(9)  # noqa: S311 - the same each time


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
        for start in range(4, len(value) - 12, step)  # from the nonce on
    )


def test_full_disk_answers_500_and_recovers(place: Place, mocks: Mocks, run: Run) -> None:
    """While the disk is full the answer is 500; nothing is lost, and updates resume afterwards."""
    with mocks.on(place) as (mock,):
        assert mock.put(MAIN, name="before", secret="before") == 200
        full = (1, resource.RLIM_INFINITY)
        unlimited = resource.prlimit(mock.process, resource.RLIMIT_FSIZE, full)
        for _ in range(3):
            assert mock.put(MAIN, name="too much", secret="too much") == 500
        assert mock.put(MAIN) == 200
        resource.prlimit(mock.process, resource.RLIMIT_FSIZE, unlimited)
        assert mock.put(MAIN, key="after") == 200
    with place.opened(run) as store:
        assert run(store.configuration(MAIN))["name"] == "before"
        assert run(store.reveals(MAIN, "secret", "before"))
        assert run(store.reveals(MAIN, "key", "after"))

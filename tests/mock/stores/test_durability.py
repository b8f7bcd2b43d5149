"""Tests for crash safety: acknowledged updates, usable keys and wiped credentials."""

import os
from itertools import count
from pathlib import Path
from random import Random

import pytest

from flashback_mock.fixtures import Configuration, Fixtures
from flashback_mock.stores.errors import StoreError
from flashback_mock.stores.vault import Vault
from tests.mock.stores.locations import FIXTURES, MAIN, OWNER, StoreLocation, in_a_file
from tests.mock.stores.processes import full_disk, kill_after, kill_rotation, numbered

KILLS = 6
UPDATES = 100


@in_a_file
def test_killed_store_keeps_every_acknowledged_update(location: StoreLocation) -> None:
    """After a SIGKILL between or during updates, no acknowledged update is lost or incomplete."""
    with location.opened():
        pass
    for kill in range(KILLS):
        acknowledged = kill_after(3 + kill, location.address, location.key_file)
        with location.opened() as store:
            stored = store.find(MAIN)
            number = int(stored.plain["name"])
            assert number in (acknowledged, acknowledged + 1)
            for field in ("key", "secret"):
                assert stored.has(field, numbered(number)[field])


@pytest.mark.parametrize("location", ["file", "postgresql"], indirect=True)
def test_killed_rotation_leaves_usable_keys(location: StoreLocation) -> None:
    """No matter when a key rotation is killed, the store can still be opened.

    After a rotation completes, only its new key is left.
    """
    secret = Configuration("", "acme", MAIN, {"secret": "sealed"})
    with location.opened() as store:
        store.reset(Fixtures(configurations=(secret,)))
    (first,) = location.vaults()
    leftover_keys = 0
    for step in count(1):
        killed = kill_rotation(step, location.address, location.key_file)
        with location.opened() as store:
            assert store.find(MAIN).has("secret", "sealed")
        if not killed:
            break
        leftover_keys += len(location.vaults()) - 1
    assert leftover_keys > 3
    (last,) = location.vaults()
    assert last.key_id != first.key_id


@in_a_file
def test_no_file_contains_replaced_credentials(location: StoreLocation, tmp_path: Path) -> None:
    """The files contain the current credentials but no copies of replaced ones.

    An encrypted credential starts with its key's id, and the id also occurs once elsewhere in
    the store. The credentials belong to two size classes, because SQLite leaves the most copies
    behind when rows of both classes are adjacent.
    """

    def count_credentials(vault: Vault) -> int:
        files = [file for file in tmp_path.iterdir() if file.is_file()]
        return sum(file.read_bytes().count(vault.key_id) for file in files) - 1

    # With this seed, the test fails if the store deletes rows instead of overwriting them.
    random = Random(4)  # noqa: S311 - not cryptography
    stored = set[tuple[str, str]]()
    ids = set[str]()
    with location.opened() as store:
        store.reset(Fixtures(FIXTURES.tokens, FIXTURES.members))
        (old,) = location.vaults()
        for number in range(UPDATES):
            id = f"id {number % 20 + number // 50}"
            if id not in ids:
                store.add(Fixtures(configurations=(Configuration("", "acme", id, {}),)))
            field = random.choice(["key", "secret"])
            name = f"{number} " * random.randint(1, 9)
            store.update(OWNER, id, {field: "x" * random.choice([10, 5000]), "name": name})
            ids.add(id)
            stored.add((id, field))
            assert count_credentials(old) == len(stored)
        store.delete_configuration("id 5")
        stored -= {("id 5", "key"), ("id 5", "secret")}
        assert count_credentials(old) == len(stored)
        store.rotate()
        (new,) = location.vaults()
        assert count_credentials(old) == -1
        assert count_credentials(new) == len(stored)
        store.reset(Fixtures())
        assert count_credentials(new) == 0


@in_a_file
def test_updates_fail_while_disk_is_full_and_then_succeed(location: StoreLocation) -> None:
    """While the disk is full, updates fail and lose no data. Later updates succeed."""
    with location.opened() as store:
        store.update(OWNER, MAIN, {"name": "before", "secret": "before"})
        with full_disk(os.getpid()):
            for _ in range(3):
                with pytest.raises(StoreError, match="reading or writing the file failed"):
                    store.update(OWNER, MAIN, {"name": "too much", "secret": "too much"})
            store.update(OWNER, MAIN, {})
        store.update(OWNER, MAIN, {"key": "after"})
    with location.opened() as store:
        stored = store.find(MAIN)
        assert stored.plain["name"] == "before"
        assert stored.has("secret", "before")
        assert stored.has("key", "after")

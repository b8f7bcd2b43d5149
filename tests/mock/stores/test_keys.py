"""Tests for master keys, key files and encrypted credentials."""

import os
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import pytest

import flashback_mock
from flashback_mock.fixtures import Configuration, Fixtures
from flashback_mock.stores.errors import NameTakenError, StoreError
from flashback_mock.stores.keys import KEYS_FILE, key_path, read_vault, write_keys
from flashback_mock.stores.vault import HEADER_BYTES, Vault
from tests.mock.stores.locations import FIXTURES, StoreLocation, in_a_file
from tests.mock.stores.processes import full_disk

PLACE = ("acme", "id", "secret")
VAULT = Vault(bytes(32))


def test_sealed_credential_reveals_only_its_size_class() -> None:
    """All sealed credentials in a size class have the same length."""
    for size, lengths in ((256, (1, 219)), (1536, (220, 1499)), (9216, (1500, 9179))):
        for length in lengths:
            assert len(VAULT.seal("x" * length, *PLACE)) == size


def test_equal_credentials_are_sealed_differently() -> None:
    """Equal credentials have different ciphertexts, because each encryption uses a new nonce."""
    sealed = {VAULT.seal("the same", *PLACE)[HEADER_BYTES:][:32] for _ in range(1000)}
    assert len(sealed) == 1000


def test_every_byte_is_authenticated() -> None:
    """The vault detects a change to any byte of a sealed value, even in its header or padding."""
    sealed = VAULT.seal("credential", *PLACE)
    for position in range(len(sealed)):
        damaged = bytearray(sealed)
        damaged[position] ^= 1
        with pytest.raises(StoreError):
            VAULT.open(bytes(damaged), *PLACE)


def test_key_file_is_an_argument(tmp_path: Path, key_folder: Path) -> None:
    """`running` saves the keys in the file that it is given, not in the user's data folder."""
    keys = tmp_path / "other" / "keys"
    with flashback_mock.running(store=tmp_path / "store.db", keys=str(keys)) as mock:
        assert str(keys) in mock.store.location
    assert keys.exists()
    assert not key_folder.exists()


@in_a_file
def test_new_store_needs_a_new_key_file(
    location: StoreLocation, tmp_path: Path, key_folder: Path
) -> None:
    """Two stores cannot share a key file: rotating one store's keys would destroy the other's.

    A key file must not be in its store's folder. The error contains the key file's name.
    """
    with location.opened():
        used = location.key_file
    other = replace(location, address=f"{location.address}2")
    for file, reason in (
        (used, "keys: already exists; use --keys to specify a new file"),
        (key_folder / ("k" * 300), "kkk: cannot write .*: File name too long; use --keys to"),
        (tmp_path / "file", "the key file is in the store's folder"),
    ):
        with pytest.raises(StoreError, match=reason):
            other.store(file).open(FIXTURES)


@in_a_file
def test_failed_start_leaves_no_key_file(location: StoreLocation, key_folder: Path) -> None:
    """A failed attempt to create a store leaves no key file that would block the next attempt."""
    same_name = (Configuration("", "w", id, {"name": "new"}) for id in ("one", "two"))
    with pytest.raises(NameTakenError):
        location.store().open(Fixtures(configurations=tuple(same_name)))
    assert not key_folder.exists()


def test_replaced_key_is_wiped(tmp_path: Path) -> None:
    """A rotation overwrites the old key in place, even if the key file is a symbolic link."""
    (tmp_path / "link").symlink_to(tmp_path / "target")
    old = Vault()
    new = Vault()
    write_keys(tmp_path / "target", old, is_new=True)
    with (tmp_path / "target").open() as opened_before:
        write_keys(tmp_path / "link", old, new)
        both = opened_before.read().split()
        assert len(both) == 2
        write_keys(tmp_path / "link", new)
        opened_before.seek(0)
        assert opened_before.read().split() == both[1:]


def test_failed_write_keeps_the_old_key(tmp_path: Path) -> None:
    """If the disk is full, writing a new key fails, but the old key remains usable."""
    file = tmp_path / "keys"
    old = Vault()
    write_keys(file, old, is_new=True)
    with full_disk(os.getpid()), pytest.raises(StoreError, match="keys: cannot write the master"):
        write_keys(file, old, Vault())
    with file.open("a") as opened:
        opened.write("half a k")
    assert read_vault(file, old.key_id).key == old.key


def test_keys_option_overrides_the_environment_variable(
    key_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--keys` overrides the environment variable. By default, each store has its own key file."""
    assert key_path(None, "id") == key_folder / "flashback-mock" / "id.keys"
    with monkeypatch.context() as homeless:
        homeless.delenv("XDG_DATA_HOME")
        homeless.setattr(Path, "expanduser", Mock(side_effect=RuntimeError))
        with pytest.raises(StoreError, match=f"home directory for the keys; set .{KEYS_FILE}"):
            key_path(None, "id")
    monkeypatch.setenv(KEYS_FILE, str(tmp_path / "named"))
    assert key_path(None, "id") == tmp_path / "named"
    assert key_path(tmp_path / "option", "id") == tmp_path / "option"

"""Tests for master keys, key files and encrypted credentials."""

import os
from pathlib import Path

import pytest

from flashback_mock.fixtures import Configuration, Fixtures
from flashback_mock.stores import NameTakenError, StoreError
from flashback_mock.stores.keys import KEYS_FILE, KeyFile
from flashback_mock.stores.vault import HEADER_BYTES, LENGTH_BYTES, TAG_BYTES, Vault
from tests.mock.stores.locations import FIXTURES, Run, StoreLocation
from tests.mock.wire import command

OVERHEAD = HEADER_BYTES + LENGTH_BYTES + TAG_BYTES
PLACE = ("acme", "id", "secret")
VAULT = Vault(bytes(32))


def test_sealed_credential_reveals_only_its_size_class() -> None:
    """All sealed credentials in a size class have the same length."""
    smaller = OVERHEAD
    for size in (256, 1536, 9216, 55296):
        for length in (smaller - OVERHEAD + 1, size - OVERHEAD):
            sealed = VAULT.seal("x" * length, *PLACE)
            assert len(sealed) == size
            assert VAULT.open(sealed, *PLACE) == "x" * length
        smaller = size


def test_equal_credentials_are_sealed_differently() -> None:
    """Equal credentials have different ciphertexts, because each encryption uses a new nonce."""
    sealed = {VAULT.seal("the same", *PLACE)[HEADER_BYTES:][:32] for _ in range(1000)}
    assert len(sealed) == 1000


def test_every_byte_is_authenticated() -> None:
    """A change to any byte of a sealed credential, even in the header or padding, is detected."""
    sealed = VAULT.seal("credential", *PLACE)
    for position in range(len(sealed)):
        damaged = bytearray(sealed)
        damaged[position] ^= 1
        with pytest.raises(StoreError):
            VAULT.open(bytes(damaged), *PLACE)


@pytest.fixture
def location(tmp_path: Path, key_folder: Path) -> StoreLocation:
    """A location for a new file store."""
    return StoreLocation(str(tmp_path / "store.db"), key_folder)


def assert_rejected(run: Run, location: StoreLocation, key_file: Path, reason: str) -> None:
    """Assert that a store fails to open with this key file and that the error matches `reason`."""
    with pytest.raises(StoreError, match=reason):
        run(location.store(key_file).open(FIXTURES))


def test_stores_cannot_share_a_key_file(
    location: StoreLocation, key_folder: Path, run: Run
) -> None:
    """Two stores cannot share a key file.

    A key rotation in one store would destroy the other store's keys.
    """
    one = location.store(key_folder / "shared")
    run(one.open(FIXTURES))
    run(one.close())
    other = StoreLocation(f"{location.address}2", key_folder)
    assert_rejected(
        run, other, key_folder / "shared", "shared: already exists and may contain the keys"
    )


def test_key_file_in_the_store_folder_is_rejected(
    location: StoreLocation, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key file in the store's folder is rejected, whether the option or the variable sets it."""
    assert_rejected(run, location, tmp_path / "keys", "the key file is in the store's folder")
    monkeypatch.setenv(KEYS_FILE, str(tmp_path / "keys"))
    with pytest.raises(StoreError, match="the key file is in the store's folder"):
        run(location.store().open(FIXTURES))
    assert not list(tmp_path.iterdir())


def test_failed_start_leaves_no_key_file(
    location: StoreLocation, key_folder: Path, run: Run
) -> None:
    """A failed attempt to create a store leaves no key file to block the next attempt."""
    same_name = (Configuration("", "w", id, {"name": "n"}) for id in ("one", "two"))
    store = location.store(key_folder / "named")
    with pytest.raises(NameTakenError):
        run(store.open(Fixtures(configurations=tuple(same_name))))
    again = location.store(key_folder / "named")
    assert run(again.open(FIXTURES))
    run(again.close())


def test_error_for_an_unusable_key_file_contains_its_name(
    location: StoreLocation, key_folder: Path, run: Run
) -> None:
    """The error for an unusable key file contains the key file's name, not the store's."""
    folder = key_folder / "folder"
    folder.mkdir(parents=True)
    assert_rejected(run, location, folder, f"{folder}: already exists")
    name = "k" * 300
    assert_rejected(
        run, location, key_folder / name, f"{name}: cannot write the master keys: File name too"
    )


def test_replaced_key_is_wiped(tmp_path: Path) -> None:
    """A rotation overwrites the old key in place, even if the key file is a symbolic link."""
    (tmp_path / "link").symlink_to(tmp_path / "target")
    keys = KeyFile(tmp_path / "link", {})
    old = Vault.generate()
    new = Vault.generate()
    KeyFile(tmp_path / "target", {}).write("id", old, is_new=True)
    with (tmp_path / "target").open() as opened_before:
        keys.write("id", old, new)
        both = opened_before.read().split()
        assert len(both) == 2
        keys.write("id", new)
        opened_before.seek(0)
        assert opened_before.read().split() == both[1:]
    assert (tmp_path / "link").is_symlink()


def test_key_file_location(key_folder: Path, tmp_path: Path) -> None:
    """The option overrides the variable; without either, each store has its own key file."""
    named = {KEYS_FILE: str(tmp_path / "named")}
    assert KeyFile(tmp_path / "option", named).path("id") == tmp_path / "option"
    assert KeyFile(None, named).path("id") == tmp_path / "named"
    assert KeyFile(None, os.environ).path("id") == key_folder / "flashback-mock" / "id.keys"


def test_banner_shows_the_key_file(tmp_path: Path) -> None:
    """The banner shows the key file's path; the key file and the store have mode 0600."""
    store = tmp_path / "folder" / "store.db"
    store.parent.mkdir()
    with command("--store", str(store), "--keys", "named", cwd=tmp_path) as (_, banner, _):
        assert f"master keys in {tmp_path}/named\n" in banner
    for file in (tmp_path / "named", store):
        assert file.stat().st_mode & 0o777 == 0o600

"""Master keys, and the credentials that they encrypt."""

import os
from pathlib import Path

import pytest

from flashback_mock.fixtures import Configuration, Fixtures
from flashback_mock.stores import NameTakenError, StoreError
from flashback_mock.stores.keys import KEYS_FILE, KeyFile
from flashback_mock.stores.vault import HEADER_BYTES, LENGTH_BYTES, TAG_BYTES, Vault
from tests.mock.stores.places import FIXTURES, Place, Run
from tests.mock.wire import command

OVERHEAD = HEADER_BYTES + LENGTH_BYTES + TAG_BYTES
PLACE = ("acme", "id", "secret")
VAULT = Vault(bytes(32))


def test_sealed_credential_reveals_only_its_size_class() -> None:
    """Sealed credentials of one size class have one size, up to the last byte that fits."""
    smaller = OVERHEAD
    for size in (256, 1536, 9216, 55296):
        for length in (smaller - OVERHEAD + 1, size - OVERHEAD):
            sealed = VAULT.seal("x" * length, *PLACE)
            assert len(sealed) == size
            assert VAULT.open(sealed, *PLACE) == "x" * length
        smaller = size


def test_equal_credentials_are_sealed_differently() -> None:
    """Equal credentials have different ciphertexts, because every nonce is fresh."""
    sealed = {VAULT.seal("the same", *PLACE)[HEADER_BYTES:][:32] for _ in range(1000)}
    assert len(sealed) == 1000


def test_every_byte_is_authenticated() -> None:
    """A change to any byte of the header, padding or tag is detected."""
    sealed = VAULT.seal("credential", *PLACE)
    for position in range(len(sealed)):
        damaged = bytearray(sealed)
        damaged[position] ^= 1
        with pytest.raises(StoreError):
            VAULT.open(bytes(damaged), *PLACE)


@pytest.fixture
def place(tmp_path: Path, home: Path) -> Place:
    """A place for a store in a file."""
    return Place(str(tmp_path / "store.db"), home)


def assert_refused(run: Run, place: Place, key_file: Path, reason: str) -> None:
    """Assert that a store does not open with this key file, for this reason."""
    with pytest.raises(StoreError, match=reason):
        run(place.store(key_file).open(FIXTURES))


def test_stores_cannot_share_a_key_file(place: Place, home: Path, run: Run) -> None:
    """A key file belongs to one store, because a rotation would destroy the other store's keys."""
    one = place.store(home / "shared")
    run(one.open(FIXTURES))
    run(one.close())
    other = Place(f"{place.location}2", home)
    assert_refused(run, other, home / "shared", "shared: already exists and may contain the keys")


def test_keys_and_store_need_two_folders(
    place: Place, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key file in the store's folder is refused, whether the option or the variable names it."""
    assert_refused(run, place, tmp_path / "keys", "the key file is in the store's folder")
    monkeypatch.setenv(KEYS_FILE, str(tmp_path / "keys"))
    with pytest.raises(StoreError, match="the key file is in the store's folder"):
        run(place.store().open(FIXTURES))
    assert not list(tmp_path.iterdir())


def test_failed_start_leaves_no_key_file(place: Place, home: Path, run: Run) -> None:
    """A store that could not be created can be created with the same key file later."""
    same_name = (Configuration("", "w", id, {"name": "n"}) for id in ("one", "two"))
    store = place.store(home / "named")
    with pytest.raises(NameTakenError):
        run(store.open(Fixtures(configurations=tuple(same_name))))
    again = place.store(home / "named")
    assert run(again.open(FIXTURES))
    run(again.close())


def test_key_file_that_cannot_be_created_is_named(place: Place, home: Path, run: Run) -> None:
    """The error about an unusable key file names the key file, not the store."""
    folder = home / "folder"
    folder.mkdir(parents=True)
    assert_refused(run, place, folder, f"{folder}: already exists")
    name = "k" * 300
    assert_refused(run, place, home / name, f"{name}: cannot write the master keys: File name too")


def test_replaced_key_is_wiped(tmp_path: Path) -> None:
    """A rotation overwrites the old key in place, also behind a symbolic link."""
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


def test_location_of_the_keys(home: Path, tmp_path: Path) -> None:
    """The option names the key file, else a variable names it, else each store has its own."""
    named = {KEYS_FILE: str(tmp_path / "named")}
    assert KeyFile(tmp_path / "option", named).path("id") == tmp_path / "option"
    assert KeyFile(None, named).path("id") == tmp_path / "named"
    assert KeyFile(None, os.environ).path("id") == home / "flashback-mock" / "id.keys"


def test_location_of_the_keys_is_printed_at_start(tmp_path: Path) -> None:
    """The banner names the key file; the key file and the store have the mode 0600."""
    store = tmp_path / "folder" / "store.db"
    store.parent.mkdir()
    with command("--store", str(store), "--keys", "named", cwd=tmp_path) as (_, banner, _):
        assert f"master keys in {tmp_path}/named\n" in banner
    for file in (tmp_path / "named", store):
        assert file.stat().st_mode & 0o777 == 0o600

"""Master keys, and what they seal."""

import re
from pathlib import Path

import pytest

from flashback_mock.stores import StoreError
from flashback_mock.stores.keys import KEYS, KEYS_FILE, KeySource
from flashback_mock.stores.vault import HEADER_BYTES, LENGTH_BYTES, SIZES, TAG_BYTES, Vault
from tests.mock.stores.conftest import FIXTURES, Place, Run
from tests.mock.wire import welcome_of

OVERHEAD = HEADER_BYTES + LENGTH_BYTES + TAG_BYTES
PLACE = ("acme", "id", "secret")
VAULT = Vault([bytes(32)])
BASE64 = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="


@pytest.mark.parametrize("size", [*SIZES, 2 * SIZES[-1]])
def test_sealed_credential_reveals_only_its_size_class(size: int) -> None:
    """Sealed credentials of one size class have one size, up to the last byte that fits."""
    smaller = max([OVERHEAD, *(other for other in SIZES if other < size)])
    for length in (smaller - OVERHEAD + 1, size - OVERHEAD):
        sealed = VAULT.seal("x" * length, *PLACE)
        assert len(sealed) == size
        assert VAULT.open(sealed, *PLACE) == "x" * length


def test_equal_credentials_are_sealed_differently() -> None:
    """Every nonce is fresh: equal credentials have different ciphertexts."""
    sealed = {VAULT.seal("the same", *PLACE)[HEADER_BYTES:][:32] for _ in range(1000)}
    assert len(sealed) == 1000


def test_every_byte_is_authenticated() -> None:
    """A change of any byte of header, padding or tag is detected."""
    sealed = VAULT.seal("credential", *PLACE)
    for position in range(len(sealed)):
        damaged = bytearray(sealed)
        damaged[position] ^= 1
        with pytest.raises(StoreError):
            VAULT.open(bytes(damaged), *PLACE)


def test_credential_that_cannot_be_encoded_is_not_quoted() -> None:
    """A lone surrogate is an error that does not contain the credential."""
    with pytest.raises(ValueError, match="lone surrogate") as error:
        VAULT.seal("hush\ud800", *PLACE)
    assert "hush" not in str(error.value)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A place for a store in a file."""
    (tmp_path / "store").mkdir()
    return Place(str(tmp_path / "store" / "s.db"), tmp_path / "keys")


def test_stores_cannot_share_a_key_file(place: Place, tmp_path: Path, run: Run) -> None:
    """A key file belongs to one store, since its rotation would destroy the other's keys."""
    keys = str(tmp_path / "shared")
    with place.opened(run, is_new=True, FLASHBACK_MOCK_KEYS_FILE=keys):
        pass
    other = Place(str(tmp_path / "store" / "other.db"), place.home)
    with pytest.raises(StoreError, match="contains the keys of another store; choose another"):
        run(other.store(FLASHBACK_MOCK_KEYS_FILE=keys).open(FIXTURES))


def test_replaced_key_file_is_wiped(tmp_path: Path) -> None:
    """A rotation overwrites the previous key file with zeros; it follows a symbolic link."""
    (tmp_path / "link").symlink_to(tmp_path / "target")
    keys = KeySource(tmp_path / "link")
    made = keys.make("id")
    with (tmp_path / "target").open("rb") as old:
        assert keys.begin_rotation("id")[1:] == made
        assert old.read().strip(b"\0") == b""
    keys.end_rotation("id")
    assert (tmp_path / "link").is_symlink()
    (left,) = KeySource(tmp_path / "target").load("id")
    assert left not in made


@pytest.mark.parametrize(
    ("options", "variables", "expected"),
    [
        ([], {}, "keys/flashback-mock/{id}.keys"),
        ([], {KEYS_FILE: "named"}, "named"),
        (["--keys", "option"], {KEYS_FILE: "named"}, "option"),
        (["--keys", "option"], {KEYS: "!"}, "option"),
        ([], {KEYS: BASE64, KEYS_FILE: "named"}, f"${KEYS}"),
    ],
)
def test_location_of_the_keys_is_printed_at_start(
    place: Place, tmp_path: Path, options: list[str], variables: dict[str, str], expected: str
) -> None:
    """Keys are where the option says, else a variable, else in the default file."""
    place.environment |= variables
    with place.command("--port", "0", *options, cwd=tmp_path) as process:
        welcome = welcome_of(process)
        process.terminate()
    printed = re.search("master keys in (.*)", welcome)
    assert printed
    ((id,),) = place.sql("SELECT id FROM flashback_mock_store")
    path = expected.format(id=id)
    assert printed[1] == (path if "$" in path else str(tmp_path / path))
    assert "$" in path or (tmp_path / path).stat().st_mode & 0o777 == 0o600

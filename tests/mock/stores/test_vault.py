"""What is stored of a credential: its size class, and nothing else."""

import pytest
from flashback_mock.stores.store import StoreError
from flashback_mock.stores.vault import HEADER_BYTES, LENGTH_BYTES, SIZES, TAG_BYTES, Vault

OVERHEAD = HEADER_BYTES + LENGTH_BYTES + TAG_BYTES
PLACE = ("acme", "id", "secret")


@pytest.mark.parametrize("size", SIZES)
def test_sealed_credential_shows_its_size_class_only(size: int) -> None:
    """Credentials of one size class measure the same, up to the last byte that fits."""
    vault, smaller = Vault(), max([0, *(other for other in SIZES if other < size)])
    for length in (max(smaller - OVERHEAD + 1, 1), size - OVERHEAD):
        sealed = vault.seal("x" * length, *PLACE)
        assert len(sealed) == size
        assert vault.open(sealed, *PLACE) == "x" * length


def test_largest_credential_has_a_size_class_of_its_own_kind() -> None:
    """What exceeds every size class is padded to a multiple of the largest."""
    assert len(Vault().seal("x" * SIZES[-1], *PLACE)) == 2 * SIZES[-1]


def test_same_credential_is_never_sealed_alike() -> None:
    """Every nonce is fresh, so that nobody sees that a credential is the one before."""
    vault = Vault()
    sealed = {vault.seal("the same", *PLACE)[HEADER_BYTES:][:32] for _ in range(1000)}
    assert len(sealed) == 1000


def test_damaged_byte_anywhere_is_noticed() -> None:
    """Header, padding and tag are authenticated: no byte can be changed."""
    vault = Vault()
    sealed = vault.seal("credential", *PLACE)
    for at in range(len(sealed)):
        damaged = bytearray(sealed)
        damaged[at] ^= 1
        with pytest.raises(StoreError):
            vault.open(bytes(damaged), *PLACE)

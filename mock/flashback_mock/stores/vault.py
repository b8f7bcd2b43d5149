"""Credentials at rest: AES-256-GCM, each bound to the place where it is stored."""

import hashlib
import os
from bisect import bisect_left
from collections.abc import Sequence
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from .keys import KeySource
from .store import StoreError

VERSION = b"\x01"
ID_BYTES = 4
NONCE_BYTES = 12  # NIST SP 800-38D, the size that GCM is made for
LENGTH_BYTES = 4
TAG_BYTES = 16
HEADER_BYTES = len(VERSION) + ID_BYTES + NONCE_BYTES
# What a sealed value may measure. It says nothing about a credential but its size class: 8192
# characters fit the third if they are ASCII, the last at four bytes each.
SIZES = (256, 2048, 9216, 36864)


class Vault:
    """Seals with the first of its master keys, opens with each.

    A sealed value is a version, the key's id and a nonce, then the padded ciphertext with its tag.
    Its header, and workspace, configuration and field, are its associated data: moved to another
    row or field, it does not open.
    """

    def __init__(self, keys: Sequence[bytes] = ()) -> None:
        """Hold the master keys; without any, one that is lost with the process."""
        keys = keys or [AESGCM.generate_key(256)]
        self._ciphers = {key_id(key): AESGCM(key) for key in keys}
        self.key_ids = list(self._ciphers)  # that of the one which seals first

    @classmethod
    def of_store(cls, keys: KeySource, store: str, proof: bytes | None) -> Self:
        """The vault of a store, made for a new one (no `proof` yet); raises `StoreError`.

        The key of the proof seals, whichever is given first: only a rotation changes it.
        """
        if proof is None:
            return cls(keys.make(store))
        wanted = sealed_by(proof)
        vault = cls(sorted(keys.load(store), key=lambda key: key_id(key) != wanted))
        if vault.key_ids[0] != wanted:
            raise StoreError(
                f"{keys.where(store)}: holds the keys of another store; "
                f"this one wants key {wanted.hex()}"
            )
        vault.open(proof, store)
        return vault

    def proof(self, store: str) -> bytes:
        """What shows, when it opens, that these are the keys of the store."""
        return self.seal("", store)

    def seal(self, credential: str, *place: str) -> bytes:
        """Encrypt a credential for its place: workspace, configuration, field."""
        try:
            octets = credential.encode()
        except UnicodeEncodeError:  # which would carry the credential along
            raise ValueError("a credential with a lone surrogate cannot be stored") from None
        key, nonce = self.key_ids[0], os.urandom(NONCE_BYTES)
        header = VERSION + key + nonce
        return header + self._ciphers[key].encrypt(nonce, _padded(octets), _bound(header, place))

    def open(self, sealed: bytes, *place: str) -> str:
        """Decrypt a credential; raises `StoreError` at another place, or without its key."""
        header, key = sealed[:HEADER_BYTES], sealed_by(sealed)
        if not sealed.startswith(VERSION) or key not in self._ciphers:
            raise StoreError(f"{_said(place)} is sealed by key {key.hex()}, which is not given")
        nonce = header[-NONCE_BYTES:]
        try:
            padded = self._ciphers[key].decrypt(nonce, sealed[HEADER_BYTES:], _bound(header, place))
        except InvalidTag:
            raise StoreError(
                f"{_said(place)} does not open: it was damaged, or moved from another place; "
                "an update of it puts that right"
            ) from None
        length = int.from_bytes(padded[:LENGTH_BYTES], "big")
        return padded[LENGTH_BYTES : LENGTH_BYTES + length].decode()


def key_id(key: bytes) -> bytes:
    """What names a key and tells nothing about it."""
    return hashlib.sha256(b"flashback-mock key " + key).digest()[:ID_BYTES]


def sealed_by(sealed: bytes) -> bytes:
    """The id of the key that sealed this."""
    return sealed[len(VERSION) : len(VERSION) + ID_BYTES]


def _padded(octets: bytes) -> bytes:
    overhead = HEADER_BYTES + TAG_BYTES
    needed = overhead + LENGTH_BYTES + len(octets)
    larger = bisect_left(SIZES, needed)
    size = SIZES[larger] if larger < len(SIZES) else -(-needed // SIZES[-1]) * SIZES[-1]
    return (len(octets).to_bytes(LENGTH_BYTES, "big") + octets).ljust(size - overhead, b"\0")


def _said(place: tuple[str, ...]) -> str:
    return " of ".join(["the credential", *reversed(place)])


def _bound(header: bytes, place: tuple[str, ...]) -> bytes:
    return header + "".join([f"{len(part)}:{part}" for part in place]).encode()

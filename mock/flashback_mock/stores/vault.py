"""Encryption of stored credentials: AES-256-GCM, bound to the place where each is stored."""

import hashlib
import os
from collections.abc import Sequence
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from .keys import KeySource
from .store import StoreError

VERSION = b"\x01"
ID_BYTES = 4
NONCE_BYTES = 12  # NIST SP 800-38D: the size that GCM is designed for
LENGTH_BYTES = 4
TAG_BYTES = 16
HEADER_BYTES = len(VERSION) + ID_BYTES + NONCE_BYTES
# Sizes of sealed values. A size reveals only its class: 8192 characters fit the third class if
# they are ASCII, and the last at four bytes per character.
SIZES = (256, 2048, 9216, 36864)


class Vault:
    """Seals with the first of its master keys and opens with any of them.

    A sealed value is a version, the key's id and a nonce, then the padded ciphertext with its tag.
    The header and the place (workspace, configuration, field) are its associated data: moved to
    another row or field, it does not open.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        """Hold the master keys."""
        self._ciphers = {key_id(key): AESGCM(key) for key in keys}
        self.sealing_key = key_id(keys[0])

    @classmethod
    def of_store(cls, keys: KeySource, store: str, sealing_key: bytes) -> Self:
        """Return the vault of a store; raise `StoreError` without the key that seals now.

        It need not come first: only a rotation changes it.
        """
        vault = cls(sorted(keys.load(store), key=lambda key: key_id(key) != sealing_key))
        if vault.sealing_key != sealing_key:
            raise StoreError(
                f"{keys.location(store)}: contains the keys of another store; "
                f"this store needs key {sealing_key.hex()}"
            )
        return vault

    def seal(self, credential: str, *place: str) -> bytes:
        """Encrypt a credential for its place: workspace, configuration, field."""
        try:
            plain = credential.encode()
        except UnicodeEncodeError:  # its text would quote the credential
            raise ValueError("a credential with a lone surrogate cannot be stored") from None
        nonce = os.urandom(NONCE_BYTES)
        header = VERSION + self.sealing_key + nonce
        cipher = self._ciphers[self.sealing_key]
        return header + cipher.encrypt(nonce, _pad(plain), _associated_data(header, place))

    def has_key_of(self, sealed: bytes) -> bool:
        """Return whether it has the key that sealed a value."""
        return sealing_key_id(sealed) in self._ciphers

    def open(self, sealed: bytes, *place: str) -> str:
        """Decrypt a credential; raise `StoreError` for another place or a missing key."""
        header = sealed[:HEADER_BYTES]
        name = " of ".join(["the credential", *reversed(place)])
        cipher = self._ciphers.get(sealing_key_id(sealed))
        if not sealed.startswith(VERSION) or cipher is None:
            raise StoreError(f"{name} is sealed by key {header[1:5].hex()}, which is missing")
        nonce = header[-NONCE_BYTES:]
        ciphertext = sealed[HEADER_BYTES:]
        try:
            padded = cipher.decrypt(nonce, ciphertext, _associated_data(header, place))
        except InvalidTag:
            raise StoreError(
                f"{name} cannot be decrypted: it was damaged or moved from another place; "
                "update it to repair it"
            ) from None
        length = int.from_bytes(padded[:LENGTH_BYTES], "big")
        return padded[LENGTH_BYTES : LENGTH_BYTES + length].decode()


def key_id(key: bytes) -> bytes:
    """Return the id of a key, which reveals nothing about it."""
    return hashlib.sha256(b"flashback-mock key " + key).digest()[:ID_BYTES]


def sealing_key_id(sealed: bytes) -> bytes:
    """Return the id of the key that sealed a value."""
    return sealed[len(VERSION) : len(VERSION) + ID_BYTES]


def _pad(plain: bytes) -> bytes:
    """Prefix the length, and pad so that the sealed value has the size of its class."""
    overhead = HEADER_BYTES + TAG_BYTES
    needed = overhead + LENGTH_BYTES + len(plain)
    largest = SIZES[-1]
    beyond = -(-needed // largest) * largest  # rounded up
    size = next((size for size in SIZES if size >= needed), beyond)
    return (len(plain).to_bytes(LENGTH_BYTES, "big") + plain).ljust(size - overhead, b"\0")


def _associated_data(header: bytes, place: tuple[str, ...]) -> bytes:
    return header + "".join([f"{len(part)}:{part}" for part in place]).encode()

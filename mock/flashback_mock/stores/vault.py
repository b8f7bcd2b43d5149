"""Encryption of stored credentials with AES-256-GCM."""

import hashlib
import json
import os
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from .errors import StoreError

KEY_BYTES = 32
ID_BYTES = 4
NONCE_BYTES = 12  # the nonce size that NIST SP 800-38D recommends for GCM
LENGTH_BYTES = 4
TAG_BYTES = 16
HEADER_BYTES = ID_BYTES + NONCE_BYTES
# A sealed value has 256, 1536, 9216 or 55296 bytes, so its size reveals only the size class.
# The third size class is large enough for 8192 ASCII characters.
# The fourth size class is large enough for 8192 four-byte characters.
SMALLEST = 256
GROWTH = 6


class Vault:
    """Encrypts and decrypts credentials with one master key.

    A sealed value consists of a header (the key's id and a nonce) and the padded ciphertext with
    its authentication tag. The header and the place (workspace, configuration and field) are
    associated data, so a sealed value that is moved to another place cannot be decrypted.
    """

    def __init__(self, key: bytes) -> None:
        """Create a vault for this master key. Raise `ValueError` if the key has the wrong size."""
        if len(key) != KEY_BYTES:
            raise ValueError(f"expected a key of {KEY_BYTES} bytes, got {len(key)}")
        self.key = key
        self.key_id = hashlib.sha256(b"flashback-mock key " + key).digest()[:ID_BYTES]
        self._cipher = AESGCM(key)

    @classmethod
    def generate(cls) -> Self:
        """Return a vault for a new random key."""
        return cls(os.urandom(KEY_BYTES))

    def seal(self, credential: str, *place: str) -> bytes:
        """Encrypt a credential for a place (workspace, configuration and field)."""
        plain = credential.encode("utf-8", "surrogatepass")
        nonce = os.urandom(NONCE_BYTES)
        header = self.key_id + nonce
        return header + self._cipher.encrypt(nonce, _pad(plain), _associated_data(header, place))

    def open(self, sealed: bytes, *place: str) -> str:
        """Decrypt a credential.

        Raise `StoreError` if it is damaged, or was sealed for another place or with another key.
        """
        header = sealed[:HEADER_BYTES]
        nonce = header[ID_BYTES:]
        ciphertext = sealed[HEADER_BYTES:]
        try:
            padded = self._cipher.decrypt(nonce, ciphertext, _associated_data(header, place))
        except InvalidTag:
            name = "the credential " + " in ".join(reversed(place))
            raise StoreError(
                f"{name} cannot be decrypted, because it was damaged or moved from another place; "
                "send an update to replace it"
            ) from None
        length = int.from_bytes(padded[:LENGTH_BYTES], "big")
        return padded[LENGTH_BYTES:][:length].decode("utf-8", "surrogatepass")


def _pad(plain: bytes) -> bytes:
    """Prepend the length, and append zeros so that the sealed value fills its size class."""
    content = len(plain).to_bytes(LENGTH_BYTES, "big") + plain
    overhead = HEADER_BYTES + TAG_BYTES
    size = SMALLEST
    while size < overhead + len(content):
        size *= GROWTH
    return content.ljust(size - overhead, b"\0")


def _associated_data(header: bytes, place: tuple[str, ...]) -> bytes:
    return header + json.dumps(place).encode()

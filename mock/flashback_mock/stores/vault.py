"""Encryption of stored credentials: AES-256-GCM, bound to the place where each is stored."""

import hashlib
import json
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from .store import StoreError

KEY_BYTES = 32
ID_BYTES = 4
NONCE_BYTES = 12  # NIST SP 800-38D: the size that GCM is designed for
LENGTH_BYTES = 4
TAG_BYTES = 16
HEADER_BYTES = ID_BYTES + NONCE_BYTES
# A sealed value has 256, 1536, 9216 or 55296 bytes: its size reveals only its class. 8192
# characters fit the third class if they are ASCII, and the last at four bytes per character.
SMALLEST = 256
GROWTH = 6


class Vault:
    """Seals credentials with one master key.

    A sealed value is the key's id and a nonce, then the padded ciphertext with its tag. The
    header and the place (workspace, configuration, field) are its associated data: moved to
    another row or field, it does not open.
    """

    def __init__(self, key: bytes) -> None:
        """Hold a master key; raise `ValueError` if it has the wrong size."""
        if len(key) != KEY_BYTES:
            raise ValueError("not a key")
        self.key = key
        self.key_id = hashlib.sha256(b"flashback-mock key " + key).digest()[:ID_BYTES]
        self._cipher = AESGCM(key)

    def seal(self, credential: str, *place: str) -> bytes:
        """Encrypt a credential for its place: workspace, configuration, field."""
        plain = credential.encode("utf-8", "surrogatepass")
        nonce = os.urandom(NONCE_BYTES)
        header = self.key_id + nonce
        return header + self._cipher.encrypt(nonce, _pad(plain), _associated_data(header, place))

    def open(self, sealed: bytes, *place: str) -> str:
        """Decrypt a credential; raise `StoreError` for another place or key."""
        header = sealed[:HEADER_BYTES]
        nonce = header[ID_BYTES:]
        ciphertext = sealed[HEADER_BYTES:]
        try:
            padded = self._cipher.decrypt(nonce, ciphertext, _associated_data(header, place))
        except InvalidTag:
            name = " of ".join(["the credential", *reversed(place)])
            raise StoreError(
                f"{name} cannot be decrypted: it was damaged or moved from another place; "
                "update it to repair it"
            ) from None
        length = int.from_bytes(padded[:LENGTH_BYTES], "big")
        return padded[LENGTH_BYTES : LENGTH_BYTES + length].decode("utf-8", "surrogatepass")


def _pad(plain: bytes) -> bytes:
    """Prefix the length, and pad so that the sealed value has the size of its class."""
    overhead = HEADER_BYTES + TAG_BYTES
    size = SMALLEST
    while size < overhead + LENGTH_BYTES + len(plain):
        size *= GROWTH
    return (len(plain).to_bytes(LENGTH_BYTES, "big") + plain).ljust(size - overhead, b"\0")


def _associated_data(header: bytes, place: tuple[str, ...]) -> bytes:
    return header + json.dumps(place).encode()

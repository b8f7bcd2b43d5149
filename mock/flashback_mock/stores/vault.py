"""Encryption of stored credentials with AES-256-GCM."""

import hashlib
import json
import os
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from .errors import StoreError

ID_BYTES = 8  # long enough that an id does not occur in other data by chance
NONCE_BYTES = 12  # the nonce size that NIST SP 800-38D recommends for GCM
HEADER_BYTES = ID_BYTES + NONCE_BYTES
TAG_BYTES = 16
# A sealed value is 256, 1536, 9216, … bytes long, so its size reveals only the size class.
# The third size class is large enough for 8192 ASCII characters.
SMALLEST = 256
GROWTH = 6


class Vault:
    """Encrypts and decrypts credentials with one master key.

    A sealed value consists of a header (the key's id and a nonce) and the padded ciphertext with
    its authentication tag. The header and the place (workspace, configuration and field) are
    associated data, so a sealed value that is moved to another place cannot be decrypted.
    """

    def __init__(self, key: bytes | None = None) -> None:
        """Create a vault for this master key, or for a new random key."""
        self.key = key or AESGCM.generate_key(256)
        self.key_id = hashlib.sha256(b"flashback-mock key " + self.key).digest()[:ID_BYTES]
        self._cipher = AESGCM(self.key)

    def seal(self, credential: str, *place: str) -> bytes:
        """Encrypt a credential and bind it to a place (workspace, configuration and field)."""
        nonce = os.urandom(NONCE_BYTES)
        header = self.key_id + nonce
        # The last byte of the content marks the start of the padding, which consists of zeros.
        content = credential.encode("utf-8", "surrogatepass") + b"\1"
        size = SMALLEST
        while size < HEADER_BYTES + len(content) + TAG_BYTES:
            size *= GROWTH
        padded = content.ljust(size - HEADER_BYTES - TAG_BYTES, b"\0")
        return header + self._cipher.encrypt(nonce, padded, header + _encode(*place))

    def open(self, sealed: bytes, *place: str) -> str:
        """Decrypt a credential.

        Raise `StoreError` if the sealed value was damaged, was copied from elsewhere or was
        sealed with another key.
        """
        header = sealed[:HEADER_BYTES]
        nonce = header[ID_BYTES:]
        ciphertext = sealed[HEADER_BYTES:]
        try:
            padded = self._cipher.decrypt(nonce, ciphertext, header + _encode(*place))
        except InvalidTag:
            name = "the credential " + " in ".join(reversed(place))
            raise StoreError(
                f"{name} cannot be decrypted because it was damaged or copied from elsewhere; "
                "send an update to replace it"
            ) from None
        return padded.rstrip(b"\0")[:-1].decode("utf-8", "surrogatepass")


@lru_cache(maxsize=1000)
def _encode(*place: str) -> bytes:
    return json.dumps(place).encode()

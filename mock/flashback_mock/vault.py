"""Credentials at rest: AES-256-GCM, each bound to the place where it is stored."""

import json
import os

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NONCE_BYTES = 12  # NIST SP 800-38D, the size that GCM is made for


class Vault:
    """Seals and opens credentials with one master key, made anew for each process.

    A sealed value is its nonce, then the ciphertext with its tag. Workspace, configuration and
    field are its associated data: moved to another row or field, it does not open.
    """

    def __init__(self) -> None:
        """Make the master key; what it sealed is lost with the process, as the memory store is."""
        self._cipher = AESGCM(AESGCM.generate_key(256))

    def seal(self, credential: str, *place: str) -> bytes:
        """Encrypt a credential for its place: workspace, configuration, field."""
        nonce = os.urandom(NONCE_BYTES)
        try:
            octets = credential.encode()
        except UnicodeEncodeError:  # which would carry the credential along
            raise ValueError("a credential with a lone surrogate cannot be stored") from None
        return nonce + self._cipher.encrypt(nonce, octets, _bound_to(place))

    def open(self, sealed: bytes, *place: str) -> str:
        """Decrypt a credential; raises `cryptography.exceptions.InvalidTag` at another place."""
        nonce, ciphertext = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
        return self._cipher.decrypt(nonce, ciphertext, _bound_to(place)).decode()


def _bound_to(place: tuple[str, ...]) -> bytes:
    return json.dumps(place).encode()  # unlike a joined string, says where each part ends

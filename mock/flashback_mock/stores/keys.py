"""Key files, which contain the master keys for durable stores."""

import base64
import os
from collections.abc import Mapping
from pathlib import Path

from .errors import StoreError
from .vault import Vault

KEYS_FILE = "FLASHBACK_MOCK_KEYS_FILE"


class KeyFile:
    """A file with one Base64-encoded key per line.

    The file contains the current key and, during a rotation, also the new key. Each store requires
    its own file, because a rotation deletes any other store's keys from the file.
    """

    def __init__(self, option: Path | None, environment: Mapping[str, str] = os.environ) -> None:
        """Use `option` as the key file, or else the file named in $FLASHBACK_MOCK_KEYS_FILE.

        If neither is set, use a separate file for each store.
        """
        file = option or environment.get(KEYS_FILE)
        self._file = Path(file).absolute() if file else None
        self._data = Path(environment.get("XDG_DATA_HOME") or "~/.local/share")
        self._created: Path | None = None

    def path(self, store: str) -> Path:
        """Return the path to the key file for the store with this id."""
        if self._file:
            return self._file
        try:
            return self._data.expanduser() / "flashback-mock" / f"{store}.keys"
        except RuntimeError:  # this user has no home directory
            raise StoreError(
                f"cannot find a home directory for the master keys; set ${KEYS_FILE}"
            ) from None

    def discard(self) -> None:
        """If a store could not be created, delete the key file that was created for it."""
        if self._created:
            self._created.unlink()

    def vault(self, store: str, key_id: bytes) -> Vault:
        """Return the vault for the key with this id.

        Raise `StoreError` if the file cannot be read or does not contain the key.
        """
        path = self.path(store)
        try:
            if path.stat().st_mode & 0o077:
                raise StoreError(f"{path}: other users can read these keys; run: chmod 600 {path}")
            lines = path.read_bytes().split()
        except OSError as error:
            raise StoreError(
                f"{path}: cannot read the store's master keys: {error.strerror}; restore the "
                "file from a backup, or use --keys to specify another file"
            ) from None
        for line in lines:
            try:
                vault = Vault(base64.b64decode(line, validate=True))
            except ValueError:  # the line is not a valid key
                continue
            if vault.key_id == key_id:
                return vault
        raise StoreError(
            f"{path}: does not contain the store's key {key_id.hex()}; restore the file from a "
            "backup, or use --keys to specify another file"
        )

    def write(self, store: str, *vaults: Vault, is_new: bool = False) -> None:
        """Overwrite the file in place with these vaults' keys. All other keys are deleted."""
        path = self.path(store)
        content = b"".join(base64.b64encode(vault.key) + b"\n" for vault in vaults)
        try:
            if is_new:
                path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                path.touch(0o600, exist_ok=False)
                self._created = path
            with path.open("r+b", buffering=0) as file:
                # A write this short is all or nothing: a crash leaves the old keys or the new ones.
                file.write(content.ljust(path.stat().st_size, b"\n"))
                os.fsync(file)
            # Without this fsync, a newly created file could be lost in a power failure.
            folder = os.open(path.parent, os.O_RDONLY)
            os.fsync(folder)
            os.close(folder)
        except FileExistsError:
            raise StoreError(
                f"{path}: already exists and may contain the keys of another store; use --keys to "
                "specify another file, or delete this file if no store uses it"
            ) from None
        except OSError as error:
            raise StoreError(f"{path}: cannot write the master keys: {error.strerror}") from None

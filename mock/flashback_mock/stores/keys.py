"""The master keys of a durable store, in a file."""

import base64
import os
from collections.abc import Mapping
from pathlib import Path

from .errors import StoreError
from .vault import Vault

KEYS_FILE = "FLASHBACK_MOCK_KEYS_FILE"


class KeyFile:
    """A file with one Base64 key per line: the key in use, and a new key during a rotation.

    Each store needs its own file, because a rotation destroys all old keys in the file.
    """

    def __init__(self, option: Path | None, environment: Mapping[str, str] = os.environ) -> None:
        """Use the file `option`, else the one that a variable names, else one per store."""
        named = option or environment.get(KEYS_FILE)
        self._named = Path(named).absolute() if named else None
        self._data = Path(environment.get("XDG_DATA_HOME") or "~/.local/share")
        self._created: Path | None = None

    def path(self, store: str) -> Path:
        """Return the key file of the store with this id."""
        if self._named:
            return self._named
        try:
            return self._data.expanduser() / "flashback-mock" / f"{store}.keys"
        except RuntimeError:  # this user has no home directory
            raise StoreError(f"no home directory for the master keys; set ${KEYS_FILE}") from None

    def discard(self) -> None:
        """Delete the key file if it is new: its store could not be created."""
        if self._created:
            self._created.unlink()

    def vault(self, store: str, key_id: bytes) -> Vault:
        """Return the vault of the key with this id; raise `StoreError` if the file lacks it."""
        path = self.path(store)
        try:
            if path.stat().st_mode & 0o077:
                raise StoreError(f"{path}: other users may read these keys; chmod 600 {path}")
            lines = path.read_bytes().split()
        except OSError as error:
            raise StoreError(
                f"{path}: cannot read the master keys of the store: {error.strerror}; restore them "
                "from a backup, or name their file with --keys"
            ) from None
        for line in lines:
            try:
                vault = Vault(base64.b64decode(line, validate=True))
            except ValueError:  # not a key
                continue
            if vault.key_id == key_id:
                return vault
        raise StoreError(
            f"{path}: has no key {key_id.hex()}, which this store needs; restore it from a backup, "
            "or choose another --keys"
        )

    def write(self, store: str, *vaults: Vault, is_new: bool = False) -> None:
        """Overwrite the file in place with the keys of these vaults; all other keys are gone."""
        path = self.path(store)
        content = b"".join(base64.b64encode(vault.key) + b"\n" for vault in vaults)
        try:
            if is_new:
                path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                path.touch(0o600, exist_ok=False)
                self._created = path
            with path.open("r+b", buffering=0) as file:
                # One short write: after a crash, the file has either the previous keys or these.
                file.write(content.ljust(path.stat().st_size, b"\n"))
                os.fsync(file)
            folder = os.open(path.parent, os.O_RDONLY)
            os.fsync(folder)  # so that a new file survives a power failure
            os.close(folder)
        except FileExistsError:
            raise StoreError(
                f"{path}: exists already, and may have the keys of another store; choose another "
                "--keys, or delete it if no store was created with it"
            ) from None
        except OSError as error:
            raise StoreError(f"{path}: cannot write the master keys: {error.strerror}") from None

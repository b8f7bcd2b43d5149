"""Key files, which contain the master keys for durable stores.

A key file contains one Base64-encoded key per line: the current key and, during a rotation, the new
key. Each store requires its own file: a rotation deletes the old key and any other store's keys.
"""

import base64
import os
from contextlib import suppress
from pathlib import Path

from .errors import StoreError
from .vault import Vault

KEYS_FILE = "FLASHBACK_MOCK_KEYS_FILE"
RESTORE = "restore the file from a backup, or use --keys to specify another file"


def key_path(option: Path | None, store: str) -> Path:
    """Return the path to the key file for the store with this id.

    `--keys` overrides $FLASHBACK_MOCK_KEYS_FILE. If neither is set, each store has its own file.
    """
    if file := option or os.environ.get(KEYS_FILE):
        return Path(file).absolute()
    data = Path(os.environ.get("XDG_DATA_HOME") or "~/.local/share")
    try:
        return data.expanduser() / "flashback-mock" / f"{store}.keys"
    except RuntimeError:  # this user has no home directory
        raise StoreError(f"cannot find a home directory for the keys; set ${KEYS_FILE}") from None


def read_vault(file: Path, key_id: bytes) -> Vault:
    """Return the vault for the key with this id.

    Raise `StoreError` if the file cannot be read or does not contain the key.
    """
    try:
        lines = file.read_bytes().splitlines()
        if file.stat().st_mode & 0o077:
            raise StoreError(f"{file}: other users can read these keys; run: chmod 600 {file}")
    except OSError as error:
        reason = f"cannot read the store's master keys: {error.strerror}"
        raise StoreError(f"{file}: {reason}; {RESTORE}") from None
    for line in lines:
        with suppress(ValueError):  # ignore lines that are not keys
            vault = Vault(base64.b64decode(line.strip(), validate=True))
            if vault.key_id == key_id:
                return vault
    raise StoreError(f"{file}: does not contain the store's key {key_id.hex()}; {RESTORE}")


def write_keys(file: Path, *vaults: Vault, is_new: bool = False) -> None:
    """Overwrite the file in place so that it contains only these vaults' keys."""
    content = b"".join(base64.b64encode(vault.key) + b"\n" for vault in vaults)
    try:
        if is_new:
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            file.touch(0o600, exist_ok=False)
        with file.open("r+b") as opened:
            opened.write(content.ljust(file.stat().st_size, b"\n"))
            # The write is small enough that a crash leaves either the old keys or the new keys.
            opened.flush()
            os.fsync(opened)
        # Without this fsync, a newly created file could be lost in a power failure.
        folder = os.open(file.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
    except FileExistsError as error:  # also raised if the parent folder is a file
        raise StoreError(
            f"{error.filename}: already exists; use --keys to specify a new file, or delete this "
            "one if it is the key file of a store that no longer exists"
        ) from None
    except OSError as error:
        reason = f"cannot write the master keys: {error.strerror}"
        raise StoreError(f"{file}: {reason}; use --keys to specify another file") from None

"""Master keys of a durable store: from the environment or from a file."""

import base64
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from .store import StoreError

KEYS = "FLASHBACK_MOCK_KEYS"
KEYS_FILE = "FLASHBACK_MOCK_KEYS_FILE"
KEY_BYTES = 32
CURE = (
    f"for a new store, create one with: openssl rand -base64 {KEY_BYTES}; for an existing store, "
    "restore its keys from a backup"
)
FIRST_LINE = "# Master keys of the store "


class KeySource:
    """The master keys of one store: 32 bytes in Base64, one per line, the sealing key first.

    The first line of a key file names its store: two stores cannot share a file, since rotating
    the keys of one would destroy those of the other.
    """

    def __init__(self, option: Path | None, environment: Mapping[str, str] = os.environ) -> None:
        """Take keys from the file `option`, else from the environment, else from a default file."""
        self._text = None if option else environment.get(KEYS)
        named = option or environment.get(KEYS_FILE)
        # Resolved, so that replacing the file keeps a symbolic link to it.
        self._file = Path(named).resolve() if named and self._text is None else None
        data = environment.get("XDG_DATA_HOME") or "~/.local/share"
        self._folder = Path(data) / "flashback-mock"

    def file(self, store: str) -> Path | None:
        """Return the key file of the store with this id, or None if a variable has the keys."""
        if self._text is not None or self._file:
            return self._file
        try:
            return self._folder.expanduser() / f"{store}.keys"
        except RuntimeError:  # this user has no home directory
            raise StoreError(f"no home directory for the master keys; set ${KEYS_FILE}") from None

    def location(self, store: str) -> str:
        """Return the path or the variable that holds the keys of the store."""
        return str(self.file(store) or f"${KEYS}")

    def load(self, store: str) -> list[bytes]:
        """Return the keys; raise `StoreError` that says where they should be."""
        file = self.file(store)
        if file is None:
            return _parse(self._text or "", f"${KEYS}")
        try:
            if file.stat().st_mode & 0o077:
                raise StoreError(f"{file}: other users may read these keys; chmod 600 {file}")
            text = file.read_text("ascii", "replace")
        except OSError as error:
            raise StoreError(
                f"{file}: cannot read the master keys of the store: {error.strerror}; "
                f"name their file with --keys, or put them in ${KEYS}"
            ) from None
        first, _, keys = text.partition("\n")
        if not first.startswith(FIRST_LINE):
            return _parse(text, str(file))
        if first != FIRST_LINE + store:
            raise StoreError(f"{file}: contains the keys of another store; choose another --keys")
        return _parse(keys, str(file))

    def make(self, store: str) -> list[bytes]:
        """Return the keys for a new store: the given ones, or a new one."""
        file = self.file(store)
        given = file is None or file.exists()
        keys = self.load(store) if given else [os.urandom(KEY_BYTES)]
        if file:  # even given keys: from now on the file belongs to this store
            self.save(store, keys)
        return keys

    def begin_rotation(self, store: str) -> list[bytes]:
        """Return the keys with a new one first, or unchanged if a rotation is unfinished.

        With keys in the environment, the first of several is the new one.
        """
        keys = self.load(store)
        if len(keys) == 1:
            keys = [os.urandom(KEY_BYTES), *keys]
            self.save(store, keys)
        return keys

    def end_rotation(self, store: str) -> None:
        """Destroy all keys but the first; those in the environment are left to their owner."""
        if self.file(store):
            self.save(store, self.load(store)[:1])

    def save(self, store: str, keys: Sequence[bytes]) -> None:
        """Replace the key file, readable by its owner only, and wipe the previous one."""
        file = self.file(store)
        if file is None:
            raise StoreError(f"${KEYS}: put the new key before the one that it replaces")
        lines = [FIRST_LINE + store, *(base64.b64encode(key).decode() for key in keys), ""]
        try:
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            _replace(file, "\n".join(lines).encode())
        except OSError as error:
            raise StoreError(f"{file}: cannot write the master keys: {error.strerror}") from None


def _parse(text: str, location: str) -> list[bytes]:
    keys = list[bytes]()
    for number, line in enumerate(text.replace(",", "\n").split(), 1):
        try:
            key = base64.b64decode(line, validate=True)
        except ValueError:  # also for characters outside ASCII
            key = b""
        if len(key) != KEY_BYTES:
            raise StoreError(f"{location}: key {number} is not {KEY_BYTES} bytes in Base64; {CURE}")
        keys.append(key)
    if not keys:
        raise StoreError(f"{location}: contains no key; {CURE}")
    return keys


def _replace(file: Path, content: bytes) -> None:
    """Replace a file atomically and durably, then overwrite the previous one with zeros."""
    previous = os.open(file, os.O_RDWR) if file.exists() else None
    # A fixed name: the next call overwrites what a killed process left.
    new = file.with_name(f"{file.name}.new")
    _write(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), content)
    new.replace(file)
    folder = os.open(file.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)
    if previous is not None:
        _write(previous, bytes(os.fstat(previous).st_size))


def _write(descriptor: int, content: bytes) -> None:
    with open(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(descriptor)

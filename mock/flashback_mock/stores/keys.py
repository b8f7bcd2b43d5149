"""Where the master keys of a durable store come from: the environment, or a file of their own."""

import base64
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from .store import StoreError

KEYS, KEYS_FILE = "FLASHBACK_MOCK_KEYS", "FLASHBACK_MOCK_KEYS_FILE"
KEY_BYTES = 32
CURE = (
    f"a new store takes what openssl rand -base64 {KEY_BYTES} prints, one that is there opens with "
    "its own keys alone: restore them from a backup, or begin with another store"
)
MARK = "# Master keys of the store "


class KeySource:
    """Master keys of one store: 32 bytes in Base64, one a line, the one that seals first.

    A file names its store in its first line: two stores cannot share it, since a rotation of one
    would destroy what the other needs.
    """

    def __init__(self, option: Path | None, environment: Mapping[str, str] = os.environ) -> None:
        """Read them from the file `option`, else as the environment says, else in their place."""
        self._text = None if option else environment.get(KEYS)
        named = option or environment.get(KEYS_FILE)
        # A link stays one.
        self._file = Path(named).resolve() if named and self._text is None else None
        self._home = environment.get("XDG_DATA_HOME")

    def file(self, store: str) -> Path | None:
        """The file that holds the keys of the store with this id; None: they are in a variable."""
        if self._text is not None or self._file:
            return self._file
        try:
            home = Path(self._home or Path.home() / ".local" / "share")
        except RuntimeError:  # of a user whom the system does not know
            raise StoreError(f"there is no home for the master keys; set ${KEYS_FILE}") from None
        return home / "flashback-mock" / f"{store}.keys"

    def where(self, store: str) -> str:
        """Where the keys of the store are, in words."""
        return str(self.file(store) or f"${KEYS}")

    def load(self, store: str) -> list[bytes]:
        """The keys; raises `StoreError` that says where they should be."""
        file = self.file(store)
        if file is None:
            return _keys(self._text or "", f"${KEYS}")
        try:
            if file.stat().st_mode & 0o077:
                raise StoreError(f"{file}: others may read these keys; chmod 600 {file}")
            text = file.read_text("ascii", "replace")
        except OSError as error:
            raise StoreError(
                f"{file}: the store's master keys cannot be read: {error.strerror}; "
                f"name their file with --keys, or give them in ${KEYS}"
            ) from None
        mark, _, keys = text.partition("\n")
        if not mark.startswith(MARK):
            return _keys(text, str(file))
        if mark != MARK + store:
            raise StoreError(f"{file}: holds the keys of another store; --keys names another file")
        return _keys(keys, str(file))

    def make(self, store: str) -> list[bytes]:
        """The keys for a new store: those that are given, else one that is made now."""
        file = self.file(store)
        given = file is None or file.exists()
        keys = self.load(store) if given else [os.urandom(KEY_BYTES)]
        if file:  # from now on the keys of this store alone, which rotates them
            self.save(store, keys)
        return keys

    def begin_rotation(self, store: str) -> list[bytes]:
        """The keys with a new one first; as they are while a rotation is unfinished.

        Keys in the environment are changed there: the first one is the new one.
        """
        keys = self.load(store)
        if len(keys) > 1:
            return keys
        self.save(store, keys := [os.urandom(KEY_BYTES), *keys])
        return keys

    def end_rotation(self, store: str, keys: Sequence[bytes]) -> None:
        """Destroy all keys but the first; those in the environment are their owner's to destroy."""
        if self.file(store):
            self.save(store, keys[:1])

    def save(self, store: str, keys: Sequence[bytes]) -> None:
        """Write the file anew, for its owner only, and wipe the one that it replaces."""
        file = self.file(store)
        if file is None:
            raise StoreError(f"${KEYS}: put the new key before the one that it is to replace")
        try:
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            lines = [MARK + store, *(base64.b64encode(key).decode() for key in keys), ""]
            _replace(file, "\n".join(lines).encode())
        except OSError as error:
            raise StoreError(f"{file}: cannot be written: {error.strerror}") from None


def _keys(text: str, where: str) -> list[bytes]:
    keys = list[bytes]()
    for number, line in enumerate(text.replace(",", "\n").split(), 1):
        try:
            key = base64.b64decode(line, validate=True)
        except ValueError:  # of letters that are not ASCII too
            key = b""
        if len(key) != KEY_BYTES:
            raise StoreError(f"{where}: key {number} is not {KEY_BYTES} bytes in Base64; {CURE}")
        keys.append(key)
    if not keys:
        raise StoreError(f"{where}: there is no key; {CURE}")
    return keys


def _replace(file: Path, content: bytes) -> None:
    """Put the content in the file's place at once and for good; what was there is overwritten."""
    old = os.open(file, os.O_RDWR) if file.exists() else None
    # Always the same name: what a killed process left there is overwritten too.
    new = file.with_name(f"{file.name}.new")
    _write(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), content)
    new.replace(file)
    folder = os.open(file.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)
    if old is not None:
        _write(old, bytes(os.fstat(old).st_size))


def _write(descriptor: int, content: bytes) -> None:
    with open(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(descriptor)

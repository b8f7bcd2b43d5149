"""A store in memory: plain dictionaries, which are forgotten when the process ends."""

import threading
from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from .fixtures import Fixtures, Token
from .store import NameTakenError, NotFoundError, StoreError, digest_of, judged
from .vault import Vault


@dataclass(slots=True, frozen=True)
class _Stored:
    """A configuration: its plain fields, and each credential, sealed, with when it changed."""

    workspace: str
    plain: dict[str, str] = field(default_factory=dict[str, str])
    sealed: dict[str, tuple[bytes, datetime]] = field(
        default_factory=dict[str, tuple[bytes, datetime]]
    )


class Memory:
    """A `Store` in memory. It may be used from several threads."""

    where = "in memory, which forgets everything when it stops"

    def __init__(self, credentials: Collection[str]) -> None:
        """An empty store; `credentials` are the secret fields."""
        self._credentials = frozenset(credentials)
        self._vault = Vault()
        self._lock = threading.Lock()
        self._tokens = dict[bytes, Token]()  # by digest
        self._access = dict[tuple[str, str], str]()  # by workspace and user
        self._configurations = dict[str, _Stored]()  # by id
        self._names = dict[tuple[str, str | None], str]()  # ids by workspace and name

    async def open(self, fixtures: Fixtures | None) -> bool:
        """See `Store`."""
        await self.reset(fixtures or Fixtures())
        return True

    async def close(self) -> None:
        """See `Store`."""

    async def user_of(self, token: str) -> str | None:
        """See `Store`."""
        with self._lock:
            return self._user_of(token)

    async def update(self, token: str, configuration: str, changes: Mapping[str, str]) -> str:
        """See `Store`."""
        with self._lock:
            holder, found = self._user_of(token), self._configurations.get(configuration)
            access = self._access.get((found.workspace, holder or "")) if found else None
            user, stored = judged(holder, found, access)
            changed = self._changed(stored, configuration, changes)
            if "name" in changes:
                name = (stored.workspace, changes["name"])
                if self._names.get(name, configuration) != configuration:
                    raise NameTakenError(user)
                self._names.pop((stored.workspace, stored.plain.get("name")), None)
                self._names[name] = configuration
            self._configurations[configuration] = changed
        return user

    async def configuration(self, id: str) -> dict[str, Any]:
        """See `Store`."""
        with self._lock:
            stored = self._configurations.get(id)
            if stored is None:
                raise NotFoundError
            shown = {
                name: {"set": True, "changedAt": changed.isoformat()}
                for name, (_, changed) in stored.sealed.items()
            }
            return {"workspace": stored.workspace, "name": None, **stored.plain, **shown}

    async def configurations(self) -> dict[str, str]:
        """See `Store`."""
        with self._lock:
            first = islice(self._configurations.items(), 1000)
            return {id: stored.workspace for id, stored in first}

    async def reveals(self, id: str, field: str, credential: str) -> bool:
        """See `Store`."""
        with self._lock:
            stored = self._configurations.get(id)
            if stored is None or field not in stored.sealed:
                return False
            sealed, _ = stored.sealed[field]
            return self._vault.open(sealed, stored.workspace, id, field) == credential

    async def add(self, more: Fixtures) -> None:
        """See `Store`."""
        with self._lock:
            self._load(more)

    async def reset(self, fixtures: Fixtures) -> None:
        """See `Store`."""
        with self._lock:
            for state in (self._tokens, self._access, self._configurations, self._names):
                state.clear()
            self._load(fixtures)

    def rotate(self) -> AsyncIterator[tuple[int, int]]:
        """See `Store`."""
        raise StoreError(f"{self.where}: has no master key to rotate")

    def _user_of(self, token: str) -> str | None:
        known = self._tokens.get(digest_of(token))
        return None if known is None or known.expired else known.user

    def _load(self, more: Fixtures) -> None:
        given = more.configurations
        names: dict[tuple[str, str | None], str] = {
            (c.workspace, c.fields["name"]): c.id for c in given if "name" in c.fields
        }
        new = {c.id: self._changed(_Stored(c.workspace), c.id, c.fields) for c in given}
        twice = len(new) < len(given) or len(names) < sum("name" in c.fields for c in given)
        if twice or new.keys() & self._configurations.keys() or names.keys() & self._names.keys():
            raise NameTakenError
        self._tokens.update((digest_of(token.value), token) for token in more.tokens)
        self._access.update(((m.workspace, m.user), m.access) for m in more.members)
        self._configurations.update(new)
        self._names.update(names)

    def _changed(self, stored: _Stored, id: str, changes: Mapping[str, str]) -> _Stored:
        """The configuration with the changes, its credentials sealed."""
        now = datetime.now(UTC)
        sealed = {
            name: (self._vault.seal(changes[name], stored.workspace, id, name), now)
            for name in self._credentials & changes.keys()
        }
        plain = {name: value for name, value in changes.items() if name not in sealed}
        return _Stored(stored.workspace, stored.plain | plain, stored.sealed | sealed)

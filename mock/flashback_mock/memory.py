"""A store in memory: plain dictionaries, which are forgotten when the process ends."""

import threading
import time
from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from .fixtures import Fixtures, Token
from .store import NameTakenError, NotFoundError, StoreError, digest_of, judged
from .vault import Vault


@dataclass(slots=True)
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
        self._names = dict[tuple[str, str], str]()  # ids by workspace and name

    async def open(self, fixtures: Fixtures | None) -> bool:
        """See `Store`."""
        await self.reset(fixtures or Fixtures())
        return True

    async def close(self) -> None:
        """See `Store`."""

    async def user_of(self, token: str) -> str | None:
        """See `Store`."""
        return self._user_of(token)

    async def update(self, token: str, configuration: str, changes: Mapping[str, str]) -> str:
        """See `Store`."""
        with self._lock:
            holder, found = self._user_of(token), self._configurations.get(configuration)
            access = self._access.get((found.workspace, holder or "")) if found else None
            user, stored = judged(holder, found, access)
            if "name" in changes:
                named = self._names.get((stored.workspace, changes["name"]), configuration)
                if named != configuration:
                    raise NameTakenError(user)
            self._change(configuration, stored, changes)
        return user

    async def configuration(self, id: str) -> dict[str, Any]:
        """See `Store`."""
        with self._lock:
            stored = self._stored(id)
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
            stored = self._stored(id)
            if field not in stored.sealed:
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
        if known is None or (known.expires and known.expires.timestamp() <= time.time()):
            return None
        return known.user

    def _stored(self, id: str) -> _Stored:
        try:
            return self._configurations[id]
        except KeyError:
            raise NotFoundError from None

    def _load(self, more: Fixtures) -> None:
        ids = [given.id for given in more.configurations]
        names = [(c.workspace, c.fields["name"]) for c in more.configurations if "name" in c.fields]
        for new, old in ((ids, self._configurations), (names, self._names)):
            if len(set(new)) < len(new) or not old.keys().isdisjoint(new):
                raise NameTakenError
        self._tokens.update((digest_of(token.value), token) for token in more.tokens)
        self._access.update(((m.workspace, m.user), m.access) for m in more.members)
        for given in more.configurations:
            stored = self._configurations[given.id] = _Stored(given.workspace)
            self._change(given.id, stored, given.fields)

    def _change(self, id: str, stored: _Stored, changes: Mapping[str, str]) -> None:
        now = datetime.now(UTC)
        sealed = {  # first, since it may fail
            name: (self._vault.seal(changes[name], stored.workspace, id, name), now)
            for name in self._credentials & changes.keys()
        }
        if "name" in changes:
            self._names.pop((stored.workspace, stored.plain.get("name", "")), None)
            self._names[stored.workspace, changes["name"]] = id
        stored.sealed.update(sealed)
        stored.plain.update((k, v) for k, v in changes.items() if k not in sealed)

"""A store in memory: dictionaries that are forgotten when the process ends."""

import os
import threading
from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from flashback_mock.fixtures import Fixtures, Token

from .keys import KEY_BYTES
from .store import (
    NameTakenError,
    NotFoundError,
    Store,
    StoreError,
    UnauthorizedError,
    authorize,
    token_digest,
)
from .vault import Vault


@dataclass(slots=True, frozen=True)
class _Stored:
    """A configuration: its plain fields, and each credential, sealed, with its time of change."""

    workspace: str
    plain: dict[str, str]
    sealed: dict[str, tuple[bytes, datetime]]


class MemoryStore(Store):
    """A `Store` in memory. Several threads may use it."""

    location = "in memory; everything is forgotten when the mock stops"

    def __init__(self, credentials: Collection[str]) -> None:
        """Create an empty store; `credentials` are the names of the secret fields."""
        self._credentials = frozenset(credentials)
        self._vault = Vault([os.urandom(KEY_BYTES)])
        self._lock = threading.Lock()
        self._tokens = dict[bytes, Token]()  # by digest, without their values
        self._access = dict[tuple[str, str], str]()  # by workspace and user
        self._configurations = dict[str, _Stored]()  # by id
        self._names = dict[tuple[str, str | None], str]()  # ids by workspace and name

    async def open(self, fixtures: Fixtures | None) -> bool:
        await self.reset(fixtures or Fixtures())
        return True

    async def close(self) -> None:
        pass

    async def user_of(self, token: str) -> str | None:
        with self._lock:
            return self._user_of(token)

    async def update(self, token: str, id: str, changes: Mapping[str, str]) -> str:
        with self._lock:
            holder = self._user_of(token)
            found = self._configurations.get(id)
            access = self._access.get((found.workspace, holder or "")) if found else None
            user, stored = authorize(holder, found, access)
            changed = self._changed(stored, id, changes)
            if "name" in changes:
                name = (stored.workspace, changes["name"])
                if self._names.get(name, id) != id:
                    raise NameTakenError(user)
                self._names.pop((stored.workspace, stored.plain.get("name")), None)
                self._names[name] = id
            self._configurations[id] = changed
        return user

    async def configuration(self, id: str) -> dict[str, Any]:
        with self._lock:
            stored = self._configurations.get(id)
        if stored is None:
            raise NotFoundError
        shown: dict[str, Any] = {"workspace": stored.workspace, "name": None, **stored.plain}
        for credential, (_, changed) in stored.sealed.items():
            shown[credential] = {"set": True, "changedAt": changed.isoformat()}
        return shown

    async def configurations(self) -> dict[str, str]:
        with self._lock:
            first = islice(self._configurations.items(), 1000)
            return {id: stored.workspace for id, stored in first}

    async def reveals(self, id: str, field: str, credential: str) -> bool:
        with self._lock:
            stored = self._configurations.get(id)
        if stored is None or field not in stored.sealed:
            return False
        sealed, _ = stored.sealed[field]
        return self._vault.open(sealed, stored.workspace, id, field) == credential

    async def add(self, more: Fixtures) -> None:
        with self._lock:
            self._load(more)

    async def expire_token(self, token: str) -> None:
        with self._lock:
            known = self._tokens.get(token_digest(token))
            if known is None:
                raise UnauthorizedError
            self._tokens[token_digest(token)] = replace(known, expires=datetime.now(UTC))

    async def revoke_token(self, token: str) -> None:
        with self._lock:
            if self._tokens.pop(token_digest(token), None) is None:
                raise UnauthorizedError

    async def delete_configuration(self, id: str) -> None:
        with self._lock:
            stored = self._configurations.pop(id, None)
            if stored is None:
                raise NotFoundError
            self._names.pop((stored.workspace, stored.plain.get("name")), None)

    async def reset(self, fixtures: Fixtures) -> None:
        with self._lock:
            for state in (self._tokens, self._access, self._configurations, self._names):
                state.clear()
            self._load(fixtures)

    def rotate(self) -> AsyncIterator[tuple[int, int]]:
        raise StoreError("a store in memory has no master key to rotate")

    def _user_of(self, token: str) -> str | None:
        known = self._tokens.get(token_digest(token))
        return None if known is None or known.expired else known.user

    def _load(self, more: Fixtures) -> None:
        configurations = dict[str, _Stored]()
        names = dict[tuple[str, str | None], str]()
        for given in more.configurations:
            name = (given.workspace, given.fields.get("name"))
            taken = given.id in configurations or given.id in self._configurations
            if taken or name in names or name in self._names:
                raise NameTakenError
            empty = _Stored(given.workspace, {}, {})
            configurations[given.id] = self._changed(empty, given.id, given.fields)
            if "name" in given.fields:
                names[name] = given.id
        for token in more.tokens:
            self._tokens[token_digest(token.value)] = replace(token, value="")
        self._access.update(((m.workspace, m.user), m.access) for m in more.members)
        self._configurations.update(configurations)
        self._names.update(names)

    def _changed(self, stored: _Stored, id: str, changes: Mapping[str, str]) -> _Stored:
        """Return the configuration with the changes."""
        plain = dict(stored.plain)
        sealed = dict(stored.sealed)
        for name, value in changes.items():
            if name in self._credentials:
                secret = self._vault.seal(value, stored.workspace, id, name)
                sealed[name] = (secret, datetime.now(UTC))
            else:
                plain[name] = value
        return _Stored(stored.workspace, plain, sealed)

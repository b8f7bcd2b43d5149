"""A store in memory: dictionaries that are forgotten when the process ends."""

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from flashback_mock.fixtures import Fixtures, Token

from .store import (
    NameTakenError,
    NotFoundError,
    Store,
    StoreError,
    UnauthorizedError,
    authorize,
    token_digest,
)
from .vault import KEY_BYTES, Vault


@dataclass(slots=True, frozen=True)
class _Stored:
    """A configuration: its plain fields, and each sealed credential with the time of its change."""

    workspace: str
    plain: dict[str, str]
    sealed: dict[str, tuple[bytes, datetime]]

    @property
    def name(self) -> tuple[str, str | None]:
        """Return workspace and name: unique, unless the name is None."""
        return self.workspace, self.plain.get("name")


class MemoryStore(Store):
    """A `Store` in memory."""

    location = "in memory; everything is forgotten when the mock stops"

    def __init__(self, credentials: Collection[str]) -> None:
        """Create an empty store; `credentials` are the names of the secret fields."""
        self._credentials = frozenset(credentials)
        self._vault = Vault(os.urandom(KEY_BYTES))
        self._tokens = dict[bytes, Token]()  # by digest, without their values
        self._access = dict[tuple[str, str], str]()  # by workspace and user
        self._configurations = dict[str, _Stored]()  # by id
        self._names = dict[tuple[str, str | None], str]()  # ids by workspace and name

    async def open(self, fixtures: Fixtures | None) -> bool:
        await self.add(fixtures or Fixtures())
        return True

    async def close(self) -> None:
        pass

    async def user_of(self, token: str) -> str | None:
        known = self._tokens.get(token_digest(token))
        return None if known is None or known.expired else known.user

    async def update(self, token: str, id: str, changes: Mapping[str, str]) -> str:
        holder = await self.user_of(token)
        found = self._configurations.get(id)
        access = self._access.get((found.workspace, holder or "")) if found else None
        user, stored = authorize(holder, found, access)
        changed = self._changed(stored, id, changes)
        if "name" in changes:
            if self._names.get(changed.name, id) != id:
                raise NameTakenError(user)
            self._names.pop(stored.name, None)
            self._names[changed.name] = id
        self._configurations[id] = changed
        return user

    async def configuration(self, id: str) -> dict[str, Any]:
        stored = self._configurations.get(id)
        if stored is None:
            raise NotFoundError
        shown: dict[str, Any] = {"workspace": stored.workspace, "name": None, **stored.plain}
        for credential, (_, changed) in stored.sealed.items():
            shown[credential] = {"set": True, "changedAt": changed.isoformat()}
        return shown

    async def configurations(self) -> dict[str, str]:
        first = islice(self._configurations.items(), 1000)
        return {id: stored.workspace for id, stored in first}

    async def reveals(self, id: str, field: str, credential: str) -> bool:
        stored = self._configurations.get(id)
        if stored is None or field not in stored.sealed:
            return False
        sealed, _ = stored.sealed[field]
        return self._vault.open(sealed, stored.workspace, id, field) == credential

    async def add(self, more: Fixtures) -> None:
        configurations = dict(self._configurations)
        names = dict(self._names)
        for given in more.configurations:
            empty = _Stored(given.workspace, {}, {})
            added = self._changed(empty, given.id, given.fields)
            if given.id in configurations or added.name in names:
                raise NameTakenError
            configurations[given.id] = added
            if "name" in given.fields:
                names[added.name] = given.id
        self._configurations = configurations
        self._names = names
        for token in more.tokens:
            self._tokens[token_digest(token.value)] = replace(token, value="")
        for member in more.members:
            self._access[member.workspace, member.user] = member.access

    async def expire_token(self, token: str) -> None:
        known = self._tokens.get(token_digest(token))
        if known is None:
            raise UnauthorizedError
        self._tokens[token_digest(token)] = replace(known, expires=datetime.now(UTC))

    async def revoke_token(self, token: str) -> None:
        if self._tokens.pop(token_digest(token), None) is None:
            raise UnauthorizedError

    async def delete_configuration(self, id: str) -> None:
        stored = self._configurations.pop(id, None)
        if stored is None:
            raise NotFoundError
        self._names.pop(stored.name, None)

    async def reset(self, fixtures: Fixtures) -> None:
        for state in (self._tokens, self._access, self._configurations, self._names):
            state.clear()
        await self.add(fixtures)

    async def rotate(self) -> int:
        raise StoreError("a store in memory has no master key to rotate")

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

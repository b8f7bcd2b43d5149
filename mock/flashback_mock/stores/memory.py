"""An in-memory store."""

from collections.abc import Collection, Mapping

from flashback_mock.fixtures import Fixtures, Token

from .errors import ForbiddenError, NameTakenError, NotFoundError, UnauthorizedError
from .store import MAY_UPDATE, Store, StoredConfiguration
from .vault import Vault


class MemoryStore(Store):
    """A `Store` that keeps its state in dictionaries."""

    location = "in memory; all changes are lost when the mock stops"

    def __init__(self, credentials: Collection[str]) -> None:
        self._credentials = frozenset(credentials)
        self._vault = Vault()
        self._clear()

    def _clear(self) -> None:
        self._tokens = dict[str, Token]()  # keyed by the token's value
        self._access = dict[tuple[str, str], str]()  # keyed by workspace and user
        self._configurations = dict[str, StoredConfiguration]()  # keyed by id
        self._ids = dict[tuple[str, str | None], str]()  # keyed by workspace and name

    async def open(self, fixtures: Fixtures) -> None:
        await self.add(fixtures)

    async def close(self) -> None:
        pass

    async def user_of(self, token: str) -> str | None:
        stored = self._tokens.get(token)
        return stored.user if stored and not stored.expired else None

    async def update(self, token: str, id: str, changes: Mapping[str, str]) -> str:
        user = await self.user_of(token)
        if user is None:
            raise UnauthorizedError
        stored = await self.find(id)
        if self._access.get((stored.workspace, user)) not in MAY_UPDATE:
            raise ForbiddenError
        changed = stored.with_changes(changes, self._credentials)
        if "name" in changes:
            if self._ids.get(changed.full_name, id) != id:
                raise NameTakenError
            self._ids.pop(stored.full_name, None)
            self._ids[changed.full_name] = id
        self._configurations[id] = changed
        return user

    async def find(self, id: str) -> StoredConfiguration:
        if id not in self._configurations:
            raise NotFoundError
        return self._configurations[id]

    async def add(self, more: Fixtures) -> None:
        for given in more.configurations:
            empty = StoredConfiguration(self._vault, given.workspace, given.id)
            added = empty.with_changes(given.fields, self._credentials)
            if added.id in self._configurations or added.full_name in self._ids:
                raise NameTakenError
            self._configurations[added.id] = added
            if "name" in added.plain:
                self._ids[added.full_name] = added.id
        for token in more.tokens:
            self._tokens[token.value] = token
        for member in more.members:
            self._access[member.workspace, member.user] = member.access

    async def delete_configuration(self, id: str) -> None:
        stored = await self.find(id)
        del self._configurations[id]
        self._ids.pop(stored.full_name, None)

    async def reset(self, fixtures: Fixtures) -> None:
        self._clear()
        await self.add(fixtures)

"""The interface that all stores implement, and the configurations that they return."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol, Self

from flashback_mock.fixtures import Fixtures

from .vault import Vault

Access = Literal["READ", "WRITE", "ADMIN"]
MAY_UPDATE = ("WRITE", "ADMIN")


@dataclass(slots=True)
class StoredConfiguration:
    """A configuration with unencrypted fields and sealed (encrypted) credentials.

    `plain` and `credentials` are keyed by field name. `vault` encrypts and decrypts credentials.
    """

    vault: Vault
    workspace: str
    id: str
    plain: dict[str, str] = field(default_factory=dict[str, str])
    credentials: dict[str, bytes] = field(default_factory=dict[str, bytes])

    @property
    def full_name(self) -> tuple[str, str | None]:
        """Return the workspace and the name. The pair is unique unless the name is None."""
        return self.workspace, self.plain.get("name")

    def with_changes(self, changes: Mapping[str, str], secret: Collection[str]) -> Self:
        """Return a copy with these changes. Seal the fields that are named in `secret`."""
        plain = dict(self.plain)
        credentials = dict(self.credentials)
        for name, value in changes.items():
            if name in secret:
                credentials[name] = self.vault.seal(value, self.workspace, self.id, name)
            else:
                plain[name] = value
        return replace(self, plain=plain, credentials=credentials)

    def describe(self) -> dict[str, Any]:
        """Return the fields as JSON, without the values of credentials."""
        described: dict[str, Any] = {"id": self.id, "workspace": self.workspace, "name": None}
        described |= self.plain
        for name in self.credentials:
            described[name] = {"set": True}
        return described

    def has(self, name: str, value: str) -> bool:
        """Return whether the field has this value."""
        if name not in self.credentials:
            return self.plain.get(name) == value
        return self.vault.open(self.credentials[name], self.workspace, self.id, name) == value


class Store(Protocol):
    """A store for configurations, members and tokens.

    A store encrypts credentials. If a store fails, its methods raise `StoreError` and change
    nothing. A method that takes the id of a configuration raises `NotFoundError` if no
    configuration has this id.
    """

    @property
    def location(self) -> str:
        """Return where the state and the master keys are stored, without any secrets."""

    async def open(self, fixtures: Fixtures) -> None:
        """Open the store. Add the fixtures only to a new store."""

    async def close(self) -> None:
        """Close all files and connections."""

    async def user_of(self, token: str) -> str | None:
        """Return a token's user, or None if the token is unknown or expired."""

    async def update(self, token: str, id: str, changes: Mapping[str, str]) -> str:
        """Apply all changes or, if an error occurs, none of them. Return the token's user.

        Raise `UnauthorizedError` if the token is not valid, `ForbiddenError` if the user's access
        level is not in `MAY_UPDATE`, and `NameTakenError` if another configuration in the workspace
        already has the new name.
        """

    async def find(self, id: str) -> StoredConfiguration:
        """Return the configuration with this id."""

    async def add(self, more: Fixtures) -> None:
        """Add these tokens, members and configurations.

        If a token already exists, replace its user and expiry. If a member already exists, replace
        the member's access level. Raise `NameTakenError` if a configuration's id or name is taken.
        """

    async def delete_configuration(self, id: str) -> None:
        """Delete a configuration and its credentials."""

    async def reset(self, fixtures: Fixtures) -> None:
        """Replace the entire state with the fixtures."""

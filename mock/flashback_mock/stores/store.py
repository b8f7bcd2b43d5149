"""The interface of every store."""

import hashlib
from collections.abc import Mapping
from typing import Any, Protocol, TypeVar

from flashback_mock.fixtures import Fixtures

from .errors import ForbiddenError, NotFoundError, StoreError, UnauthorizedError
from .stored import Stored

T = TypeVar("T")

LEVELS = ("READ", "WRITE", "ADMIN")
MAY_UPDATE = ("WRITE", "ADMIN")


def authorize(user: str | None, configuration: T | None, access: str | None) -> tuple[str, T]:
    """Return the user and the configuration if the user may update the configuration.

    Raise `UnauthorizedError`, `NotFoundError` or `ForbiddenError`, in the contract's order.
    """
    if user is None:
        raise UnauthorizedError
    if configuration is None:
        raise NotFoundError(user)
    if access not in MAY_UPDATE:
        raise ForbiddenError(user)
    return user, configuration


class Store(Protocol):
    """Configurations, members and tokens.

    A store keeps only the SHA-256 of a token, and encrypts credentials. Every method raises
    `StoreError` if the store fails, and then changes nothing.
    """

    @property
    def location(self) -> str:
        """Describe where the state and its master keys are, without a secret."""

    async def open(self, fixtures: Fixtures | None) -> bool:
        """Open the store, fill a new store with the fixtures, and return whether it is new.

        With None, raise `StoreError` unless the store exists.
        """

    async def close(self) -> None:
        """Release files and connections."""

    async def user_of(self, token: str) -> str | None:
        """Return the user of a bearer token, or None if it is unknown, revoked or expired."""

    async def update(self, token: str, id: str, changes: Mapping[str, str]) -> str:
        """Change all given fields durably, or none of them; return the user.

        Raise `UnauthorizedError`, `NotFoundError`, `ForbiddenError` or `NameTakenError`.
        """

    async def find(self, id: str) -> Stored:
        """Return the configuration; raise `NotFoundError`."""

    async def configuration(self, id: str) -> dict[str, Any]:
        """Describe the configuration; for a credential, only that it is set and when it changed.

        Raise `NotFoundError`.
        """
        return (await self.find(id)).describe()

    async def configurations(self) -> dict[str, str]:
        """Return the ids of at most 1,000 configurations, each with its workspace."""

    async def reveals(self, id: str, field: str, credential: str) -> bool:
        """Return whether this is the stored credential; raise `NotFoundError`."""
        return (await self.find(id)).reveals(field, credential)

    async def add(self, more: Fixtures) -> None:
        """Add all of these tokens, members and configurations, or none of them.

        Replace the user and expiry of a known token, and the access level of a known member. Raise
        `NameTakenError` if the id or the name of a configuration is taken.
        """

    async def revoke_token(self, token: str) -> None:
        """Remove a token; raise `UnauthorizedError` if it is unknown."""

    async def delete_configuration(self, id: str) -> None:
        """Delete a configuration and its credentials; raise `NotFoundError`."""

    async def reset(self, fixtures: Fixtures) -> None:
        """Replace the whole state with the fixtures."""

    async def rotate(self) -> int:
        """Encrypt all credentials with a new master key, and return their number."""
        raise StoreError("a store in memory has no master key to rotate")


def token_digest(token: str) -> bytes:
    """Return the SHA-256 of a token."""
    return hashlib.sha256(token.encode("latin-1")).digest()  # header values are latin-1

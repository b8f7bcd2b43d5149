"""The interface that all stores implement."""

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
    """Return the user and the configuration if the user is allowed to update the configuration.

    Otherwise, raise the first error that applies: `UnauthorizedError`, `NotFoundError` or
    `ForbiddenError`.
    """
    if user is None:
        raise UnauthorizedError
    if configuration is None:
        raise NotFoundError(user)
    if access not in MAY_UPDATE:
        raise ForbiddenError(user)
    return user, configuration


class Store(Protocol):
    """A store for configurations, members and tokens.

    A store encrypts credentials and keeps only the SHA-256 hashes of tokens. If a store fails, its
    methods raise `StoreError` and change nothing.
    """

    @property
    def location(self) -> str:
        """Return where the state and its master keys are stored. The text contains no secrets."""

    async def open(self, fixtures: Fixtures | None) -> bool:
        """Open the store and return whether it is new. Fill a new store with the fixtures.

        If `fixtures` is None and a durable store does not exist yet, raise `StoreError`.
        """

    async def close(self) -> None:
        """Close all files and connections."""

    async def user_of(self, token: str) -> str | None:
        """Return a token's user, or None if the token is unknown, revoked or expired."""

    async def update(self, token: str, id: str, changes: Mapping[str, str]) -> str:
        """Apply either all changes or none of them, and return the token's user.

        Raise `UnauthorizedError`, `NotFoundError`, `ForbiddenError` or `NameTakenError` if the
        update is refused.
        """

    async def find(self, id: str) -> Stored:
        """Return the configuration. Raise `NotFoundError` if there is none with this id."""

    async def configuration(self, id: str) -> dict[str, Any]:
        """Return the fields of the configuration as a JSON object.

        For a credential, the object shows only that it is set and when it last changed. Raise
        `NotFoundError` if there is no configuration with this id.
        """
        return (await self.find(id)).describe()

    async def configurations(self) -> dict[str, str]:
        """Return up to 1,000 configuration ids, each with its workspace."""

    async def reveals(self, id: str, field: str, credential: str) -> bool:
        """Return whether the field contains this credential.

        Raise `NotFoundError` if there is no configuration with this id.
        """
        return (await self.find(id)).reveals(field, credential)

    async def add(self, more: Fixtures) -> None:
        """Add either all of these tokens, members and configurations or none of them.

        If a token already exists, replace its user and expiry. If a member already exists, replace
        the member's access level. Raise `NameTakenError` if a configuration's id or name is taken.
        """

    async def revoke_token(self, token: str) -> None:
        """Remove a token. Raise `UnauthorizedError` if the token is unknown."""

    async def delete_configuration(self, id: str) -> None:
        """Delete a configuration and its credentials.

        Raise `NotFoundError` if there is no configuration with this id.
        """

    async def reset(self, fixtures: Fixtures) -> None:
        """Replace the entire state with the fixtures."""

    async def rotate(self) -> int:
        """Re-encrypt all credentials with a new master key and return their number."""
        raise StoreError("an in-memory store has no master key to rotate")


def token_digest(token: str) -> bytes:
    """Return the SHA-256 hash of a token."""
    return hashlib.sha256(token.encode("latin-1")).digest()  # HTTP header values use Latin-1

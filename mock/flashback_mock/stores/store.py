"""The interface of every store, and its errors."""

import hashlib
from collections.abc import Mapping
from typing import Any, Protocol, TypeVar

from flashback_mock.fixtures import Fixtures

T = TypeVar("T")

LEVELS = ("READ", "WRITE", "ADMIN")
MAY_UPDATE = ("WRITE", "ADMIN")
NAME_TAKEN = "another configuration has this id, or this name in the workspace"


class StoreError(Exception):
    """The store failed or cannot be opened; the message says why and contains no secret."""


class UnauthorizedError(Exception):
    """The token is unknown, revoked or expired."""


class RefusedError(Exception):
    """The token is valid, but the store refuses the update; `user` sent it."""

    def __init__(self, user: str = "") -> None:
        """Refuse an update that this user sent."""
        super().__init__()
        self.user = user


class NotFoundError(RefusedError):
    """No configuration has this id."""


class ForbiddenError(RefusedError):
    """The user may not update this configuration."""


class NameTakenError(RefusedError):
    """Another configuration has this id, or this name in the workspace."""


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

    async def configuration(self, id: str) -> dict[str, Any]:
        """Return the configuration; for a credential, only that it is set and when it changed.

        Raise `NotFoundError`.
        """

    async def configurations(self) -> dict[str, str]:
        """Return the ids of at most 1,000 configurations, each with its workspace."""

    async def reveals(self, id: str, field: str, credential: str) -> bool:
        """Return whether this is the stored credential; raise `NotFoundError`."""

    async def add(self, more: Fixtures) -> None:
        """Add all of these tokens, members and configurations, or none of them.

        Replace the user and expiry of a known token, and the access level of a known member. Raise
        `NameTakenError` if the id or the name of a configuration is taken.
        """

    async def expire_token(self, token: str) -> None:
        """Expire a token now; raise `UnauthorizedError` if it is unknown."""

    async def revoke_token(self, token: str) -> None:
        """Remove a token; raise `UnauthorizedError` if it is unknown."""

    async def delete_configuration(self, id: str) -> None:
        """Delete a configuration and its credentials; raise `NotFoundError`."""

    async def reset(self, fixtures: Fixtures) -> None:
        """Replace the whole state with the fixtures."""

    async def rotate(self) -> int:
        """Encrypt all credentials with a new master key, and return their number."""


def token_digest(token: str) -> bytes:
    """Return the SHA-256 of a token."""
    return hashlib.sha256(token.encode("latin-1")).digest()  # header values are latin-1

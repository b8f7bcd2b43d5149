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
    """The store refuses an update of a known user."""

    def __init__(self, user: str = "") -> None:
        """Refuse this user's update."""
        super().__init__()
        self.user = user


class NotFoundError(RefusedError):
    """No configuration has this id."""


class ForbiddenError(RefusedError):
    """The user may not update this configuration."""


class NameTakenError(RefusedError):
    """Another configuration of the workspace has this name, or another one has this id."""


def authorize(user: str | None, configuration: T | None, access: str | None) -> tuple[str, T]:
    """Return the user and the configuration if the user may update it.

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
    """Configurations, members and tokens; tokens are kept as SHA-256, credentials encrypted.

    Every method raises `StoreError` when the store itself fails; then nothing has changed.
    """

    @property
    def location(self) -> str:
        """Describe where the state and its master keys are, without a secret."""

    async def open(self, fixtures: Fixtures | None) -> bool:
        """Open the store, and return whether it is new; a new store gets the fixtures.

        With None, raise `StoreError` unless the store exists.
        """

    async def close(self) -> None:
        """Release files and connections."""

    async def user_of(self, token: str) -> str | None:
        """Return the user of a bearer token, or None if it is unknown, revoked or expired."""

    async def update(self, token: str, id: str, changes: Mapping[str, str]) -> str:
        """Change the given fields, all or none, durably; return the user.

        Raise `UnauthorizedError`, `NotFoundError`, `ForbiddenError` or `NameTakenError`.
        """

    async def configuration(self, id: str) -> dict[str, Any]:
        """Return the configuration, credentials only by time of change; raise `NotFoundError`."""

    async def configurations(self) -> dict[str, str]:
        """Return the ids of the first thousand configurations, each with its workspace."""

    async def reveals(self, id: str, field: str, credential: str) -> bool:
        """Return whether the stored credential is this one."""

    async def add(self, more: Fixtures) -> None:
        """Add tokens, members and configurations, all or none.

        A known token gets the new user and expiry, a known member the new access level. Raise
        `NameTakenError` if a configuration has an id or a name that is taken.
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
        """Replace the master key, re-encrypt all credentials with it, and return their number."""


def token_digest(token: str) -> bytes:
    """Return the SHA-256 of a token, which is all that a store keeps of it."""
    return hashlib.sha256(token.encode("latin-1")).digest()  # header values are latin-1

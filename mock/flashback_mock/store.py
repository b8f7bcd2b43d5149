"""What a store of configurations promises, whatever holds them."""

import hashlib
from collections.abc import AsyncIterator, Mapping
from typing import Any, Protocol, TypeVar

from .fixtures import Fixtures

T = TypeVar("T")

LEVELS = ("READ", "WRITE", "ADMIN")
MAY_UPDATE = ("WRITE", "ADMIN")
TAKEN = "another configuration has this id, or this name in the workspace"


class StoreError(Exception):
    """The store failed, or cannot be opened; the message says why, and holds no secret."""


class UnauthorizedError(Exception):
    """The token is unknown, or has expired."""


class RefusedError(Exception):
    """A user's update is refused."""

    def __init__(self, user: str = "") -> None:
        """Refuse what this user asks for."""
        super().__init__()
        self.user = user


class NotFoundError(RefusedError):
    """No configuration has this id."""


class ForbiddenError(RefusedError):
    """The user may not update this configuration."""


class NameTakenError(RefusedError):
    """Another configuration of the workspace has this name."""


def judged(user: str | None, found: T | None, access: str | None) -> tuple[str, T]:
    """A user who may update, and the configuration that was found; raises what refuses others.

    In the contract's order: 401, 404, 403.
    """
    if user is None:
        raise UnauthorizedError
    if found is None:
        raise NotFoundError(user)
    if access not in MAY_UPDATE:
        raise ForbiddenError(user)
    return user, found


class Store(Protocol):
    """Configurations, members and tokens; tokens are kept as SHA-256, credentials sealed.

    Every method raises `StoreError` when the store itself fails; then nothing has changed.
    """

    @property
    def where(self) -> str:
        """Where the state is, and where its master keys are, in words without a secret."""
        ...

    async def open(self, fixtures: Fixtures | None) -> bool:
        """Be ready; whether the store was new, and thus took the fixtures in.

        None: it has to be there already.
        """
        ...

    async def close(self) -> None:
        """Let go of the state."""
        ...

    async def user_of(self, token: str) -> str | None:
        """The user whom a bearer token stands for; None if it is unknown or expired."""
        ...

    async def update(self, token: str, configuration: str, changes: Mapping[str, str]) -> str:
        """Change the given fields, all of them or none, for good; the user who did.

        Raises `UnauthorizedError`, `NotFoundError`, `ForbiddenError` or `NameTakenError`.
        """
        ...

    async def configuration(self, id: str) -> dict[str, Any]:
        """What is stored now, of each credential only when it changed; raises `NotFoundError`."""
        ...

    async def configurations(self) -> dict[str, str]:
        """The first thousand configurations' ids, each with its workspace."""
        ...

    async def reveals(self, id: str, field: str, credential: str) -> bool:
        """Whether the stored credential is this one: how a test learns that a rotation happened."""
        ...

    async def add(self, more: Fixtures) -> None:
        """Add members, tokens and configurations; raises `NameTakenError` for names and ids."""
        ...

    async def reset(self, fixtures: Fixtures) -> None:
        """Forget everything, and hold the fixtures."""
        ...

    def rotate(self) -> AsyncIterator[tuple[int, int]]:
        """Re-encrypt with a new key what older ones sealed: how many are done, and of how many."""
        ...


def digest_of(token: str) -> bytes:
    """What is stored of a token."""
    return hashlib.sha256(token.encode("latin-1")).digest()  # as header values are decoded

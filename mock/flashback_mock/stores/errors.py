"""Exceptions raised by the stores."""

from typing import ClassVar


class StoreError(Exception):
    """The store failed or could not be opened. The message says why and contains no secrets."""


class RejectedError(ValueError):
    """The store rejected an update. `status` is the status of the response."""

    status: ClassVar[int]


class UnauthorizedError(RejectedError):
    """The token is unknown, revoked or expired."""

    status = 401


class NotFoundError(RejectedError):
    """No configuration has this id."""

    status = 404


class ForbiddenError(RejectedError):
    """The user is not allowed to update this configuration."""

    status = 403


class NameTakenError(RejectedError):
    """Another configuration has the same id, or has the same name in the same workspace."""

    status = 400

    def __init__(self) -> None:
        super().__init__(
            "another configuration already has this id, or this name in the same workspace"
        )

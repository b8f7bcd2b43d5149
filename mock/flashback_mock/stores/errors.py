"""Exceptions raised by the stores."""


class StoreError(Exception):
    """The store failed or could not be opened. The message says why and contains no secrets."""


class RefusedError(ValueError):
    """The store refused an update."""


class UnauthorizedError(RefusedError):
    """The token is unknown, revoked or expired."""


class NotFoundError(RefusedError):
    """No configuration has this id."""


class ForbiddenError(RefusedError):
    """The user is not allowed to update this configuration."""


class NameTakenError(RefusedError):
    """Another configuration has the same id, or has the same name in the same workspace."""

    def __init__(self) -> None:
        super().__init__(
            "another configuration already has this id, or this name in the same workspace"
        )

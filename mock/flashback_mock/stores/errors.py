"""Exceptions raised by the stores."""


class StoreError(Exception):
    """The store failed or could not be opened. The message says why and contains no secrets."""


class RejectedError(ValueError):
    """The store rejected an update."""


class UnauthorizedError(RejectedError):
    """The token is unknown, revoked or expired."""


class NotFoundError(RejectedError):
    """No configuration has this id."""


class ForbiddenError(RejectedError):
    """The user is not allowed to update this configuration."""


class NameTakenError(RejectedError):
    """Another configuration has the same id, or has the same name in the same workspace."""

    def __init__(self) -> None:
        super().__init__(
            "another configuration already has this id or, in the same workspace, this name"
        )

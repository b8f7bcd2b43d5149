"""The errors of every store."""

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

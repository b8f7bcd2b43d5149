"""The workspaces, members, tokens and configurations that the mock starts with."""

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import yaml


@dataclass(frozen=True)
class Token:
    """A bearer token, the user it stands for, and when it ends (None: never)."""

    value: str = field(repr=False)
    user: str
    expires: datetime | None = None


@dataclass(frozen=True)
class Member:
    """A user's access level in a workspace: READ, WRITE or ADMIN."""

    workspace: str
    user: str
    access: str


@dataclass(frozen=True)
class Configuration:
    """A configuration of a workspace; `fields` are the contract's, credentials among them."""

    role: str
    workspace: str
    id: str
    fields: dict[str, str] = field(repr=False)


@dataclass(frozen=True)
class Fixtures:
    """All that the mock knows at start."""

    tokens: tuple[Token, ...]
    members: tuple[Member, ...]
    configurations: tuple[Configuration, ...]

    @classmethod
    def default(cls) -> Self:
        """The fixtures that come with the mock: two workspaces, a user for every role."""
        text = Path(__file__).with_name("fixtures.yaml").read_text("utf-8")
        document: dict[str, Any] = yaml.safe_load(text)
        return cls(
            tuple(
                Token(user["token"], name, user.get("expires"))
                for name, user in document["users"].items()
            ),
            tuple(
                Member(workspace, user, access)
                for workspace, its in document["workspaces"].items()
                for user, access in its["members"].items()
            ),
            tuple(
                Configuration(role, workspace, given.pop("id"), given)
                for workspace, its in document["workspaces"].items()
                for role, given in its["configurations"].items()
            ),
        )

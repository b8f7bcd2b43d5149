"""An in-memory store for users and for the configurations in two workspaces."""

from dataclasses import dataclass, field
from threading import Lock

TOKENS = {
    "owner": "owner-token",
    "admin": "admin-token",
    "reader": "reader-token",
    "stranger": "stranger-token",
    "expired": "expired-token",
}
IDS = {
    "main": "an id with spaces",
    "sibling": "6ba7b810-9dad-41d1-80b4-00c04fd430c8",
    "foreign": "7c9e6679-7425-40de-944b-e07fc1f90ae7",
}
USERS = {token: user for user, token in TOKENS.items() if user != "expired"}
LEVELS = {
    "acme": {"owner": "WRITE", "admin": "ADMIN", "reader": "READ"},
    "globex": {"stranger": "ADMIN"},
}


class NameTakenError(Exception):
    """Another configuration in the workspace already has this name."""


@dataclass
class Configuration:
    """The configuration of an AI provider."""

    workspace: str
    fields: dict[str, str]


def _configurations() -> dict[str, Configuration]:
    return {
        IDS["main"]: Configuration("acme", {"name": "OpenAI in production"}),
        IDS["sibling"]: Configuration("acme", {"name": "Anthropic in staging"}),
        IDS["foreign"]: Configuration("globex", {"name": "Bedrock of another workspace"}),
    }


@dataclass
class Store:
    """A backend's data, and the ids of the configurations that were updated."""

    unique_names: bool = True  # whether names must be unique within a workspace
    configurations: dict[str, Configuration] = field(default_factory=_configurations)
    updated: set[str] = field(default_factory=set[str])
    _lock: Lock = field(default_factory=Lock)

    def level(self, user: str, id: str) -> str | None:
        """Return the user's access level in the configuration's workspace; None means no access."""
        return LEVELS[self.configurations[id].workspace].get(user)

    def update(self, id: str, fields: dict[str, str]) -> None:
        """Store the fields. If the name is taken, raise `NameTakenError` and store nothing."""
        with self._lock:
            configuration = self.configurations[id]
            for other_id, other in self.configurations.items():
                in_same_workspace = other_id != id and other.workspace == configuration.workspace
                has_same_name = "name" in fields and other.fields["name"] == fields["name"]
                if self.unique_names and in_same_workspace and has_same_name:
                    raise NameTakenError
            configuration.fields.update(fields)
            if fields:
                self.updated.add(id)

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
    "main": "Ünusual id",
    "sibling": "6ba7b810-9dad-41d1-80b4-00c04fd430c8",
    "foreign": "7c9e6679-7425-40de-944b-e07fc1f90ae7",
}
USERS = {token: user for user, token in TOKENS.items() if user != "expired"}
LEVELS = {
    "acme": {"owner": "WRITE", "admin": "ADMIN", "reader": "READ"},
    "globex": {"stranger": "ADMIN"},
}


@dataclass(eq=False)
class RejectedError(Exception):
    """The request must be rejected with this status and message."""

    status: int
    message: str


@dataclass
class Configuration:
    """The configuration of an AI provider."""

    workspace: str
    fields: dict[str, str]


def _configurations() -> dict[str, Configuration]:
    return {
        IDS["main"]: Configuration("acme", {"name": "OpenAI in production"}),
        IDS["sibling"]: Configuration("acme", {"name": "Anthropic in staging"}),
        IDS["foreign"]: Configuration("globex", {"name": "Bedrock in another workspace"}),
    }


@dataclass
class Store:
    """A backend's data, and the ids of the configurations that were updated."""

    unique_names: bool = True  # whether names must be unique within a workspace
    configurations: dict[str, Configuration] = field(default_factory=_configurations)
    updated: set[str] = field(default_factory=set[str])
    _lock: Lock = field(default_factory=Lock)

    def find(self, user: str, id: str, *levels: str) -> Configuration:
        """Return the configuration with this id if the user has one of these access levels."""
        if id not in self.configurations:
            raise RejectedError(404, "AI LLM configuration not found")
        configuration = self.configurations[id]
        if LEVELS[configuration.workspace].get(user) not in levels:
            raise RejectedError(403, f"You need one of these access levels: {', '.join(levels)}")
        return configuration

    def update(self, user: str, id: str, fields: dict[str, str]) -> dict[str, object]:
        """Store the fields, and return the body of the response."""
        with self._lock:
            configuration = self.find(user, id, "WRITE", "ADMIN")
            if self.unique_names and "name" in fields:
                for other in self.configurations.values():
                    in_same_workspace = other.workspace == configuration.workspace
                    is_other = other is not configuration and in_same_workspace
                    if is_other and other.fields["name"] == fields["name"]:
                        raise RejectedError(400, "Another configuration already has this name")
            configuration.fields.update(fields)
            if fields:
                self.updated.add(id)
        message = "AI LLM configuration updated successfully"
        return {"success": True, "aiLlmId": id, "message": message}

"""Stored configurations with sealed (encrypted) credentials."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from .vault import Vault


class Credential(NamedTuple):
    """A sealed credential and the time when it last changed."""

    sealed: bytes
    changed: str


@dataclass(frozen=True, slots=True)
class Stored:
    """A configuration with unencrypted fields and sealed credentials.

    `plain` and `credentials` are keyed by field name. `vault` encrypts and decrypts credentials.
    """

    vault: Vault
    workspace: str
    id: str
    plain: dict[str, str] = field(default_factory=dict[str, str])
    credentials: dict[str, Credential] = field(default_factory=dict[str, Credential])

    @property
    def full_name(self) -> tuple[str, str | None]:
        """Return the workspace and the name. The pair is unique unless the name is None."""
        return self.workspace, self.plain.get("name")

    def with_changes(self, changes: Mapping[str, str], secret: Collection[str]) -> "Stored":
        """Return a copy of the configuration with these changes. Seal the `secret` fields."""
        plain = dict(self.plain)
        credentials = dict(self.credentials)
        for name, value in changes.items():
            if name in secret:
                sealed = self.vault.seal(value, self.workspace, self.id, name)
                credentials[name] = Credential(sealed, timestamp())
            else:
                plain[name] = value
        return Stored(self.vault, self.workspace, self.id, plain, credentials)

    def describe(self) -> dict[str, Any]:
        """Return the fields as a JSON object.

        For a credential, the object shows only that it is set and when it last changed.
        """
        described: dict[str, Any] = {"workspace": self.workspace, "name": None, **self.plain}
        for name, credential in self.credentials.items():
            described[name] = {"set": True, "changedAt": credential.changed}
        return described

    def reveals(self, name: str, credential: str) -> bool:
        """Return whether the field contains this credential."""
        if name not in self.credentials:
            return False
        sealed = self.credentials[name].sealed
        return self.vault.open(sealed, self.workspace, self.id, name) == credential


def timestamp(time: datetime | None = None) -> str:
    """Return the time (by default, now) as fixed-length UTC text that sorts chronologically."""
    moment = time.astimezone(UTC) if time else datetime.now(UTC)
    return moment.isoformat(timespec="microseconds")

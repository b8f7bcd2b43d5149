"""Entries in the request log, which contain no tokens or credentials."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, get_type_hints


@dataclass(slots=True)
class Entry:
    """An entry in the request log. It contains no tokens or credential values.

    `status` is 0 if a `reset`, `empty` or `timeout` fault prevented a response. `fields` contains
    the names of the body's fields if the token and the body are valid. `updated` is true if the
    fields were stored. An unknown `user` or `configuration` is an empty string. `reason` says why
    the request was rejected, or that its response was planned. `time` is the time at which the
    request arrived.
    """

    method: str
    request_id: str = field(default_factory=lambda: os.urandom(16).hex())
    status: int = 0
    user: str = ""
    configuration: str = ""
    fields: tuple[str, ...] = ()
    updated: bool = False
    fault: str = ""
    reason: str = ""
    time: datetime = field(default_factory=lambda: datetime.now(UTC))

    def to_dict(self) -> dict[str, Any]:
        """Return the entry as a JSON object, with the time in RFC 3339 format."""
        # Do not use asdict(): it copies the values, which is slow.
        values = {name: getattr(self, name) for name in CRITERIA}
        return {**values, "time": self.time.isoformat(timespec="milliseconds")}

    def __str__(self) -> str:
        """Return the entry as a human-readable line."""
        outcome = f"{self.status} {self.fault}".rstrip()
        fields = f" ({', '.join(self.fields)})" if self.fields else ""
        reason = f": {self.reason}" if self.reason else ""
        user = self.user or "nobody"
        return f"{self.time:%H:%M:%S.%f} {self.method} {outcome} as {user}{fields}{reason}"


CRITERIA = get_type_hints(Entry)


def matches(entry: Entry, criteria: Mapping[str, Any]) -> bool:
    """Return whether the entry meets all criteria, such as `status=200`."""
    for name, expected in criteria.items():
        if name == "fields":  # in any order
            if sorted(entry.fields) != sorted(map(str, expected)):
                return False
        elif getattr(entry, name) != expected:
            return False
    return True


def history(entries: list[Entry]) -> list[str]:
    """Return lines that list the latest requests, oldest first."""
    if not entries:
        return ["requests: none"]
    latest = [f"  {entry} (id {entry.configuration or 'unknown'})" for entry in entries[-30:]]
    return ["latest requests, oldest first:", *latest]

"""The request log, which contains no tokens or credentials."""

import asyncio
import os
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, get_type_hints

from .calls import check_seconds, check_types

MAX_ENTRIES = 10_000


@dataclass(slots=True)
class Entry:
    """An entry in the request log. It contains no tokens or credential values.

    `status` is 0 if a `reset`, `empty` or `timeout` fault prevented a response. `fields` contains
    the names of the fields in a valid body, and `updated` is true if these fields were stored.
    `user` and `configuration` are empty if unknown. `milliseconds` excludes any
    planned delay. `reason` says why the request was refused, and `time` is when it arrived.
    """

    method: str
    request_id: str = field(default_factory=lambda: os.urandom(16).hex())
    status: int = 0
    milliseconds: float = 0
    user: str = ""
    configuration: str = ""
    fields: tuple[str, ...] = ()
    updated: bool = False
    fault: str = ""
    reason: str = ""
    time: datetime = field(default_factory=lambda: datetime.now(UTC))

    def to_dict(self) -> dict[str, Any]:
        """Return the entry as a JSON object, with the time in RFC 3339 format."""
        # asdict() copies every value, which would take a quarter of each request's time.
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


class Journal:
    """The most recent requests, oldest first.

    Only the event loop changes the log, but any thread can read it.
    """

    def __init__(self) -> None:
        self._entries = deque[Entry](maxlen=MAX_ENTRIES)
        self._next = asyncio.Event()  # set when the next entry is added

    @property
    def entries(self) -> list[Entry]:
        """Return all entries."""
        return list(self._entries)

    def append(self, entry: Entry) -> None:
        """Add an entry and wake up all waiting callers."""
        self._entries.append(entry)
        self._next.set()
        self._next = asyncio.Event()

    def clear(self) -> None:
        """Remove all entries."""
        self._entries.clear()

    async def wait_for(
        self,
        count: int,
        timeout: float,  # noqa: ASYNC109 - part of the public API
        criteria: Mapping[str, Any],
    ) -> list[Entry]:
        """Wait until `count` entries match, and return the matching entries.

        See `Mock.wait_for`.
        """
        check_types(criteria, CRITERIA, "count", "timeout")
        check_seconds("timeout", timeout)
        matching: list[Entry] = []
        try:
            async with asyncio.timeout(timeout):
                while True:
                    matching = [entry for entry in self._entries if _matches(entry, criteria)]
                    if len(matching) >= count:
                        return matching
                    await self._next.wait()
        except TimeoutError:
            expected = f"{count} request(s)"
            if criteria:
                expected += " with " + ", ".join(f"{key}={criteria[key]!r}" for key in criteria)
            message = f"expected {expected} within {timeout:g} s, got {len(matching)}"
            received = [f"  {entry}" for entry in self.entries[-10:]]
            raise TimeoutError("\n".join([message, *received])) from None

    def history(self, id: str) -> list[str]:
        """List the latest requests for a configuration, followed by the latest other requests."""
        entries = self.entries
        own = [entry for entry in entries if entry.configuration == id]
        others = [entry for entry in entries if entry.configuration != id]
        heading = "requests for this configuration"
        lines = [f"{heading}, oldest first:" if own else f"{heading}: none"]
        lines += [f"  {entry}" for entry in own[-20:]]
        if others:
            lines.append("other requests:")
        for entry in others[-10:]:
            lines.append(f"  {entry} (id {entry.configuration or 'unknown'})")
        return lines


def _matches(entry: Entry, criteria: Mapping[str, Any]) -> bool:
    for name, expected in criteria.items():
        value = tuple(expected) if name == "fields" else expected
        if getattr(entry, name) != value:
            return False
    return True

"""The request log: requests and their responses, without any secret."""

import asyncio
import os
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Any, get_type_hints

from .calls import check_seconds, check_types

MAX_ENTRIES = 10_000


@dataclass(slots=True)
class Entry:
    """A request in the log, without any value of a credential or a token.

    `status` is 0 if no status was sent (faults `reset`, `empty`, `timeout`). `fields` are the field
    names of a valid body; `updated` says whether they were stored. `user` and `configuration` are
    empty if they are unknown. `milliseconds` excludes a planned delay, `reason` says why the
    request was refused, and `time` is when it arrived.
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
        """Return the entry for JSON; the time is in RFC 3339."""
        # asdict would copy every value, which takes a quarter of the time of a request.
        values = {name: getattr(self, name) for name in CRITERIA}
        return {**values, "time": self.time.isoformat(timespec="milliseconds")}

    def __str__(self) -> str:
        """Return one line for people."""
        outcome = f"{self.status} {self.fault}".rstrip()
        fields = f" ({', '.join(self.fields)})" if self.fields else ""
        reason = f": {self.reason}" if self.reason else ""
        user = self.user or "nobody"
        return f"{self.time:%H:%M:%S.%f} {self.method} {outcome} as {user}{fields}{reason}"


CRITERIA = get_type_hints(Entry)


class Journal:
    """The last requests, oldest first; written in the event loop, read in any thread."""

    def __init__(self) -> None:
        """Start empty."""
        self._entries = deque[Entry](maxlen=MAX_ENTRIES)
        self._next = asyncio.Event()  # set when the next entry arrives
        self._total = 0  # number of entries since the start
        self._clears = 0  # number of times that the log was cleared

    @property
    def entries(self) -> list[Entry]:
        """Return all entries."""
        return list(self._entries)

    def append(self, entry: Entry) -> None:
        """Add an entry, and wake up waiting calls."""
        self._entries.append(entry)
        self._total += 1
        self._next.set()
        self._next = asyncio.Event()

    def clear(self) -> None:
        """Remove all entries."""
        self._entries.clear()
        self._clears += 1

    async def wait_for(
        self,
        count: int,
        timeout: float,  # noqa: ASYNC109 - the caller's, in seconds
        criteria: Mapping[str, Any],
    ) -> list[Entry]:
        """Return the entries that match, once there are `count`; see `Mock.wait_for`."""
        check_types(criteria, CRITERIA, "count", "timeout")
        check_seconds("timeout", timeout)
        if count < 1:
            raise ValueError("count: must be at least 1")
        found: list[Entry] = []
        clears = self._clears
        known = self._total - len(self._entries)
        try:
            async with asyncio.timeout(timeout):
                while True:
                    if clears != self._clears:
                        clears = self._clears
                        known = self._total - len(self._entries)
                        found = []
                    new = list(islice(reversed(self._entries), self._total - known))
                    known = self._total
                    found += [entry for entry in reversed(new) if _matches(entry, criteria)]
                    if len(found) >= count:
                        return found
                    await self._next.wait()
        except TimeoutError:
            wanted = ", ".join(f"{name}={value!r}" for name, value in criteria.items())
            message = (
                f"expected {count} request(s) with {wanted or 'anything'} in {timeout:g} s, "
                f"got {len(found)}"
            )
            received = [f"  {entry}" for entry in self.entries[-10:]]
            raise TimeoutError("\n".join([message, *received])) from None

    def history(self, id: str) -> list[str]:
        """Return lines that list the requests for a configuration, then the other requests."""
        entries = self.entries
        own = [entry for entry in entries if entry.configuration == id]
        others = [entry for entry in entries if entry.configuration != id]
        lines = ["requests for it, in order:" if own else "requests for it: none"]
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

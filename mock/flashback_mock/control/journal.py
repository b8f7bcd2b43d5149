"""The request log: requests and their responses, without any secret."""

import asyncio
import os
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import perf_counter
from typing import Any, cast

MAX_ENTRIES = 10_000


@dataclass(slots=True)
class Entry:
    """A request in the log; it contains no value of a credential or a token.

    `status` is 0 if no status was sent (faults `reset`, `empty`, `timeout`). `fields` are those of
    a valid body, and `updated` says whether they were stored. `user` and `configuration` are empty
    if they are unknown. `milliseconds` excludes a planned delay, `reason` is why the request was
    refused, and `time` is when it arrived.
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
    _started: float = field(default_factory=perf_counter, repr=False)

    def finish(self, status: int) -> None:
        """Set the status, and how long the request took."""
        self.status = status
        self.milliseconds = round((perf_counter() - self._started) * 1000, 3)

    def to_dict(self) -> dict[str, Any]:
        """Return the entry for JSON; the time is RFC 3339."""
        entry = {name: getattr(self, name) for name in self.__slots__ if name != "_started"}
        return {**entry, "time": self.time.isoformat(timespec="milliseconds")}

    def __str__(self) -> str:
        """Return one line for people."""
        fields = f" ({', '.join(self.fields)})" if self.fields else ""
        fault = f" {self.fault}" if self.fault else ""
        reason = f": {self.reason}" if self.reason else ""
        user = self.user or "nobody"
        return (
            f"{self.time:%H:%M:%S.%f} {self.method} {self.status}{fault} as {user}{fields}{reason}"
        )


CRITERIA: dict[str, type] = {
    "request_id": str,
    "method": str,
    "status": int,
    "user": str,
    "configuration": str,
    "fields": list,
    "updated": bool,
    "fault": str,
}


class Journal:
    """The last requests, oldest first. It is written in the event loop, and read anywhere."""

    def __init__(self) -> None:
        """Start empty."""
        self._entries = deque[Entry](maxlen=MAX_ENTRIES)
        self._waiters = set[asyncio.Future[None]]()

    @property
    def entries(self) -> list[Entry]:
        """Return all entries."""
        return list(self._entries)

    def append(self, entry: Entry) -> None:
        """Add an entry, and wake up waiting calls."""
        self._entries.append(entry)
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    def clear(self) -> None:
        """Forget all entries."""
        self._entries.clear()

    def matching(self, criteria: Mapping[str, Any]) -> list[Entry]:
        """Return the entries with all these values; raise `ValueError` for wrong criteria."""
        wanted = checked_criteria(criteria)
        return [
            entry
            for entry in self.entries
            if all(getattr(entry, name) == value for name, value in wanted.items())
        ]

    async def wait_for(
        self,
        count: int,
        timeout: float,  # noqa: ASYNC109 - it is the caller's, in seconds
        criteria: Mapping[str, Any],
    ) -> list[Entry]:
        """Return the matching entries once there are `count`.

        After `timeout` seconds, raise `TimeoutError`, which lists the requests received instead.
        """
        try:
            async with asyncio.timeout(timeout):
                while len(found := self.matching(criteria)) < count:
                    await self._next_entry()
        except TimeoutError:
            raise TimeoutError(self._missing(count, timeout, criteria)) from None
        return found

    async def _next_entry(self) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        try:
            await waiter
        finally:
            self._waiters.discard(waiter)

    def _missing(self, count: int, timeout: float, criteria: Mapping[str, Any]) -> str:
        wanted = ", ".join(f"{name}={value!r}" for name, value in criteria.items())
        found = len(self.matching(criteria))
        lines = [
            f"expected {count} request(s) with {wanted or 'anything'} in {timeout:g} s, got {found}"
        ]
        lines += [f"  {entry}" for entry in self.entries[-10:]]
        return "\n".join(lines)


def checked_criteria(criteria: Mapping[str, Any]) -> dict[str, Any]:
    """Return criteria for `Journal.matching`; raise `ValueError` that names the wrong one."""
    checked: dict[str, Any] = {}
    for name, value in criteria.items():
        kind = CRITERIA.get(name)
        if kind is None:
            raise ValueError(f"expected criteria from {', '.join(CRITERIA)}, got another one")
        if kind is list and isinstance(value, (list, tuple)):
            checked[name] = tuple(cast("list[str]", value))
        elif type(value) is kind:
            checked[name] = value
        else:
            raise ValueError(f"{name}: must be of type {kind.__name__}")
    return checked

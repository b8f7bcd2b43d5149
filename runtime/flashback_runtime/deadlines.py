"""The time that is left, and blocking connections whose reads share it.

httpcore limits each read by itself. The connections have the methods of its NetworkStream and
NetworkBackend.
"""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from math import inf
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import httpcore

_CHUNK: Final = 16384  # bytes; a slow reader must not hold one write longer than the deadline


class LimitPassedError(Exception):
    """The time limit passed."""


class _Attempt(threading.local):
    """When the attempt of this thread has to end, in seconds of the monotonic clock."""

    ends_at: float = inf


attempt = _Attempt()


def left(until: float) -> float:
    """Return the seconds left; never 0, which does not block."""
    return max(0.001, until - time.monotonic())


def within(until: float, limit: float | None) -> float | None:
    """Return the shorter of the limit and the time left; None for neither."""
    shorter = left(until) if limit is None else min(limit, left(until))
    return None if shorter == inf else shorter


class DeadlineStream:
    """A connection that gives up when the attempt's time is over.

    What is written is sent when the response is read: head and body in one packet.
    """

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream
        self._unsent = b""
        self.get_extra_info = stream.get_extra_info

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        from httpcore import WriteError  # noqa: PLC0415 - a third of what importing httpx costs

        with suppress(WriteError):  # there may be a response all the same
            self._send()
        return self._stream.read(max_bytes, _limit(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        del timeout
        self._unsent += buffer

    def _send(self) -> None:
        unsent = self._unsent
        self._unsent = b""
        for start in range(0, len(unsent), _CHUNK):
            self._stream.write(unsent[start : start + _CHUNK], _limit(None))

    def close(self) -> None:
        # Another thread may be reading, which closing alone does not end.
        with suppress(OSError):
            self._stream.get_extra_info("socket").shutdown(socket.SHUT_RDWR)
        self._stream.close()

    def start_tls(self, timeout: float | None = None, **options: Any) -> DeadlineStream:
        return DeadlineStream(self._stream.start_tls(timeout=_limit(timeout), **options))


class DeadlineBackend:
    """Opens such connections."""

    def __init__(self, backend: httpcore.NetworkBackend) -> None:
        self._backend = backend

    def connect_tcp(self, timeout: float | None = None, **options: Any) -> DeadlineStream:
        return DeadlineStream(self._backend.connect_tcp(timeout=_limit(timeout), **options))


def _limit(timeout: float | None) -> float | None:
    return within(attempt.ends_at, timeout)

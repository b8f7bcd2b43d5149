"""The time that is left: of the call, and of the attempt that this thread is making."""

from __future__ import annotations

import threading
import time
from math import inf


class LimitPassedError(Exception):
    """What was waited for did not end in time."""


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

"""The time that is left until a deadline, in seconds of the monotonic clock."""

from __future__ import annotations

import time
from math import inf


class TimeLimitError(Exception):
    """The time limit passed."""


def left(until: float) -> float:
    """Return the seconds left; never 0, which would mean non-blocking."""
    return max(0.001, until - time.monotonic())


def within(until: float, limit: float | None = None) -> float | None:
    """Return the shorter of the limit and the time left; None for neither."""
    shorter = left(until) if limit is None else min(limit, left(until))
    return None if shorter == inf else shorter

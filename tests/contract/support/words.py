"""One-line descriptions of values, lengths and statuses."""

import json
import re
from collections.abc import Set as AbstractSet

LONGEST = 60  # describe longer values only by their length


def id_of(*parts: str) -> str:
    """Build an id such as `lengths/name-minLength/200` from a clause, a kind and an outcome."""
    return "/".join(re.sub(r"[^\w.]+", "-", part).strip("-") for part in parts)


def describe_length(text: str) -> str:
    """Return the length of the text in words, such as "empty" or "1 character"."""
    if not text:
        return "empty"
    plural = "" if len(text) == 1 else "s"
    return f"{len(text):,} character{plural}"


def describe_value(value: object) -> str:
    """Return the value as JSON on one line; describe a long value only by its length.

    The value is never truncated, because the redactor would not recognize a part of a token.
    """
    try:
        text = json.dumps(value)
    except RecursionError:
        return "a deeply nested value"
    if len(text) <= LONGEST:
        return text
    return f"a value of {len(text):,} characters"


def describe_statuses(statuses: AbstractSet[int]) -> str:
    """Format the statuses as a phrase such as "400, 413 or 415"."""
    ordered = [str(status) for status in sorted(statuses)]
    if len(ordered) > 6:
        refusals = [status for status in ordered if status != "200"]
        accepted = "200, or " if 200 in statuses else ""
        return f"{accepted}a status from {refusals[0]} to {refusals[-1]}"
    if len(ordered) < 2:
        return "".join(ordered)
    return f"{', '.join(ordered[:-1])} or {ordered[-1]}"

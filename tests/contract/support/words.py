"""One-line descriptions of values, lengths and statuses."""

import json
import re
from collections.abc import Set as AbstractSet

LONGEST = 60  # shorten values that have more characters than this


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
    """Return the value as JSON on one line, shortened if it is long."""
    if isinstance(value, str) and len(value) > LONGEST:
        return f"{json.dumps(value[:20], ensure_ascii=True)}… ({describe_length(value)})"
    text = json.dumps(value, ensure_ascii=True)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


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


def shortened(text: str, longest: int = 2000) -> str:
    """Return the text; if it exceeds `longest` characters, truncate it and append its length."""
    return text if len(text) <= longest else f"{text[:longest]}… ({len(text):,} characters)"

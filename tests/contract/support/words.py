"""Descriptions of values, of one line at most."""

import json
import re
from collections.abc import Set as AbstractSet

LONGEST = 60  # characters of a value that are shown


def id_of(*parts: str) -> str:
    """Return an id such as `lengths/name-minLength/200`, of clause, kind and outcome."""
    return "/".join(re.sub(r"[^\w.]+", "-", part).strip("-") for part in parts)


def of_length(text: str) -> str:
    """Describe the length of the text."""
    if not text:
        return "empty"
    plural = "" if len(text) == 1 else "s"
    return f"{len(text):,} character{plural}"


def of_value(value: object) -> str:
    """Return the value as JSON on one line; a long value is shortened."""
    if isinstance(value, str) and len(value) > LONGEST:
        return f"{json.dumps(value[:20], ensure_ascii=True)}… ({of_length(value)})"
    text = json.dumps(value, ensure_ascii=True)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def of_statuses(statuses: AbstractSet[int]) -> str:
    """Return the statuses in words: "400, 413 or 415"."""
    ordered = [str(status) for status in sorted(statuses)]
    if len(ordered) > 6:
        return "a status from 300 to 499"
    if len(ordered) < 2:
        return "".join(ordered)
    return f"{', '.join(ordered[:-1])} or {ordered[-1]}"


def shortened(text: str, longest: int = 2000) -> str:
    """Return the text, shortened to `longest` characters, with its full length."""
    return text if len(text) <= longest else f"{text[:longest]}… ({len(text):,} characters)"

"""Media types and what they say: which of one contract covers one of the other."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import Any

from scripts.compatibility.shapes import is_mapping


def normal(name: str) -> str:
    """The media type in lower case, parameters sorted, without spaces and needless quotes."""
    plain = re.sub(r'="([\w!#$%&*+.^`|~-]+)"', r"=\1", name.lower())
    kind, *parameters = (part.strip() for part in plain.split(";"))
    return ";".join([kind, *sorted(filter(None, parameters))])


def contents(told: Any) -> dict[str, dict[str, Any]]:
    """The content by media type."""
    known = told if is_mapping(told) else {}
    return {normal(name): each or {} for name, each in known.items()}


def is_json(name: str) -> bool:
    """Whether bodies of the media type are JSON."""
    kind = name.partition(";")[0]
    return kind in {"application/json", "text/json"} or kind.endswith("+json")


def covers(wide: str, narrow: str) -> bool:
    """Whether the one, which may be a range as `application/*+json`, is or includes the other."""
    return wide == narrow or fnmatchcase(narrow.partition(";")[0], wide)


def best(names: list[str] | dict[str, Any], wanted: str) -> str | None:
    """The most special of the names that covers the wanted one."""
    found = [name for name in names if covers(name, wanted)]
    return min(found, key=lambda name: (name.count("*"), -len(name)), default=None)

"""JSON values: guards, canonical text, descriptions, and how they travel, as JSON or as text."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any, TypeGuard

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST = 60  # characters of a part in one line
SHOWN = 5  # items of a list in one line
NUMBER = r"^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$"
# Every text of a value of the type, as the schema of a string.
TEXTS: dict[str, Any] = {
    "integer": {"type": "string", "pattern": NUMBER},
    "number": {"type": "string", "pattern": NUMBER},
    "boolean": {"enum": ["true", "false"]},
    "null": {"enum": ["null", ""]},
}
# Java's and Python's dates begin with the year 1; surrogates are not characters.
UNUSABLE = re.compile(r"^0000-|[\ud800-\udfff]")
SAFE = re.compile(r"""[!#-+\--:<-\[\]-~ ]*""")  # in headers and cookies: no `"`, `,`, `;`, `\\`
ITEMS = 10  # of a list: all mixed readings are tried


def is_mapping(value: object) -> TypeGuard[dict[str, Any]]:
    """Return whether the value is a JSON object."""
    return isinstance(value, dict)


def is_list(value: object) -> TypeGuard[list[Any]]:
    """Return whether the value is a JSON array."""
    return isinstance(value, list)


def mapping_at(value: object, key: str) -> dict[str, Any]:
    """Return the JSON object at a key, or an empty one."""
    found: object = value.get(key) if is_mapping(value) else None
    return found if is_mapping(found) else {}


def canonical_json(value: Any) -> str:
    """Return the value as text: equal values have equal texts."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)


def brief(value: Any) -> str:
    """Return the value as JSON for people, with long lists and runs of one letter shortened."""
    if is_mapping(value):
        fields = [f"{brief(name)}: {brief(inner)}" for name, inner in value.items()]
        return "{" + ", ".join(fields) + "}"
    if is_list(value):
        if len(value) <= 2 * SHOWN:
            return "[" + ", ".join(map(brief, value)) + "]"
        return "[" + ", ".join(map(brief, value[:SHOWN])) + f", … ({len(value)} items)]"
    if isinstance(value, str) and len(value) > LONGEST:
        return _brief_text(value)
    return canonical_json(value)


def _brief_text(text: str) -> str:
    start = text.rstrip(text[-1])
    repeated = len(text) - len(start)
    if repeated <= len(text) // 2:
        return canonical_json(text)
    run = f"{canonical_json(text[-1])} × {repeated}"
    return f"{canonical_json(start)} + {run}" if start else run


def explain(old: Any, new: Any, where: str = "") -> Iterator[str]:
    """Yield each keyword in which two schemas differ, as `name.maxLength: 255 → 100`."""
    if is_mapping(old) and is_mapping(new):
        for key in dict.fromkeys((*old, *new)):
            if key == "properties":
                yield from _explain_fields(mapping_at(old, key), mapping_at(new, key), where)
            else:
                yield from explain(old.get(key), new.get(key), f"{where}.{key}")
    elif is_list(old) and is_list(new):
        yield from _explain_lists(old, new, where)
    elif canonical_json(old) != canonical_json(new):
        yield f"{where.lstrip('.') or 'schema'}: {_short(old)} → {_short(new)}"


def _explain_fields(old: dict[str, Any], new: dict[str, Any], where: str) -> Iterator[str]:
    for name in dict.fromkeys((*old, *new)):
        yield from explain(old.get(name), new.get(name), f"{where}.{name}")


def _explain_lists(old: list[Any], new: list[Any], where: str) -> Iterator[str]:
    """Yield what was removed and added; schemas are paired in order and compared inside."""
    known = {canonical_json(item) for item in old}, {canonical_json(item) for item in new}
    removed = [i for i, item in enumerate(old) if canonical_json(item) not in known[1]]
    added = [i for i, item in enumerate(new) if canonical_json(item) not in known[0]]
    schemas = any(is_mapping(item) for item in (*old, *new))
    if schemas and len(removed) == len(added):
        for i, j in zip(removed, added, strict=True):
            yield from explain(old[i], new[j], f"{where}[{i}]")
    elif removed or added:
        parts = [f"without {_item(i, old[i])}" for i in removed]
        parts += [f"with {_item(i, new[i])}" for i in added]
        more = f", and {len(parts) - SHOWN} more" if len(parts) > SHOWN else ""
        yield f"{where.lstrip('.')}: {', '.join(parts[:SHOWN])}{more}"


def _item(index: int, value: Any) -> str:
    return f"[{index}] {_short(value)}" if is_mapping(value) else _short(value)


def _short(value: Any) -> str:
    text = "none" if value is None else canonical_json(value)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


@dataclass(frozen=True)
class Carrier:
    """Where a value travels: `body`, `query`, `path`, `header` or `cookie`."""

    where: str

    @property
    def is_text(self) -> bool:
        """Return whether only text travels here."""
        return self.where != "body"

    def sendable(self, schema: Any) -> Any:
        """Return the schema without what can never be sent: a path segment is not empty."""
        if self.where != "path":
            return schema
        definitions = mapping_at(schema, "$defs")
        return {"allOf": [schema, {"not": {"const": ""}}], "$defs": definitions}

    def can_carry(self, value: Any) -> bool:
        """Return whether the value can be sent here, in the default style.

        In text, null and the empty list mean absence, and objects lose their limits; lists are
        only sent in queries, where each item is a field.
        """
        if not self.is_text:
            return all(map(_is_usable, leaves(value)))
        if is_list(value):
            is_short = len(value) <= ITEMS or value == value[:1] * len(value)
            is_sent = self.where == "query" and bool(value) and is_short
            return is_sent and all(not is_list(item) and self.can_carry(item) for item in value)
        if value is None or is_mapping(value) or not _is_usable(value):
            return False
        if not isinstance(value, str) or self.where == "query":
            return True
        if self.where == "path":
            return value not in {"", ".", ".."} and "," not in value
        return bool(SAFE.fullmatch(value)) and value == value.strip()

    def readings(self, value: Any) -> list[Any]:
        """Return the values that a receiver may take this value for."""
        if not self.is_text:
            return [value]
        items = value if is_list(value) else [value]
        if len(items) > ITEMS:  # all the same, and read alike
            return [[reading] * len(items) for reading in _both(text(items[0]))]
        lists = [list(choice) for choice in product(*(_both(text(item)) for item in items))]
        single = [choice[0] for choice in lists if len(choice) == 1]
        return [*single, *lists]


def leaves(value: Any) -> Iterator[Any]:
    """Yield every scalar in a value, names of fields included."""
    if is_mapping(value):
        for name, inner in value.items():
            yield name
            yield from leaves(inner)
    elif is_list(value):
        for item in value:
            yield from leaves(item)
    else:
        yield value


def _is_usable(leaf: Any) -> bool:
    if isinstance(leaf, float):
        return math.isfinite(leaf)
    return not isinstance(leaf, str) or not UNUSABLE.search(leaf)


def text(value: Any) -> str:
    """Return the text that is sent for a scalar."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def parsed(value: str) -> Any:
    """Return the number, boolean or null that a text reads as, else the text."""
    if value in {"true", "false", "null"} or re.fullmatch(NUMBER, value):
        return json.loads(value)
    return value


def _both(value: str) -> list[Any]:
    other = parsed(value)
    return [value] if isinstance(other, str) else [value, other]

"""Check, shorten and serialize JSON values."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, TypeGuard

if TYPE_CHECKING:
    from collections.abc import Iterator

BODY = "body"  # a location, in addition to OpenAPI's query, path, header and cookie
LONGEST = 60  # the maximum length of a value in a report, in characters
SHOWN = 4  # the maximum number of items per line
NUMBER = r"^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$"
# For each JSON type, a schema for the strings that represent its values in parameters.
TEXTS: dict[str, Any] = {
    "integer": {"type": "string", "pattern": NUMBER},
    "number": {"type": "string", "pattern": NUMBER},
    "boolean": {"enum": ["true", "false"]},
    "null": {"enum": ["null", ""]},
}
# Some parsers reject the year 0, surrogates, and numbers with 300 or more digits.
UNUSABLE = re.compile(r'"0000-|[\ud800-\udfff]|[0-9]{300}')
# Text that is safe in headers and cookies: it contains no `"`, `,`, `;` or `\`.
SAFE = re.compile(r"""[!#-+\--:<-\[\]-~ ]*""")


def is_mapping(value: object) -> TypeGuard[dict[str, Any]]:
    """Return whether the value is a JSON object."""
    return isinstance(value, dict)


def is_list(value: object) -> TypeGuard[list[Any]]:
    """Return whether the value is a JSON array."""
    return isinstance(value, list)


def mapping_at(value: object, key: str) -> dict[str, Any]:
    """Return the object at the key, or an empty object if there is none."""
    found: object = value.get(key) if is_mapping(value) else None
    return found if is_mapping(found) else {}


def canonical_json(value: Any) -> str:
    """Return the value as JSON with sorted keys, so that equal objects have the same text."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)


def brief(value: Any) -> str:
    """Return the value as JSON, but shorten long lists and repeated characters."""
    if is_mapping(value):
        fields = ", ".join(f"{brief(name)}: {brief(inner)}" for name, inner in value.items())
        return f"{{{fields}}}"
    if is_list(value):
        items = [brief(item) for item in value[: 2 * SHOWN]]
        if len(value) > len(items):
            items[SHOWN:] = [f"… ({len(value)} items)"]
        return "[" + ", ".join(items) + "]"
    if not isinstance(value, str) or len(value) <= LONGEST:
        return canonical_json(value)
    start = value.rstrip(value[-1])
    repeated = len(value) - len(start)
    if repeated <= len(value) // 2:
        return canonical_json(value)
    run = f"{canonical_json(value[-1])} × {repeated}"
    return f"{canonical_json(start)} + {run}" if start else run


def explain(old: Any, new: Any, where: str = "") -> Iterator[str]:
    """Yield each difference between two schemas, such as `name.maxLength: 255 → 100`."""
    if is_mapping(old) and is_mapping(new):
        for key in dict.fromkeys((*old, *new)):
            if key == "properties":
                yield from explain(mapping_at(old, key), mapping_at(new, key), where)
            else:
                yield from explain(old.get(key), new.get(key), f"{where}.{key}")
    elif is_list(old) and is_list(new):
        yield from _explain_lists(old, new, where)
    elif canonical_json(old) != canonical_json(new):
        yield f"{where.lstrip('.') or 'schema'}: {_short(old)} → {_short(new)}"


def _explain_lists(old: list[Any], new: list[Any], where: str) -> Iterator[str]:
    """Yield the removed and added items. If they are schemas, compare them in pairs."""
    removed = _without(old, new)
    added = _without(new, old)
    if len(removed) == len(added) and any(map(is_mapping, removed.values())):
        for (index, before), after in zip(removed.items(), added.values(), strict=True):
            yield from explain(before, after, f"{where}[{index}]")
    elif removed or added:
        changes = [f"without {_item(index, item)}" for index, item in removed.items()]
        changes += [f"with {_item(index, item)}" for index, item in added.items()]
        yield f"{where.lstrip('.')}: {shortened(changes, ', ')}"


def _without(items: list[Any], others: list[Any]) -> dict[int, Any]:
    texts = set(map(canonical_json, others))
    return {i: item for i, item in enumerate(items) if canonical_json(item) not in texts}


def _item(index: int, value: Any) -> str:
    text = _cut(canonical_json(value))
    return f"[{index}] {text}" if is_mapping(value) else text


def shortened(parts: list[str], separator: str) -> str:
    """Join the first parts on one line, and append the number of omitted parts."""
    text = separator.join(parts[:SHOWN])
    more = len(parts) - SHOWN
    return f"{text}{separator}and {more} more" if more > 0 else text


def _short(value: Any) -> str:
    return "none" if value is None else _cut(canonical_json(value))


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def can_carry(location: str, value: Any) -> bool:
    """Return whether the value can be sent in this location.

    Parameters in the default style cannot represent null, objects or empty lists. Only query
    parameters can represent lists: each item is sent as a separate parameter.
    """
    if UNUSABLE.search(canonical_json(value)):
        return False
    if location == BODY:
        return True
    if is_list(value):
        return location == "query" and _can_carry_list(value)
    if not isinstance(value, str):  # 1.0 would be sent as 1
        is_whole = isinstance(value, float) and value.is_integer()
        return isinstance(value, int | float) and not is_whole
    if location == "path":
        return value not in {"", ".", ".."} and "," not in value
    return location == "query" or (bool(SAFE.fullmatch(value)) and value == value.strip())


def _can_carry_list(items: list[Any]) -> bool:
    is_uniform = items == items[:1] * len(items)
    for item in items:
        if is_list(item) or not can_carry("query", item):
            return False
        if not is_uniform and len(_readings(item)) > 1:
            return False
    return bool(items)


def readings(location: str, value: Any) -> list[Any]:
    """Return all values that a receiver might get when it parses the value's text form."""
    if location == BODY or is_mapping(value):
        return [value]
    if is_list(value):  # can_carry ensures that all items have the same number of readings
        lists = list(map(list, zip(*map(_readings, value), strict=False)))
        return [*_readings(value[0]), *lists] if len(value) == 1 else lists
    found = _readings(value)
    return [*found, *([reading] for reading in found)]


def _readings(value: Any) -> list[Any]:
    """Return the text form and, if it is a JSON number, boolean or null, also the parsed value."""
    sent = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if sent in {"true", "false", "null"} or re.fullmatch(NUMBER, sent):
        return [sent, json.loads(sent)]
    return [sent]

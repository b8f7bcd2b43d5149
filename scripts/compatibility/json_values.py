"""JSON values: type guards, canonical text, and short descriptions of values and changes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeGuard

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST = 60  # characters of a part in one line
ITEMS = 5  # of a list in one line


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
        if len(value) <= 2 * ITEMS:
            return "[" + ", ".join(map(brief, value)) + "]"
        return "[" + ", ".join(map(brief, value[:ITEMS])) + f", … ({len(value)} items)]"
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
        more = f", and {len(parts) - ITEMS} more" if len(parts) > ITEMS else ""
        yield f"{where.lstrip('.')}: {', '.join(parts[:ITEMS])}{more}"


def _item(index: int, value: Any) -> str:
    return f"[{index}] {_short(value)}" if is_mapping(value) else _short(value)


def _short(value: Any) -> str:
    text = "none" if value is None else canonical_json(value)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"

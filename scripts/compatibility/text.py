"""Check, serialize, shorten and compare JSON values."""

from __future__ import annotations

import json
from itertools import starmap
from typing import TYPE_CHECKING, Any, TypeGuard

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LONGEST = 60  # the maximum length of a string in a report, in characters
SHOWN = 4  # the maximum number of items in a list


def is_mapping(value: object) -> TypeGuard[dict[str, Any]]:
    """Return whether the value is a JSON object."""
    return isinstance(value, dict)


def is_list(value: object) -> TypeGuard[list[Any]]:
    """Return whether the value is a JSON array."""
    return isinstance(value, list)


def mapping_at(value: object, key: str) -> dict[str, Any]:
    """Return the object at the key, or an empty object if there is none."""
    if not is_mapping(value):
        return {}
    found = value.get(key)
    return found if is_mapping(found) else {}


def canonical_json(value: Any) -> str:
    """Return the value as JSON with sorted keys, so that equal objects have the same text."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)


def brief(value: Any) -> str:
    """Return the value as JSON, but shorten long strings, lists and objects."""
    if is_mapping(value):
        fields = [f"{brief(name)}: {brief(inner)}" for name, inner in value.items()]
        return "{" + shortened(fields) + "}"
    if is_list(value):
        return "[" + shortened(list(map(brief, value))) + "]"
    text = canonical_json(value)
    if len(text) <= LONGEST:
        return text
    start = str(value)[: LONGEST // 2]
    return f"{canonical_json(start + '…')} ({len(str(value))} characters)"


def shortened(parts: Sequence[str], separator: str = ", ") -> str:
    """Join the parts, or the first ones if there are many."""
    text = separator.join(parts[:SHOWN])
    if len(parts) > SHOWN:
        text += f"{separator}… ({len(parts)} in total)"
    return text


def explain(old: Any, new: Any, where: str = "") -> Iterator[str]:
    """Yield each difference between two schemas, such as `name.maxLength: 255 → 100`."""
    if is_mapping(old) and is_mapping(new):
        for key in dict.fromkeys((*old, *new)):
            inner = where if key == "properties" else f"{where}.{key}".lstrip(".")
            missing: Any = {} if key == "properties" else None
            yield from explain(old.get(key, missing), new.get(key, missing), inner)
    elif is_list(old) and is_list(new):
        yield from _explain_lists(old, new, where)
    elif canonical_json(old) != canonical_json(new):
        where = where or "schema"
        yield f"{where}: {_value(old)} → {_value(new)}"


def _value(value: Any) -> str:
    return "none" if value is None else brief(value)


def _explain_lists(old: list[Any], new: list[Any], where: str) -> Iterator[str]:
    """Yield the removed and the added items. If as many were added as removed, compare them."""
    removed = {index: item for index, item in enumerate(old) if item not in new}
    added = {index: item for index, item in enumerate(new) if item not in old}
    if len(removed) == len(added) and any(map(is_mapping, old)):
        for before, after in zip(removed, added, strict=True):
            yield from explain(old[before], new[after], f"{where}[{before}]")
        return
    for word, items in (("without", removed), ("with", added)):
        if items:
            texts = list(starmap(_item, items.items()))
            yield f"{where}: {word} {shortened(texts)}"


def _item(index: int, value: Any) -> str:
    """Return the item's text, with its position if it is an object."""
    text = brief(value)
    return f"[{index}] {text}" if is_mapping(value) else text

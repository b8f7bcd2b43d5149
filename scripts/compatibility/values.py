"""Check, shorten and serialize JSON values."""

import json
import re
from collections.abc import Iterator
from typing import Any, TypeGuard

BODY = "body"  # a location in addition to OpenAPI's query, path, header and cookie
RUN = re.compile(r"([^\\])\1{59,}")  # 60 or more identical characters
SHOWN = 4  # the maximum number of changes per line


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


def brief(value: Any, longest: int = 60) -> str:
    """Return the value as JSON, with repeated characters counted and the end of a long text cut."""
    text = RUN.sub(lambda run: f"({run[1]} × {len(run[0])})", canonical_json(value))
    return text if len(text) <= longest else text[: longest - 1] + "…"


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
        was = "none" if old is None else brief(old)
        now = "none" if new is None else brief(new)
        yield f"{where.lstrip('.') or 'schema'}: {was} → {now}"


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
    text = brief(value)
    return f"[{index}] {text}" if is_mapping(value) else text


def shortened(parts: list[str], separator: str) -> str:
    """Join the first parts on one line, and append the number of omitted parts."""
    text = separator.join(parts[:SHOWN])
    more = len(parts) - SHOWN
    return f"{text}{separator}and {more} more" if more > 0 else text

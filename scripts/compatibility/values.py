"""Check, shorten and serialize JSON values."""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeGuard

BODY = "body"  # the location of a body; parameters are in the query, path, header or cookie
LONGEST = 60  # the maximum length, in characters, of a value in a report
RUN = re.compile(r"(?s)(.*?)(.)\2{59,}")  # text that ends with 60 or more identical characters
SHOWN = 4  # the maximum number of items per line


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
    """Return the value as JSON, with long objects, lists and runs of one character shortened."""
    if is_mapping(value):
        fields = (f"{brief(name)}: {brief(inner)}" for name, inner in value.items())
        shown = _first(fields, len(value), "fields")
        return f"{{{shown}}}"
    if is_list(value):
        shown = _first(map(brief, value), len(value), "items")
        return f"[{shown}]"
    found = RUN.fullmatch(value) if isinstance(value, str) else None
    if not found:
        return canonical_json(value)
    start, letter = found.groups()
    run = f"{canonical_json(letter)} × {len(value) - len(start)}"
    return f"{canonical_json(start)} + {run}" if start else run


def _first(parts: Iterator[str], size: int, unit: str) -> str:
    """Join the parts, or the first few if there are many. `parts` is lazy, which saves time."""
    shown = list(islice(parts, 2 * SHOWN))
    if size > len(shown):
        shown[SHOWN:] = [f"… ({size} {unit})"]
    return ", ".join(shown)


def explain(old: Any, new: Any, where: str = "") -> Iterator[str]:
    """Yield each difference between two schemas, such as `name.maxLength: 255 → 100`."""
    if is_mapping(old) and is_mapping(new):
        for key in old | new:
            if key == "properties":
                yield from explain(mapping_at(old, key), mapping_at(new, key), where)
            else:
                yield from explain(old.get(key), new.get(key), f"{where}.{key}")
    elif is_list(old) and is_list(new):
        yield from _explain_lists(old, new, where)
    elif canonical_json(old) != canonical_json(new):
        was = "none" if old is None else _cut(old)
        now = "none" if new is None else _cut(new)
        yield f"{where.lstrip('.') or 'schema'}: {was} → {now}"


def _explain_lists(old: list[Any], new: list[Any], where: str) -> Iterator[str]:
    """Yield the removed and added items. If they are schemas, compare them in pairs."""
    removed = _without(old, new)
    added = _without(new, old)
    if where.endswith("prefixItems") and len(old) == len(new):  # the order matters
        removed = added = range(len(old))
    has_schemas = any(is_mapping(old[index]) for index in removed)
    if has_schemas and len(removed) == len(added):
        for index, new_index in zip(removed, added, strict=True):
            yield from explain(old[index], new[new_index], f"{where}[{index}]")
    elif removed or added:
        changes = [f"without {_item(old, index)}" for index in removed]
        changes += [f"with {_item(new, index)}" for index in added]
        yield f"{where.lstrip('.')}: {shortened(changes, ', ')}"


def _without(items: list[Any], others: list[Any]) -> Sequence[int]:
    """Return the indexes of the items that are not in `others`."""
    texts = set(map(canonical_json, others))
    return [index for index, item in enumerate(items) if canonical_json(item) not in texts]


def _item(items: list[Any], index: int) -> str:
    text = _cut(items[index])
    return f"[{index}] {text}" if is_mapping(items[index]) else text


def shortened(parts: Iterable[str], separator: str) -> str:
    """Join the first parts on one line, and append the number of omitted parts."""
    shown = list(parts)
    more = len(shown) - SHOWN
    if more > 0:
        shown[SHOWN:] = [f"and {more} more"]
    return separator.join(shown)


def _cut(value: Any) -> str:
    text = canonical_json(value)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"

"""The smallest value for which something holds still."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from scripts.compatibility.shapes import is_list, is_mapping

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TRIES = 3000
LETTERS = 4_000_000  # of all that is tried, as JSON: a large value is tried less often


def smallest(value: Any, holds: Callable[[Any], bool]) -> Any:
    """A value that no single simplification makes smaller while `holds` stays true of it."""
    tries = letters = 0
    going, size = True, _size(value)
    while going:
        going = False
        for simpler in simplifications(value):
            least = _size(simpler)
            tries, letters = tries + 1, letters + least[0]
            if tries > TRIES or letters > LETTERS:
                return value
            if least < size and holds(simpler):
                value, size, going = simpler, least, True
                break
    return value


def _size(value: Any) -> tuple[int, str]:
    """Short before long, plain before strange."""
    told = json.dumps(value)
    return len(told), told if not isinstance(value, str) else told.swapcase()


def simplifications(value: Any) -> Iterator[Any]:
    """Values that are a step simpler."""
    if is_mapping(value):
        known = value
        for name in known:
            yield {key: each for key, each in known.items() if key != name}
        for name, inner in known.items():
            yield from ({**known, name: each} for each in simplifications(inner))
    elif is_list(value):
        items = value
        yield items[: len(items) // 2]
        for i, inner in enumerate(items):
            yield [*items[:i], *items[i + 1 :]]
            yield from ([*items[:i], each, *items[i + 1 :]] for each in simplifications(inner))
    elif isinstance(value, str):
        yield from _texts(value)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield from (0, 1, int(value), round(value, 1))


def _texts(value: str) -> Iterator[str]:
    """Shorter ones, halves first, then ones of plain letters only."""
    yield from ("", "a", value[: len(value) // 2])
    for size in (64, 8, 1):
        if len(value) > size:
            yield value[:-size]
            yield value[size:]
    yield "a" * len(value)
    for i, letter in enumerate(value[:40]):
        if letter not in "a0":
            yield f"{value[:i]}a{value[i + 1 :]}"
            yield f"{value[:i]}0{value[i + 1 :]}"
            yield value[:i] + value[i + 1 :]

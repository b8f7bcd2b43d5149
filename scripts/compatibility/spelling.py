"""Parts of a contract, and values, as people read them in one line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scripts.compatibility.findings import told
from scripts.compatibility.shapes import is_list, is_mapping

if TYPE_CHECKING:
    from collections.abc import Iterator


def changes(old: Any, new: Any, field: str = "") -> str:
    """The keywords that changed, for people: ` (name.maxLength: 255 → 100)`."""
    found = [each.removeprefix(f"{field}.") for each in _changes(old, new, "")]
    more = f"; and {len(found) - 3} more" if len(found) > 3 else ""  # one line
    return f" ({'; '.join(found[:3])}{more})" if found else ""


def _changes(old: Any, new: Any, where: str) -> Iterator[str]:
    if is_mapping(old) and is_mapping(new):
        before, after = old, new
        for key in dict.fromkeys((*before, *after)):
            step = where if key == "properties" else f"{where}.{key}"
            yield from _changes(before.get(key), after.get(key), step)
    elif is_list(old) and is_list(new) and (lists := _lists(old, new)):
        yield f"{where.lstrip('.')}: {lists}"
    elif told(old) != told(new):
        yield f"{where.lstrip('.')}: {_short(old)} → {_short(new)}"


def _lists(old: list[Any], new: list[Any]) -> str:
    """What one list of scalars has more, and less, than the other one."""
    before, after = ([told(each) for each in side] for side in (old, new))
    gone = [f"without {each}" for each in before if each not in after]
    come = [f"with {each}" for each in after if each not in before]
    return ", ".join((*gone, *come)) if not any("{" in each for each in (*before, *after)) else ""


def _short(value: Any) -> str:
    written = "none" if value is None else told(value)
    return written if len(written) <= 60 else written[:57] + "…"  # one line


def brief(value: Any) -> str:
    """JSON for people: a long run of one letter is told as such."""
    if is_mapping(value):
        known = value.items()
        return "{" + ", ".join(f"{brief(name)}: {brief(each)}" for name, each in known) + "}"
    if is_list(value):
        return "[" + ", ".join(map(brief, value)) + "]"
    if isinstance(value, str) and len(value) > 40:  # a line
        tail = value[-1] * (len(value) - len(value.rstrip(value[-1])))
        start = value[: len(value) - len(tail)]
        if len(tail) > len(value) // 2:
            return (f"{told(start)} + " if start else "") + f"{told(value[-1])} × {len(tail)}"
    return told(value)

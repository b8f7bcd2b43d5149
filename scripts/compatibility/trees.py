"""Schemas that hold themselves: proofs by induction that one covers another."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

from scripts.compatibility.findings import told
from scripts.compatibility.shapes import is_list, is_mapping, mapping

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Set as AbstractSet

    from scripts.compatibility.schemas import Schema

PREFIX = "#/$defs/"
# Where to admit more inside may be to admit less outside, no induction leads through a reference.
TURNING = {"not", "if", "oneOf"}
NEVER = {"maxContains", "unevaluatedItems", "unevaluatedProperties"}


def proofs(large: Schema, small: Schema) -> Iterator[list[tuple[Schema, Schema]]]:
    """Lists of pairs of schemas: where all of one list are contained, that proves the whole.

    A reference means a smaller part of the value, of which all is proved already: a step may take
    both sides of it for one set. It has to hold whatever that is, so it is to be proved of one that
    holds nearly everything, and of one that holds nearly nothing: see `_meant`.
    """
    if '"$ref"' not in told([large, small]) or _turns(large) or _turns(small):
        return
    one, other = (mapping(each, "$defs") for each in (large, small))
    shared = one.keys() & other.keys()
    inner = [
        (_unrolled(one[name], one, shared), _unrolled(other[name], other, shared))
        for name in sorted(shared)
    ]
    for kept in product((shared, set[str]()), repeat=2):
        outer = _unrolled(_main(large), one, kept[0]), _unrolled(_main(small), other, kept[1])
        yield [
            (_meant(a, rare=rare), _meant(b, rare=rare))
            for a, b in (outer, *inner)
            for rare in (True, False)
        ]


def _main(schema: Schema) -> Any:
    """The schema without its definitions."""
    if not is_mapping(schema):
        return schema
    return {key: each for key, each in schema.items() if key != "$defs"}


def _named(part: Any) -> str | None:
    """The name that a part refers to, if it is a reference."""
    name = part.get("$ref") if is_mapping(part) else None
    return name.removeprefix(PREFIX) if isinstance(name, str) else None


def _unrolled(part: Any, definitions: dict[str, Any], kept: AbstractSet[str]) -> Any:
    """The part with each reference but those to the kept ones replaced, once, by what it means."""
    if is_list(part):
        return [_unrolled(each, definitions, kept) for each in part]
    if not is_mapping(part):
        return part
    name = _named(part)
    if name is not None and name not in kept:
        return definitions[name]
    return {key: _unrolled(each, definitions, kept) for key, each in part.items()}


def _turns(part: Any) -> bool:
    """Whether a reference stands where less inside may be more outside."""
    if is_list(part):
        return any(map(_turns, part))
    return is_mapping(part) and any(
        key in NEVER or (key in TURNING and '"$ref"' in told(each)) or _turns(each)
        for key, each in part.items()
    )


def _meant(part: Any, *, rare: bool) -> Any:
    """The part with each reference as the objects with a field of a name that no contract has.

    Or, if it is not to be `rare`, as all values but these.
    """
    if is_list(part):
        return [_meant(each, rare=rare) for each in part]
    if not is_mapping(part):
        return part
    name = _named(part)
    if name is not None:
        marked = {"type": "object", "required": [f"\u0001 {name}"]}
        return marked if rare else {"not": marked}
    return {key: _meant(each, rare=rare) for key, each in part.items()}

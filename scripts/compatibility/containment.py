"""Prove that one schema admits every value that another admits, or find a counterexample.

The counterexample, a value that only the other schema admits, is called a witness.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any

from scripts.compatibility.boundaries import BoundaryValues
from scripts.compatibility.schemas import (
    call_or_default,
    constants,
    covers,
    plain_form,
    subschemas,
    validator,
)
from scripts.compatibility.values import (
    BODY,
    ITEM,
    TEXTS,
    canonical_json,
    is_list,
    is_mapping,
    readings,
)

if TYPE_CHECKING:
    from scripts.compatibility.schemas import Schema

ALL = 80_000  # the number of values to try per comparison; trying them all takes about 2 seconds
ONE = 20_000  # the number of values to try per search
FEW = 500  # the number of values to try after a proof, in case jsonschema_rs is wrong
SCALARS = {"type": ["string", "number", "boolean"]}
ONE_ITEM = {"type": "array", "minItems": 1, "maxItems": 1}
LIST = {"type", "items", "minItems", "maxItems"}
NEVER: dict[str, Any] = {"path": "", "query": []}  # for each location, a value that it cannot carry


@dataclass(frozen=True)
class Proof:
    """The result of a proof. `holds` is None if containment is neither proved nor disproved."""

    holds: bool | None
    witness: Any = None


@dataclass
class Prover:
    """Proves containment, and limits the number of values that one comparison tries.

    `known` caches the proofs for each pair of schemas, because operations often share schemas.
    """

    remaining: int = ALL
    known: dict[str, dict[str, Proof]] = field(default_factory=dict[str, dict[str, Proof]])

    def contained(self, small: Schema, large: Schema, location: str) -> Proof:
        """Check whether `large` admits every sendable value that `small` admits.

        jsonschema_rs proves containment, and a witness disproves it.
        """
        is_proved = proved(small, large, location)
        undecided = Proof(holds=is_proved or None)
        most = FEW if is_proved else ONE
        return (
            call_or_default(lambda: self._search(small, large, location, most), None) or undecided
        )

    def _search(self, small: Schema, large: Schema, location: str, most: int) -> Proof | None:
        """Return a disproof, or None if none of the tried values is a witness."""
        admits = validator(small).is_valid
        accepts = validator(large).is_valid
        most = min(most, self.remaining)
        candidates = BoundaryValues(small, large, most)
        self.remaining -= most
        try:
            for value in candidates.values(candidates.form):
                if not _is_declared(value, small, location) or not admits(value):
                    continue
                received = _received(location, value, large)
                if received and not any(map(accepts, received)):
                    return Proof(holds=False, witness=value)
        finally:
            self.remaining += candidates.remaining
        return None


def _is_declared(value: Any, schema: Schema, location: str) -> bool:
    """Return whether the schema declares a type for the value.

    Strings, and all values in bodies, need no declaration. For a list, the schema must declare an
    array.
    """
    words = '"array"' if is_list(value) else '"(type|enum|const)"'
    is_free = location == BODY or isinstance(value, str)
    return is_free or bool(re.search(words, canonical_json(schema)))


def _received(location: str, value: Any, schema: Schema) -> list[Any]:
    """Return all values that a receiver might get.

    A receiver reads a single value as a list only if its schema declares an array.
    """
    found = readings(location, value)
    if is_list(value) or '"array"' in canonical_json(schema):
        return found
    return [reading for reading in found if not is_list(reading)]


def proved(small: Schema, large: Schema, location: str) -> bool:
    """Return whether `large` provably admits every value that `small` admits."""
    if large in (True, {}) or canonical_json(small) == canonical_json(large):
        return True
    if location in NEVER:
        small = {"allOf": [small, {"not": {"const": NEVER[location]}}]}
    if covers(large, small):
        return True
    if location == BODY:
        return False
    values = list(chain.from_iterable(map(constants, subschemas(small))))
    readable = call_or_default(lambda: _readable(large, location, values), large)
    return covers(readable, small)


def _readable(schema: Schema, location: str, values: list[Any]) -> Schema:
    """Return `schema`, extended to admit values whose text form `schema` accepts.

    Check each item of `values`, and each JSON type. Admit a type if `schema` accepts the text form
    of every value of this type.
    """
    is_valid = validator(schema).is_valid
    accepted = [value for value in values if any(map(is_valid, _received(location, value, schema)))]
    options: list[Schema] = [schema, {"enum": accepted}]
    options += [{"type": name} for name, texts in TEXTS.items() if covers(schema, texts)]
    plain = plain_form(schema)
    is_plain = is_mapping(plain) and plain.get("type") == "array" and plain.keys() <= LIST
    if location == "query" and is_plain:  # other keywords could restrict the items
        items = _readable(plain.get("items", True), ITEM, values)
        options.append({**plain, "items": items})
        if covers({**plain, "items": True}, ONE_ITEM):
            options.append({"allOf": [items, SCALARS]})
    return {"anyOf": options}

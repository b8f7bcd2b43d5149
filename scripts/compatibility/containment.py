"""Prove that one schema admits every value that another admits, or find a counterexample.

The counterexample, a value that only the other schema admits, is called a witness.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
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
    TEXTS,
    can_carry,
    canonical_json,
    is_list,
    is_mapping,
    readings,
)

if TYPE_CHECKING:
    from scripts.compatibility.schemas import Schema

ALL = 80_000  # the number of values to try per comparison; trying all takes about 2 seconds
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
        most = min(FEW if is_proved else ONE, self.remaining)
        search = partial(_search, small, large, location, most)
        failed: tuple[list[Any], int] = ([], FEW)
        witnesses, tries = call_or_default(search, failed)
        self.remaining -= tries
        if witnesses:
            return Proof(holds=False, witness=witnesses[0])
        return Proof(holds=is_proved or None)


def _search(small: Schema, large: Schema, location: str, most: int) -> tuple[list[Any], int]:
    """Return at most one witness, and the number of values tried."""
    admits = validator(small).is_valid
    accepts = validator(large).is_valid
    candidates = BoundaryValues(small, large, most)
    for value in candidates.values(candidates.form):
        is_sent = can_carry(location, value) and _is_declared(value, small, location)
        if is_sent and admits(value) and not any(map(accepts, readings(location, value))):
            return [value], most - candidates.remaining
    return [], most - candidates.remaining


def _is_declared(value: Any, schema: Schema, location: str) -> bool:
    """Return whether the schema declares a type for the value.

    Strings and values in bodies need no declaration. For a list, the schema must declare an array.
    """
    if location == BODY or isinstance(value, str):
        return True
    declared = canonical_json(schema)
    words = ['"array"'] if is_list(value) else ['"type"', '"enum"', '"const"']
    return any(word in declared for word in words)


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
    accepted = [value for value in values if any(map(is_valid, readings(location, value)))]
    options: list[Schema] = [schema]
    if accepted:
        options.append({"enum": accepted})
    options += [{"type": name} for name, texts in TEXTS.items() if covers(schema, texts)]
    plain = plain_form(schema)
    is_plain = is_mapping(plain) and plain.get("type") == "array" and plain.keys() <= LIST
    if location == "query" and is_plain:  # other keywords could restrict the items
        items = _readable(plain.get("items", True), location, values)
        options.append({**plain, "items": items})
        if covers({**plain, "items": True}, ONE_ITEM):
            options.append({"allOf": [items, SCALARS]})
    return {"anyOf": options}

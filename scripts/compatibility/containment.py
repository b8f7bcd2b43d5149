"""Prove that one schema admits every value that another admits, or find a counterexample.

A witness is a counterexample: a value that only the other schema admits.
"""

import json
import re
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from scripts.compatibility.boundaries import BoundaryValues
from scripts.compatibility.schemas import (
    Schema,
    call_or_default,
    constants,
    covers,
    subschemas,
    validator,
)
from scripts.compatibility.values import BODY, canonical_json, is_list

ALL = 80_000  # the number of values to try per comparison; trying them all takes about 2 seconds
ONE = 20_000  # the number of values to try per search
SEARCH = 100  # starting a search counts as this many values
FEW = 500  # the number of values to try after a proof, in case jsonschema_rs is wrong
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
# Text that all locations can carry: no `"`, `,`, `;` or `\`, and no leading or trailing space.
SAFE = re.compile(r"(?! )[!#-+\--:<-\[\]-~ ]*(?<! )")
# A schema with one of these keywords does not describe plain text.
DECLARATION = re.compile(
    '"(type|enum|const|not|items|prefixItems|contains|(min|max)Items|uniqueItems)"'
)
DOTS = {"", ".", ".."}  # text that paths cannot carry
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

        Either jsonschema_rs proves this, or a witness disproves it.
        """
        is_proved = proved(small, large, location)
        most = min(FEW if is_proved else ONE, self.remaining)
        found = call_or_default(lambda: self._search(small, large, location, most), None)
        return found or Proof(holds=is_proved or None)

    def _search(self, small: Schema, large: Schema, location: str, most: int) -> Proof | None:
        """Return a proof with a witness, or None if none is found."""
        if most <= 0:
            return None
        admits = validator(small).is_valid
        accepts = validator(large).is_valid
        candidates = BoundaryValues(small, large, most)
        found = None
        for value in filter(admits, candidates.values(candidates.form)):
            received = _received(location, value, large)
            if received and not any(map(accepts, received)):
                found = Proof(holds=False, witness=value)
                break
        self.remaining -= most - candidates.remaining + SEARCH
        return found


def sendable(schema: Schema, location: str) -> Schema:
    """Return the schema. Limit a parameter or header that declares no type to strings."""
    if location == BODY or DECLARATION.search(canonical_json(schema)):
        return schema
    return {"allOf": [schema, {"type": "string"}]}


def _received(location: str, value: Any, schema: Schema) -> list[Any]:
    """Return all values that a receiver might get, or none if the location cannot carry the value.

    A receiver parses parameters from text. In the default style, they cannot represent null,
    objects or empty lists. Only query parameters can represent lists: each item is sent as a
    separate parameter. A receiver reads a single value as a list only if its schema declares an
    array.
    """
    if UNUSABLE.search(canonical_json(value)):
        return []
    if location == BODY:
        return [value]
    items = value if is_list(value) and location == "query" else [value]
    readings = [_readings(location, item) for item in items]
    # Lists of different items, such as 5 and true, can have many readings, so skip them. A receiver
    # reads equal items in the same way.
    if not all(readings) or len(set(map(canonical_json, items))) > 1:
        return []
    lists = [list(texts) for texts in zip(*readings, strict=True)]
    if len(items) != 1:
        return lists
    if is_list(value) or '"array"' in canonical_json(schema):
        return [*readings[0], *lists]
    return readings[0]


def _readings(location: str, value: Any) -> list[Any]:
    """Return a parameter's text and, if the text is a JSON number or boolean, the parsed value."""
    is_whole = isinstance(value, float) and value.is_integer()  # 1.0 would be sent as 1
    if is_whole or not isinstance(value, str | int | float):
        return []
    text = value if isinstance(value, str) else json.dumps(value)
    if not SAFE.fullmatch(text) or (location == "path" and text in DOTS):
        return []
    if text in {"true", "false", "null"} or re.fullmatch(NUMBER, text):
        return [text, json.loads(text)]
    return [text]


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
    """Return an extension of `schema` that also admits values if `schema` accepts their text form.

    Check each item of `values` and each JSON type. Admit a type if `schema` accepts the text form
    of every value of this type.
    """
    is_valid = validator(schema).is_valid
    accepted = [value for value in values if any(map(is_valid, _received(location, value, schema)))]
    types = [{"type": name} for name, texts in TEXTS.items() if covers(schema, texts)]
    return {"anyOf": [schema, {"enum": accepted}, *types]}

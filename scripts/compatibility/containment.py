"""Prove that one schema admits every value that another admits, or find a counterexample.

A counterexample is called a witness. It is a value that only the other schema admits.
"""

import json
import re
from dataclasses import dataclass, field
from typing import Any

from scripts.compatibility.boundaries import BoundaryValues
from scripts.compatibility.schemas import Schema, call_or_default, covers, validator
from scripts.compatibility.values import BODY, canonical_json, is_list

ALL = 80_000  # the number of values to try per comparison; trying them all takes about 2 seconds
ONE = 20_000  # the number of values to try per search
SEARCH = 100  # starting a search counts as this many values
FEW = 500  # the number of values to try after a proof, in case jsonschema_rs is wrong
# Values that some parsers reject: the year 0, surrogates, and numbers with 300 or more digits.
UNUSABLE = re.compile(r'"0000-|[\ud800-\udfff]|[0-9]{300}')
# Text that all locations can carry: no `"`, `,`, `;` or `\`, and no leading or trailing space.
SAFE = re.compile(r"(?! )[!#-+\--:<-\[\]-~ ]*(?<! )")
DECLARATION = re.compile('"(type|enum|const)"')  # without any of these, values are strings
# A schema with one of these keywords might accept a list.
LISTS = re.compile('"(array|not|items|prefixItems|contains|(min|max)Items|uniqueItems)"')
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

        Containment is proved by jsonschema_rs or disproved by a witness; otherwise, it is unknown.
        """
        is_proved = proved(small, large, location)
        most = min(FEW if is_proved else ONE, self.remaining)
        found = call_or_default(lambda: self._search(small, large, location, most), None)
        return found or Proof(holds=is_proved or None)

    def _search(self, small: Schema, large: Schema, location: str, most: int) -> Proof | None:
        """Return a proof with a witness, or None if no witness is found."""
        if most <= 0:
            return None
        admits = validator(small).is_valid
        accepts = validator(large).is_valid
        candidates = BoundaryValues(small, large, most)
        found = None
        for value in filter(admits, candidates.values(candidates.form)):
            received = _received(location, value, small, large)
            if received and not any(map(accepts, received)):
                found = Proof(holds=False, witness=value)
                break
        self.remaining -= most - candidates.remaining + SEARCH
        return found


def _received(location: str, value: Any, small: Schema, large: Schema) -> list[Any]:
    """Return all values that a receiver might get, or none if the location cannot carry the value.

    `small` is the sender's schema, and `large` the receiver's. A receiver parses parameters from
    text. In the default style, they cannot represent null, objects or empty lists. Only query
    parameters can represent lists: each item is sent as a separate parameter. If either schema
    allows lists, the receiver might read a single value as a list.
    """
    if UNUSABLE.search(canonical_json(value)):
        return []
    if location == BODY:
        return [value]
    declared = canonical_json(small)
    if not isinstance(value, str) and not DECLARATION.search(declared):
        return []
    can_be_list = location == "query" and '"array"' in declared
    items = value if is_list(value) and can_be_list else [value]
    # Lists of different items, such as 5 and true, can have many readings, so skip them.
    if len(set(map(canonical_json, items))) != 1:
        return []
    readings = _readings(location, items[0])
    lists = [[reading] * len(items) for reading in readings]
    if len(items) > 1:
        return lists
    can_be_read_as_list = is_list(value) or LISTS.search(canonical_json(large))
    return [*readings, *lists] if can_be_read_as_list else readings


def _readings(location: str, value: Any) -> list[Any]:
    """Return a parameter's text and, if the text is JSON, the parsed value."""
    is_whole = isinstance(value, float) and value.is_integer()  # 1.0 would be sent as 1
    if is_whole or not isinstance(value, str | int | float):
        return []
    text = value if isinstance(value, str) else json.dumps(value)
    if not SAFE.fullmatch(text) or (location == "path" and text in DOTS):
        return []
    try:
        return [text, json.loads(text)]
    except ValueError:
        return [text]


def proved(small: Schema, large: Schema, location: str) -> bool:
    """Return whether `large` provably admits every value that `small` admits."""
    if large in (True, {}) or canonical_json(small) == canonical_json(large):
        return True
    if location in NEVER:
        small = {"allOf": [small, {"not": {"const": NEVER[location]}}]}
    return covers(large, small)

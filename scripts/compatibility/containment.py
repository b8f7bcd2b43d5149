"""Prove that one schema admits every value that another admits, or find a counterexample.

A counterexample, called a witness, is a value that the second schema admits and the first rejects.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from scripts.compatibility.boundaries import BoundaryValues
from scripts.compatibility.schemas import Schema, call_or_default, covers, validator
from scripts.compatibility.values import BODY, canonical_json, is_list, is_mapping, mapping_at

ALL = 80_000  # the number of values to try per comparison; trying them all takes about 2 seconds
ONE = 20_000  # the number of values to try per search
SEARCH = 100  # starting a search counts as trying this many values
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
# A schema that has only these keywords restricts each field separately.
SIMPLE = {"type", "properties", "required", "additionalProperties"}


@dataclass(frozen=True)
class Difference:
    """A difference between the sender's schema (`small`) and the receiver's (`large`).

    It concerns either one field or the whole schemas. If no other keyword of the object
    restricts the field, `small` and `large` are the field's own schemas.
    """

    small: Schema
    large: Schema
    # The names of the fields that contain the field, followed by its own name
    names: tuple[str, ...] = ()
    # The sender's schemas for the objects that contain `small`, each with a field's name
    parents: tuple[tuple[str, dict[str, Any]], ...] = ()

    def body(self, value: Any) -> Any:
        """Return a body in which the field has this value; raise IndexError if none is found.

        The body contains no other fields except the required ones.
        """
        for name, schema in reversed(self.parents):
            value = _completed({name: value}, schema)
        return value


def _completed(given: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """Return a copy of the object with a value added for each missing required field."""
    result = dict(given)
    fields = mapping_at(schema, "properties")
    others = schema.get("additionalProperties", True)
    for name in schema.get("required", ()):
        if name in given:
            continue
        part = fields.get(name, others)
        is_object = is_mapping(part) and part.get("type") == "object"
        if is_object and part.keys() <= SIMPLE:
            result[name] = _completed({}, part)
        else:
            result[name] = _example(canonical_json(part))
    return result


@lru_cache(maxsize=1024)
def _example(text: str) -> Any:
    """Return a value that the schema, given as JSON, admits; raise IndexError if none is found."""
    schema = json.loads(text)
    return BoundaryValues(schema, {}, ONE).admitted(schema)[0]


def differences(
    small: Schema,
    large: Schema,
    names: tuple[str, ...] = (),
    parents: tuple[tuple[str, dict[str, Any]], ...] = (),
) -> Iterator[Difference]:
    """Yield the differences between fields or, if other keywords differ, between whole schemas."""
    if canonical_json(small) == canonical_json(large):
        return
    if not (is_mapping(small) and is_mapping(large) and _has_same_rules(small, large)):
        yield Difference(small, large, names, parents)
        return
    is_simple = small.keys() <= SIMPLE and "object" in small.get("type", "object")
    others = small.get("additionalProperties", True)
    sent = mapping_at(small, "properties")
    received = mapping_at(large, "properties")
    for name in sent | received:
        place = (*names, name)
        if is_simple:
            inner = (sent.get(name, others), received.get(name, others))
            yield from differences(*inner, place, (*parents, (name, small)))
        elif canonical_json(sent.get(name)) != canonical_json(received.get(name)):
            # Other keywords restrict several fields, so compare whole objects.
            limits: dict[str, Any] = {"properties": {name: received.get(name)}}
            if name not in received:  # additionalProperties must apply only to this field
                limits = {**small, "properties": dict.fromkeys(sent, True)}
                del limits["properties"][name]
            yield Difference(small, limits, place, parents)


def _has_same_rules(small: dict[str, Any], large: dict[str, Any]) -> bool:
    """Return whether the schemas differ only in `properties`."""
    rules = canonical_json({**small, "properties": None})
    return rules == canonical_json({**large, "properties": None})


@dataclass(frozen=True)
class Proof:
    """The result of a proof. `holds` is None if containment is neither proved nor disproved."""

    holds: bool | None
    witness: Any = None


# The proofs for the differences between two schemas, keyed by `Difference.names`.
Proofs = dict[tuple[str, ...], Proof]


@dataclass
class Prover:
    """Proves containment, and limits the number of values that one comparison tries.

    `known` caches the proofs for each pair of schemas, because operations often share schemas.
    """

    remaining: int = ALL
    known: dict[str, Proofs] = field(default_factory=dict[str, Proofs])

    def contained(self, difference: Difference, location: str) -> Proof:
        """Check whether the receiver's schema admits every value that the sender can send.

        Containment is proved by jsonschema_rs or disproved by a witness; otherwise, it is unknown.
        """
        is_proved = proved(difference, location)
        most = FEW if is_proved else ONE
        most = min(most, self.remaining)
        found = call_or_default(lambda: self._search(difference, location, most), None)
        return found or Proof(holds=is_proved or None)

    def _search(self, difference: Difference, location: str, most: int) -> Proof | None:
        """Return a proof with a witness, or None if no witness is found."""
        if most <= 0:
            return None
        admits = validator(difference.small).is_valid
        accepts = validator(difference.large).is_valid
        candidates = BoundaryValues(difference.small, difference.large, most)
        try:
            for value in filter(admits, candidates.values(candidates.form)):
                received = _received(location, value, difference)
                if received and not any(map(accepts, received)):
                    return Proof(holds=False, witness=difference.body(value))
        finally:
            self.remaining -= most - candidates.remaining + SEARCH
        return None


def _received(location: str, value: Any, difference: Difference) -> list[Any]:
    """Return what a receiver might read if `value` is sent; return [] if it cannot be sent.

    A receiver parses parameters from text. In the default style, parameters cannot represent null,
    objects or empty lists. Only query parameters can represent lists: each item is sent as a
    separate parameter. If either schema allows lists, the receiver might read a single value as a
    list.
    """
    if UNUSABLE.search(canonical_json(value)):
        return []
    if location == BODY:
        return [value]
    declared = canonical_json(difference.small)
    if not isinstance(value, str) and not DECLARATION.search(declared):
        return []
    can_be_list = location == "query" and '"array"' in declared
    items = value if is_list(value) and can_be_list else [value]
    # If items differ, such as 5 and true, the list can be parsed in many ways, so skip it.
    distinct = set(map(canonical_json, items))
    if len(distinct) != 1:
        return []
    readings = _readings(location, items[0])
    lists = [[reading] * len(items) for reading in readings]
    if len(items) > 1:
        return lists
    accepts_lists = LISTS.search(declared + canonical_json(difference.large))
    return readings + lists if accepts_lists else readings


def _readings(location: str, value: Any) -> list[Any]:
    """Return a parameter's text and, if the text is JSON, the parsed value."""
    is_whole = isinstance(value, float) and value.is_integer()  # 1.0 would be sent as 1
    if is_whole or not isinstance(value, str | int | float):
        return []
    text = value if isinstance(value, str) else json.dumps(value)
    is_dots = location == "path" and text in DOTS
    if is_dots or not SAFE.fullmatch(text):
        return []
    try:
        return [text, json.loads(text)]
    except ValueError:
        return [text]


def proved(difference: Difference, location: str) -> bool:
    """Return whether the receiver's schema provably admits all values of the sender's schema."""
    small = difference.small
    large = difference.large
    if large in (True, {}) or canonical_json(small) == canonical_json(large):
        return True
    if location in NEVER:
        small = {"allOf": [small, {"not": {"const": NEVER[location]}}]}
    return covers(large, small)

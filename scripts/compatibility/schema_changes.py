"""Compare two schemas of the same part of a request or response, and report the changed fields.

jsonschema_rs proves that a change is compatible. A witness, which is a value that only one of the
schemas admits, shows that a change is breaking.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from scripts.compatibility.examples import branches, candidates
from scripts.compatibility.findings import BODY, Change
from scripts.compatibility.schemas import (
    COMPARED,
    call_or_default,
    check_schema,
    constants,
    covers,
    difference,
    is_supported,
    parts,
    subschemas,
    validator,
    view,
)
from scripts.compatibility.text import (
    brief,
    canonical_json,
    explain,
    is_list,
    is_mapping,
    shortened,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scripts.compatibility.findings import Pair
    from scripts.compatibility.schemas import Schema

MANY = 5_000  # the number of values to try
NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null")
# Some parsers reject the year 0, surrogates, and numbers with 300 or more digits.
UNUSABLE = re.compile(r'"0000-|[\ud800-\udfff]|[0-9]{300}')
# Text that all locations can carry: no `"`, `,`, `;` or `\`, and no leading or trailing space.
SAFE = re.compile(r"(?! )[!#-+\--:<-\[\]-~ ]*(?<! )")
DOTS = {"", ".", ".."}  # text that paths cannot carry
# A path cannot carry empty text, and a query cannot carry an empty list.
CARRIED: dict[str, Schema] = {"path": {"minLength": 1}, "query": {"minItems": 1}}
Path = tuple[str, ...]  # the names of nested fields
# Describes a schema change by its side and severity.
WHAT = {
    ("request", Change.ADDITION): "still accepts every valid value",
    ("request", Change.UNDECIDED): "may reject valid values (not proved)",
    ("request", Change.BREAKING): "rejects values that were valid",
    ("response", Change.ADDITION): "still has only documented values",
    ("response", Change.UNDECIDED): "may have an undocumented value (not proved)",
    ("response", Change.BREAKING): "can have an undocumented value",
}
# Maps (annotation, whether it is new) to the severity of the change. Other changes are undecided.
ANNOTATIONS = {
    ("deprecated", True): Change.ADDITION,
    ("deprecated", False): Change.WORDS,
    ("default", True): Change.ADDITION,
    ("x-left-open", True): Change.ADDITION,
    ("readOnly", False): Change.ADDITION,
    ("writeOnly", True): Change.ADDITION,
}
HIDDEN = {"request": "readOnly", "response": "writeOnly"}  # of fields that are never sent
# A schema that has only these keywords restricts each field separately.
SIMPLE = {"type", "properties", "required", "additionalProperties"}


class Proof(NamedTuple):
    """The severity of a schema change and, if it is breaking, the witness."""

    change: Change
    witness: Any = None


def compare_schemas(pair: Pair, old: Schema, new: Schema, label: str) -> None:
    """Compare two schemas and report the changes.

    Valid requests must stay valid, and new responses must be valid against the old schema.
    """
    texts = (canonical_json(old), canonical_json(new))
    if texts[0] == texts[1]:
        return
    check_schema(pair.base, old, pair.place)
    check_schema(pair.head, new, pair.place)
    for path, proof in _proofs(*texts, pair.side, pair.location).items():
        place = pair
        was = _field(old, path)
        now = _field(new, path)
        what = WHAT[pair.side, proof.change]
        if path:
            place = pair.at("field " + ".".join(path))
        if now is None:
            what = f"is removed; {what}"
        elif was is None and proof.change == Change.ADDITION:
            what = "is new"
        changes = list(explain(was, now))
        if changes:
            what += f" ({shortened(changes, '; ')})"
        evidence = f"{label}: {brief(proof.witness)}"
        place.add(proof.change, what, was, now, evidence, witness=proof.witness)
    _compare_annotations(pair, old, new)


def _field(schema: Any, path: Path) -> Any:
    """Return the schema of a field, or None if the schema does not mention the field."""
    for name in path:
        schema = parts(schema).get(("properties", name))
    return schema


@lru_cache(maxsize=1000)  # operations often share schemas
def _proofs(base: str, head: str, side: str, location: str) -> dict[Path, Proof]:
    """Return, for each changed field, whether all values that can be sent are still valid."""
    sent = json.loads(base)
    received = json.loads(head)
    if side == "response":
        sent, received = received, sent
    result: dict[Path, Proof] = {}
    # Is every value that can be sent accepted? If not, the change is breaking or undecided.
    small, large = _views(sent, received, side)
    for path, part, limits in steps(small, large):
        if not is_supported(small, large):
            return {(): Proof(Change.UNDECIDED)}
        proof = contained(part, limits, location)
        if proof.change > Change.ADDITION:
            result[path] = proof
    # In the opposite direction, a difference in any other field is an addition.
    for path, part, limits in steps(*_views(received, sent, side)):
        if path not in result and not proved(part, limits, location):
            result[path] = Proof(Change.ADDITION)
    return result


def _views(sent: Schema, received: Schema, side: str) -> tuple[Schema, Schema]:
    hidden = HIDDEN[side]
    return view(sent, hidden, sending=True), view(received, hidden, sending=False)


def steps(small: Schema, large: Schema, path: Path = ()) -> Iterator[tuple[Path, Schema, Schema]]:
    """Split the comparison of two schemas into one comparison for each field that differs.

    Yield the field and two schemas: an object with the field and the required fields as `small`
    defines them, and an object whose field `large` restricts. If the schemas differ in more than
    `properties`, or if fields can affect each other, yield both schemas.
    """
    if canonical_json(small) == canonical_json(large):
        return
    if not (is_mapping(small) and is_mapping(large) and _is_split(small, large)):
        yield path, small, large
        return
    before: dict[str, Schema] = small.get("properties", {})
    after: dict[str, Schema] = large.get("properties", {})
    others: Schema = small.get("additionalProperties", True)
    forbidden = dict.fromkeys(before.keys() - set(small.get("required", ())), False)
    for name in dict.fromkeys((*before, *after)):
        fields = steps(before.get(name, others), after.get(name, others), (*path, name))
        for inner, part, limits in fields:
            properties = {**before, **forbidden, name: part}
            yield inner, {**small, "properties": properties}, {"properties": {name: limits}}


def _is_split(small: dict[str, Any], large: dict[str, Any]) -> bool:
    """Return whether the schemas restrict each field separately, and differ only in fields."""
    others = canonical_json({**small, "properties": None})
    return small.keys() <= SIMPLE and others == canonical_json({**large, "properties": None})


def own_annotations(schema: Any) -> dict[str, str]:
    """Return the schema's annotations as JSON texts, except those whose value is false.

    A `default` is included even if its value is false. All annotations in `allOf` count as one.
    """
    result: dict[str, str] = {}
    if not is_mapping(schema):
        return result
    for keyword, value in schema.items():
        is_present = value is not False or keyword == "default"
        is_annotation = keyword not in COMPARED | {"xml"} and not keyword.startswith("$")
        if keyword == "allOf":
            inherited = list(filter(None, map(own_annotations, subschemas(*value))))
            if inherited:
                result["allOf"] = canonical_json(inherited)
        elif is_present and is_annotation:
            result[keyword] = canonical_json(value)
    return result


def _compare_annotations(pair: Pair, old: Schema, new: Schema, path: str = "") -> None:
    """Report annotations that differ. Only subschemas that both schemas contain are compared.

    Also report a field that only one response documents, if the field can have any value. For
    other fields, the proofs show the difference.
    """
    before = own_annotations(old)
    after = own_annotations(new)
    irrelevant = set(HIDDEN.values()) - {HIDDEN[pair.side]}
    for keyword in sorted((before.keys() | after.keys()) - irrelevant):
        was = before.get(keyword, "none")
        now = after.get(keyword, "none")
        if was != now:
            change = ANNOTATIONS.get((keyword, was == "none"), Change.UNDECIDED)
            pair.add(change, f"{path}.{keyword}: {was} → {now}".lstrip("."), was, now)
    olds = parts(old)
    news = parts(new)
    for key, part in {**olds, **news}.items():
        keyword, name = key
        step = name if keyword == "properties" else f"{keyword}.{name}"
        inner = f"{path}.{step}".strip(".")
        field = pair.at(f"field {inner}")
        is_open = keyword == "properties" and pair.status and part in ({}, True)
        if key in olds and key in news and keyword != "allOf":
            _compare_annotations(pair, olds[key], news[key], inner)
        elif key not in olds and is_open:
            field.add(Change.ADDITION, "is new", None, part)
        elif key not in news and is_open:
            what = "is removed; previously, it could have any value"
            field.add(Change.UNDECIDED, what, part, None)


def contained(small: Schema, large: Schema, location: str) -> Proof:
    """Check whether `large` admits every value that `small` admits and the location can carry.

    Either jsonschema_rs proves this, or a witness disproves it.
    """
    no_witness: list[Any] = []
    search = islice(_witnesses(small, large, location), 1)
    for witness in call_or_default(lambda: list(search), no_witness):
        return Proof(Change.BREAKING, witness)
    if proved(small, large, location):
        return Proof(Change.ADDITION)
    return Proof(Change.UNDECIDED)


def _witnesses(small: Schema, large: Schema, location: str) -> Iterator[Any]:
    admits = validator(small).is_valid
    accepts = validator(large).is_valid
    regions: list[Schema] = [small, {"enum": _constants(small, large)}, *branches(small)]
    for region in regions:
        values = islice(candidates(difference(region, large)), MANY // len(regions))
        for value in filter(admits, values):
            received = _received(location, value, small)
            if received and not any(map(accepts, received)):
                yield value


def _constants(*schemas: Schema) -> list[Any]:
    """Return all values that the schemas list."""
    values: list[Any] = []
    for part in subschemas(*schemas):
        values += constants(part)
    return values


def proved(small: Schema, large: Schema, location: str) -> bool:
    """Return whether jsonschema_rs proves that all values in `small` stay valid in `large`."""
    if large in ({}, True) or canonical_json(small) == canonical_json(large):
        return True
    if location in CARRIED:
        small = {"allOf": [small, CARRIED[location]]}
    if location == BODY or covers(large, small):
        return covers(large, small)
    return covers(call_or_default(lambda: _readable(large, small, location), large), small)


def _readable(large: Schema, small: Schema, location: str) -> Schema:
    """Return `large`, extended to admit values whose text form it accepts.

    These are constants of `small`, booleans and, if `large` admits all strings, numbers.
    """
    is_valid = validator(large).is_valid

    def is_accepted(value: Any) -> bool:
        return any(map(is_valid, _received(location, value, small)))

    accepted = list(filter(is_accepted, (True, False, *_constants(small))))
    alternatives: list[Schema] = [large, {"enum": accepted}]
    if covers(large, {"type": "string"}):
        alternatives.append({"type": "number"})
    return {"anyOf": alternatives}


def _received(location: str, value: Any, sent: Schema) -> list[Any]:
    """Return all values that a receiver might get, or none if the location cannot carry the value.

    A receiver parses the text form of parameters. In the default style, they cannot represent null,
    objects or empty lists. Only query parameters can represent lists: each item is sent as a
    separate parameter, so a single value can also be a list. Lists of different items that are
    ambiguous, such as 5 and true, are skipped, because they have many combinations of readings.
    """
    if UNUSABLE.search(canonical_json(value)):
        return []
    if location == BODY:
        return [value]
    items = [value]
    if is_list(value) and location == "query" and '"array"' in canonical_json(sent):
        items = value
    readings = [_readings(location, item) for item in items]
    is_mixed = any(item != items[0] for item in items)
    if is_mixed and set(map(len, readings)) != {1}:
        return []
    lists = list(map(list, zip(*readings, strict=True)))
    return readings[0] + lists if len(items) == 1 else lists


def _readings(location: str, value: Any) -> list[Any]:
    """Return a parameter's text form and, if it is a JSON number or boolean, the parsed value."""
    is_whole = isinstance(value, float) and value.is_integer()  # 1.0 would be sent as 1
    if is_whole or not isinstance(value, str | int | float):
        return []
    text = value if isinstance(value, str) else json.dumps(value)
    if not SAFE.fullmatch(text) or (location == "path" and text in DOTS):
        return []
    return [text, json.loads(text)] if NUMBER.fullmatch(text) else [text]

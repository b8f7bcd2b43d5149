"""Compare what requests and responses can contain: JSON bodies, parameters and headers."""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from scripts.compatibility.boundaries import fixed
from scripts.compatibility.containment import Proof, proved
from scripts.compatibility.findings import Severity
from scripts.compatibility.operations import Pair, Part
from scripts.compatibility.schemas import (
    Schema,
    check_schema,
    has_mixed,
    has_reference,
    own_annotations,
    parts,
    view,
)
from scripts.compatibility.values import (
    brief,
    canonical_json,
    explain,
    is_mapping,
    mapping_at,
    shortened,
)

# Maps (side, is_compatible) to a schema change's severity and description.
WHAT = {
    ("request", True): (Severity.ADDITION, "still accepts every valid value"),
    ("request", None): (Severity.UNDECIDED, "may reject valid values (not proved)"),
    ("request", False): (Severity.BREAKING, "rejects values that were valid"),
    ("response", True): (Severity.ADDITION, "still has only documented values"),
    ("response", None): (Severity.UNDECIDED, "may have an undocumented value (not proved)"),
    ("response", False): (Severity.BREAKING, "can have an undocumented value"),
}
# Severities, keyed by (annotation, whether it is new). Other changes are undecided.
ANNOTATIONS = {
    ("deprecated", True): Severity.ADDITION,
    ("deprecated", False): Severity.WORDS,
    ("default", True): Severity.ADDITION,
    ("x-left-open", True): Severity.ADDITION,
    ("readOnly", False): Severity.ADDITION,
    ("writeOnly", True): Severity.ADDITION,
}
# The annotations of fields that are not sent, and the annotations that have no effect.
HIDDEN = {"request": "readOnly", "response": "writeOnly"}
IRRELEVANT = {"request": "writeOnly", "response": "readOnly"}
JSON = re.compile(r"(application|text)/json|.*\+json")
# The parameter and header keys that this module has comparison rules for.
PARAMETER = {"name", "in", "required", "schema", "content", "style", "explode"}
UTF_8 = re.compile(r'\s*(charset="?utf-8"?\s*;?\s*)?', re.IGNORECASE)
# A schema that has only these keywords restricts each field separately.
SIMPLE = {"type", "properties", "required", "additionalProperties"}


def compare_schemas(pair: Pair, old: Any, new: Any) -> None:
    """Compare two schemas and report the changes.

    Valid requests must stay valid, and new responses must be valid against the old schema.
    """
    if canonical_json(old) == canonical_json(new):
        return
    check_schema(pair.base.contract, old, pair.place)
    check_schema(pair.head.contract, new, pair.place)
    known = pair.prover.known
    key = canonical_json([old, new, pair.side, pair.location])
    if key not in known:
        known[key] = _proofs(pair, old, new)
    for field, proof in known[key].items():
        place = pair.at(f"field {field}") if field else pair
        severity, what = WHAT[pair.side, proof.holds]
        sides = (_field(old, field), _field(new, field))
        if sides[0] == sides[1]:  # the field's name contains a dot
            sides = (old, new)
        if proof.holds and field and sides[0] is None:
            what = "is new"
        changes = shortened([*explain(*sides)], "; ")
        if changes:
            what += f" ({changes})"
        evidence = f"{pair.label}: {brief(proof.witness)}"
        place.add(severity, what, *sides, evidence, witness=proof.witness)
    _compare_annotations(pair, old, new)


def _field(schema: Any, path: str) -> Any:
    """Return the schema of a field such as `a.b`, or the whole schema if the path is empty."""
    for name in filter(None, path.split(".")):
        schema = mapping_at(schema, "properties").get(name)
    return schema


def _proofs(pair: Pair, base: Schema, head: Schema) -> dict[str, Proof]:
    """Return, for each changed field, whether all values that can be sent are still valid."""
    hidden = HIDDEN[pair.side]
    sent = base
    received = head
    if pair.status:
        sent = head
        received = base
    result: dict[str, Proof] = {}
    # Unless all values that can be sent are also accepted, the change is breaking or undecided.
    small = view(sent, hidden, sending=True)
    large = view(received, hidden, sending=False)
    is_supported = not (has_reference(small, large) or has_mixed(hidden, sent, received))
    for field, part, limits in by_field(small, large):
        if not is_supported:
            return {"": Proof(holds=None)}
        proof = pair.prover.contained(part, limits, pair.location)
        if not proof.holds:
            result[field] = proof
    # In the opposite direction, a difference in any other field is an addition.
    small = view(received, hidden, sending=True)
    large = view(sent, hidden, sending=False)
    for field, part, limits in by_field(small, large):
        if field not in result and not proved(part, limits, pair.location):
            result[field] = Proof(holds=True)
    return result


def by_field(small: Schema, large: Schema, where: str = "") -> Iterator[tuple[str, Schema, Schema]]:
    """Split the comparison of two schemas into one comparison for each field that differs.

    Yield the field and two schemas: the part of `small` that affects the field, and the part of
    `large` that constrains it. For example, if only the field `a` differs, the first schema is an
    object with the old `a`, one value for each other required field and no optional fields, and
    the second is an object with the new `a`. If the schemas differ outside `properties`, yield both
    schemas.
    """
    if canonical_json(small) == canonical_json(large):
        return
    if not (is_mapping(small) and is_mapping(large) and _rules(small) == _rules(large)):
        yield where, small, large
        return
    before = mapping_at(small, "properties")
    after = mapping_at(large, "properties")
    is_simple = small.keys() <= SIMPLE
    others = dict(before)
    if is_simple:  # no field affects another, so fix the required fields and forbid the others
        required = small.get("required", ())
        for name, part in before.items():
            others[name] = name in required and fixed(part)
    for name in dict.fromkeys((*before, *after)):
        place = f"{where}.{name}".lstrip(".")
        if name in after:
            for inner, part, limits in by_field(before.get(name, True), after[name], place):
                fields = dict(others)
                if is_simple and name in before:
                    fields[name] = part
                yield inner, {**small, "properties": fields}, {"properties": {name: limits}}
        else:
            # The other fields accept any value, so additionalProperties applies only to `name`.
            unlimited = dict.fromkeys(others, True)
            del unlimited[name]
            fields = {**others, name: before[name]}
            yield place, {**small, "properties": fields}, {**small, "properties": unlimited}


def _rules(schema: Part) -> str:
    return canonical_json({**schema, "properties": None})


def _compare_annotations(pair: Pair, old: Schema, new: Schema, path: str = "") -> None:
    """Report annotations that differ in the subschemas that both schemas contain.

    Also report a field that only one response documents, if the field can have any value. For
    other fields, the proofs show the difference.
    """
    before = own_annotations(old, IRRELEVANT[pair.side])
    after = own_annotations(new, IRRELEVANT[pair.side])
    for keyword in dict.fromkeys((*before, *after)):
        was = {"value": before[keyword]} if keyword in before else {}
        now = {"value": after[keyword]} if keyword in after else {}
        if canonical_json(was) != canonical_json(now):
            severity = ANNOTATIONS.get((keyword, not was), Severity.UNDECIDED)
            where = f"{path}.{keyword}".lstrip(".")
            changes = [*explain(was.get("value"), now.get("value"), where)]
            pair.add(severity, shortened(changes, "; ") or f"{where} changed", was, now)
    olds = parts(old)
    news = parts(new)
    for key, part in {**olds, **news}.items():
        keyword, name = key
        if keyword == "allOf":
            continue
        inner = f"{path}.{keyword}.{name}"
        if keyword == "properties":
            inner = f"{path}.{name}"
        if key in olds and key in news:
            _compare_annotations(pair, olds[key], news[key], inner.rstrip("."))
        elif keyword == "properties" and pair.status and part in ({}, True):
            field = pair.at(f"field {inner.lstrip('.')}")
            if key in news:
                field.add(Severity.ADDITION, "is new", None, part)
            else:
                field.add(
                    Severity.UNDECIDED, "is removed; until now, it could have any value", part
                )


def compare_texts(pair: Pair, old: Part, new: Part) -> None:
    """Compare a parameter or header if both contracts serialize it in the default style."""
    pair.add_other_keys(PARAMETER, old, new)
    location = pair.location
    if _has_default_style(location, old) and _has_default_style(location, new):
        compare_schemas(pair, old.get("schema", True), new.get("schema", True))
    else:
        what = "changed, but its serialization style is not supported"
        pair.add_undecided(what, old, new)


def _has_default_style(location: str, parameter: Part) -> bool:
    name = "form" if location in {"query", "cookie"} else "simple"
    stated = (parameter.get("style", name), parameter.get("explode", name == "form"))
    return stated == (name, name == "form") and not parameter.get("content")


def compare_contents(pair: Pair, old: Part, new: Part) -> None:
    """Compare the media types of a body and, for JSON, the schemas."""
    before = _contents(old)
    after = _contents(new)
    sides = (sorted(before), sorted(after))
    is_unclear = re.search("[*;]", "".join((*before, *after)))
    for name in dict.fromkeys((*before, *after)):
        if name in before and name in after:
            is_obvious = JSON.fullmatch(name) and before.keys() | after.keys() == {name}
            # Findings name the media type unless both contracts allow only this JSON media type.
            content = pair if is_obvious else pair.at(name)
            _compare_content(content, name, before[name], after[name])
        elif is_unclear:
            what = "has different media types; ranges and parameters are not compared"
            pair.add_undecided(what, *sides)
        elif name in before:
            header = "Accept" if pair.status else "Content-Type"
            request = replace(pair, status="")
            what = f"no longer supports {name}"
            request.add(Severity.BREAKING, what, *sides, f"{header}: {name}")
        elif pair.status:
            what = f"can be {name}, which was not documented"
            pair.add(Severity.BREAKING, what, *sides, f"Content-Type: {name}")
        else:
            pair.add(Severity.ADDITION, f"can also be {name}", *sides)


def _contents(holder: Part) -> dict[str, Part]:
    """Return the contents, keyed by media type, without `charset=utf-8` in JSON media types.

    JSON is always UTF-8 (RFC 8259).
    """
    result: dict[str, Part] = {}
    for name, content in mapping_at(holder, "content").items():
        kind, separator, parameters = name.partition(";")
        key = kind.strip().lower()
        if not (JSON.fullmatch(key) and UTF_8.fullmatch(parameters)):
            key += separator + parameters
        first = result.setdefault(key, content)
        if first != content:  # keep both, so that changes to the second are undecided
            result[key] = {**first, name: content}
    return result


def _compare_content(pair: Pair, media_type: str, old: Part, new: Part) -> None:
    if JSON.fullmatch(media_type.partition(";")[0]):
        pair.add_other_keys({"schema", "encoding"}, old, new)
        compare_schemas(pair, old.get("schema", True), new.get("schema", True))
    else:
        what = "changed, but only JSON bodies are compared"
        pair.add_undecided(what, old, new)

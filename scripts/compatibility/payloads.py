"""Compare what requests and responses can contain: JSON bodies, parameters and headers."""

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from scripts.compatibility.containment import Difference, Proof, Proofs, differences, proved
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
from scripts.compatibility.values import BODY, brief, canonical_json, explain, mapping_at, shortened

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
    for names, proof in known[key].items():
        place = pair
        if names:
            place = pair.at(f"field {'.'.join(names)}")
        severity, what = WHAT[pair.side, proof.holds]
        sides = (_field(old, names), _field(new, names))
        if proof.holds and names and sides[0] is None:
            what = "is new"
        changes = shortened(explain(*sides), "; ")
        if changes:
            what += f" ({changes})"
        evidence = f"{pair.label}: {brief(proof.witness)}"
        place.add(severity, what, *sides, evidence, witness=proof.witness)
    _compare_annotations(pair, old, new)


def _field(schema: Any, names: tuple[str, ...]) -> Any:
    """Return the schema of a nested field, or the whole schema if there are no names."""
    for name in names:
        schema = mapping_at(schema, "properties").get(name)
    return schema


def _proofs(pair: Pair, base: Schema, head: Schema) -> Proofs:
    """Return, for each changed field, whether all values that can be sent are still valid."""
    sent = base
    received = head
    if pair.status:
        sent = head
        received = base
    hidden = HIDDEN[pair.side]
    small = view(sent, hidden, sending=True)
    large = view(received, hidden, sending=False)
    is_unsupported = has_reference(small, large) or has_mixed(hidden, sent, received)
    result: Proofs = {}
    # Unless all values that can be sent are also accepted, the change is breaking or undecided.
    for difference in _differences(pair, small, large):
        if is_unsupported:
            return {(): Proof(holds=None)}
        proof = pair.prover.contained(difference, pair.location)
        if not proof.holds:
            result[difference.names] = proof
    # In the opposite direction, a difference in any other field is an addition.
    small = view(received, hidden, sending=True)
    large = view(sent, hidden, sending=False)
    for difference in _differences(pair, small, large):
        if difference.names not in result and not proved(difference, pair.location):
            result[difference.names] = Proof(holds=True)
    return result


def _differences(pair: Pair, small: Schema, large: Schema) -> Iterable[Difference]:
    if pair.location == BODY:
        return differences(small, large)
    return [Difference(small, large)]


def _compare_annotations(pair: Pair, old: Schema, new: Schema, path: str = "") -> None:
    """Report annotations that differ between subschemas at the same place in both schemas.

    Also report a field that is added to or removed from a response, if the field can have any
    value. The proofs cover all other added and removed fields.
    """
    before = own_annotations(old, IRRELEVANT[pair.side])
    after = own_annotations(new, IRRELEVANT[pair.side])
    for keyword in before | after:
        was = {"value": before[keyword]} if keyword in before else {}
        now = {"value": after[keyword]} if keyword in after else {}
        if canonical_json(was) != canonical_json(now):
            severity = ANNOTATIONS.get((keyword, not was), Severity.UNDECIDED)
            where = f"{path}.{keyword}".lstrip(".")
            changes = explain(was.get("value"), now.get("value"), where)
            what = shortened(changes, "; ") or f"{where} changed"
            pair.add(severity, what, was, now)
    olds = parts(old)
    news = parts(new)
    for key, part in (olds | news).items():
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
                what = "is removed; until now, it could have any value"
                field.add(Severity.UNDECIDED, what, part)


def compare_texts(pair: Pair, old: Part, new: Part) -> None:
    """Compare a parameter or header if both contracts serialize it in the default style."""
    pair.add_other_keys(PARAMETER, old, new)
    if _has_default_style(pair.location, old) and _has_default_style(pair.location, new):
        compare_schemas(pair, old.get("schema", True), new.get("schema", True))
    else:
        pair.add_undecided("changed, but its serialization style is not supported", old, new)


def _has_default_style(location: str, parameter: Part) -> bool:
    explode = location in {"query", "cookie"}
    style = "form" if explode else "simple"
    has_style = parameter.get("style", style) == style
    has_explode = parameter.get("explode", explode) == explode
    return has_style and has_explode and not parameter.get("content")


def compare_contents(pair: Pair, old: Part, new: Part) -> None:
    """Compare the media types of a body and, for JSON, the schemas."""
    before = _contents(old)
    after = _contents(new)
    sides = (sorted(before), sorted(after))
    names = list(before | after)
    is_unclear = re.search("[*;]", "".join(names))
    for name in names:
        if name in before and name in after:
            is_obvious = JSON.fullmatch(name) and names == [name]
            # Findings name the media type unless both contracts allow only this JSON media type.
            content = pair if is_obvious else pair.at(name)
            _compare_content(content, name, before[name], after[name])
        elif is_unclear:
            what = "has different media types; media type ranges and parameters are not compared"
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
        if first != content:  # keep both, so that a change to the second is reported
            result[key] = {**first, name: content}
    return result


def _compare_content(pair: Pair, media_type: str, old: Part, new: Part) -> None:
    if JSON.fullmatch(media_type.partition(";")[0]):
        pair.add_other_keys({"schema", "encoding"}, old, new)
        compare_schemas(pair, old.get("schema", True), new.get("schema", True))
    else:
        pair.add_undecided("changed, but only JSON bodies are compared", old, new)

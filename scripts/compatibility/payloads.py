"""Compare what requests and responses can contain: JSON bodies, parameters and headers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from scripts.compatibility.containment import HOLDS, RESERVED, UNKNOWN, proved
from scripts.compatibility.findings import Change
from scripts.compatibility.schemas import ALTERNATIVES, check_schema, is_ambiguous, prepare, view
from scripts.compatibility.values import (
    brief,
    canonical_json,
    explain,
    is_mapping,
    mapping_at,
    shortened,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scripts.compatibility.containment import Proof
    from scripts.compatibility.operations import Pair, Part
    from scripts.compatibility.schemas import PreparedSchema, Schema

HIDDEN = {"request": "readOnly", "response": "writeOnly"}
# The texts for a compatible change, a possible compatible change, a possible breaking change and a
# breaking change, in this order.
WHAT = {
    "request": (
        *("accepts more", "may accept more"),
        *("may refuse valid values", "refuses values that were valid"),
    ),
    "response": (
        *("promises more", "may promise more"),
        *("may be an undocumented value", "may be a value that was not documented"),
    ),
}
UNSTATED: Schema = {"not": False}
SHOWN = 3  # the maximum number of changed keywords per line


@dataclass(frozen=True)
class Payload:
    """A value in a request or response, and the function that formats it for reports."""

    pair: Pair
    place: str
    location: str  # query, path, header, cookie or body
    show: Callable[[Any], str] | None = None  # formats a request value; None for a response value
    status: str = ""  # the status of the response

    @property
    def side(self) -> str:
        """Return `request` or `response`, depending on which message contains the value."""
        return "request" if self.show else "response"


def compare_schemas(payload: Payload, old: Any, new: Any) -> None:
    """Compare two schemas. Old requests must stay valid, and new responses must be documented."""
    base = prepare(payload.pair.base.contract, old)
    head = prepare(payload.pair.head.contract, new)
    if base.text != head.text:
        check_schema(payload.pair.base.contract, base.schema, payload.place)
        check_schema(payload.pair.head.contract, head.schema, payload.place)
        changes = list(explain(base.schema, head.schema))
        sent, received = (base, head) if payload.show else (head, base)
        for field, proof, reverse in _proofs(sent, received, payload):
            if proof.holds and reverse.holds:
                continue
            place = f"{payload.place}, field {field}" if field else payload.place
            details = _described(changes, field)
            sides = (base.text, head.text)
            _add(replace(payload, place=place), (proof, reverse), details, sides)
    _compare_annotations(payload, base, head)


def _proofs(
    sent: PreparedSchema, received: PreparedSchema, payload: Payload
) -> Iterator[tuple[str, Proof, Proof]]:
    """Yield each field that differs, with proofs of containment in both directions."""
    hidden = HIDDEN[payload.side]
    sides = (sent, received)
    if any(side.opaque or is_ambiguous(side.schema, hidden) for side in sides):
        yield "", UNKNOWN, UNKNOWN
        return
    prover = payload.pair.prover
    location = payload.location
    small = view(sent.schema, hidden, sending=True)
    large = view(received.schema, hidden, sending=False)
    proofs: dict[str, Proof] = {}
    for field, minimal, step in steps(small, large):
        proof = prover.contained(minimal, step, location)
        if proof.holds and not proved(small, step, location):
            proof = prover.contained(small, step, location)
        proofs[field] = proof
    small = view(received.schema, hidden, sending=True)
    large = view(sent.schema, hidden, sending=False)
    reverses: dict[str, Proof] = {}
    for field, minimal, step in steps(small, large):
        if proved(small, step, location):
            reverses[field] = HOLDS
        elif proofs.get(field, HOLDS).holds and prover.remaining > RESERVED:
            proof = prover.contained(minimal, step, location)
            reverses[field] = UNKNOWN if proof.holds else proof
        else:
            reverses[field] = UNKNOWN
    for field in dict.fromkeys((*proofs, *reverses)):
        yield field, proofs.get(field, HOLDS), reverses.get(field, HOLDS)


def steps(small: Schema, large: Schema, where: str = "") -> Iterator[tuple[str, Schema, Schema]]:
    """Split the comparison of two schemas into one comparison for each field that differs.

    Yield the field, a minimal form of `small`, and the part of `large` that constrains the field.
    If every part admits all values that `small` admits, so does `large`, because other rules match.
    If other rules differ as well, yield a single step with all of `large`. The minimal form rejects
    other optional fields so that the search finds a short counterexample quickly.
    """
    if canonical_json(small) == canonical_json(large):
        return
    if not (is_mapping(small) and is_mapping(large) and _rules(small) == _rules(large)):
        yield where, small, large
        return
    before = mapping_at(small, "properties")
    after = mapping_at(large, "properties")
    required = small.get("required", ())
    for name in dict.fromkeys((*before, *after)):
        place = f"{where}.{name}".lstrip(".")
        others = {other: other in required and part for other, part in before.items()}
        if name in after:
            for inner, minimal, part in steps(before.get(name, UNSTATED), after[name], place):
                fields = {**others, name: minimal} if name in before else others
                yield inner, {**small, "properties": fields}, {"properties": {name: part}}
        else:
            # Accept any value in the other fields. additionalProperties then applies only to this
            # field.
            unlimited = dict.fromkeys(others, True)
            del unlimited[name]
            fields = {**others, name: before[name]}
            yield place, {**small, "properties": fields}, {**small, "properties": unlimited}


def _rules(schema: Part) -> str:
    return canonical_json({key: value for key, value in schema.items() if key != "properties"})


def _described(changes: list[str], field: str) -> str:
    """Describe a field's changed keywords for a report, as in ` (maxLength: 255 → 100)`."""
    found = changes
    if field:
        found = [change for change in changes if change.startswith((f"{field}.", f"{field}:"))]
        found = [change.removeprefix(field).lstrip(".: ") for change in found]
    return f" ({shortened(found, SHOWN, '; ')})" if found else ""


def _add(
    payload: Payload, proofs: tuple[Proof, Proof], details: str, sides: tuple[str, str]
) -> None:
    """Add the finding that follows from the proofs in both directions."""
    proof, reverse = proofs
    pair = payload.pair
    more, maybe_more, maybe_less, less = WHAT[payload.side]
    shown: tuple[str, ...] = ()
    if proof.holds:
        change = Change.ADDITION
        what = maybe_more if reverse.holds is None else more
    elif proof.holds is None:
        change = Change.UNDECIDED
        reason = "too many changes to search all" if pair.prover.remaining <= 0 else "not proved"
        what = f"{maybe_less} ({reason})"
    else:
        change = Change.BREAKING
        what = less
        if payload.show:
            shown = pair.shown(pair.base.name, payload.show(proof.witness))
        else:
            shown = pair.shown_response(payload.status, brief(proof.witness))
    witness = proof.witness
    pair.findings.add(change, payload.place, what + details, *sides, witness=witness, shown=shown)


def _compare_annotations(payload: Payload, base: PreparedSchema, head: PreparedSchema) -> None:
    """Compare the annotations of the subschemas that exist in both schemas."""
    both = base.places & head.places
    for where, keyword in sorted(base.annotations.keys() | head.annotations.keys()):
        old = sorted(set(base.annotations.get((where, keyword), [])))
        new = sorted(set(head.annotations.get((where, keyword), [])))
        change = _weight(keyword, payload.side, old, new)
        if where in both and old != new and change:
            place = f"{where}.{keyword}".lstrip(".")
            what = f"{place}: {', '.join(old) or 'none'} → {', '.join(new) or 'none'}"
            payload.pair.findings.add(change, payload.place, what, old, new)


def _weight(keyword: str, side: str, old: list[str], new: list[str]) -> Change:
    """Return the severity of a change to an annotation."""
    if keyword == ALTERNATIVES:  # renaming a schema changes its discriminator value
        return Change.UNDECIDED if {*old} - {*new} and {*new} - {*old} else Change.NONE
    if keyword == "deprecated":
        return Change.ADDITION if new else Change.WORDS
    if keyword in HIDDEN.values() and keyword != HIDDEN[side]:
        return Change.NONE
    if keyword in HIDDEN.values() and side == "response":
        return Change.UNDECIDED if old else Change.NONE
    is_new = not (new if keyword in HIDDEN.values() else old)
    if keyword in {*HIDDEN.values(), "default", "x-left-open"} and is_new:
        return Change.ADDITION
    return Change.UNDECIDED


def compare_texts(payload: Payload, old: Part, new: Part) -> None:
    """Compare a parameter or header if both contracts serialize it in the default style."""
    if all(_has_default_style(payload.location, side) for side in (old, new)):
        compare_schemas(payload, old.get("schema", True), new.get("schema", True))
    else:
        what = "changed, but its serialization style is not supported"
        payload.pair.add_undecided(payload.place, what, old, new)


def _has_default_style(location: str, parameter: Part) -> bool:
    name = "form" if location in {"query", "cookie"} else "simple"
    stated = (parameter.get("style", name), parameter.get("explode", name == "form"))
    return stated == (name, name == "form") and not parameter.get("content")


def compare_contents(payload: Payload, old: Part, new: Part) -> None:
    """Compare a body's media types, and the schemas for JSON media types in both contracts."""
    pair = payload.pair
    before = _contents(old)
    after = _contents(new)
    sides = sorted(before), sorted(after)
    is_range = any("*" in name for name in (*before, *after))
    for name in dict.fromkeys((*before, *after)):
        if name in before and name in after:
            _compare_content(payload, name, before[name], after[name])
        elif is_range:
            what = "has a different media type range, and ranges are not compared"
            pair.add_undecided(payload.place, what, *sides)
        elif name in before:
            header = "Content-Type" if payload.show else "Accept"
            shown = pair.shown(pair.base.name, f"{header}: {name}")
            what = f"no longer supports {name}"
            pair.findings.add(Change.BREAKING, payload.place, what, *sides, shown=shown)
        elif payload.show:
            pair.findings.add(Change.ADDITION, payload.place, f"can also be {name}", *sides)
        else:
            shown = pair.shown_response(payload.status, f"Content-Type: {name}")
            what = f"can be {name}, which was not documented"
            pair.findings.add(Change.BREAKING, payload.place, what, *sides, shown=shown)


def _contents(holder: Part) -> dict[str, Part]:
    """Return the content of a request body or response, by media type."""
    result: dict[str, Part] = {}
    for name, content in mapping_at(holder, "content").items():
        known = content if is_mapping(content) else {}
        key = _normal_media_type(name)
        result[key if result.get(key, known) == known else name] = known
    return result


def _normal_media_type(name: str) -> str:
    """Return the media type in lower case, with sorted parameters.

    For JSON, drop `charset=utf-8`, because JSON is always UTF-8 (RFC 8259).
    """
    kind, *rest = name.lower().replace('"', "").split(";")
    parameters = set(map(str.strip, rest)) - {""}
    kind = kind.strip()
    if _is_json(kind):
        parameters.discard("charset=utf-8")
    return ";".join([kind, *sorted(parameters)])


def _is_json(media_type: str) -> bool:
    kind = media_type.partition(";")[0]
    return kind in {"application/json", "text/json"} or kind.endswith("+json")


def _compare_content(payload: Payload, media_type: str, old: Part, new: Part) -> None:
    if _is_json(media_type):
        payload.pair.add_other_keys(payload.place, {"schema", "encoding"}, old, new)
        compare_schemas(payload, old.get("schema", True), new.get("schema", True))
    else:
        what = f"as {media_type} changed, but only JSON bodies are compared"
        payload.pair.add_undecided(payload.place, what, old, new)

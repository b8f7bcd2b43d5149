"""One schema that became another: what that means for requests, and for responses."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from scripts.compatibility.containment import HOLDS, UNKNOWN, contained, proved
from scripts.compatibility.findings import Change
from scripts.compatibility.operations import contents, has_default_style, is_json
from scripts.compatibility.schemas import aligned, close, is_ambiguous, view
from scripts.compatibility.values import Carrier, brief, canonical_json, explain, is_mapping

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scripts.compatibility.containment import Proof
    from scripts.compatibility.operations import Pair
    from scripts.compatibility.schemas import Closed, Schema

BODY = Carrier("body")
HIDDEN = {"request": "readOnly", "response": "writeOnly"}
CONTENT = {"schema", "encoding"}
WORDS = {*("tags", "operationId", "externalDocs", "examples", "example", "description", "summary")}
SHOWN = 3  # changed keywords in one line


@dataclass(frozen=True)
class Payload:
    """A value of an operation: where it is, how it travels, and how a message with it is shown."""

    pair: Pair
    place: str
    carrier: Carrier
    show: Callable[[Any], list[str]] | None = None  # in a request; None in a response
    status: str = ""  # of the response

    @property
    def side(self) -> str:
        """Return `request` or `response`."""
        return "request" if self.show else "response"


def compare_schemas(payload: Payload, old: Any, new: Any) -> None:
    """Compare the schemas: requests must stay valid, responses must stay documented."""
    pair = payload.pair
    base = close(pair.base.contract, old, payload.place)
    head = close(pair.head.contract, new, payload.place)
    if base.text == head.text and base.marks == head.marks:
        return
    changes = list(explain(base.schema, head.schema))
    sent, received = (base, head) if payload.show else (head, base)
    for field, proof, is_same in _proofs(sent, received, payload):
        place = f"{payload.place}, field {field}" if field else payload.place
        details = _described(changes, field)
        _add(replace(payload, place=place), proof, details, [base.text, head.text], is_same=is_same)
    _compare_marks(payload, base, head)


def _proofs(sent: Closed, received: Closed, payload: Payload) -> Iterator[tuple[str, Proof, bool]]:
    """Yield for each field that differs whether it is contained, and whether it is the same."""
    hidden = HIDDEN[payload.side]
    schemas = [sent.schema, received.schema]
    if sent.opaque or received.opaque or is_ambiguous(schemas, hidden):
        if sent.text != received.text:
            yield "", UNKNOWN, False
        return
    small, large = aligned(
        view(sent.schema, hidden, sending=True), view(received.schema, hidden, sending=False)
    )
    examples = (*sent.examples, *received.examples)
    found = {
        field: contained(small, step, payload.carrier, examples)
        for field, step in steps(small, large).items()
    }
    is_open = any(proof.holds is None for proof in found.values())
    if is_open and contained(small, large, payload.carrier, examples).holds:
        found = dict.fromkeys(found, HOLDS)
    small, large = aligned(
        view(received.schema, hidden, sending=True), view(sent.schema, hidden, sending=False)
    )
    back = {
        field: proved(small, step, payload.carrier) for field, step in steps(small, large).items()
    }
    for field in dict.fromkeys((*found, *back)):
        yield field, found.get(field, HOLDS), back.get(field, True)


def steps(small: Schema, large: Schema) -> dict[str, Schema]:
    """Return `small` with one field as `large` has it, for each field that differs.

    If `small` is contained in each step, it is contained in `large`: a step is an object whose
    other rules are all the same. Where other rules differ, the only step is `large` itself.
    """
    if canonical_json(small) == canonical_json(large):
        return {}
    return dict(_steps(small, large, ""))


def _steps(small: Schema, large: Schema, where: str) -> Iterator[tuple[str, Schema]]:
    if not (is_mapping(small) and is_mapping(large)) or _rules(small) != _rules(large):
        yield where, large
        return
    before: dict[str, Any] = small["properties"]
    after: dict[str, Any] = large["properties"]
    for name in dict.fromkeys((*before, *after)):
        place = f"{where}.{name}".lstrip(".")
        if name not in after:
            rest = {other: schema for other, schema in before.items() if other != name}
            yield place, {**small, "properties": rest}
        elif name not in before:
            yield place, {**small, "properties": {**before, name: after[name]}}
        elif canonical_json(before[name]) != canonical_json(after[name]):
            for inner, schema in _steps(before[name], after[name], place):
                yield inner, {**small, "properties": {**before, name: schema}}


def _rules(schema: dict[str, Any]) -> str:
    """Return everything but the fields; nothing equals it if there are none."""
    if "properties" not in schema:
        return str(id(schema))
    return canonical_json({key: value for key, value in schema.items() if key != "properties"})


def _described(changes: list[str], field: str) -> str:
    """Return the changed keywords of a field, for people: ` (maxLength: 255 → 100)`."""
    found = changes
    if field:
        found = [change for change in changes if change.startswith((f"{field}.", f"{field}:"))]
        found = [change.removeprefix(field).lstrip(".: ") for change in found]
    more = f"; and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return f" ({'; '.join(found[:SHOWN])}{more})" if found else ""


def _add(payload: Payload, proof: Proof, details: str, sides: list[str], *, is_same: bool) -> None:
    pair = payload.pair
    is_request = payload.show is not None
    change = Change.ADDITION
    what = "accepts more" if is_request else "promises more"
    shown: tuple[str, ...] = ()
    if proof.holds and is_same:
        return
    if proof.holds is None:
        change = Change.UNDECIDED
        what = "may refuse valid values" if is_request else "may be an undocumented value"
        what += " (not proved)"
    elif not proof.holds and payload.show:
        change = Change.BREAKING
        what = "refuses values that were valid"
        shown = pair.shown(pair.base.name, *payload.show(proof.witness))
    elif not proof.holds:
        change = Change.BREAKING
        what = "may be a value that was not documented"
        shown = pair.shown_response(payload.status, brief(proof.witness))
    more = {"witness": proof.witness, "shown": shown}
    pair.findings.add(change, payload.place, what + details, *sides, **more)


def _compare_marks(payload: Payload, base: Closed, head: Closed) -> None:
    """Compare the annotations of parts that both schemas have."""
    both = base.places & head.places
    for where, keyword in sorted(base.marks.keys() | head.marks.keys()):
        old = sorted(set(base.marks.get((where, keyword), [])))
        new = sorted(set(head.marks.get((where, keyword), [])))
        change = _weight(keyword, payload.side, old, new)
        if where in both and old != new and change:
            place = f"{where.lstrip('.')}.{keyword}".lstrip(".")
            what = f"{place}: {', '.join(old) or 'none'} → {', '.join(new) or 'none'}"
            payload.pair.findings.add(change, payload.place, what, old, new)


def _weight(keyword: str, side: str, old: list[str], new: list[str]) -> Change:
    """Return what a changed annotation means; containment has judged fields that are not sent."""
    if keyword == "deprecated":
        return Change.ADDITION if new else Change.WORDS
    if keyword in {"readOnly", "writeOnly"}:
        if keyword != HIDDEN[side]:
            return Change.NONE
        if side == "request":
            return Change.UNDECIDED if new else Change.ADDITION
        return Change.UNDECIDED if old else Change.NONE
    if keyword in {"default", "x-left-open"} and not old:
        return Change.ADDITION
    return Change.UNDECIDED


def compare_texts(payload: Payload, old: dict[str, Any], new: dict[str, Any]) -> None:
    """Compare a parameter or header in both contracts, in its default style."""
    pair = payload.pair
    if all(has_default_style(payload.carrier.where, side) for side in (old, new)):
        compare_schemas(payload, old.get("schema", True), new.get("schema", True))
        return
    _not_compared(pair, payload.place, "changed, and its style is not compared", old, new)


def compare_contents(payload: Payload, old: dict[str, Any], new: dict[str, Any]) -> None:
    """Compare the media types of a body, and the JSON of those that both contracts have."""
    pair = payload.pair
    before = contents(old)
    after = contents(new)
    sides = sorted(before), sorted(after)
    for name in dict.fromkeys((*before, *after)):
        if name in before and name in after:
            _compare_content(payload, name, before[name], after[name])
        elif any("*" in other for other in (*before, *after)):
            what = "has another range of media types, which is not compared"
            pair.findings.undecided(payload.place, what, *sides)
        elif name in before:
            header = "Content-Type" if payload.show else "Accept"
            shown = pair.shown(pair.base.name, f"{header}: {name}")
            what = f"is no longer {name}"
            pair.findings.add(Change.BREAKING, payload.place, what, *sides, shown=shown)
        elif payload.show:
            pair.findings.add(Change.ADDITION, payload.place, f"may also be {name}", *sides)
        else:
            shown = pair.shown_response(payload.status, f"Content-Type: {name}")
            what = f"may be {name}, which was not documented"
            pair.findings.add(Change.BREAKING, payload.place, what, *sides, shown=shown)


def _compare_content(
    payload: Payload, media_type: str, old: dict[str, Any], new: dict[str, Any]
) -> None:
    pair = payload.pair
    if is_json(media_type):
        leftovers(pair, payload.place, CONTENT, old, new)
        compare_schemas(payload, old.get("schema", True), new.get("schema", True))
    else:
        what = f"as {media_type} changed, and only JSON is compared"
        _not_compared(pair, payload.place, what, old, new)


def leftovers(
    pair: Pair, place: str, known: set[str], old: dict[str, Any], new: dict[str, Any]
) -> None:
    """Add what no rule compares as undecided if it changed; an empty part counts as absent."""
    for key in sorted((old.keys() | new.keys()) - known - WORDS):
        if not key.startswith("x-"):
            what = f"{key} changed, and is not compared"
            _not_compared(pair, place, what, old.get(key), new.get(key))


def _not_compared(pair: Pair, place: str, what: str, old: Any, new: Any) -> None:
    before = pair.base.contract.inlined(old) or None
    after = pair.head.contract.inlined(new) or None
    pair.findings.undecided(place, what, before, after)

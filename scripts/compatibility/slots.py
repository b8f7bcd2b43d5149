"""One schema that became another: what that means for requests, and what for answers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from scripts.compatibility.containment import contained
from scripts.compatibility.domains import Domain
from scripts.compatibility.findings import Change, Findings, told
from scripts.compatibility.schemas import close
from scripts.compatibility.shapes import is_mapping
from scripts.compatibility.spelling import brief, changes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scripts.compatibility.operations import Operation
    from scripts.compatibility.schemas import Closed, Schema

BODY = Domain("body")
# Marks that say nothing to the one who sends, or to the one who receives.
IDLE = {"request": {"writeOnly"}, "answer": {"readOnly"}}


@dataclass
class Pair:
    """An operation in both contracts, and where its findings go."""

    base: Operation
    head: Operation
    findings: Findings

    @property
    def name(self) -> str:
        """As callers of the base know it."""
        return self.base.name

    def place(self, part: str) -> str:
        """The name of a part of it."""
        return f"{self.name}, {part}"

    def versions(self) -> tuple[str, str]:
        """Of the base and of the head; told apart where they are the same."""
        old, new = (each.references.contract.version for each in (self.base, self.head))
        return old, new if new != old else f"the new {new}"


@dataclass(frozen=True)
class Slot:
    """A place for a value in the requests of a pair, and how a request with a value is shown."""

    pair: Pair
    place: str
    domain: Domain
    show: Callable[[Any], list[str]]


def request_schema(slot: Slot, old: Any, new: Any) -> None:
    """Whatever was valid must be valid still."""
    pair = slot.pair
    base, head = close(pair.base.references, old), close(pair.head.references, new)
    for field, part in parts(base, head):
        _request(replace(slot, place=slot.place + field), base, part)
    _marks(pair, slot.place, base, head, "request")


def _request(slot: Slot, base: Closed, head: Closed) -> None:
    pair, place = slot.pair, slot.place
    changed = changes(base.schema, head.schema, place.rpartition(", field ")[2])
    proof = contained(base, head, slot.domain)
    sides = (base.text, head.text)
    if proof.holds is False:
        old, new = pair.versions()
        said = f"This request was valid in {old}, {new} {refusal(pair.head)}:"
        pair.findings.add(
            Change.BREAKING,
            place,
            f"refuses what was valid{changed}",
            witness=proof.witness,
            shown=(said, *slot.show(proof.witness)),
            sides=sides,
        )
    elif proof.holds is None:
        what = f"may refuse what was valid{changed}"
        pair.findings.add(Change.UNDECIDED, place, what, sides=sides)
    elif not contained(head, base, slot.domain).holds:
        pair.findings.add(Change.ADDITION, place, f"takes more than before{changed}", sides=sides)


def answer_schema(pair: Pair, place: str, old: Any, new: Any, domain: Domain = BODY) -> None:
    """Whatever may be answered now must have been told of before."""
    base, head = close(pair.base.references, old), close(pair.head.references, new)
    for field, part in parts(base, head):
        _answer(pair, place + field, base, part, domain)
    _marks(pair, place, base, head, "answer")


def _answer(pair: Pair, place: str, base: Closed, head: Closed, domain: Domain) -> None:
    versions = pair.versions()
    changed = changes(base.schema, head.schema, place.rpartition(", field ")[2])
    proof = contained(head, base, domain)
    sides = (base.text, head.text)
    if proof.holds is False:
        said = f"{versions[1]} may answer this, {versions[0]} never told of it:"
        what = f"may be what nobody was told of{changed}"
        shown = (said[0].upper() + said[1:], brief(proof.witness))
        pair.findings.add(
            Change.BREAKING, place, what, witness=proof.witness, shown=shown, sides=sides
        )
    elif proof.holds is None:
        what = f"may be what nobody was told of, which is not proved{changed}"
        pair.findings.add(Change.UNDECIDED, place, what, sides=sides)
    elif not contained(base, head, domain).holds:
        pair.findings.add(
            Change.ADDITION, place, f"promises more than before{changed}", sides=sides
        )


def parts(base: Closed, head: Closed) -> list[tuple[str, Closed]]:
    """One step from base to head for each field that changed, where nothing else did; else one.

    An object whose rules differ in single fields only admits what each of these steps admits.
    """
    if base.text == head.text:
        return []
    if base.opaque or head.opaque:
        return [("", head)]
    steps = list(_steps(base.schema, head.schema, ""))
    if len(steps) == 1 and not steps[0][0]:
        return [("", head)]
    return [(f", field {where}", replace(head, schema=schema)) for where, schema in steps]


def _steps(old: Schema, new: Schema, where: str) -> Iterator[tuple[str, Schema]]:
    """Each schema that is the old one but for one field."""
    if not (is_mapping(old) and is_mapping(new)) or _rules(old) != _rules(new):
        yield where, new
        return
    before, after = old.get("properties", {}), new.get("properties", {})
    for name in dict.fromkeys((*before, *after)):
        if name not in after or name not in before:
            kept = {key: each for key, each in before.items() if key != name}
            added = {name: after[name]} if name in after else {}
            yield f"{where}.{name}".lstrip("."), {**old, "properties": {**kept, **added}}
        elif told(before[name]) != told(after[name]):
            for inner, schema in _steps(before[name], after[name], f"{where}.{name}".lstrip(".")):
                yield inner, {**old, "properties": {**before, name: schema}}


def _rules(schema: dict[str, Any]) -> str | None:
    """All but the fields of an object; nothing that is equal to itself where there are none."""
    if "properties" not in schema:
        return str(id(schema))
    return told({key: value for key, value in schema.items() if key != "properties"})


def refusal(operation: Operation) -> str:
    """How the operation says no to a request that is not valid."""
    for status in ("400", "422", "4XX", "default"):
        if status in operation.responses:
            return f"answers {status}" if status.isdigit() else "refuses it"
    return "refuses it"


def _marks(pair: Pair, place: str, base: Closed, head: Closed, side: str) -> None:
    """What annotates the parts that both have; what cannot be judged is undecided."""
    both = base.places & head.places
    for mark in sorted(base.marks.keys() | head.marks.keys()):
        where, keyword = mark
        old, new = base.marks.get(mark, []), head.marks.get(mark, [])
        if where in both and set(old) != set(new) and keyword not in IDLE[side]:
            what = f"{keyword} of {where.lstrip('.') or 'it'}: {_side(old)} → {_side(new)}"
            change = _weight(keyword, side, old, new)
            pair.findings.add(change, place, what, sides=(told(old), told(new)))


def _weight(keyword: str, side: str, old: list[str], new: list[str]) -> Change:
    if keyword == "deprecated":
        return Change.ADDITION if new else Change.WORDS
    if (keyword == "default" and not old) or (
        keyword == "readOnly" and side == "request" and not new
    ):
        return Change.ADDITION
    return Change.UNDECIDED


def _side(values: list[str]) -> str:
    return ", ".join(dict.fromkeys(values)) or "none"

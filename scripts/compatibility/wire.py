"""The rules of the wire: both contracts, operation by operation, and what is left over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scripts.compatibility.access import security, servers
from scripts.compatibility.answers import answers
from scripts.compatibility.findings import Change, Findings, told
from scripts.compatibility.inputs import body, parameters
from scripts.compatibility.operations import METHODS, operations
from scripts.compatibility.references import References
from scripts.compatibility.samples import request
from scripts.compatibility.slots import Pair

if TYPE_CHECKING:
    from scripts.compatibility.documents import Contract
    from scripts.compatibility.findings import Finding
    from scripts.compatibility.operations import Operation

RULED = {
    "operation": {"parameters", "requestBody", "responses", "servers", "security", "deprecated"},
    "item": {"parameters", "servers", *METHODS},
    "document": {"openapi", "info", "servers", "paths", "components", "security"},
}


def compare(base: Contract, head: Contract) -> list[Finding]:
    """What changed on the wire, words left out; raises CannotCompareError."""
    findings = Findings()
    before, after = operations(base), operations(head)
    for key, old in before.items():
        new = after.get(key)
        if new is None:
            _gone(findings, old, head)
        else:
            _pair(Pair(old, new, findings))
    for key in sorted(after.keys() - before.keys()):
        _new(findings, after[key], before)
    _leftovers(
        findings, "the contract", "document", [(each, each.document) for each in (base, head)]
    )
    return findings.merged()


def _pair(pair: Pair) -> None:
    for rule in (servers, security, parameters, body, answers):
        rule(pair)
    old, new = pair.base.raw, pair.head.raw
    if new.get("deprecated") and not old.get("deprecated"):
        pair.findings.add(Change.ADDITION, pair.name, "is deprecated now", sides=("", "deprecated"))
    sides = [each.references.contract for each in (pair.base, pair.head)]
    items = [pair.base.item, pair.head.item]
    _leftovers(pair.findings, pair.name, "operation", list(zip(sides, (old, new), strict=True)))
    _leftovers(pair.findings, pair.base.path, "item", list(zip(sides, items, strict=True)))


def _leftovers(
    findings: Findings, place: str, kind: str, sides: list[tuple[Contract, dict[str, Any]]]
) -> None:
    """What no rule understands, with what it refers to: it is undecided where that changed."""
    made = [
        {key: References(contract).inlined(part[key]) for key in part.keys() - RULED[kind]}
        for contract, part in sides
    ]
    findings.leftovers(place, RULED[kind], *made)


def _gone(findings: Findings, old: Operation, head: Contract) -> None:
    version = old.references.contract.version
    said = f"This request was valid in {version}, {head.version} knows no such operation:"
    shown = (said, *request(old))
    findings.add(Change.BREAKING, old.name, "is gone", shown=shown, sides=(told(old.raw), ""))


def _new(findings: Findings, new: Operation, before: dict[tuple[str, str], Operation]) -> None:
    hidden = [old.name for old in before.values() if _hides(new.path, old.path, before, new)]
    sides = ("", told(new.raw))
    if hidden:
        what = f"is new, and takes requests that {hidden[0]} took"
        findings.add(Change.UNDECIDED, new.name, what, sides=sides)
    else:
        findings.add(Change.ADDITION, new.name, "is new", sides=sides)


def _hides(new: str, old: str, before: dict[tuple[str, str], Operation], by: Operation) -> bool:
    """Whether a new path names a value of a parameter of an old one."""
    if any(key[0] == by.key[0] for key in before):
        return False
    parts = new.split("/"), old.split("/")
    return (
        len(parts[0]) == len(parts[1])
        and "{"
        not in "".join(
            part for part, other in zip(*parts, strict=True) if "{" not in other and part != other
        )
        and all(part == other or "{" in other for part, other in zip(*parts, strict=True))
    )

"""Compare two contracts: their operations, then the parts that no rule compares, then words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scripts.compatibility.access import addresses, compare_security, compare_servers
from scripts.compatibility.containment import Prover
from scripts.compatibility.findings import Change, Finding, Findings
from scripts.compatibility.messages import compare_body, compare_parameters, compare_responses
from scripts.compatibility.operations import METHODS, Operation, Pair, operations
from scripts.compatibility.values import explain, shortened

if TYPE_CHECKING:
    from scripts.compatibility.documents import Contract

# The keys that the rules compare.
OPERATION = {"parameters", "requestBody", "responses", "servers", "security"}
PATH_ITEM = {"parameters", "servers", *METHODS}
DOCUMENT = {
    *("openapi", "info", "servers", "paths", "components", "security", "jsonSchemaDialect"),
}
SHOWN = 3  # places shown on one line


def compare(base: Contract, head: Contract) -> list[Finding]:
    """Return what changed on the wire, and in words; raise CannotCompareError."""
    findings = Findings()
    prover = Prover()
    before = list(operations(base))
    after = list(operations(head))
    served = {new.key: addresses(new) for new in after}
    old_addresses = set().union(*map(addresses, before))
    new_addresses = set().union(*served.values())
    paired: set[tuple[str, str]] = set()
    for old in before:
        urls = addresses(old)
        matches = [new for new in after if urls & served[new.key]]
        matches = matches or [new for new in after if new.key == old.key]
        if not matches:
            shown = (f"Valid in {base.version}, removed in {head.version}:", old.name)
            findings.add(Change.BREAKING, old.name, "is removed", old.raw, shown=shown)
        for new in matches:
            paired.add(new.key)
            pair = Pair(old, new, findings, prover)
            compare_servers(pair, old_addresses, new_addresses)
            _compare_pair(pair)
    for new in after:
        if new.key not in paired:
            _add_operation(findings, new, before)
    old_whole = Operation(base, "", "", {}, base.document)
    new_whole = Operation(head, "", "", {}, head.document)
    pair = Pair(old_whole, new_whole, findings, prover)
    pair.add_other_keys("contract", DOCUMENT, base.document, head.document)
    return findings.merged() or _words(base, head)


def _compare_pair(pair: Pair) -> None:
    old = pair.base
    new = pair.head
    compare_security(pair)
    compare_parameters(pair)
    compare_body(pair)
    compare_responses(pair)
    pair.add_other_keys(old.name, OPERATION, old.raw, new.raw)
    pair.add_other_keys(old.path, PATH_ITEM, old.item, new.item)


def _add_operation(findings: Findings, new: Operation, before: list[Operation]) -> None:
    hidden = [old for old in before if _overlaps(new.key[0], old.key[0])]
    if hidden and new.key[0] not in {old.key[0] for old in before}:
        what = f"is new, and takes requests that {hidden[0].name} took"
        findings.add(Change.UNDECIDED, new.name, what, new=new.raw)
    else:
        findings.add(Change.ADDITION, new.name, "is new", new=new.raw)


def _overlaps(new_path: str, old_path: str) -> bool:
    """Return whether the new path, which may have parameters too, fits a parameter of the old."""
    new_parts = new_path.split("/")
    old_parts = old_path.split("/")
    if len(old_parts) != len(new_parts):
        return False
    changed = [(new, old) for new, old in zip(new_parts, old_parts, strict=True) if new != old]
    can_be_equal = all("{}" in new or "{}" in old for new, old in changed)
    return can_be_equal and any("{}" in old for _, old in changed)


def _words(base: Contract, head: Contract) -> list[Finding]:
    """Return the differences that no rule reports."""
    found = explain(base.document, head.document)
    places = [place for place in found if not place.startswith("info.version:")]
    if not places:
        return []
    what = f"only words differ, or the meaning is the same ({shortened(places, SHOWN, '; ')})"
    return [Finding(Change.WORDS, "contract", what)]

"""Compare two contracts: by operation, then the parts without a rule, then words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scripts.compatibility.access import addresses, compare_security, compare_servers
from scripts.compatibility.findings import Change, Finding, Findings
from scripts.compatibility.messages import compare_body, compare_parameters, compare_responses
from scripts.compatibility.operations import (
    METHODS,
    Operation,
    Pair,
    operations,
)
from scripts.compatibility.payloads import leftovers
from scripts.compatibility.values import explain

if TYPE_CHECKING:
    from scripts.compatibility.documents import Contract

# The keys that the rules compare.
OPERATION = {*("parameters", "requestBody", "responses", "servers", "security", "deprecated")}
PATH_ITEM = {"parameters", "servers", *METHODS}
DOCUMENT = {
    *("openapi", "info", "servers", "paths", "components", "security", "jsonSchemaDialect"),
}
SHOWN = 3  # places in one line


def compare(base: Contract, head: Contract) -> list[Finding]:
    """Return what changed on the wire, and in words; raise CannotCompareError."""
    findings = Findings()
    before = list(operations(base))
    after = list(operations(head))
    old_addresses = {address for operation in before for address in addresses(operation)}
    new_addresses = {address for operation in after for address in addresses(operation)}
    paired: set[tuple[str, str]] = set()
    for old in before:
        matches = _matches(old, after)
        if not matches:
            said = f"Valid in {base.version}, removed in {head.version}:"
            findings.add(Change.BREAKING, old.name, "is removed", old.raw, shown=(said, old.name))
        for new in matches:
            paired.add(new.key)
            pair = Pair(old, new, findings)
            compare_servers(pair, old_addresses, new_addresses)
            _compare_pair(pair)
    for new in after:
        if new.key not in paired:
            _add_operation(findings, new, before)
    contract = (
        Operation(base, "", "", {}, base.document),
        Operation(head, "", "", {}, head.document),
    )
    leftovers(Pair(*contract, findings), "contract", DOCUMENT, base.document, head.document)
    found = findings.merged()
    return found or _words(base, head)


def _matches(old: Operation, after: list[Operation]) -> list[Operation]:
    """Return the operations at the same URLs, else the one of the same path and method."""
    same = [new for new in after if addresses(new) & addresses(old)]
    return same or [new for new in after if new.key == old.key]


def _compare_pair(pair: Pair) -> None:
    for rule in (compare_security, compare_parameters, compare_body, compare_responses):
        rule(pair)
    old = pair.base
    new = pair.head
    if new.raw.get("deprecated") and not old.raw.get("deprecated"):
        pair.findings.add(Change.ADDITION, old.name, "is deprecated now")
    leftovers(pair, old.name, OPERATION, old.raw, new.raw)
    leftovers(pair, old.path, PATH_ITEM, old.item, new.item)


def _add_operation(findings: Findings, new: Operation, before: list[Operation]) -> None:
    hidden = [old.name for old in before if _hides(new, old, before)]
    if hidden:
        what = f"is new, and takes requests that {hidden[0]} took"
        findings.add(Change.UNDECIDED, new.name, what, new=new.raw)
    else:
        findings.add(Change.ADDITION, new.name, "is new", new=new.raw)


def _hides(new: Operation, old: Operation, before: list[Operation]) -> bool:
    """Return whether a new path may also be a value of a parameter in an old path."""
    if any(known.key[0] == new.key[0] for known in before):
        return False
    before_parts = old.key[0].split("/")
    after_parts = new.key[0].split("/")
    if len(before_parts) != len(after_parts):
        return False
    pairs = [pair for pair in zip(before_parts, after_parts, strict=True) if pair[0] != pair[1]]
    may_be_equal = all("{}" in old_part or "{}" in new_part for old_part, new_part in pairs)
    return may_be_equal and any("{}" in old_part for old_part, _ in pairs)


def _words(base: Contract, head: Contract) -> list[Finding]:
    """Return where the contracts differ, if no rule says that it matters."""
    found = explain(base.document, head.document)
    places = [place for place in found if not place.startswith("info.version:")]
    if not places:
        return []
    more = f"; and {len(places) - SHOWN} more" if len(places) > SHOWN else ""
    places_shown = "; ".join(places[:SHOWN])
    what = f"only words differ, or the meaning is the same ({places_shown}{more})"
    return [Finding(Change.WORDS, "contract", what)]

"""Rules for responses: every response that is possible now was documented before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scripts.compatibility.carriers import Carrier
from scripts.compatibility.findings import Change
from scripts.compatibility.operations import contents, status_pairs
from scripts.compatibility.payloads import (
    BODY,
    Payload,
    compare_content,
    compare_texts,
    leftovers,
)

if TYPE_CHECKING:
    from scripts.compatibility.operations import Pair

Response = dict[str, Any]
# The keys that the rules below compare.
RESPONSE = {"headers", "content"}
HEADER = {"required", "schema", "explode", "style", "content", "deprecated"}


def compare_responses(pair: Pair) -> None:
    """Compare every status that either contract documents."""
    before = pair.base.responses
    after = pair.head.responses
    pairs = status_pairs(before, after)
    successes = [new for (_, new), status in pairs.items() if status.startswith("2")]
    for (old_status, new_status), status in pairs.items():
        place = pair.place(f"response {new_status or old_status}")
        if old_status is None:
            what = f"is new: {pair.base.contract.version} does not document it"
            pair.findings.add(Change.BREAKING, place, what, new=after[new_status])
        elif new_status is not None:
            _compare_response(pair, place, before[old_status], after[new_status])
        elif status.startswith("2") and not any(successes):
            what = "is removed, and no success is left"
            pair.findings.add(Change.BREAKING, place, what, old=old_status)
        else:
            what = "is not returned any more"
            pair.findings.add(Change.ADDITION, place, what, old=old_status, removed=True)


def _compare_response(pair: Pair, place: str, old: Response, new: Response) -> None:
    leftovers(pair, place, RESPONSE, old, new)
    _compare_headers(pair, place, old, new)
    before = contents(old)
    after = contents(new)
    sides = sorted(before), sorted(after)
    for name in dict.fromkeys((*before, *after)):
        if name in before and name in after:
            payload = Payload(pair, f"{place}, body", BODY)
            compare_content(payload, name, before[name], after[name])
        elif any("*" in other for other in (*before, *after)):
            what = "has another range of media types, which is not compared"
            pair.findings.undecided(place, what, *sides)
        elif name in before:
            pair.findings.add(Change.BREAKING, place, f"is not {name} any more", *sides)
        else:
            what = f"may be {name}, which was not documented"
            pair.findings.add(Change.BREAKING, place, what, *sides)


def _compare_headers(pair: Pair, place: str, old: Response, new: Response) -> None:
    before = _headers(pair.base.contract.follow(old.get("headers")))
    after = _headers(pair.head.contract.follow(new.get("headers")))
    for key in sorted(before.keys() | after.keys()):
        name = (after.get(key) or before[key])[0]
        where = f"{place}, header {name}"
        if key not in before:
            header = after[key][1]
            pair.findings.add(Change.ADDITION, where, "is new", new=header)
            continue
        header = pair.base.contract.follow(before[key][1])
        if key in after:
            _compare_header(pair, where, header, pair.head.contract.follow(after[key][1]))
        elif header.get("required"):
            pair.findings.add(Change.BREAKING, where, "is removed", old=header)
        else:
            pair.findings.undecided(where, "is removed; it was optional", header, None)


def _headers(stated: dict[str, Any]) -> dict[str, tuple[str, Any]]:
    """Return name and header by the name in lower case; OpenAPI ignores Content-Type here."""
    named = {name.lower(): (name, header) for name, header in stated.items()}
    named.pop("content-type", None)
    return named


def _compare_header(pair: Pair, place: str, old: Response, new: Response) -> None:
    leftovers(pair, place, HEADER, old, new)
    if old.get("required") and not new.get("required"):
        pair.findings.add(Change.BREAKING, place, "may be missing now", old, new)
    if new.get("required") and not old.get("required"):
        pair.findings.add(Change.ADDITION, place, "is always present now", old, new)
    compare_texts(Payload(pair, place, Carrier("header")), old, new)

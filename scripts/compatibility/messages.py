"""Rules for messages: valid requests stay valid, and every response was documented."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from scripts.compatibility.findings import Change
from scripts.compatibility.operations import status_pairs
from scripts.compatibility.payloads import (
    BODY,
    Payload,
    compare_contents,
    compare_texts,
    leftovers,
)
from scripts.compatibility.values import Carrier, brief, is_list, text

if TYPE_CHECKING:
    from scripts.compatibility.operations import Operation, Pair

LIMIT = "x-max-bytes"
ITEMS = 12  # of a list in one line
LONGEST = 80  # characters of a parameter in one line
# The keys that the rules below compare.
PARAMETER = {*("name", "in", "required", "deprecated", "schema", "content", "style", "explode")}
REQUEST_BODY = {"required", "content"}
Response = dict[str, Any]
RESPONSE = {"headers", "content"}
HEADER = {"required", "schema", "explode", "style", "content", "deprecated"}


def compare_parameters(pair: Pair) -> None:
    """Compare the parameters of an operation."""
    before = pair.base.parameters
    after = pair.head.parameters
    for key in sorted(before.keys() | after.keys()):
        old = before.get(key)
        new = after.get(key)
        name = f"{key[0]} parameter {(old or new or {}).get('name')}"
        _compare_presence(pair, name, old, new)
        if old is not None and new is not None:
            _compare_parameter(pair, name, Carrier(key[0]), old, new)


def _compare_presence(
    pair: Pair, part: str, old: dict[str, Any] | None, new: dict[str, Any] | None
) -> None:
    """Compare whether a parameter or body exists, and whether it is required."""
    place = pair.place(part)
    without = (pair.base.name, f"without {part}")
    if new is None:
        shown = pair.shown(pair.base.name, f"with {part}")
        pair.findings.add(Change.BREAKING, place, "is removed", old, new, shown=shown)
    elif new.get("required") and not (old or {}).get("required"):
        what = "is required now" if old else "is new and required"
        shown = pair.shown(*without)
        pair.findings.add(Change.BREAKING, place, what, old, new, shown=shown)
    elif old is None:
        pair.findings.add(Change.ADDITION, place, "is new and optional", old, new)
    elif old.get("required") and not new.get("required"):
        pair.findings.add(Change.ADDITION, place, "is optional now", old, new)


def _compare_parameter(
    pair: Pair, part: str, carrier: Carrier, old: dict[str, Any], new: dict[str, Any]
) -> None:
    name = str(old.get("name"))
    place = pair.place(part)
    if new.get("deprecated") and not old.get("deprecated"):
        pair.findings.add(Change.ADDITION, place, "is deprecated now", old, new)
    leftovers(pair, place, PARAMETER, old, new)
    payload = Payload(pair, place, carrier, lambda value: [_shown(carrier, name, value)])
    compare_texts(payload, old, new)


def _shown(carrier: Carrier, name: str, value: Any) -> str:
    """Return a parameter as it is sent."""
    values = value if is_list(value) else [value]
    items = [quote(text(item), safe=" ") for item in values[:ITEMS]]
    items = [item if len(item) <= LONGEST else f"{item[:20]}…({len(item)})" for item in items]
    if len(values) > ITEMS:
        items.append(f"… ({len(values)} items)")
    if carrier.where == "query":
        return "?" + "&".join(f"{name}={item}" for item in items)
    separator = ": " if carrier.where == "header" else "="
    return f"{carrier.where} {name}{separator}{','.join(items)}"


def compare_body(pair: Pair) -> None:
    """Compare the request body: whether it exists, whether it is required, and what it is."""
    old = pair.base.body
    new = pair.head.body
    if old is None and new is None:
        return
    _compare_presence(pair, "body", old, new)
    if old is None or new is None:
        return
    leftovers(pair, pair.place("body"), REQUEST_BODY, old, new)
    _compare_limit(pair, old.get(LIMIT), new.get(LIMIT))
    compare_contents(
        Payload(pair, pair.place("body"), BODY, lambda value: [brief(value)]), old, new
    )


def _compare_limit(pair: Pair, old: Any, new: Any) -> None:
    """Compare x-max-bytes, the largest body in bytes."""
    if old == new:
        return
    place = pair.place("body")
    change = f"{LIMIT}: {old or 'none'} → {new or 'none'}"
    if new is None or (old is not None and new > old):
        pair.findings.add(Change.ADDITION, place, f"may be larger ({change})", old, new)
    else:
        shown = pair.shown(pair.base.name, f"with a body of {new + 1} bytes")
        what = f"must be smaller ({change})"
        pair.findings.add(Change.BREAKING, place, what, old, new, shown=shown)


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
            shown = pair.shown_response(status)
            pair.findings.add(Change.BREAKING, place, what, new=after[new_status], shown=shown)
        elif new_status is not None:
            _Response(pair, place, status).compare(before[old_status], after[new_status])
        elif status.startswith("2") and not any(successes):
            what = "is removed, and no success is left"
            shown = (f"Impossible in {pair.versions[1]}:", f"{pair.base.name} → {status}")
            pair.findings.add(Change.BREAKING, place, what, old=old_status, shown=shown)
        else:
            what = "is no longer returned"
            pair.findings.add(Change.ADDITION, place, what, old=old_status, removed=True)


@dataclass(frozen=True)
class _Response:
    """One status in both contracts."""

    pair: Pair
    place: str
    status: str

    def compare(self, old: Response, new: Response) -> None:
        """Compare headers and bodies."""
        pair = self.pair
        leftovers(pair, self.place, RESPONSE, old, new)
        self.compare_headers(old, new)
        compare_contents(Payload(pair, f"{self.place}, body", BODY, status=self.status), old, new)

    def compare_headers(self, old: Response, new: Response) -> None:
        """Compare each header that either contract documents."""
        findings = self.pair.findings
        before = _headers(self.pair.base, old)
        after = _headers(self.pair.head, new)
        for key in sorted(before.keys() | after.keys()):
            name, new_header = after.get(key, ("", None))
            old_name, old_header = before.get(key, ("", None))
            place = f"{self.place}, header {name or old_name}"
            shown = self.pair.shown_response(self.status, f"without header {old_name}")
            if old_header is None:
                findings.add(Change.ADDITION, place, "is new", new=new_header)
            elif new_header is not None:
                self.compare_header(place, old_header, new_header, shown)
            elif old_header.get("required"):
                findings.add(Change.BREAKING, place, "is removed", old=old_header, shown=shown)
            else:
                findings.undecided(place, "is removed; it was optional", old_header, None)

    def compare_header(
        self, place: str, old: Response, new: Response, shown: tuple[str, ...]
    ) -> None:
        """Compare a header that both contracts document."""
        findings = self.pair.findings
        leftovers(self.pair, place, HEADER, old, new)
        if old.get("required") and not new.get("required"):
            findings.add(Change.BREAKING, place, "may be missing now", old, new, shown=shown)
        if new.get("required") and not old.get("required"):
            findings.add(Change.ADDITION, place, "is always present now", old, new)
        compare_texts(Payload(self.pair, place, Carrier("header"), status=self.status), old, new)


def _headers(operation: Operation, response: Response) -> dict[str, tuple[str, Response]]:
    """Return name and header by the name in lower case; OpenAPI ignores Content-Type here."""
    follow = operation.contract.follow
    stated = follow(response.get("headers"))
    named = {name.lower(): (name, follow(header)) for name, header in stated.items()}
    named.pop("content-type", None)
    return named

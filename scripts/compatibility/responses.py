"""Rules for responses: every response that is possible now was documented before."""

from __future__ import annotations

from dataclasses import dataclass
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
    from scripts.compatibility.operations import Operation, Pair

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
            shown = pair.shown_response(status)
            pair.findings.add(Change.BREAKING, place, what, new=after[new_status], shown=shown)
        elif new_status is not None:
            _Response(pair, place, status).compare(before[old_status], after[new_status])
        elif status.startswith("2") and not any(successes):
            what = "is removed, and no success is left"
            shown = (f"Impossible in {pair.versions[1]}:", f"{pair.base.name} → {status}")
            pair.findings.add(Change.BREAKING, place, what, old=old_status, shown=shown)
        else:
            what = "is not returned any more"
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
        before = contents(old)
        after = contents(new)
        sides = sorted(before), sorted(after)
        for name in dict.fromkeys((*before, *after)):
            if name in before and name in after:
                payload = Payload(pair, f"{self.place}, body", BODY, status=self.status)
                compare_content(payload, name, before[name], after[name])
            elif any("*" in other for other in (*before, *after)):
                what = "has another range of media types, which is not compared"
                pair.findings.undecided(self.place, what, *sides)
            elif name in before:
                what = f"is not {name} any more"
                shown = pair.shown(pair.base.name, f"Accept: {name}")
                pair.findings.add(Change.BREAKING, self.place, what, *sides, shown=shown)
            else:
                what = f"may be {name}, which was not documented"
                shown = pair.shown_response(self.status, f"Content-Type: {name}")
                pair.findings.add(Change.BREAKING, self.place, what, *sides, shown=shown)

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

"""Rules for requests: every request that was valid stays valid."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from scripts.compatibility.carriers import Carrier, text
from scripts.compatibility.findings import Change
from scripts.compatibility.json_values import brief, is_list
from scripts.compatibility.operations import contents, is_json
from scripts.compatibility.payloads import (
    BODY,
    Payload,
    compare_content,
    compare_texts,
    leftovers,
)

if TYPE_CHECKING:
    from scripts.compatibility.operations import Pair

LIMIT = "x-max-bytes"
ITEMS = 12  # of a list in one line
LONGEST = 80  # characters of a parameter in one line
# The keys that the rules below compare.
PARAMETER = {*("name", "in", "required", "deprecated", "schema", "content", "style", "explode")}
REQUEST_BODY = {"required", "content"}


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
    before = contents(old)
    after = contents(new)
    for name in dict.fromkeys((*before, *after)):
        place = pair.place("body" if is_json(name) else f"body as {name}")
        if name in before and name in after:
            payload = Payload(pair, place, BODY, lambda value: [brief(value)])
            compare_content(payload, name, before[name], after[name])
        elif any("*" in other for other in (*before, *after)):
            what = "has another range of media types, which is not compared"
            pair.findings.undecided(place, what, sorted(before), sorted(after))
        elif name in before:
            shown = pair.shown(pair.base.name, f"Content-Type: {name}")
            what = f"is not accepted as {name} any more"
            sides = sorted(before), sorted(after)
            pair.findings.add(Change.BREAKING, place, what, *sides, shown=shown)
        else:
            what = f"is also accepted as {name}"
            pair.findings.add(Change.ADDITION, place, what, sorted(before), sorted(after))


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

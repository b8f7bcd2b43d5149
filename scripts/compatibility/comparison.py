"""Compare two contracts: their operations, slot by slot, and then all other keys."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from scripts.compatibility.findings import BODY, Change, Finding, Pair, merged
from scripts.compatibility.operations import operations
from scripts.compatibility.schema_changes import compare_schemas
from scripts.compatibility.text import explain, shortened

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scripts.compatibility.documents import Contract
    from scripts.compatibility.operations import Credentials, Key, Operation, Slot

RANGES = {"1XX", "2XX", "3XX", "4XX", "5XX"}
FIXED = re.compile(r"\w+://[^{]*")  # matches absolute URLs without variables
# For each kind of slot, the changes that break clients. All other changes are additions.
BREAKING = {
    "sent": {"is new and required", "is now required", "is removed"},
    "sent content": {"is removed"},
    "header": {"is removed", "is now optional"},
    "content": {"is new", "is removed"},
    "status": {"is new"},
}


def compare(base: Contract, head: Contract) -> list[Finding]:
    """Return the changes to requests and responses.

    If requests and responses are unchanged, return the changes to the documentation. Raise
    CannotCompareError if a contract is invalid.
    """
    whole = Pair(base, head, [], "", "contract")
    before = list(operations(base))
    after = list(operations(head))
    served = {address for old in before for address in old.addresses}
    serving = {address for new in after for address in new.addresses}
    added = list(after)
    for old in before:
        pair = replace(whole, operation=old.name, place=old.name)
        same_url = [new for new in after if new.addresses.keys() & old.addresses.keys()]
        matches = same_url or [new for new in after if new.key == old.key]
        for new in matches:
            own = old.has_own_servers or new.has_own_servers
            servers = pair.at("servers") if own else replace(pair, place="servers")
            _compare_servers(servers, old, new, served, serving)
            _compare_security(pair.at("security"), old, new)
            _compare_slots(pair, old.slot, new.slot)
        if not matches:
            _compare_presence(pair, old.name, old.slot, None)
        added = [new for new in added if new not in matches]
    for new in added:
        _add_operation(replace(whole, place=new.name), new, before)
    whole.add_others(base.api, head.api)
    return merged(whole.findings) or _wording_changes(base, head)


def _add_operation(pair: Pair, new: Operation, before: list[Operation]) -> None:
    path, _ = new.key
    hidden = [old for old in before if _hides(path, old.key[0])]
    change = Change.ADDITION
    what = "is new"
    if hidden and path not in {old.key[0] for old in before}:
        change = Change.UNDECIDED
        what = f"is new, and its path matches URLs of {hidden[0].name}"
    pair.add(change, what, None, new.slot.part)


def _hides(new_path: str, old_path: str) -> bool:
    """Return whether a URL can match both paths because of a parameter in the old path."""
    new_parts = new_path.split("/")
    old_parts = old_path.split("/")
    pairs = [(new, old) for new, old in zip(new_parts, old_parts, strict=False) if new != old]
    can_match = len(new_parts) == len(old_parts) and all("{}" in new + old for new, old in pairs)
    return can_match and any("{}" in old for _, old in pairs)


def _wording_changes(base: Contract, head: Contract) -> list[Finding]:
    found = explain(base.document, head.document)
    places = [place for place in found if not place.startswith("info.version:")]
    if not places:
        return []
    what = f"only the wording differs, or the meaning is the same ({shortened(places, '; ')})"
    return [Finding(Change.WORDS, "contract", what)]


def _compare_slots(pair: Pair, old: Slot, new: Slot) -> None:
    """Report the changes to a slot that both contracts contain, and to the slots inside it."""
    pair.add_others(old.other, new.other)
    if old.schema is not None and new.schema is not None:
        compare_schemas(pair, old.schema, new.schema, old.label)
    keys = dict.fromkeys((*old.slots, *new.slots))
    names = {name for _, name in keys}
    for key in keys:
        location, name = key
        if name == "default" and names >= RANGES:
            continue  # no status is left that `default` could cover
        before = _find(old.slots, key)
        after = _find(new.slots, key)
        inner = _at_slot(pair, key, before or after)
        if location == "media type" and "*" in "".join(names) and not (before and after):
            what = "changed, but media type ranges are not compared"
            inner.at(name).add(Change.UNDECIDED, what, bool(before), bool(after))
        elif after is None and _can_succeed([key]) and not _can_succeed(new.slots):
            what = "is removed, and no successful status remains"
            request = replace(inner, status="")
            request.add(Change.BREAKING, what, name, None, f"expecting {name}")
        else:
            _compare_presence(inner, name, before, after)
        if before and after:
            _compare_slots(inner, before, after)


def _at_slot(pair: Pair, key: Key, slot: Slot | None) -> Pair:
    """Return the pair for the slot that the key identifies."""
    assert slot is not None  # noqa: S101 # at least one contract contains the slot
    location, name = key
    if location == "response":
        return pair.at(f"response {name}", status=name)
    if slot.kind == "sent content":
        return pair
    return pair.at(slot.label, location=BODY if slot.label == BODY else location)


def _find(slots: dict[Key, Slot], key: Key) -> Slot | None:
    """Return the slot for the key. A status can also be covered by a range or by `default`."""
    location, name = key
    names = (name, f"{name[:1]}XX", "default") if location == "response" else (name,)
    return next((slots[location, name] for name in names if (location, name) in slots), None)


def _can_succeed(keys: Iterable[Key]) -> bool:
    """Return whether one of the keys belongs to a response that can have a 2xx status."""
    names = [name for location, name in keys if location == "response"]
    return any(name.startswith("2") or name == "default" for name in names)


def _compare_presence(pair: Pair, name: str, old: Slot | None, new: Slot | None) -> None:
    """Report a slot that was added, removed, made required or made optional."""
    slot = old or new
    if slot is None or (old and new and old.required == new.required):
        return
    is_required = bool(new and new.required)
    what = "is now required" if is_required else "is now optional"
    if old is None:
        what = "is new and required" if is_required else "is new"
    elif new is None:
        what = "is removed"
    change = Change.BREAKING if what in BREAKING[slot.kind] else Change.ADDITION
    if slot.kind == "header" and new is None and not slot.required:
        change = Change.UNDECIDED
    shown = f"without {slot.label}" if is_required or pair.status else f"with {slot.label}"
    if "content" in slot.kind:
        pair = pair.at(name)
        shown = f"Content-Type: {name}"
        if pair.status and new is None:  # requests asked for this media type
            pair = replace(pair, status="")
            shown = f"Accept: {name}"
    if not slot.label:  # an operation or a response, which the place describes
        shown = ""
    is_removed = new is None and slot.kind == "status"
    pair.add(change, what, old and old.part, new and new.part, shown, removed=is_removed)


def _compare_security(pair: Pair, old: Operation, new: Operation) -> None:
    """Report credentials that are no longer sufficient, and those that have become sufficient."""
    before = old.security
    after = new.security
    sides = (_texts(before), _texts(after))
    for name, (given, issuers) in before.items():
        sufficient = [urls for needed, urls in after.values() if needed <= given]
        if not sufficient:
            what = f"{name} is no longer sufficient"
            pair.add(Change.BREAKING, what, *sides, f"with {name}")
        elif not any(urls <= issuers for urls in sufficient):
            pair.add(Change.UNDECIDED, f"{name} may no longer be sufficient", *sides)
    for name, (given, issuers) in after.items():
        if not any(needed <= given and urls <= issuers for needed, urls in before.values()):
            pair.add(Change.ADDITION, f"{name} is now sufficient", *sides)


def _texts(security: dict[str, Credentials]) -> dict[str, list[str]]:
    return {name: sorted(kinds | issuers) for name, (kinds, issuers) in security.items()}


def _compare_servers(
    pair: Pair, old: Operation, new: Operation, served: set[str], serving: set[str]
) -> None:
    """Report the server URLs that the new contract removes, and those that it adds."""
    for address, url in old.addresses.items():
        if address in serving:
            continue
        urls = [url, *new.addresses.values()]
        if all(map(FIXED.fullmatch, urls)):  # other URLs might match any URL
            pair.add(Change.BREAKING, f"{url} is removed", url, None, f"at {url}")
        else:
            pair.add(Change.UNDECIDED, f"{url or '/'} may no longer be served", url, None)
    for address, url in new.addresses.items():
        if address not in served:
            pair.add(Change.ADDITION, f"{url or '/'} is new", None, url)

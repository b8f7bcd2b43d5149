"""Compare two contracts: their operations, slot by slot, and then all other keys."""

from __future__ import annotations

import re
from collections import ChainMap
from dataclasses import replace
from typing import TYPE_CHECKING

from scripts.compatibility.findings import BODY, Change, Finding, Pair, merged
from scripts.compatibility.operations import operations
from scripts.compatibility.schema_changes import compare_schemas
from scripts.compatibility.text import explain, shortened

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

    from scripts.compatibility.documents import Contract
    from scripts.compatibility.operations import Credential, Key, Operation, Slot

RANGES = {"1XX", "2XX", "3XX", "4XX", "5XX"}
FIXED = re.compile(r"\w+://[^{]*")  # matches absolute URLs without variables
# Maps whether a slot was and is required (None: missing before) to the description of the change.
PRESENCE: dict[tuple[bool | None, bool | None], str] = {
    (None, True): "is new and required",
    (None, False): "is new",
    (True, False): "is now optional",
    (False, True): "is now required",
}
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
    served = ChainMap(*(old.addresses for old in before))
    serving = ChainMap(*(new.addresses for new in after))
    matched: list[Operation] = []
    for old in before:
        pair = replace(whole, operation=old.name, place=old.name)
        matches = _matches(old, after)
        matched += matches
        for new in matches:
            servers = replace(pair, place="servers")
            if old.has_own_servers or new.has_own_servers:
                servers = pair.at("servers")
            _compare_servers(servers, old, new, served, serving)
            _compare_security(pair.at("security"), old, new)
            _compare_slots(pair, old.slot, new.slot)
        if not matches:
            _compare_presence(pair, old.name, old.slot, None)
    for new in after:
        if new not in matched:
            _add_operation(replace(whole, place=new.name), new, before)
    whole.add_others(base.api, head.api)
    return merged(whole.findings) or _wording_changes(base, head)


def _matches(old: Operation, after: list[Operation]) -> list[Operation]:
    """Return the operations that share a URL with `old` or, if there are none, its path."""
    same_url = [new for new in after if new.addresses.keys() & old.addresses.keys()]
    if same_url:
        return same_url
    return [new for new in after if new.key == old.key]


def _add_operation(pair: Pair, new: Operation, before: list[Operation]) -> None:
    """Report a new operation. Undecided if its path is also new and matches URLs of an old one."""
    path, _ = new.key
    paths = {old.key[0] for old in before}
    change = Change.ADDITION
    what = "is new"
    for old in before:
        if path not in paths and _hides(path, old.key[0]):
            change = Change.UNDECIDED
            what = f"is new, and its path matches URLs of {old.name}"
            break
    pair.add(change, what, None, new.slot.part)


def _hides(new_path: str, old_path: str) -> bool:
    """Return whether a URL can match both paths because of a parameter in the old path."""
    new_parts = new_path.split("/")
    old_parts = old_path.split("/")
    if len(new_parts) != len(old_parts):
        return False
    is_hidden = False
    for new, old in zip(new_parts, old_parts, strict=True):
        if new != old:
            if "{}" not in new + old:
                return False
            is_hidden = is_hidden or "{}" in old
    return is_hidden


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
    has_ranges = "*" in "".join(names)
    for key in keys:
        location, name = key
        if name == "default" and names >= RANGES:
            continue  # no status is left that `default` could cover
        before = _find(old.slots, key)
        after = _find(new.slots, key)
        inner = _at_slot(pair, key, before or after)
        if location == "media type" and has_ranges and not (before and after):
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
    if slot.label == BODY:
        location = BODY
    return pair.at(slot.label, location=location)


def _find(slots: dict[Key, Slot], key: Key) -> Slot | None:
    """Return the slot for the key. A status can also be covered by a range or by `default`."""
    location, name = key
    names = [name]
    if location == "response":
        names += [f"{name[:1]}XX", "default"]
    for name in names:
        if (location, name) in slots:
            return slots[location, name]
    return None


def _can_succeed(keys: Iterable[Key]) -> bool:
    """Return whether one of the keys belongs to a response that can have a 2xx status."""
    for location, name in keys:
        if location == "response" and (name.startswith("2") or name == "default"):
            return True
    return False


def _compare_presence(pair: Pair, name: str, old: Slot | None, new: Slot | None) -> None:
    """Report a slot that was added, removed, made required or made optional."""
    slot = old or new
    was_required, was = _state(old)
    is_required, now = _state(new)
    if slot is None or was_required == is_required:
        return
    what = PRESENCE.get((was_required, is_required), "is removed")
    change = Change.ADDITION
    if slot.kind == "header" and new is None and not was_required:
        change = Change.UNDECIDED
    elif what in BREAKING[slot.kind]:
        change = Change.BREAKING
    shown = f"with {slot.label}"
    if pair.status or is_required:
        shown = f"without {slot.label}"
    if "content" in slot.kind:
        pair = pair.at(name)
        shown = f"Content-Type: {name}"
        if pair.status and new is None:  # requests asked for this media type
            pair = replace(pair, status="")
            shown = f"Accept: {name}"
    if not slot.label:  # an operation or a response, which the place describes
        shown = ""
    is_removed = new is None and slot.kind == "status"
    pair.add(change, what, was, now, shown, removed=is_removed)


def _state(slot: Slot | None) -> tuple[bool | None, object]:
    """Return whether the slot is required (None: missing), and the object that defines it."""
    if slot is None:
        return None, None
    return bool(slot.part.get("required")), slot.part


def _compare_security(pair: Pair, old: Operation, new: Operation) -> None:
    """Report credentials that are no longer sufficient, and those that have become sufficient."""
    before = old.security
    after = new.security
    for name, given in before.items():
        kinds = _kinds(given)
        if not any(map(kinds.issuperset, map(_kinds, after.values()))):
            what = f"{name} is no longer sufficient"
            pair.add(Change.BREAKING, what, before, after, f"with {name}")
        elif not any(map(set(given).issuperset, after.values())):
            pair.add(Change.UNDECIDED, f"{name} may no longer be sufficient", before, after)
    for name, given in after.items():
        if not any(map(set(given).issuperset, before.values())):
            pair.add(Change.ADDITION, f"{name} is now sufficient", before, after)


def _kinds(credentials: list[Credential]) -> set[str]:
    return {credential.kind for credential in credentials}


def _compare_servers(
    pair: Pair, old: Operation, new: Operation, served: Container[str], serving: Container[str]
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

"""Rules for what is sent: every request that was valid stays valid."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from scripts.compatibility import media
from scripts.compatibility.containment import admits_nothing, contained
from scripts.compatibility.domains import Domain
from scripts.compatibility.findings import Change, told
from scripts.compatibility.operations import parameter_schema
from scripts.compatibility.samples import BODY, NO_BODY, examples, request, sample
from scripts.compatibility.schemas import close
from scripts.compatibility.slots import Slot, refusal, request_schema

if TYPE_CHECKING:
    from scripts.compatibility.slots import Pair

STYLES = {"path": "simple", "header": "simple", "query": "form", "cookie": "form"}
LIMIT = "x-max-bytes"
# What the rules below understand of a parameter, a body, and its content.
PARAMETER = {
    *("name", "in", "required", "deprecated", "schema", "content", "style", "explode"),
    *("allowReserved", "allowEmptyValue"),
}
REQUEST_BODY = {"required", "content", LIMIT}
CONTENT = {"schema", "encoding"}


def parameters(pair: Pair) -> None:
    """Parameters that were added, removed, or changed."""
    before, after = pair.base.parameters, pair.head.parameters
    for key in sorted(before.keys() | after.keys()):
        old, new = before.get(key), after.get(key)
        if old is None and new is not None:
            _added(pair, key, new)
        elif new is None and old is not None:
            _removed(pair, key, old)
        elif old is not None and new is not None:
            _changed(pair, key, old, new)


def _place(pair: Pair, key: tuple[str, str], parameter: dict[str, Any]) -> str:
    return pair.place(f"{key[0]} parameter {parameter.get('name')}")


def _added(pair: Pair, key: tuple[str, str], new: dict[str, Any]) -> None:
    place, sides = _place(pair, key, new), ("", told(new))
    if not new.get("required"):
        pair.findings.add(Change.ADDITION, place, "is new and optional", sides=sides)
        return
    shown = _shown(pair, f"{refusal(pair.head)}", request(pair.base))
    pair.findings.add(Change.BREAKING, place, "is new and required", shown=shown, sides=sides)


def _removed(pair: Pair, key: tuple[str, str], old: dict[str, Any]) -> None:
    value = sample(pair.base, parameter_schema(old), Domain(key[0]), examples(pair.base, old))
    shown = _shown(pair, "knows no such parameter", request(pair.base, key, value))
    what, sides = "is gone", (told(old), "")
    pair.findings.add(Change.BREAKING, _place(pair, key, old), what, shown=shown, sides=sides)


def _shown(pair: Pair, then: str, lines: list[str]) -> tuple[str, ...]:
    old, new = pair.versions()
    return (f"This request was valid in {old}, {new} {then}:", *lines)


def _changed(pair: Pair, key: tuple[str, str], old: dict[str, Any], new: dict[str, Any]) -> None:
    place, sides = _place(pair, key, old), (told(old), told(new))
    if new.get("required") and not old.get("required"):
        shown = _shown(pair, refusal(pair.head), request(pair.base))
        pair.findings.add(Change.BREAKING, place, "is required now", shown=shown, sides=sides)
    if old.get("required") and not new.get("required"):
        pair.findings.add(Change.ADDITION, place, "is optional now", sides=sides)
    if new.get("deprecated") and not old.get("deprecated"):
        pair.findings.add(Change.ADDITION, place, "is deprecated now", sides=sides)
    pair.findings.leftovers(place, PARAMETER, old, new)
    _spelling(pair, place, key[0], old, new)
    content = [media.contents(each.get("content")) for each in (old, new)]
    if list(content[0]) != list(content[1]):
        what = "is spelt by another media type"
        pair.findings.add(Change.UNDECIDED, place, what, sides=sides)
        return
    domain = BODY if any(map(media.is_json, content[0])) else Domain(key[0])
    show = partial(request, pair.base, key)
    slot = Slot(pair, place, domain, show)
    request_schema(slot, parameter_schema(old), parameter_schema(new))


def _spelling(pair: Pair, place: str, where: str, old: dict[str, Any], new: dict[str, Any]) -> None:
    """How arrays and objects become text; a single value is spelt alike by most styles."""
    before, after = _style(where, old), _style(where, new)
    composed = {"allOf": [parameter_schema(old), {"type": ["array", "object"]}]}
    closed = close(pair.base.references, composed).schema
    if before[0] in {"label", "matrix"} or after[0] in {"label", "matrix"}:
        pair.findings.differing(Change.BREAKING, place, "is spelt in another style", before, after)
    elif not admits_nothing(closed):
        what = "has lists and objects spelt in another style"
        pair.findings.differing(Change.BREAKING, place, what, before, after)
    reserved = [bool(each.get("allowReserved")) for each in (old, new)]
    if reserved[0] != reserved[1]:
        change = Change.ADDITION if reserved[1] else Change.UNDECIDED
        what = "may hold reserved characters as they are" + ("" if reserved[1] else " no more")
        pair.findings.add(change, place, what, sides=(told(old), told(new)))


def _style(where: str, parameter: dict[str, Any]) -> tuple[str, bool]:
    style = str(parameter.get("style", STYLES.get(where, "form")))
    return style, bool(parameter.get("explode", style == "form"))


def body(pair: Pair) -> None:
    """The request body: whether there is one, whether it must be, and what it is."""
    old, new, place = pair.base.body, pair.head.body, pair.place("body")
    sides = (told(old), told(new))
    if old is None and new is not None:
        _new_body(pair, place, new, sides)
    if old is None:
        return
    if new is None:
        shown = _shown(pair, "knows no body", request(pair.base))
        pair.findings.add(Change.BREAKING, place, "is gone", shown=shown, sides=sides)
        return
    if new.get("required") and not old.get("required"):
        shown = _shown(pair, refusal(pair.head), request(pair.base, body=NO_BODY))
        pair.findings.add(Change.BREAKING, place, "is required now", shown=shown, sides=sides)
    if old.get("required") and not new.get("required"):
        pair.findings.add(Change.ADDITION, place, "is optional now", sides=sides)
    pair.findings.leftovers(place, REQUEST_BODY, old, new)
    _limit(pair, place, old.get(LIMIT), new.get(LIMIT))
    _contents(pair, media.contents(old.get("content")), media.contents(new.get("content")))


def _new_body(pair: Pair, place: str, new: dict[str, Any], sides: tuple[str, str]) -> None:
    if not new.get("required"):
        pair.findings.add(Change.ADDITION, place, "is new and optional", sides=sides)
        return
    shown = _shown(pair, refusal(pair.head), request(pair.base))
    pair.findings.add(Change.BREAKING, place, "is new and required", shown=shown, sides=sides)


def _limit(pair: Pair, place: str, old: Any, new: Any) -> None:
    """Our own extension: the most bytes that a body may have."""
    if old == new:
        return
    if not all(isinstance(each, int | None) for each in (old, new)):
        pair.findings.differing(Change.UNDECIDED, place, f"has another {LIMIT}", old, new)
    elif new is None or (old is not None and new > old):
        what = f"may be larger: {LIMIT} {old} → {new or 'none'}"
        pair.findings.differing(Change.ADDITION, place, what, old, new)
    else:
        lines = request(pair.base)
        size = f"(with spaces after it, {new + 1} bytes in all)"
        shown = _shown(pair, refusal(pair.head), [*lines, size])
        what = f"must be smaller: {LIMIT} {old or 'none'} → {new}"
        pair.findings.add(Change.BREAKING, place, what, shown=shown, sides=(told(old), told(new)))


def _contents(pair: Pair, before: dict[str, Any], after: dict[str, Any]) -> None:
    for name, old in before.items():
        place = pair.place("body" if media.is_json(name) else f"body as {name}")
        inner = [each for each in after if media.covers(name, each)]
        chosen = media.best(after, name)
        if chosen is None:
            shown = _shown(pair, refusal(pair.head), [pair.name, f"Content-Type: {name}"])
            what = f"is taken as {name} no more"
            pair.findings.add(
                Change.BREAKING, place, what, shown=shown, sides=(name, told(list(after)))
            )
        if chosen is not None and chosen not in inner:
            inner.append(chosen)
        for each in inner:
            special = each if "*" in name else name  # what is sent is what both tell of
            _content(pair, place, special, old, after[each])
    for name in after:
        if media.best(before, name) is None:
            what = f"is taken as {name} too"
            pair.findings.add(
                Change.ADDITION, pair.place("body"), what, sides=(told(list(before)), name)
            )


def _content(pair: Pair, place: str, name: str, old: dict[str, Any], new: dict[str, Any]) -> None:
    old_schema, new_schema = old.get("schema", True), new.get("schema", True)
    pair.findings.leftovers(place, CONTENT, old, new)
    encodings = [
        each.references.inlined(told_of.get("encoding"))
        for each, told_of in ((pair.base, old), (pair.head, new))
    ]
    pair.findings.differing(Change.UNDECIDED, place, "has another encoding", *encodings)
    if media.is_json(name):
        slot = Slot(pair, place, BODY, lambda value: request(pair.base, body=value))
        request_schema(slot, old_schema, new_schema)
        return
    closed = close(pair.base.references, old_schema), close(pair.head.references, new_schema)
    if not (
        contained(closed[0], closed[1], BODY).holds and contained(closed[1], closed[0], BODY).holds
    ):
        what = "has another schema, and only JSON is understood"
        pair.findings.differing(Change.UNDECIDED, place, what, closed[0].text, closed[1].text)

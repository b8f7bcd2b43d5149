"""Rules for what is answered: every answer that is allowed now was told of before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scripts.compatibility import media
from scripts.compatibility.containment import contained
from scripts.compatibility.domains import Domain
from scripts.compatibility.findings import Change, told
from scripts.compatibility.operations import parameter_schema
from scripts.compatibility.schemas import close
from scripts.compatibility.slots import BODY, answer_schema

if TYPE_CHECKING:
    from scripts.compatibility.slots import Pair

HEADER = Domain("header")
Response = dict[str, Any]
# What the rules below understand of an answer, a header, and content; `links` for one they do not.
RESPONSE = {"headers", "content"}
HEADER_KEYS = {"required", "schema", "explode", "style", "content", "deprecated"}
CONTENT = {"schema"}


def answers(pair: Pair) -> None:
    """Each status that either contract tells of, as the one and the other tell of it."""
    before, after = pair.base.responses, pair.head.responses
    for old_key, new_key in sorted(_pairs(before, after), key=str):
        if new_key is None:
            what = "is never given any more"
            pair.findings.add(
                Change.ADDITION, pair.place(f"answer {old_key}"), what, sides=(told(old_key), "")
            )
        elif old_key is None:
            old, _ = pair.versions()
            what = f"is new: {old} told of no such status"
            place = pair.place(f"answer {new_key}")
            pair.findings.add(Change.BREAKING, place, what, sides=("", told(after[new_key])))
        else:
            _compare(pair, pair.place(f"answer {new_key}"), before[old_key], after[new_key])


def _pairs(before: dict[str, Any], after: dict[str, Any]) -> set[tuple[str | None, str | None]]:
    """Which entry of the one stands for the same statuses as which entry of the other."""
    exact = {key for key in (*before, *after) if key.isdigit()}
    samples = exact | {_other(first, exact) for first in "12345"}
    pairs = {(_entry(before, each), _entry(after, each)) for each in samples}
    return pairs - {(None, None)}


def _other(first: str, exact: set[str]) -> str:
    """A status of the class that neither contract names."""
    return next(f"{first}{i:02}" for i in range(99, -1, -1) if f"{first}{i:02}" not in exact)


def _entry(responses: dict[str, Any], status: str) -> str | None:
    """The entry that tells of the status, the most special one first."""
    found = (key for key in (status, f"{status[0]}XX", "default") if key in responses)
    return next(found, None)


def _compare(pair: Pair, place: str, old: Response, new: Response) -> None:
    sides = [
        {key: each.references.inlined(told_of[key]) for key in told_of.keys() - RESPONSE}
        for each, told_of in ((pair.base, old), (pair.head, new))
    ]
    pair.findings.leftovers(place, RESPONSE, *sides)
    _headers(pair, place, old, new)
    _contents(pair, place, media.contents(old.get("content")), media.contents(new.get("content")))


def _contents(pair: Pair, place: str, before: dict[str, Any], after: dict[str, Any]) -> None:
    sides = (told(list(before)), told(list(after)))
    for name, new in after.items():
        chosen = [each for each in before if media.covers(name, each)]
        best = media.best(before, name)
        if best is None:
            what = f"may be {name}, which nobody was told of"
            pair.findings.add(Change.BREAKING, place, what, sides=sides)
        if best is not None and best not in chosen:
            chosen.append(best)
        for each in chosen:
            special = each if "*" in name else name  # what is answered is what both tell of
            _content(pair, place, special, before[each], new)
    for name in before:
        if media.best(after, name) is None and not any(media.covers(name, each) for each in after):
            pair.findings.add(Change.BREAKING, place, f"is {name} no more", sides=sides)


def _content(pair: Pair, place: str, name: str, old: Response, new: Response) -> None:
    old_schema, new_schema = old.get("schema", True), new.get("schema", True)
    pair.findings.leftovers(place, CONTENT, old, new)
    if media.is_json(name):
        answer_schema(pair, f"{place}, body", old_schema, new_schema)
        return
    closed = close(pair.base.references, old_schema), close(pair.head.references, new_schema)
    if not (
        contained(closed[0], closed[1], BODY).holds and contained(closed[1], closed[0], BODY).holds
    ):
        what = f"as {name} has another schema, and only JSON is understood"
        pair.findings.differing(Change.UNDECIDED, place, what, closed[0].text, closed[1].text)


def _headers(pair: Pair, place: str, old: Response, new: Response) -> None:
    before, after = pair.base.mapping(old.get("headers")), pair.head.mapping(new.get("headers"))
    old_names = {name.lower(): name for name in before if name.lower() != "content-type"}
    new_names = {name.lower(): name for name in after if name.lower() != "content-type"}
    for key in sorted(old_names.keys() | new_names.keys()):
        name = new_names.get(key) or old_names[key]
        where = f"{place}, header {name}"
        if key not in new_names:
            sides = (told(before[old_names[key]]), "")
            pair.findings.add(Change.BREAKING, where, "is promised no more", sides=sides)
        elif key not in old_names:
            pair.findings.add(Change.ADDITION, where, "is new", sides=("", told(after[name])))
        else:
            header = pair.base.mapping(before[old_names[key]]), pair.head.mapping(after[name])
            _header(pair, where, *header)


def _header(pair: Pair, place: str, old: dict[str, Any], new: dict[str, Any]) -> None:
    sides = (told(old), told(new))
    pair.findings.leftovers(place, HEADER_KEYS, old, new)
    if old.get("required") and not new.get("required"):
        pair.findings.add(Change.BREAKING, place, "may be missing now", sides=sides)
    if new.get("required") and not old.get("required"):
        pair.findings.add(Change.ADDITION, place, "is always there now", sides=sides)
    spelling = [
        (bool(each.get("explode")), sorted(each.get("content") or ())) for each in (old, new)
    ]
    pair.findings.differing(Change.UNDECIDED, place, "is spelt otherwise", *spelling)
    answer_schema(pair, place, parameter_schema(old), parameter_schema(new), HEADER)

"""Differences that no rule weighs: words, and the same thing said in another way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scripts.compatibility.findings import Change, Finding, told
from scripts.compatibility.shapes import is_list, is_mapping

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scripts.compatibility.documents import Contract

WORDS = {
    *("description", "summary", "title", "example", "examples", "externalDocs", "contact"),
    *("license", "termsOfService", "tags", "operationId", "$comment", "bearerFormat", "xml"),
}
NAMES = {
    "properties",
    "schemas",
    "responses",
    "parameters",
    "headers",
    "patternProperties",
    "$defs",
}


def compare(base: Contract, head: Contract, *, changed: bool) -> list[Finding]:
    """Where only words differ; and, if nothing else `changed`, where the same is said otherwise."""
    places = list(differences(base.document, head.document, ()))
    kinds: dict[bool, list[str]] = {True: [], False: []}
    for place in places:
        if place[:2] != ("info", "version"):
            kinds[is_words(place)].append("/".join(place))
    found = [_finding("only words differ", kinds[True])] if kinds[True] else []
    if kinds[False] and not changed:
        found.append(_finding("the same is said in another way", kinds[False]))
    return found


def _finding(what: str, places: list[str]) -> Finding:
    shown = ["/".join(each.split("/")[-3:]) for each in places[:3]]
    more = f" and {len(places) - 3} more" if len(places) > 3 else ""  # one line
    said = f"{what}: {', '.join(shown)}{more}"
    return Finding(Change.WORDS, "contract", said, sides=(told(places), ""))


def is_words(place: tuple[str, ...]) -> bool:
    """Whether a keyword on the way there holds words; a field may have such a name."""
    return any(
        step in WORDS or step.startswith("x-")
        for before, step in zip(("", *place), place, strict=False)
        if before not in NAMES
    )


def differences(old: Any, new: Any, place: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Every place where the two documents differ, as deep as can be."""
    if is_mapping(old) and is_mapping(new):
        before, after = old, new
        for key in dict.fromkeys((*before, *after)):
            if key in before and key in after:
                yield from differences(before[key], after[key], (*place, str(key)))
            else:
                yield (*place, str(key))
    elif is_list(old) and is_list(new) and len(old) == len(new):  # pyright: ignore[reportUnknownArgumentType]
        for i, pair in enumerate(zip(old, new, strict=True)):
            yield from differences(*pair, (*place, str(i)))
    elif told(old) != told(new):
        yield place

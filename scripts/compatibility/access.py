"""Rules for who may ask, and where: security and servers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scripts.compatibility.findings import Change, told
from scripts.compatibility.shapes import mapping

if TYPE_CHECKING:
    from scripts.compatibility.operations import Operation
    from scripts.compatibility.slots import Pair

# Parts of a security scheme that only people read.
WORDS = {"description", "bearerFormat"}
Alternative = dict[str, frozenset[str]]


def security(pair: Pair) -> None:
    """Every set of credentials that was enough is enough still."""
    before, after = _alternatives(pair.base), _alternatives(pair.head)
    place, sides = pair.place("security"), (told(pair.base.security), told(pair.head.security))
    for name, each in before:
        if not any(_is_enough(other, each) for _, other in after):
            old, new = pair.versions()
            what = f"{name} is not enough any more"
            shown = (
                f"This request was valid in {old}, {new} answers 401:",
                f"{pair.name}, with {name}",
            )
            pair.findings.add(Change.BREAKING, place, what, shown=shown, sides=sides)
    for name, each in after:
        if not any(_is_enough(other, each) for _, other in before):
            pair.findings.add(Change.ADDITION, place, f"{name} is enough now", sides=sides)


def _alternatives(operation: Operation) -> list[tuple[str, Alternative]]:
    """Each alternative by its name for people; a scheme is what it says, whatever its name."""
    found: list[tuple[str, Alternative]] = []
    for each in operation.security:
        known = {
            _meaning(operation, name): frozenset(map(str, scopes or ()))
            for name, scopes in each.items()
        }
        found.append(
            (" and ".join(_named(*item) for item in each.items()) or "no credential", known)
        )
    return found


def _named(name: str, scopes: Any) -> str:
    return f"{name} ({', '.join(map(str, scopes))})" if scopes else name


def _meaning(operation: Operation, name: str) -> str:
    if name not in operation.schemes:
        raise operation.references.wrong(
            f"security scheme {name!r} of {operation.name} is not in components; add it or mend it"
        )
    scheme = operation.mapping(operation.schemes[name])
    told_of = {key: value for key, value in scheme.items() if key not in WORDS}
    if "flows" in told_of:  # which scopes there are is said by those that are asked for
        told_of["flows"] = {
            name: {key: value for key, value in flow.items() if key != "scopes"}
            for name, flow in mapping(scheme, "flows").items()
        }
    if isinstance(told_of.get("scheme"), str):
        told_of["scheme"] = told_of["scheme"].lower()
    if told_of.get("in") == "header" and isinstance(told_of.get("name"), str):
        told_of["name"] = told_of["name"].lower()
    return told(told_of)


def _is_enough(needed: Alternative, given: Alternative) -> bool:
    """Whether who has these credentials has those, scopes included."""
    return all(scheme in given and scopes <= given[scheme] for scheme, scopes in needed.items())


def servers(pair: Pair) -> None:
    """Every address that was served is served still."""
    before, after = _addresses(pair.base), _addresses(pair.head)
    shared = "servers" not in {*pair.base.raw, *pair.base.item, *pair.head.raw, *pair.head.item}
    place = "servers" if shared else pair.place("servers")
    for url, old in before.items():
        if url not in after:
            pair.findings.add(
                Change.BREAKING, place, f"{url} is gone", sides=(url, told(list(after)))
            )
        elif old != after[url]:
            what = f"{url} has other variables"
            pair.findings.add(Change.UNDECIDED, place, what, sides=(told(old), told(after[url])))
    for url in sorted(after.keys() - before.keys()):
        pair.findings.add(Change.ADDITION, place, f"{url} is new", sides=(told(list(before)), url))


def _addresses(operation: Operation) -> dict[str, Any]:
    """What is told of each address, words left out."""
    return {
        str(each.get("url", "")).rstrip("/") or "/": {
            name: {key: value for key, value in variable.items() if key != "description"}
            for name, variable in mapping(each, "variables").items()
        }
        for each in operation.servers
    }

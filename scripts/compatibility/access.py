"""Compare the operations' security requirements and server URLs."""

from __future__ import annotations

import re
from itertools import product
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from scripts.compatibility.findings import Change
from scripts.compatibility.operations import VARIABLE
from scripts.compatibility.values import canonical_json, mapping_at

if TYPE_CHECKING:
    from scripts.compatibility.operations import Operation, Pair, Part

ISSUERS = {"authorizationUrl", "tokenUrl", "refreshUrl", "openIdConnectUrl"}
DEFAULT_PORTS = {"https": ":443", "http": ":80"}


def compare_security(pair: Pair) -> None:
    """Check that all credentials that used to be sufficient are still sufficient."""
    before = _alternatives(pair.base)
    after = _alternatives(pair.head)
    sides = (pair.base.inherited("security"), pair.head.inherited("security"))
    place = pair.place("security")
    for name, given in before.items():
        if not any(needed <= given for needed in after.values()):
            pair.add(
                Change.BREAKING, place, f"{name} is no longer sufficient", *sides, f"with {name}"
            )
    for name, given in after.items():
        if not any(needed <= given for needed in before.values()):
            pair.add(Change.ADDITION, place, f"{name} is sufficient now", *sides)
    _compare_issuers(pair)


def _alternatives(operation: Operation) -> dict[str, set[str]]:
    """Return the alternative sets of schemes and scopes that are sufficient, by a readable name."""
    result: dict[str, set[str]] = {}
    for schemes in operation.inherited("security") or [{}]:
        names: list[str] = []
        grants: set[str] = set()
        for name, scopes in schemes.items():
            names.append(f"{name} ({', '.join(sorted(scopes))})" if scopes else name)
            kind = _kind(operation.scheme(name))
            grants |= {kind, *(f"{kind} {scope}" for scope in scopes)}
        result[" and ".join(names) or "no credential"] = grants
    return result


def _kind(scheme: Part) -> str:
    """Return the properties that identify a scheme, with header names in lower case."""
    name = str(scheme.get("name"))
    if scheme.get("in") == "header":
        name = name.lower()
    return f"{scheme.get('type')} {scheme.get('in')} {name} {str(scheme.get('scheme')).lower()}"


def _compare_issuers(pair: Pair) -> None:
    """Compare the URLs that issue tokens, for the schemes that both contracts use."""
    before = _issuers(pair.base)
    after = _issuers(pair.head)
    place = pair.place("security")
    for kind in sorted(before.keys() & after.keys()):
        sides = (sorted(before[kind]), sorted(after[kind]))
        if not before[kind] <= after[kind]:
            what = "tokens may no longer be sufficient, because the URLs of OAuth flows changed"
            pair.add(Change.UNDECIDED, place, what, *sides)
        elif before[kind] != after[kind]:
            pair.add(Change.ADDITION, place, "has more URLs of OAuth flows", *sides)


def _issuers(operation: Operation) -> dict[str, set[str]]:
    """Return the URLs that issue tokens, with their keys, by the kind of their schemes."""
    result: dict[str, set[str]] = {}
    names = {name for schemes in operation.inherited("security") or () for name in schemes}
    for scheme in map(operation.scheme, names):
        found = result.setdefault(_kind(scheme), set())
        for name, flow in {"": scheme, **mapping_at(scheme, "flows")}.items():
            found |= {f"{name} {key} {flow[key]}" for key in ISSUERS & flow.keys()}
    return result


def servers(operation: Operation) -> list[str]:
    """Return an operation's base URLs, one for each combination of enumerated variable values."""
    found: list[str] = []
    for server in operation.inherited("servers") or [{"url": "/"}]:
        variables = mapping_at(server, "variables")
        listed = {name: known["enum"] for name, known in variables.items() if known.get("enum")}
        others = {name: known for name, known in variables.items() if name not in listed}
        stated = f" {canonical_json(others)}" if others else ""
        for values in product(*listed.values()):
            url = server["url"]
            for name, value in zip(listed, values, strict=True):
                url = url.replace(f"{{{name}}}", value)
            found.append(_normal_url(url) + stated)
    return list(dict.fromkeys(found))


def _normal_url(url: str) -> str:
    """Return the URL with a lower-case scheme and host, and no default port or trailing slash."""
    parts = urlsplit(re.sub(r"^\./(?=.)", "", url))
    host = parts.netloc.lower().removesuffix(DEFAULT_PORTS.get(parts.scheme, "/"))
    return urlunsplit(parts._replace(netloc=host)).rstrip("/")


def addresses(operation: Operation) -> set[str]:
    """Return the operation's method and URL on each server, without parameter names."""
    return {_address(operation, server) for server in servers(operation)}


def _address(operation: Operation, server: str) -> str:
    return f"{operation.method} {server}{operation.key[0]}"


def compare_servers(pair: Pair, before: set[str], after: set[str]) -> None:
    """Check that the new contract still serves each of the operation's URLs."""
    old = servers(pair.base)
    new = servers(pair.head)
    holders = (pair.base.parts, pair.base.item, pair.head.parts, pair.head.item)
    is_shared = not any("servers" in holder for holder in holders)
    place = "servers" if is_shared else pair.place("servers")
    for url in old:
        if _address(pair.base, url) in after:
            continue
        others = [other for other in new if other not in old]
        if any("://" not in other or VARIABLE.search(other) for other in (url, *others)):
            what = f"{url or '/'} may no longer be served"
            pair.add(Change.UNDECIDED, place, what, url, new)
        else:
            pair.add(Change.BREAKING, place, f"{url or '/'} is removed", url, new, f"at {url}")
    for url in new:
        if _address(pair.head, url) not in before:
            pair.add(Change.ADDITION, place, f"{url or '/'} is new", old, url)

"""Rules for access: which credentials are sufficient, and at which URLs an operation is served."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from scripts.compatibility.findings import Change
from scripts.compatibility.values import canonical_json, is_mapping, mapping_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scripts.compatibility.operations import Operation, Pair

NO = 0  # how sure it is that one credential is also another
MAYBE = 1
YES = 2
URLS = ("authorizationUrl", "tokenUrl", "refreshUrl")
MOST = 200  # URLs of one server
DEFAULT_PORT = re.compile(r"^(https://[^/]*):443(?=/|$)|^(http://[^/]*):80(?=/|$)")
Alternative = list[tuple[dict[str, Any], frozenset[str]]]  # schemes, each with scopes


def compare_security(pair: Pair) -> None:
    """Every set of credentials that was sufficient is still sufficient."""
    before = dict(_alternatives(pair.base))
    after = dict(_alternatives(pair.head))
    sides = (pair.base.security, pair.head.security)
    place = pair.place("security")
    sure = True
    for name, given in before.items():
        level = max(_is_sufficient(given, needed) for needed in after.values())
        if level == MAYBE:
            sure = False
            what = f"{name} may no longer be sufficient"
            pair.findings.add(Change.UNDECIDED, place, what, *sides)
        elif level == NO:
            shown = pair.shown(f"{pair.base.name}, with {name}")
            what = f"{name} is no longer sufficient"
            pair.findings.add(Change.BREAKING, place, what, *sides, shown=shown)
    for name, given in after.items():
        level = max(_is_sufficient(given, needed) for needed in before.values())
        if level == NO or (level == MAYBE and sure):
            what = f"{name} is sufficient now"
            pair.findings.add(Change.ADDITION, place, what, *sides)


def _alternatives(operation: Operation) -> Iterator[tuple[str, Alternative]]:
    """Yield the alternatives, each with a name for people."""
    for schemes in operation.security:
        names = [
            f"{name} ({', '.join(map(str, scopes))})" if scopes else name
            for name, scopes in schemes.items()
        ]
        alternative = [
            (operation.scheme(name), frozenset(map(str, scopes or ())))
            for name, scopes in schemes.items()
        ]
        yield " and ".join(names) or "no credential", alternative


def _is_sufficient(given: Alternative, needed: Alternative) -> int:
    """Return how sure it is that these credentials are all that is needed."""
    levels = [max((_matches(*have, *need) for have in given), default=NO) for need in needed]
    return min(levels, default=YES)


def _matches(
    given: dict[str, Any], scopes: frozenset[str], needed: dict[str, Any], wanted: frozenset[str]
) -> int:
    """Return how sure it is that a credential of one scheme is one of the other scheme."""
    kind = given.get("type")
    if kind != needed.get("type") or not wanted <= scopes:
        return NO
    if kind in {"http", "apiKey"}:
        return YES if _key(given) == _key(needed) else NO
    if kind == "oauth2":
        return YES if _urls(given) <= _urls(needed) else MAYBE
    is_same = given.get("openIdConnectUrl") == needed.get("openIdConnectUrl")
    return YES if is_same else MAYBE


def _key(scheme: dict[str, Any]) -> tuple[str, str, str]:
    where = str(scheme.get("in"))
    name = str(scheme.get("name"))
    return str(scheme.get("scheme")).lower(), where, name.lower() if where == "header" else name


def _urls(scheme: dict[str, Any]) -> set[tuple[str, str, str]]:
    """Return where the flows get tokens; the scopes that exist are not those that are asked for."""
    return {
        (name, key, str(flow[key]))
        for name, flow in mapping_at(scheme, "flows").items()
        for key in URLS
        if is_mapping(flow) and key in flow
    }


def servers(operation: Operation) -> list[str]:
    """Return the base URLs of an operation, one for each value of a variable that lists them."""
    found: list[str] = []
    for server in operation.servers:
        urls = [str(server.get("url", "/"))]
        variables = operation.contract.inlined(server.get("variables")) or {}
        for name in list(variables):
            values = variables[name].get("enum") or []
            if 0 < len(urls) * len(values) <= MOST:
                del variables[name]
                urls = [url.replace(f"{{{name}}}", str(value)) for value in values for url in urls]
        stated = f" {canonical_json(variables)}" if variables else ""
        found += [_normal_url(url) + stated for url in urls]
    return list(dict.fromkeys(found))


def _normal_url(url: str) -> str:
    """Return the URL with scheme and host in lower case, without default port and last slash."""
    scheme, separator, rest = url.partition("://")
    if separator:
        host, slash, path = rest.partition("/")
        url = f"{scheme.lower()}://{host.lower()}{slash}{path}"
    if url != "./":
        url = url.removeprefix("./")
    return DEFAULT_PORT.sub(r"\1\2", url).rstrip("/")


def _is_fixed(url: str) -> bool:
    """Return whether a URL depends neither on variables nor on where the contract is."""
    return "{" not in url and (url.startswith("/") or "://" in url or not url)


def addresses(operation: Operation) -> set[str]:
    """Return the method with each URL of an operation; names of path parameters do not count."""
    return {f"{operation.method} {server}{operation.key[0]}" for server in servers(operation)}


def compare_servers(pair: Pair, before: set[str], after: set[str]) -> None:
    """Every URL that was served is still served, by any operation of the contract."""
    old = servers(pair.base)
    new = servers(pair.head)
    holders = (pair.base.raw, pair.base.item, pair.head.raw, pair.head.item)
    is_shared = not any("servers" in holder for holder in holders)
    place = "servers" if is_shared else pair.place("servers")
    others = [url for url in new if url not in old]
    for url in old:
        if f"{pair.base.method} {url}{pair.base.key[0]}" in after:
            continue
        is_fixed = all(map(_is_fixed, (url, *others)))
        is_mixed = any(("://" in other) != ("://" in url) for other in others)
        if is_mixed or not is_fixed:
            what = f"{url or '/'} may no longer be served"
            pair.findings.add(Change.UNDECIDED, place, what, url, new)
        else:
            what = f"{url or '/'} is removed"
            shown = pair.shown(f"{pair.base.method.upper()} {url}{pair.base.path}")
            pair.findings.add(Change.BREAKING, place, what, url, new, shown=shown)
    for url in new:
        if f"{pair.head.method} {url}{pair.head.key[0]}" not in before:
            pair.findings.add(Change.ADDITION, place, f"{url or '/'} is new", old, url)

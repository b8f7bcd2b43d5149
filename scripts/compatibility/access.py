"""Compare the operations' security requirements and server URLs."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import product
from math import prod
from typing import TYPE_CHECKING

from scripts.compatibility.findings import Change
from scripts.compatibility.operations import VARIABLE
from scripts.compatibility.values import canonical_json, mapping_at

if TYPE_CHECKING:
    from scripts.compatibility.operations import Operation, Pair, Part

ISSUERS = {"authorizationUrl", "tokenUrl", "refreshUrl", "openIdConnectUrl"}
SCHEME_PARTS = 4  # how many leading parts of an entry identify the scheme
MOST = 200  # the maximum number of URLs to list for one server
DEFAULT_PORT = re.compile(r"^(https://[^/]*):443(?=/|$)|^(http://[^/]*):80(?=/|$)")


Entries = set[tuple[str, ...]]


@dataclass
class Credentials:
    """One of the alternatives in an operation's security requirements."""

    grants: Entries = field(default_factory=Entries)  # the schemes and their scopes
    issuers: Entries = field(default_factory=Entries)  # the schemes and the URLs that issue tokens

    def add(self, scheme: Part, scopes: list[str]) -> None:
        """Add a security scheme and the scopes that it must grant."""
        kind = _kind(scheme)
        self.grants.add(kind)
        for scope in scopes:
            self.grants.add((*kind, scope))
        flows = {"openid": scheme, **mapping_at(scheme, "flows")}
        for name, flow in flows.items():
            for key in ISSUERS & flow.keys():
                self.issuers.add((*kind, name, str(flow[key])))

    def suffice(self, needed: Credentials) -> bool:
        """Return whether these credentials include all needed schemes and scopes."""
        return needed.grants <= self.grants

    def surely_suffice(self, needed: Credentials) -> bool:
        """Return whether these credentials suffice and all their issuers are still documented."""
        schemes = {grant[:SCHEME_PARTS] for grant in needed.grants}
        issuers = {issuer for issuer in self.issuers if issuer[:SCHEME_PARTS] in schemes}
        return self.suffice(needed) and issuers <= needed.issuers


def _kind(scheme: Part) -> tuple[str, ...]:
    """Return the properties that identify a scheme, with header names in lower case."""
    location = str(scheme.get("in"))
    name = str(scheme.get("name"))
    if location == "header":
        name = name.lower()
    return str(scheme.get("type")), location, name, str(scheme.get("scheme")).lower()


def compare_security(pair: Pair) -> None:
    """Check that all credentials that used to be sufficient are still sufficient."""
    before = _alternatives(pair.base)
    after = _alternatives(pair.head)
    sides = (pair.base.security, pair.head.security)
    place = pair.place("security")
    is_sure = True
    for name, given in before.items():
        if any(map(given.surely_suffice, after.values())):
            continue
        if any(map(given.suffice, after.values())):
            is_sure = False
            what = f"{name} may no longer be sufficient"
            pair.findings.add(Change.UNDECIDED, place, what, *sides)
        else:
            shown = pair.shown(f"{pair.base.name}, with {name}")
            what = f"{name} is no longer sufficient"
            pair.findings.add(Change.BREAKING, place, what, *sides, shown=shown)
    for name, given in after.items():
        if is_sure and not any(map(given.surely_suffice, before.values())):
            pair.findings.add(Change.ADDITION, place, f"{name} is sufficient now", *sides)


def _alternatives(operation: Operation) -> dict[str, Credentials]:
    """Return the operation's alternative security requirements, keyed by a readable name."""
    result: dict[str, Credentials] = {}
    for schemes in operation.security:
        names: list[str] = []
        credentials = Credentials()
        for name, stated in schemes.items():
            scopes = sorted(map(str, stated or ()))
            names.append(f"{name} ({', '.join(scopes)})" if scopes else name)
            credentials.add(operation.scheme(name), scopes)
        result[" and ".join(names) or "no credential"] = credentials
    return result


def servers(operation: Operation) -> list[str]:
    """Return an operation's base URLs, one for each combination of enumerated variable values."""
    found: list[str] = []
    for server in operation.servers:
        variables = operation.contract.inlined(server.get("variables"), "variables") or {}
        listed = {name: known["enum"] for name, known in variables.items() if known.get("enum")}
        if prod(map(len, listed.values())) > MOST:
            listed = {}
        others = {name: known for name, known in variables.items() if name not in listed}
        stated = f" {canonical_json(others)}" if others else ""
        for values in product(*listed.values()):
            url = str(server.get("url", "/"))
            for name, value in zip(listed, values, strict=True):
                url = url.replace(f"{{{name}}}", str(value))
            found.append(_normal_url(url) + stated)
    return list(dict.fromkeys(found))


def _normal_url(url: str) -> str:
    """Return the URL with a lower-case scheme and host, and no default port or trailing slash."""
    scheme, separator, rest = url.partition("://")
    if separator:
        host, slash, path = rest.partition("/")
        url = f"{scheme.lower()}://{host.lower()}{slash}{path}"
    if url != "./":
        url = url.removeprefix("./")
    return DEFAULT_PORT.sub(r"\1\2", url).rstrip("/")


def _is_fixed(url: str) -> bool:
    """Return whether the URL is independent of server variables and of the contract's location."""
    return not VARIABLE.search(url) and (url.startswith("/") or "://" in url or not url)


def addresses(operation: Operation) -> set[str]:
    """Return the operation's method and URL on each server, without parameter names."""
    return {_address(operation, server) for server in servers(operation)}


def _address(operation: Operation, server: str) -> str:
    return f"{operation.method} {server}{operation.key[0]}"


def compare_servers(pair: Pair, before: set[str], after: set[str]) -> None:
    """Check that the new contract still serves each of the operation's URLs."""
    old = servers(pair.base)
    new = servers(pair.head)
    holders = (pair.base.raw, pair.base.item, pair.head.raw, pair.head.item)
    is_shared = not any("servers" in holder for holder in holders)
    place = "servers" if is_shared else pair.place("servers")
    others = [url for url in new if url not in old]
    for url in old:
        if _address(pair.base, url) in after:
            continue
        is_mixed = any(("://" in other) != ("://" in url) for other in others)
        if is_mixed or not all(map(_is_fixed, (url, *others))):
            what = f"{url or '/'} may no longer be served"
            pair.findings.add(Change.UNDECIDED, place, what, url, new)
        else:
            what = f"{url or '/'} is removed"
            shown = pair.shown(f"{pair.base.method.upper()} {url}{pair.base.path}")
            pair.findings.add(Change.BREAKING, place, what, url, new, shown=shown)
    for url in new:
        if _address(pair.head, url) not in before:
            pair.findings.add(Change.ADDITION, place, f"{url or '/'} is new", old, url)

"""Compare the security requirements and the server URLs of operations."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from scripts.compatibility.findings import Change
from scripts.compatibility.values import canonical_json, mapping_at

if TYPE_CHECKING:
    from scripts.compatibility.operations import Operation, Pair, Part

ISSUERS = {"authorizationUrl", "tokenUrl", "refreshUrl", "openIdConnectUrl"}
MOST = 200  # a server's variables are expanded into at most this many URLs
# For each required security scheme or scope, the URLs at which a client can get a token for it.
Credentials = dict[str, set[str]]
# Matches absolute URLs and absolute paths without variables. The empty URL means the path `/`.
FIXED = re.compile(r"((\w+:/)?/[^{]*)?")
DEFAULT_PORTS = {"https": ":443", "http": ":80"}


def compare_security(pair: Pair) -> None:
    """Report credentials that are no longer sufficient, and those that have become sufficient."""
    before = _alternatives(pair.base)
    after = _alternatives(pair.head)
    sides = (pair.base.security, pair.head.security)
    security = pair.at("security")
    for name, given in before.items():
        results = {_is_sufficient(given, needed) for needed in after.values()}
        if results == {False}:
            what = f"{name} is no longer sufficient"
            security.add(Change.BREAKING, what, *sides, f"with {name}")
        elif True not in results:
            security.add(Change.UNDECIDED, f"{name} may no longer be sufficient", *sides)
    for name, given in after.items():
        if not any(_is_sufficient(given, needed) for needed in before.values()):
            security.add(Change.ADDITION, f"{name} is now sufficient", *sides)


def _is_sufficient(given: Credentials, needed: Credentials) -> bool | None:
    """Return whether the credentials suffice, or None if the token URLs have changed."""
    if not needed.keys() <= given.keys():
        return False
    return True if all(given[grant] <= needed[grant] for grant in needed) else None


def _alternatives(operation: Operation) -> dict[str, Credentials]:
    """Return the credentials for each of the operation's security requirements, keyed by name."""
    result: dict[str, Credentials] = {}
    for schemes in operation.security:
        names: list[str] = []
        credentials: Credentials = {}
        for name, scopes in sorted(schemes.items()):
            listed = ", ".join(sorted(scopes))
            names.append(f"{name} ({listed})" if listed else name)
            kind, issuers = _meaning(operation.scheme(name))
            while credentials.get(kind, issuers) != issuers:  # each scheme requires its own token
                kind += " too"
            credentials[kind] = issuers
            for scope in scopes:
                credentials[f"{kind} {scope}"] = set()
        result[" and ".join(names) or "no credential"] = credentials
    return result


def _meaning(scheme: Part) -> tuple[str, set[str]]:
    """Return how a client sends the scheme's token, and where it gets one (flow, field and URL)."""
    name = str(scheme.get("name"))
    if scheme.get("in") == "header":
        name = name.lower()
    kind = f"{scheme.get('type')} {scheme.get('in')} {name} {str(scheme.get('scheme')).lower()}"
    issuers: set[str] = set()
    for flow, fields in {"": scheme, **mapping_at(scheme, "flows")}.items():
        for key in ISSUERS & fields.keys():
            issuers.add(f"{flow} {key} {fields[key]}")
    return kind, issuers


def servers(operation: Operation) -> list[str]:
    """Return the operation's base URLs, with one URL for each value in a variable's `enum`."""
    found: dict[str, None] = {}
    shared = operation.contract.api.get("servers") or [{"url": "/"}]
    for server in operation.own_servers or shared:
        urls: list[str] = [server["url"]]
        others: Part = {}
        for name, variable in mapping_at(server, "variables").items():
            values = variable.get("enum") or ()
            if 0 < len(values) * len(urls) <= MOST:
                pairs = product(urls, values)
                urls = [url.replace(f"{{{name}}}", value) for url, value in pairs]
            else:
                others[name] = variable
        for url in map(_normal_url, urls):
            address = f"{url} {canonical_json(others)}" if others else url
            found[address] = None
    return list(found)


def _normal_url(url: str) -> str:
    """Lower-case the URL's scheme and host; remove a default port and a trailing slash."""
    url = re.sub(r"^\./(?=.)", "", url)
    try:
        parts = urlsplit(url)
    except ValueError:  # raised if, for example, the host is `[{variable}]`
        return url.rstrip("/")
    host = parts.netloc.lower().removesuffix(DEFAULT_PORTS.get(parts.scheme, "/"))
    return urlunsplit(parts._replace(netloc=host)).rstrip("/")


def addresses(operation: Operation) -> set[str]:
    """Return the operation's method and full URL on each server, without parameter names."""
    return {_address(operation, server) for server in servers(operation)}


def _address(operation: Operation, server: str) -> str:
    return f"{operation.method} {server}{operation.key[0]}"


def compare_servers(pair: Pair, before: set[str], after: set[str]) -> None:
    """Report the server URLs that the new contract removes, and those that it adds."""
    old = servers(pair.base)
    new = servers(pair.head)
    place = replace(pair, place="servers")
    if pair.base.own_servers or pair.head.own_servers:
        place = pair.at("servers")
    for url in old:
        if _address(pair.base, url) in after:
            continue
        urls = [url, *sorted(set(new) - set(old))]
        kinds = {"://" in other for other in urls}  # absolute and relative URLs
        if len(kinds) > 1 or not all(map(FIXED.fullmatch, urls)):
            what = f"{url or '/'} may no longer be served"
            place.add(Change.UNDECIDED, what, url, new)
        else:
            place.add(Change.BREAKING, f"{url or '/'} is removed", url, new, f"at {url}")
    for url in new:
        if _address(pair.head, url) not in before:
            place.add(Change.ADDITION, f"{url or '/'} is new", old, url)

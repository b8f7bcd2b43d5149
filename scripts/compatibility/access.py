"""Compare the security requirements and the server URLs of operations."""

import re
from dataclasses import replace
from itertools import chain
from urllib.parse import urlsplit, urlunsplit

from scripts.compatibility.findings import Severity
from scripts.compatibility.operations import Operation, Pair, Part, decoded
from scripts.compatibility.values import canonical_json, mapping_at

ISSUERS = {"authorizationUrl", "tokenUrl", "refreshUrl", "openIdConnectUrl"}
# The required schemes and scopes, each with the URLs at which a client can get a token.
Credentials = set[tuple[str, str]]
FIXED = re.compile(r"\w+://[^{]*")  # matches absolute URLs without variables
DEFAULT_PORTS = {"https": ":443", "http": ":80"}


def compare_security(pair: Pair) -> None:
    """Report credentials that are no longer sufficient, and those that have become sufficient."""
    before = _alternatives(pair.base)
    after = _alternatives(pair.head)
    sides = (pair.base.security, pair.head.security)
    security = pair.at("security")
    for name, given in before.items():
        if _suffice(given, after):
            continue
        if moved_keys(pair):
            security.add(Severity.UNDECIDED, f"{name} may no longer be sufficient", *sides)
        elif any(_kinds(needed) <= _kinds(given) for needed in after.values()):
            what = f"{name} may no longer be sufficient with tokens from the old URLs or flows"
            security.add(Severity.UNDECIDED, what, *sides)
        else:
            what = f"{name} is no longer sufficient"
            security.add(Severity.BREAKING, what, *sides, f"with {name}")
    for name, given in after.items():
        if not _suffice(given, before):
            tokens = " with tokens from the new URLs or flows" if name in before else ""
            security.add(Severity.ADDITION, f"{name} is now sufficient{tokens}", *sides)


def _suffice(given: Credentials, alternatives: dict[str, Credentials]) -> bool:
    """Return whether the credentials satisfy one of the alternatives."""
    return any(needed <= given for needed in alternatives.values())


def moved_keys(pair: Pair) -> set[tuple[str, str]]:
    """Return the parameters of one contract that the other contract declares only as API keys."""
    old = pair.base.parameters.keys()
    new = pair.head.parameters.keys()
    only_old = (old - new) & _api_keys(pair.head)
    only_new = (new - old) & _api_keys(pair.base)
    return only_old | only_new


def _api_keys(operation: Operation) -> set[tuple[str, str]]:
    """Return the locations and names of the API keys in the security requirements."""
    found: set[tuple[str, str]] = set()
    for name in chain(*operation.security):
        scheme = operation.scheme(name)
        found.add((str(scheme.get("in")), _field_name(scheme)))
    return found


def _field_name(scheme: Part) -> str:
    """Return the name of the header, cookie or query parameter that contains the scheme's token."""
    name = str(scheme.get("name", ""))
    return name.lower() if scheme.get("in") == "header" else name


def _kinds(credentials: Credentials) -> set[str]:
    """Return the credentials without the URLs at which a client can get a token."""
    return {kind for kind, _ in credentials}


def _alternatives(operation: Operation) -> dict[str, Credentials]:
    """Return the operation's security requirements, each as credentials, keyed by name."""
    result: dict[str, Credentials] = {}
    for schemes in operation.security:
        names: list[str] = []
        credentials: Credentials = set()
        for name, scopes in sorted(schemes.items()):
            kind, issuers = _meaning(operation.scheme(name))
            meaning = ", ".join([kind, *sorted(scopes)])
            names.append(f"{name} ({meaning})")
            credentials.add((kind, issuers))
            for scope in scopes:
                credentials.add((f"{kind} {scope}", issuers))
        result[" and ".join(names) or "anonymous access"] = credentials
    return result


def _meaning(scheme: Part) -> tuple[str, str]:
    """Describe how a client sends the token, and at which URLs it can get the token."""
    name = scheme.get("scheme", "").lower() or _field_name(scheme)
    words = (scheme["type"], scheme.get("in"), name)
    kind = " ".join(filter(None, words))
    issuers: set[str] = set()
    flows = {"": scheme, **mapping_at(scheme, "flows")}
    for flow, fields in flows.items():
        for key in ISSUERS & fields.keys():
            issuers.add(f"{flow} {key} {fields[key]}")
    return kind, canonical_json(sorted(issuers))


def servers(operation: Operation) -> list[str]:
    """Return the operation's base URLs, each with its variables."""
    found: list[str] = []
    shared = operation.contract.api.get("servers") or [{"url": "/"}]
    for server in operation.own_servers or shared:
        url = _normal_url(server["url"])
        variables = mapping_at(server, "variables")
        if variables:
            url += f" {canonical_json(variables)}"
        found.append(url)
    return found


def _normal_url(url: str) -> str:
    """Decode the URL, lowercase its scheme and host, and remove a default port and final slash."""
    try:
        parts = urlsplit(decoded(url))
    except ValueError:  # raised if, for example, the host is `[{variable}]`
        return url.rstrip("/")
    default_port = DEFAULT_PORTS.get(parts.scheme, "")
    user, at, host = parts.netloc.rpartition("@")
    host = host.lower().removesuffix(default_port)
    return urlunsplit(parts._replace(netloc=user + at + host)).rstrip("/")


def urls(operation: Operation) -> set[str]:
    """Return the operation's full URL on each server, without parameter names."""
    return {server + operation.key[0] for server in servers(operation)}


def addresses(operation: Operation) -> dict[str, str]:
    """Return the servers, keyed by the operation's method and full URL without parameter names."""
    path, method = operation.key
    return {f"{method} {server}{path}": server for server in servers(operation)}


def compare_servers(pair: Pair, before: set[str], after: set[str]) -> None:
    """Report the server URLs that the new contract removes, and those that it adds."""
    new = servers(pair.head)
    place = replace(pair, place="servers")
    if pair.base.own_servers or pair.head.own_servers:
        place = pair.at("servers")
    for address, url in addresses(pair.base).items():
        if address in after:
            continue
        # A relative URL, or a URL with variables, might match any other URL.
        if all(map(FIXED.fullmatch, [url, *new])):
            place.add(Severity.BREAKING, f"{url or '/'} is removed", url, new, f"at {url}")
        else:
            what = f"{url or '/'} may no longer be served"
            place.add(Severity.UNDECIDED, what, url, new)
    for address, url in addresses(pair.head).items():
        if address not in before:
            place.add(Severity.ADDITION, f"{url or '/'} is new", servers(pair.base), url)

"""Compare two contracts: operations, URLs, credentials, parts without a rule, and words."""

from __future__ import annotations

import re
from itertools import islice, product
from typing import TYPE_CHECKING, Any

from scripts.compatibility.containment import Prover
from scripts.compatibility.findings import Change, Finding, Findings
from scripts.compatibility.messages import compare_body, compare_parameters, compare_responses
from scripts.compatibility.operations import METHODS, VARIABLE, Operation, Pair, operations
from scripts.compatibility.payloads import leftovers
from scripts.compatibility.values import canonical_json, explain, mapping_at, shortened

if TYPE_CHECKING:
    from scripts.compatibility.documents import Contract
    from scripts.compatibility.operations import Part

# The keys that the rules compare.
OPERATION = {*("parameters", "requestBody", "responses", "servers", "security", "deprecated")}
PATH_ITEM = {"parameters", "servers", *METHODS}
DOCUMENT = {
    *("openapi", "info", "servers", "paths", "components", "security", "jsonSchemaDialect"),
}
SHOWN = 3  # places shown on one line
URLS = ("authorizationUrl", "tokenUrl", "refreshUrl")
MOST = 200  # URLs of one server
DEFAULT_PORT = re.compile(r"^(https://[^/]*):443(?=/|$)|^(http://[^/]*):80(?=/|$)")
Credential = tuple[dict[str, Any], set[str]]  # a scheme, and scopes


def compare(base: Contract, head: Contract) -> list[Finding]:
    """Return what changed on the wire, and in words; raise CannotCompareError."""
    findings = Findings()
    prover = Prover()
    before = list(operations(base))
    after = list(operations(head))
    served = {new.key: addresses(new) for new in after}
    old_addresses = set().union(*map(addresses, before))
    new_addresses = set().union(*served.values())
    paired: set[tuple[str, str]] = set()
    for old in before:
        urls = addresses(old)
        matches = [new for new in after if urls & served[new.key]]
        matches = matches or [new for new in after if new.key == old.key]
        if not matches:
            said = f"Valid in {base.version}, removed in {head.version}:"
            findings.add(Change.BREAKING, old.name, "is removed", old.raw, shown=(said, old.name))
        for new in matches:
            paired.add(new.key)
            pair = Pair(old, new, findings, prover)
            compare_servers(pair, old_addresses, new_addresses)
            _compare_pair(pair)
    for new in after:
        if new.key not in paired:
            _add_operation(findings, new, before)
    old_whole = Operation(base, "", "", {}, base.document)
    new_whole = Operation(head, "", "", {}, head.document)
    pair = Pair(old_whole, new_whole, findings, prover)
    leftovers(pair, "contract", DOCUMENT, base.document, head.document)
    return findings.merged() or _words(base, head)


def _compare_pair(pair: Pair) -> None:
    old = pair.base
    new = pair.head
    for rule in (compare_security, compare_parameters, compare_body, compare_responses):
        rule(pair)
    if new.raw.get("deprecated") and not old.raw.get("deprecated"):
        pair.findings.add(Change.ADDITION, old.name, "is deprecated now")
    leftovers(pair, old.name, OPERATION, old.raw, new.raw)
    leftovers(pair, old.path, PATH_ITEM, old.item, new.item)


def _add_operation(findings: Findings, new: Operation, before: list[Operation]) -> None:
    change = Change.ADDITION
    what = "is new"
    for old in before:
        if _hides(new, old, before):
            change = Change.UNDECIDED
            what = f"is new, and takes requests that {old.name} took"
            break
    findings.add(change, new.name, what, new=new.raw)


def _hides(new: Operation, old: Operation, before: list[Operation]) -> bool:
    """Return whether a new path may also be a value of a parameter in an old path."""
    if any(known.key[0] == new.key[0] for known in before):
        return False
    old_parts = old.key[0].split("/")
    new_parts = new.key[0].split("/")
    if len(old_parts) != len(new_parts):
        return False
    is_parameter = False
    for old_part, new_part in zip(old_parts, new_parts, strict=True):
        if old_part != new_part:
            if "{}" not in old_part and "{}" not in new_part:
                return False
            is_parameter |= "{}" in old_part
    return is_parameter


def _words(base: Contract, head: Contract) -> list[Finding]:
    """Return the differences that no rule reports."""
    found = explain(base.document, head.document)
    places = [place for place in found if not place.startswith("info.version:")]
    if not places:
        return []
    what = f"only words differ, or the meaning is the same ({shortened(places, SHOWN, '; ')})"
    return [Finding(Change.WORDS, "contract", what)]


def compare_security(pair: Pair) -> None:
    """Check that every set of credentials that was sufficient still is."""
    before = _alternatives(pair.base)
    after = _alternatives(pair.head)
    sides = (pair.base.security, pair.head.security)
    place = pair.place("security")
    is_sure = True
    for name, given in before.items():
        if _is_sufficient(given, after, is_sure=True):
            continue
        if _is_sufficient(given, after, is_sure=False):
            is_sure = False
            what = f"{name} may no longer be sufficient"
            pair.findings.add(Change.UNDECIDED, place, what, *sides)
        else:
            shown = pair.shown(f"{pair.base.name}, with {name}")
            what = f"{name} is no longer sufficient"
            pair.findings.add(Change.BREAKING, place, what, *sides, shown=shown)
    for name, given in after.items():
        if is_sure and not _is_sufficient(given, before, is_sure=True):
            what = f"{name} is sufficient now"
            pair.findings.add(Change.ADDITION, place, what, *sides)


def _alternatives(operation: Operation) -> dict[str, list[Credential]]:
    """Return the alternatives, each with a name for people."""
    made: dict[str, list[Credential]] = {}
    for schemes in operation.security:
        names: list[str] = []
        credentials: list[Credential] = []
        for name, scopes in schemes.items():
            asked = sorted(map(str, scopes or ()))
            names.append(f"{name} ({', '.join(asked)})" if asked else name)
            credentials.append((operation.scheme(name), set(asked)))
        made[" and ".join(names) or "no credential"] = credentials
    return made


def _is_sufficient(
    given: list[Credential], needed: dict[str, list[Credential]], *, is_sure: bool
) -> bool:
    """Return whether these credentials are all that one of the alternatives needs."""
    return any(
        all(
            any(_is_accepted(have, need, is_sure=is_sure) for have in given) for need in credentials
        )
        for credentials in needed.values()
    )


def _is_accepted(given: Credential, needed: Credential, *, is_sure: bool) -> bool:
    """Return whether a credential fits the other scheme; `is_sure` also compares the issuers."""
    old, scopes = given
    new, wanted = needed
    is_same = _key(old) == _key(new) and wanted <= scopes
    return is_same and (not is_sure or _issuers(old) <= _issuers(new))


def _key(scheme: Part) -> list[str]:
    """Return what distinguishes schemes; header names are case-insensitive."""
    parts = [str(scheme.get(key)) for key in ("type", "in", "scheme", "name")]
    return [*parts[:2], parts[2].lower(), parts[3].lower() if parts[1] == "header" else parts[3]]


def _issuers(scheme: Part) -> set[str]:
    """Return where tokens are issued, without the scopes, which are compared elsewhere."""
    found = {f"openid {scheme.get('openIdConnectUrl')}"}
    for name, flow in mapping_at(scheme, "flows").items():
        found |= {f"{name} {key} {flow[key]}" for key in URLS if key in flow}
    return found


def servers(operation: Operation) -> list[str]:
    """Return the base URLs of an operation, one for each value of a variable that lists them."""
    found: list[str] = []
    for server in operation.servers:
        url = str(server.get("url", "/"))
        variables = operation.contract.inlined(server.get("variables")) or {}
        listed = {name: known["enum"] for name, known in variables.items() if known.get("enum")}
        choices = list(islice(product(*listed.values()), MOST + 1))
        if len(choices) > MOST:
            choices, listed = [()], {}
        others = {name: known for name, known in variables.items() if name not in listed}
        stated = f" {canonical_json(others)}" if others else ""
        for choice in choices:
            values = dict(zip(listed, map(str, choice), strict=True))
            made = VARIABLE.sub(lambda match: values.get(match[1], match[0]), url)  # noqa: B023
            found.append(_normal_url(made) + stated)
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
    """Check that every URL that was served still is, by any operation of the contract."""
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

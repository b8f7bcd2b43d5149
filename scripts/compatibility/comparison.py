"""Compare two contracts: their operations, and then all other keys of the documents."""

from dataclasses import replace
from itertools import product
from typing import Any

from scripts.compatibility import access
from scripts.compatibility.containment import Prover
from scripts.compatibility.findings import Finding, Severity, merged
from scripts.compatibility.operations import (
    METHODS,
    NO_CONTENT,
    Operation,
    Pair,
    Part,
    operations,
    status_pairs,
)
from scripts.compatibility.payloads import compare_contents, compare_schemas, compare_texts
from scripts.compatibility.references import InlinedContract
from scripts.compatibility.values import explain, mapping_at, shortened
from scripts.documents import Contract

LIMIT = "x-max-bytes"
# For each kind of object, the keys that have their own comparison rules.
OPERATION = {"parameters", "requestBody", "responses", "servers", "security"}
PATH_ITEM = {"parameters", "servers", *METHODS}
DOCUMENT = {"openapi", "info", "servers", "paths", "security", "jsonSchemaDialect"}
REQUEST_BODY = {"required", "content", LIMIT}
RESPONSE = {"headers", "content"}
# Severities by (before, after): None means absent, False means optional, and True means required.
REQUEST_PRESENCE = {
    (None, False): (Severity.ADDITION, "is new and optional"),
    (None, True): (Severity.BREAKING, "is new and required"),
    (False, None): (Severity.BREAKING, "is removed"),
    (False, True): (Severity.BREAKING, "is now required"),
    (True, None): (Severity.BREAKING, "is removed"),
    (True, False): (Severity.ADDITION, "is now optional"),
}
RESPONSE_PRESENCE = {
    (None, False): (Severity.ADDITION, "is new"),
    (None, True): (Severity.ADDITION, "is new"),
    (False, None): (Severity.UNDECIDED, "is removed; it was optional"),
    (False, True): (Severity.ADDITION, "is now always present"),
    (True, None): (Severity.BREAKING, "is removed"),
    (True, False): (Severity.BREAKING, "can now be missing"),
}


def compare(base: Contract, head: Contract) -> list[Finding]:
    """Return the changes to requests and responses.

    If requests and responses are unchanged, return the changes to the documentation. Raise
    ContractError if a contract is invalid.
    """
    findings: list[Finding] = []
    prover = Prover()
    old_contract = InlinedContract(base.document, base.source, base.text)
    new_contract = InlinedContract(head.document, head.source, head.text)
    before = list(operations(old_contract))
    after = list(operations(new_contract))
    served = {new.key: access.addresses(new).keys() for new in after}
    old_addresses = set().union(*map(access.addresses, before))
    new_addresses = set().union(*served.values())
    paired: list[Operation] = []
    for old in before:
        own_addresses = access.addresses(old).keys()
        matches = [new for new in after if own_addresses & served[new.key]]
        if not matches:
            matches = [new for new in after if new.key == old.key]
        for new in matches:
            pair = Pair(old, new, findings, prover, old.name)
            access.compare_servers(pair, old_addresses, new_addresses)
            _compare_pair(pair)
        if not matches:
            removed = Pair(old, old, findings, prover, old.name)
            removed.add(Severity.BREAKING, "is removed", old.parts)
        paired += matches
    for new in after:
        if new not in paired:
            added = Pair(new, new, findings, prover, new.name)
            _add_operation(added, before)
    nothing = Operation(old_contract, "", "", {}, {})
    whole = Pair(nothing, nothing, findings, prover, "contract")
    whole.add_other_keys(DOCUMENT, old_contract.api, new_contract.api)
    return merged(findings) or _wording_changes(base, head)


def _compare_pair(pair: Pair) -> None:
    access.compare_security(pair)
    _compare_parameters(pair)
    _compare_body(pair)
    _compare_responses(pair)
    pair.add_other_keys(OPERATION, pair.base.parts, pair.head.parts)
    path = replace(pair, place=pair.base.path)
    path.add_other_keys(PATH_ITEM, pair.base.item, pair.head.item)


def _add_operation(pair: Pair, before: list[Operation]) -> None:
    new_urls = access.urls(pair.head).difference(*map(access.urls, before))
    for old in before:
        for new_url, old_url in product(new_urls, access.urls(old)):
            if _hides(new_url, old_url):
                what = f"is new, and its path also matches URLs of {old.name}"
                pair.add(Severity.UNDECIDED, what, new=pair.head.parts)
                return
    pair.add(Severity.ADDITION, "is new", new=pair.head.parts)


def _hides(new_url: str, old_url: str) -> bool:
    """Return whether a request can match both URLs because of a parameter in the old one."""
    new_parts = new_url.split("/")
    old_parts = old_url.split("/")
    if len(new_parts) != len(old_parts):
        return False
    is_hidden = False
    for new, old in zip(new_parts, old_parts, strict=True):
        if new != old and "{}" in old:
            is_hidden = True
        elif new != old and "{}" not in new:
            return False
    return is_hidden


def _wording_changes(base: Contract, head: Contract) -> list[Finding]:
    found = explain(base.document, head.document)
    places = [place for place in found if not place.startswith("info.version:")]
    if not places:
        return []
    what = f"only the wording differs, or the meaning is the same ({shortened(places, '; ')})"
    return [Finding(Severity.WORDS, "contract", what)]


def _compare_parameters(pair: Pair) -> None:
    before = pair.base.parameters
    after = pair.head.parameters
    moved = access.moved_keys(pair)
    for key, parameter in sorted((after | before).items()):
        location = parameter["in"]
        label = f"{location} parameter {parameter['name']}"
        part = pair.at(label, location=location, label=label)
        if key in moved:
            what = "is an API key in one of the contracts, so it is not compared"
            part.add(Severity.UNDECIDED, what, before.get(key), after.get(key))
        else:
            _compare_parameter(part, before.get(key), after.get(key))


def _compare_parameter(pair: Pair, old: Part | None, new: Part | None) -> None:
    """Compare a parameter or a response header."""
    _compare_presence(pair, old, new)
    if old is not None and new is not None:
        compare_texts(pair, old, new)


def _compare_presence(pair: Pair, old: Part | None, new: Part | None) -> None:
    """Report a part that was added, removed, made required or made optional."""
    presence = RESPONSE_PRESENCE if pair.status else REQUEST_PRESENCE
    was_required = None if old is None else bool(old.get("required"))
    is_required = None if new is None else bool(new.get("required"))
    change = (was_required, is_required)
    if change in presence:
        severity, what = presence[change]
        word = "without" if is_required or pair.status else "with"
        sides: tuple[Any, Any] = (old, new)
        if None not in change:  # other changes must not affect the finding's id
            sides = change
        pair.add(severity, what, *sides, f"{word} {pair.label}")


def _compare_body(pair: Pair) -> None:
    old = pair.base.parts.get("requestBody")
    new = pair.head.parts.get("requestBody")
    body = pair.at("body")
    _compare_presence(body, old, new)
    if old is not None and new is not None:
        body.add_other_keys(REQUEST_BODY, old, new)
        size = body.at(LIMIT, label="bytes in the body")
        compare_schemas(size, _size(old), _size(new))
        compare_contents(body, old, new)


def _size(body: Part) -> Part:
    """Return a schema for the size of a request body in bytes."""
    return {"maximum": body[LIMIT]} if LIMIT in body else {}


def _compare_responses(pair: Pair) -> None:
    before = mapping_at(pair.base.parts, "responses")
    after = mapping_at(pair.head.parts, "responses")
    pairs = status_pairs(before, after)
    has_success = any(new_entry and is_success for _, new_entry, is_success in pairs)
    # Ranges and defaults of which at least one status is documented in both contracts.
    kept = set()
    for old_entry, new_entry, _ in pairs:
        if old_entry and new_entry:
            kept |= {old_entry, new_entry}
    for old_entry, new_entry, is_success in pairs:
        part = pair.at(f"response {new_entry or old_entry}")
        response = replace(part, status=new_entry or old_entry)
        if old_entry is None:
            what = "is new and was not documented before"
            if new_entry in kept:
                what = "includes statuses that were not documented before"
            response.add(Severity.BREAKING, what, None, {new_entry: after[new_entry]})
        elif new_entry is not None:
            old = before[old_entry]
            new = after[new_entry]
            _compare_headers(response, old, new)
            response.add_other_keys(RESPONSE, old, new)
            body = response.at("body")
            if old_entry != new_entry and NO_CONTENT in {old_entry, new_entry}:
                what = "changed, but a 204 response never has a body"
                body.add_undecided(what, old.get("content"), new.get("content"))
            else:
                compare_contents(body, old, new)
        elif is_success and not has_success:
            what = "is removed, and no successful status remains"
            part.add(Severity.BREAKING, what, old_entry, None, f"expecting {old_entry}")
        else:
            what = "is no longer returned"
            if old_entry in kept:
                what = "some of its statuses are no longer returned"
            part.add(Severity.ADDITION, what, old_entry, removed=True)


def _compare_headers(response: Pair, old: Part, new: Part) -> None:
    before = _headers(old)
    after = _headers(new)
    for name in sorted(before | after):
        header = response.at(f"header {name}", location="header", label="this header")
        _compare_parameter(header, before.get(name), after.get(name))


def _headers(response: Part) -> dict[str, Part]:
    """Return the response headers, keyed by lower-case name.

    Omit Content-Type, because OpenAPI ignores it.
    """
    headers = mapping_at(response, "headers")
    result = {name.lower(): header for name, header in headers.items()}
    result.pop("content-type", None)
    return result

"""Checks each exchange: first whether a response arrived, and last the response's status.

In general, only the first rule that an exchange breaks is reported. However, the rules about
access, credentials and internal details are always checked.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from support import contract
from support.exchange import UUID, Exchange
from support.expectation import expectation_of, read_json, rule_of_field, rule_of_valid
from support.findings import Finding
from support.leaks import encoding_of_leak, internals
from support.rule import ACCEPTED, DATA, Rule, describe, slug

COMMON_TYPE = re.compile("(text|application)/[a-z.+-]+")
# Servers may return these statuses before routing, for example if the URI is too long.
BEFORE_ROUTING = (411, 414, 431)
CHANGING_HEADERS = {*DATA["changing_headers"]}
PROXY_PAGE = re.compile("|".join(DATA["proxy_pages"]), re.IGNORECASE)


def _is_from_elsewhere(exchange: Exchange, from_endpoint: list[Exchange]) -> bool:
    """Return whether the response appears to come from a server in front of the endpoint.

    `from_endpoint` contains earlier responses from the endpoint itself.
    """
    if exchange.status in BEFORE_ROUTING:
        return True
    # A 401, 404 or 500 must be JSON, even from a proxy.
    is_api = "json" in exchange.media_type or exchange.status in (401, 404, 500)
    if is_api or exchange.succeeded:
        return False
    if PROXY_PAGE.search(exchange.text):
        return True
    names = _header_names(exchange)
    for known in from_endpoint:
        is_same_server = known.header("Server") == exchange.header("Server")
        if is_same_server and _header_names(known) <= names:
            return False
    return True


def _header_names(exchange: Exchange) -> set[str]:
    return {name.lower() for name, _ in exchange.headers} - CHANGING_HEADERS


def check_safety(exchange: Exchange, tokens: Iterable[str]) -> Iterator[Finding]:
    """Check the rules that always apply: no forbidden updates, and no leaks, even of `tokens`."""
    expectation = expectation_of(exchange.request)
    got = exchange.got
    how = encoding_of_leak(exchange, tokens)
    if how:
        found = f"a credential ({how})"
        subject = f"a credential in a {got} response"
        yield Finding(
            f"credentials/{slug(how)}", "returned", "no credential in the response", found, subject
        )
    internal = internals(exchange)
    if internal:
        expected = "no internal details in an error"
        yield Finding("internals/error", "returned", expected, describe(internal), f"a {got}")
    if expectation.access and exchange.succeeded:
        expected = f"{expectation.rule.expected}, and no update"
        finding = _finding(exchange, expectation.access, got, expected, got + ACCEPTED)
        finding.explained_by += (f"{exchange.request.user.id}/{got}",)
        yield finding


def check_response(exchange: Exchange, from_endpoint: list[Exchange]) -> Iterator[Finding]:
    """Yield a finding for each rule that the exchange breaks, starting with the most basic one."""
    rule = expectation_of(exchange.request).rule
    status = exchange.status
    is_expected = status in rule.statuses
    if not status:
        if not is_expected:  # it is expected if there was no response on its own either
            yield _finding(exchange, rule, exchange.got, "a response", exchange.failure)
        return
    is_from_elsewhere = _is_from_elsewhere(exchange, from_endpoint)
    is_refused_method = status == 405 and exchange.request.method not in ("PUT", "TRACE")
    if is_refused_method and not is_from_elsewhere:
        yield from _check_allow(exchange)
    if is_expected and not rule.has_documented_form:
        return
    if is_from_elsewhere:
        yield _before_the_endpoint(exchange, rule)
        return
    if status >= 500 and not is_expected:
        yield _server_error(exchange)
        return
    if rule.has_documented_form or rule.is_open:
        yield from _check_form(exchange)
        # Treat an undocumented 4xx as a 400 here; a separate finding reports the wrong status.
        if 400 <= status < 500 and status not in contract.RESPONSES:
            is_expected = 400 in rule.statuses
    if not is_expected:
        yield _wrong_status(exchange)


def _check_allow(exchange: Exchange) -> Iterator[Finding]:
    rule = "other-methods/Allow"
    expected = "`Allow` with `PUT`"
    subject = "the `Allow` header of a 405 response"
    allowed = exchange.header("Allow")
    if not allowed:
        yield Finding(rule, "missing", expected, "no such header", subject)
    elif "PUT" not in allowed.upper():
        yield Finding(rule, "without-PUT", expected, f"`{allowed}`", subject)


def _finding(exchange: Exchange, rule: Rule, outcome: str, expected: str, got: str) -> Finding:
    """Return a finding that may be a consequence of a finding about a broader rule."""
    return Finding(rule.id, outcome, expected, got, explained_by=_broader(exchange, rule, outcome))


def _broader(exchange: Exchange, rule: Rule, outcome: str) -> tuple[str, ...]:
    """Return the ids of findings about broader rules that would explain this outcome."""
    clause = rule.clause
    end = slug(outcome)
    broader = []
    for kind in (rule.kind, *DATA["broader_kinds"].get(clause, ())):
        broader.append(f"{clause}/{kind}/{end}")
        if clause in ("unauthorized", "order"):  # perhaps the backend accepts invalid tokens
            broader.append(f"authentication/{kind}/200")
        if clause == "order":  # perhaps the status is the same for every id and body
            broader.append(f"unauthorized/{kind}/{end}")
    if not exchange.succeeded:
        for simpler in _simpler_rules(exchange):
            broader.append(f"{simpler}/{end}")
    return tuple(broader)


def _simpler_rules(exchange: Exchange) -> Iterator[str]:
    """Yield the ids of rules for simpler or smaller requests, which may get the same status."""
    request = exchange.request
    expectation = expectation_of(request)
    yield from ("update/plain", rule_of_valid(request).id)
    yield from (reason.id for reason in expectation.reasons)
    if 200 not in request.place.statuses:
        yield "id/unknown"
    if expectation.rule.depends_on_earlier:
        yield "unique-names/taken"
    if request.user.kind == "ADMIN":
        yield "access-levels/ADMIN"
    for name, value in request.text_fields.items():
        if name == "name":
            yield "unique-names/free"
        yield from (f"update/{name}-plain", rule_of_field(name, value).id)


def _before_the_endpoint(exchange: Exchange, rule: Rule) -> Finding:
    got = f"{exchange.got} from a proxy, server or router in front of the endpoint"
    outcome = f"{exchange.got}-before-the-endpoint"
    if rule.must_succeed:
        return _finding(exchange, rule, outcome, rule.expected, got)
    expected = "any rejection; this note requires no change"
    return Finding("before-the-application/rejected", outcome, expected, got, is_note=True)


def _server_error(exchange: Exchange) -> Finding:
    cause = _cause_of_server_error(exchange)
    rule = expectation_of(exchange.request).rule
    finding = _finding(exchange, rule, exchange.got, f"{rule.expected}, not 5xx", exchange.got)
    finding.rule = cause.id
    if cause.words != rule.words:
        finding.subject = cause.words
    return finding


def _cause_of_server_error(exchange: Exchange) -> Rule:
    expectation = expectation_of(exchange.request)
    causes = [*expectation.reasons, expectation.rule]
    for cause in causes:  # a rule about parsing the body is the likely cause
        if cause.clause in ("unreadable-body", "json-open") or cause.kind.startswith("empty"):
            return replace(cause, id="unreadable-body/server-error")
    return causes[0]


def _wrong_status(exchange: Exchange) -> Finding:
    expectation = expectation_of(exchange.request)
    rule = expectation.rule
    request = exchange.request
    user = request.user
    status = exchange.status
    # These rules describe the configuration and the body.
    revealed = [request.place, *expectation.reasons]
    if rule.clause == "unauthorized" and any(status in cause.statuses for cause in revealed):
        rule = replace(rule, id=f"order/{rule.kind}")
    if rule.clause == "update" and user.kind == "ADMIN" and status in (401, 403, 404):
        # Users with WRITE access can update, so the cause must be the ADMIN access itself.
        rule = replace(rule, id="access-levels/ADMIN")
    got = exchange.got
    if user.statuses != {401}:
        if exchange.succeeded and expectation.reasons:
            got += ACCEPTED
        elif exchange.succeeded and rule.depends_on_earlier:
            got += ": the name was not taken"
        if status == 401 and user.kind != "WRITE":
            got += "; check that this token is valid"
    finding = _finding(exchange, rule, exchange.got, rule.expected, got)
    if rule.kind == user.kind:
        finding.subject = user.words
    if exchange.succeeded and (request.chunks is not None or rule.clause == "chunked"):
        # The cause may be that the backend treats all chunked bodies as empty.
        finding.explained_by = ("body/empty-in-chunks/200",)
    return finding


def _check_form(exchange: Exchange) -> Iterator[Finding]:
    """Check that the response has the format that the contract documents for its status."""
    status = exchange.status
    media_type = exchange.media_type
    is_documented = status in contract.RESPONSES
    rule = expectation_of(exchange.request).rule
    clause = "success-response" if exchange.succeeded else "error-response"
    if not is_documented:
        documented = contract.RESPONSES.keys()
        # A rule may require the status of an earlier response, which was undocumented too.
        expected = replace(rule, statuses=rule.statuses & documented or documented).expected
        subject = "a status that the contract does not document"
        yield Finding("statuses/undocumented", str(status), expected, str(status), subject)
    if media_type != "application/json":
        yield _wrong_media_type(f"{clause}/media-type", exchange)
    # Skip other bodies, such as HTML, because their wrong media type has already been reported.
    if "json" in media_type or exchange.value is not None:
        subject = f"the body of a {status} response"
        value, reasons = read_json(exchange.body)
        problems = [reason for reason in reasons if reason.kind != "number"]
        if problems:
            got = problems[0].words
            yield Finding(f"{clause}/json", "not-strict", "strict JSON in UTF-8", got, subject)
        elif not isinstance(value, dict):
            yield Finding(f"{clause}/json", "no-object", "a JSON object", describe(value), subject)
    is_object = isinstance(exchange.value, dict)
    if is_documented and is_object:
        yield from _check_schema(clause, exchange)
    if is_documented:
        yield from _check_headers(exchange)
    if is_object:
        yield from _check_fields(exchange)


def _wrong_media_type(rule: str, exchange: Exchange) -> Finding:
    subject = f"the media type of a {exchange.status} response"
    got = exchange.media_type or "no Content-Type"
    outcome = got
    if exchange.media_type and not COMMON_TYPE.fullmatch(got):
        outcome = "unusual"  # it could contain a token, which must not be part of the finding's id
    return Finding(rule, outcome, "application/json", got, subject)


def _check_schema(clause: str, exchange: Exchange) -> Iterator[Finding]:
    for error in contract.SCHEMAS[exchange.status].iter_errors(exchange.value):
        field = str(["body", *error.instance_path][-1])
        kind = error.kind.name
        subject = f"`{field}` in a {exchange.status} response"
        expected = "a value that matches the schema"
        if kind == "type":
            expected = f"a {' or '.join(error.kind.as_dict()['types'])}"
        elif kind == "const":
            expected = f"`{field}`: {describe(error.kind.as_dict()['expected_value'])}"
        got = describe(error.instance)
        yield Finding(f"{clause}/{field}-{kind}", "invalid", expected, got, subject)


def _check_headers(exchange: Exchange) -> Iterator[Finding]:
    for name, reference in contract.RESPONSES[exchange.status].get("headers", {}).items():
        header = contract.resolve(reference)
        if not header.get("required"):
            continue
        rule = f"error-response/{name}"
        expected = f"`{name}`"
        if exchange.status == 401:
            rule = f"challenge/{name}"
            expected = f"`{name}: Bearer`"
        subject = f"the `{name}` header of a {exchange.status} response"
        value = exchange.header(name)
        if value is None:
            yield Finding(rule, "missing", expected, "no such header", subject)
        elif not re.fullmatch(header["schema"].get("pattern", "(?s).*"), value):
            yield Finding(rule, "other", expected, f"`{value}`", subject)


def _check_fields(exchange: Exchange) -> Iterator[Finding]:
    clause = "error-response"
    correct: dict[str, object] = {"success": exchange.succeeded}
    id = exchange.request.id
    if exchange.succeeded:
        clause = "success-fields"
        if UUID.fullmatch(id) and exchange.fields.get("aiLlmId") == id.lower():
            id = id.lower()
        if id:
            correct["aiLlmId"] = id
    for name, expected in correct.items():
        value = exchange.fields.get(name)
        words = f"`{name}`: {describe(expected)}"
        subject = f"`{name}` in a {exchange.status} response"
        if value is None:
            yield Finding(f"{clause}/{name}", "missing", words, "no such field", subject)
        elif str(value) != str(expected):  # the schema's rule reports a wrong type
            yield Finding(f"{clause}/{name}", "other", words, describe(value), subject)

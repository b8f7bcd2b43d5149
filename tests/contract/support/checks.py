"""Checks each exchange, from whether a response arrived to whether its status is correct.

In general, only the first rule that an exchange breaks is reported. However, the rules about
access, credentials and internal details are always checked.
"""

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from typing import Any

from support import contract
from support.backend import ADMIN, EXPIRED, FOREIGN_ID, READER, SIBLING_ID, STRANGER, USERS
from support.exchange import UUID, Exchange, Request
from support.expectation import read_json, rule_of_field, rule_of_valid
from support.findings import HINT, Finding
from support.leaks import find_leak, internals
from support.options import MEANINGS
from support.rule import ACCEPTED, DATA, RULES, Rule, describe, slug

COMMON_TYPE = re.compile("(text|application)/[a-z.+-]+")
# Servers may return these statuses before routing, for example if the URI is too long.
BEFORE_ROUTING = (411, 414, 431)
# With these statuses, a server in front of the endpoint may reject a body that it cannot parse.
ANY_FORMAT = (400, 413, 415)
PARSING = ("body", "body-size", "json-open", "other-media-type", "unreadable-body")
# The rules for updates that show whether a name is taken
NAMES = {id for id, rule in RULES.items() if rule.depends_on_earlier}
APPLIED = "authentication/applied"
# Rules with these endings send a name that is taken only if a rejected request had an effect.
EFFECTS = ("/applied", "/rejected", "-renamed")
PAGE = "success-response/media-type/text-html"
# Statuses that a backend may return if a name is taken, even though the contract requires 400.
CONFLICTS = (400, 409, 422, 500)
# Maps the id of each rule about a user or configuration to the variable that may be wrong if the
# rule is broken. FLASHBACK_TOKEN is omitted, because the control requests show that it works.
VARIABLES = {USERS[name]: name for name in (ADMIN, READER, STRANGER, EXPIRED)}
VARIABLES |= {"workspace-access/foreign": FOREIGN_ID, "update/sibling": SIBLING_ID}
# Problems in JSON that are allowed in a response, because it may quote a value from the request
TOLERATED = ("number", "lone-surrogate")
CHANGING_HEADERS = {*DATA["changing_headers"]}
PROXY_PAGE = re.compile("|".join(DATA["proxy_pages"]), re.IGNORECASE)


def _is_from_elsewhere(exchange: Exchange, from_endpoint: list[Exchange]) -> bool:
    """Return whether the response appears to come from a server in front of the endpoint.

    `from_endpoint` contains earlier responses from the endpoint itself.
    """
    status = exchange.status
    has_no_body = status == 413 and not exchange.body
    if status in BEFORE_ROUTING or has_no_body:
        return True
    # Treat a 401, a 404, or a 5xx other than 501 as the endpoint's response, because the contract's
    # rules for these statuses also apply to a proxy.
    is_api = "json" in exchange.media_type or status in (401, 404)
    is_api |= status >= 500 and status != 501
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


def check_safety(
    exchange: Exchange, tokens: Collection[str], earlier: Iterable[Exchange]
) -> Iterator[Finding]:
    """Check the rules that always apply: those about access, credentials and internal details.

    The response must not contain any of the `tokens`, whether or not the request contained it.
    `earlier` contains responses to other requests.
    """
    request = exchange.request
    got = exchange.got
    leak = find_leak(exchange, tokens, earlier)
    if leak:
        where, how = leak
        rule = f"credentials/{slug(how)}"
        subject = f"a credential in a {got} response"
        expected = "no credential in the response"
        yield Finding(rule, "returned", expected, f"a credential ({how}) in {where}", subject)
    internal = internals(exchange)
    if internal:
        expected = "no internal details in a response"
        subject = f"an internal detail in a {got} response"
        yield Finding("internals/error", "returned", expected, describe(internal), subject)
    if request.access and exchange.is_accepted:
        expected = f"{request.rule.expected}, and no update"
        answer = got + ACCEPTED + _hint(exchange)
        finding = _finding(exchange, request.access, got, expected, answer)
        finding.explained_by += (f"{request.user.id}/{got}",)
        yield finding


def check_response(exchange: Exchange, from_endpoint: list[Exchange]) -> Iterator[Finding]:
    """Yield a finding for each rule that the exchange breaks, starting with the most basic one."""
    request = exchange.request
    rule = request.rule
    status = exchange.status
    is_expected = status in rule.statuses
    # Where a redirect is a rejection, so is a page, such as the start page of a web application.
    is_expected |= exchange.succeeded and exchange.is_page and 300 in rule.statuses
    if not status:
        if not is_expected:  # expected if the request also got no response when it was sent alone
            yield _finding(exchange, rule, exchange.got, "a response", exchange.failure)
        return
    if rule.id == APPLIED and status in CONFLICTS:
        yield Finding(rule.id, exchange.got, rule.expected, exchange.got)
        return
    is_from_elsewhere = _is_from_elsewhere(exchange, from_endpoint)
    if status == 405 and request.method not in ("PUT", "TRACE") and not is_from_elsewhere:
        expected = "`Allow` with `PUT`"
        yield from _check_header(exchange, "other-methods/Allow", expected, "(?i).*PUT.*")
    if is_expected and not rule.has_documented_form:
        return
    if is_from_elsewhere:
        yield _before_the_endpoint(exchange)
        return
    yield from _check_answer(exchange, is_expected=is_expected)


def _check_answer(exchange: Exchange, *, is_expected: bool) -> Iterator[Finding]:
    """Check the form and the status of a response from the endpoint itself."""
    rule = exchange.request.rule
    status = exchange.status
    if status >= 500 and not is_expected:
        yield _server_error(exchange)
        return
    if rule.has_documented_form or rule.is_open:
        yield from _check_form(exchange)
        # Treat an undocumented 4xx as a 400 here; a separate finding reports the wrong status.
        if _is_undocumented_4xx(exchange):
            is_expected |= 400 in rule.statuses
    if not is_expected:
        yield _wrong_status(exchange)


def _is_undocumented_4xx(exchange: Exchange) -> bool:
    return 400 <= exchange.status < 500 and exchange.status not in contract.RESPONSES


def _finding(exchange: Exchange, rule: Rule, outcome: str, expected: str, got: str) -> Finding:
    """Return a finding that lists the ids of broader findings that could explain it."""
    clause = rule.clause
    request = exchange.request
    end = slug(outcome)
    # If the backend accepts an invalid token, this explains other statuses, but not a server error.
    may_be_accepted = 0 < exchange.status < 500
    broader = []
    for kind in (rule.kind, *DATA["broader_kinds"].get(clause, ())):
        broader.append(f"{clause}/{kind}/{end}")
        if clause in ("unauthorized", "order") and may_be_accepted:
            broader.append(f"authentication/{kind}/200")
        if clause == "order":  # perhaps the status is the same for every id and body
            broader.append(f"unauthorized/{kind}/{end}")
    if request.user.statuses == {401} and may_be_accepted:
        broader.append(f"{request.user.id}/200")
    # If the request is rejected because of an effect, no simpler request explains this.
    shows_effect = exchange.status in CONFLICTS and rule.id.endswith(EFFECTS)
    if not exchange.succeeded and not shows_effect:
        broader += [f"{simpler}/{end}" for simpler in _simpler_rules(request)]
    return Finding(rule.id, outcome, expected, got, explained_by=tuple(broader))


def _simpler_rules(request: Request) -> Iterator[str]:
    """Yield the ids of the rules for simpler requests, which may fail with the same status."""
    yield "update/plain"
    if request.rule.must_succeed:  # perhaps the request repeats an earlier one
        yield "idempotent/again"
    yield rule_of_valid(request).id
    yield from (reason.id for reason in request.reasons)
    if request.user.statuses == {401}:
        yield f"unauthorized/{request.user.kind}"
    if 200 not in request.place.statuses:
        yield "id/unknown"
    if request.rule.depends_on_earlier:
        yield "unique-names/taken"
    if request.user.kind == "ADMIN":
        yield "access-levels/ADMIN"
    for name, value in request.text_fields.items():
        if name == "name":
            yield "unique-names/free"
        if not value.isascii():
            yield f"update/{name}-non-ascii"
        clause = "endpoint-url" if name in contract.URLS else "update"
        yield f"{clause}/{name}-plain"
        yield rule_of_field(name, value).id


def _before_the_endpoint(exchange: Exchange) -> Finding:
    rule = exchange.request.rule
    got = f"{exchange.got} from a proxy, server or router in front of the endpoint"
    outcome = f"{exchange.got}-before-the-endpoint"
    if rule.must_succeed:
        return _finding(exchange, rule, outcome, rule.expected, got)
    expected = "any rejection, even by another component; no change is needed"
    finding = Finding("before-the-application/rejected", outcome, expected, got, is_note=True)
    # Only the endpoint knows the rules for fields, and its own rejections have a documented form.
    is_about_parsing = rule.clause in PARSING and exchange.status in ANY_FORMAT
    finding.continues = is_about_parsing and exchange.status in rule.statuses
    return finding


def every_rejection(exchange: Exchange) -> Finding:
    """Return the finding for a backend that returns this status instead of every 4xx."""
    subject = "any request that must be rejected"
    return Finding("statuses/rejection", exchange.got, "a 4xx status", exchange.got, subject)


def _server_error(exchange: Exchange) -> Finding:
    rule = exchange.request.rule
    causes = [*exchange.request.reasons, rule]
    likely = causes[0]
    finding = _finding(exchange, rule, exchange.got, f"{rule.expected}, not 5xx", exchange.got)
    finding.rule = likely.id
    if not rule.must_succeed:
        finding.explained_by += (every_rejection(exchange).id,)
    for cause in causes:  # a rule about parsing the body is the likely cause
        if cause.clause in ("unreadable-body", "json-open") or cause.kind.startswith("empty"):
            finding.rule = "unreadable-body/server-error"
            likely = cause
            break
    finding.subject = likely.words
    return finding


def _wrong_status(exchange: Exchange) -> Finding:
    request = exchange.request
    rule = request.rule
    user = request.user
    status = exchange.status
    # A status that only these rules allow reveals something about the configuration or the body.
    causes = [request.place, *request.reasons]
    is_revealing = any(status in cause.statuses for cause in causes)
    if rule.clause == "unauthorized" and is_revealing:
        rule = replace(rule, id=f"order/{rule.kind}")
    is_denied_admin = user.kind == "ADMIN" and status in (401, 403, 404)
    if rule.clause == "update" and is_denied_admin:
        # Users with WRITE access can update, so the cause must be the ADMIN access itself.
        rule = replace(rule, id="access-levels/ADMIN")
    got = exchange.got + _effect(exchange) + _hint(exchange)
    finding = _finding(exchange, rule, exchange.got, rule.expected, got)
    if rule.kind == user.kind:
        finding.subject = user.words
    if exchange.succeeded and not exchange.is_accepted:
        finding.explained_by += ("success-response/success-const/invalid", PAGE)
    if _is_undocumented_4xx(exchange) and not rule.must_succeed:
        finding.explained_by += (f"statuses/undocumented/{status}",)
    is_chunked = request.chunks is not None or rule.clause == "chunked"
    if exchange.succeeded and is_chunked:
        # The cause may be that the backend treats all chunked bodies as empty.
        finding.explained_by = ("body/empty-in-chunks/200",)
    return finding


def _effect(exchange: Exchange) -> str:
    """Return what the status shows about the update, as a suffix such as `: the name is taken`."""
    rule = exchange.request.rule
    if exchange.request.user.statuses == {401}:
        return ""
    if exchange.is_accepted and exchange.request.reasons:
        return ACCEPTED
    if exchange.is_accepted and rule.id in NAMES:
        return ": the name was not taken"
    return ": the name is taken" if exchange.status == 400 and rule.id in NAMES else ""


def _hint(exchange: Exchange) -> str:
    """Return a hint to check the variables that can cause this response if set incorrectly."""
    request = exchange.request
    status = exchange.status
    suspects = []
    if request.rule.id == "update/sibling":
        suspects.append(request.rule.id)
    is_about_access = exchange.succeeded or status in (401, 403)
    if is_about_access and status not in request.user.statuses:
        suspects.append(request.user.id)
    if exchange.succeeded or status == 404:
        suspects.append(request.place.id)
    names = [VARIABLES[id] for id in suspects if id in VARIABLES]
    if not names:
        return ""
    meanings = [f"{name} is {MEANINGS[name]}" for name in names]
    return HINT + " and that ".join(meanings)


def _check_form(exchange: Exchange) -> Iterator[Finding]:
    """Check that the response has the format that the contract documents for its status."""
    status = exchange.status
    documented = contract.RESPONSES.keys()
    rule = exchange.request.rule
    clause = "success-response" if exchange.succeeded else "error-response"
    is_undocumented_4xx = _is_undocumented_4xx(exchange)
    if status not in documented and not (is_undocumented_4xx and rule.must_succeed):
        # The rule may require a status that the backend returned earlier. If that status is
        # undocumented, expect any documented status instead.
        statuses = rule.statuses & documented or documented
        expected = replace(rule, statuses=statuses).expected
        subject = "a status that the contract does not document"
        finding = Finding("statuses/undocumented", str(status), expected, str(status), subject)
        finding.continues = is_undocumented_4xx
        yield finding
    got = exchange.media_type or "no Content-Type"
    if got != "application/json":
        # An unusual type could contain a token, which must not be part of the finding's id.
        is_usual = not exchange.media_type or COMMON_TYPE.fullmatch(got)
        outcome = got if is_usual else "unusual"
        subject = f"the media type of a {status} response"
        finding = Finding(f"{clause}/media-type", outcome, "application/json", got, subject)
        finding.continues = "json" in got or isinstance(exchange.value, dict)
        yield finding
    # Skip other bodies, such as HTML, because their wrong media type has already been reported.
    if "json" in got or exchange.value is not None:
        yield from _check_json(clause, exchange)
    if status in documented:
        yield from _check_headers(exchange)
    if isinstance(exchange.value, dict):
        yield from _check_fields(exchange)


def _check_json(clause: str, exchange: Exchange) -> Iterator[Finding]:
    """Check that the body is strict JSON (RFC 8259), and an object that matches the schema."""
    rule = f"{clause}/json"
    subject = f"the body of a {exchange.status} response"
    value, reasons = read_json(exchange.body)
    problems = [reason.words for reason in reasons if reason.kind not in TOLERATED]
    if problems:
        got = problems[0]
        if coding := exchange.header("Content-Encoding"):
            got += f", with `Content-Encoding: {coding}`"
        yield Finding(rule, "not-strict", "strict JSON in UTF-8", got, subject)
    elif not isinstance(value, dict):
        yield Finding(rule, "no-object", "a JSON object", describe(value), subject)
    if isinstance(value, dict) and exchange.status in contract.RESPONSES:
        yield from _check_schema(clause, exchange.status, value)


def _check_schema(clause: str, status: int, value: dict[str, Any]) -> Iterator[Finding]:
    """Check a body against the schema that the contract documents for the status."""
    for error in contract.SCHEMAS[status].iter_errors(value):
        path = ["body", *error.instance_path]
        field = str(path[-1])
        kind = error.kind.name
        expected = "a value that matches the schema"
        if kind == "type":
            expected = f"a {' or '.join(error.kind.as_dict()['types'])}"
        elif kind == "const":
            expected = f"`{field}`: {describe(error.kind.as_dict()['expected_value'])}"
        subject = f"`{field}` in a {status} response"
        got = describe(error.instance)
        yield Finding(f"{clause}/{field}-{kind}", "invalid", expected, got, subject)


def _check_headers(exchange: Exchange) -> Iterator[Finding]:
    """Check the headers that the contract requires for the response's status."""
    clause = "challenge" if exchange.status == 401 else "error-response"
    headers = contract.RESPONSES[exchange.status].get("headers", {})
    for name, reference in headers.items():
        header = contract.resolve(reference)
        if header.get("required"):
            expected = f"`{name}: {header.get('example', '…')}`"
            pattern = header["schema"].get("pattern", "(?s).*")
            yield from _check_header(exchange, f"{clause}/{name}", expected, pattern)


def _check_header(exchange: Exchange, rule: str, expected: str, pattern: str) -> Iterator[Finding]:
    name = rule.partition("/")[2]
    subject = f"the `{name}` header of a {exchange.status} response"
    value = exchange.header(name)
    if value is None:
        yield Finding(rule, "missing", expected, "no header", subject, continues=True)
    elif not re.fullmatch(pattern, value):
        outcome = "without-PUT" if name == "Allow" else "other"
        yield Finding(rule, outcome, expected, f"`{value}`", subject, continues=True)


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
        rule = f"{clause}/{name}"
        value = exchange.fields.get(name)
        words = f"`{name}`: {describe(expected)}"
        subject = f"`{name}` in a {exchange.status} response"
        if value is None:
            yield Finding(rule, "missing", words, "no value", subject, continues=True)
        elif str(value) != str(expected):  # the schema rule reports wrong types
            yield Finding(rule, "other", words, describe(value), subject)

"""Checks each exchange: first whether a response arrived, and last the response's status.

In general, only the first rule that an exchange breaks is reported. However, the rules about
access, credentials and internal details are always checked.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from support import contract
from support.exchange import UUID, Exchange
from support.expectation import Expectation, rule_of_field, rule_of_valid
from support.leaks import Credentials, internals
from support.rule import ACCEPTED, Breach, Rule, describe, id_of

PLAIN = Rule("update", "plain", "a plain update", {200})
UNKNOWN_ID = Rule("id", "unknown", "an unknown id")
OWN_NAME = Rule(
    "unique-names", "free", "the configuration's own name", {200}, depends_on_earlier=True
)
TAKEN = Rule("unique-names", "taken", "a name that is taken", {400}, depends_on_earlier=True)

# A finding of one of these kinds explains all other findings for the same clause.
BROADER_KINDS = {
    "authentication": ("no-token", "unknown-token"),
    "unauthorized": ("no-token", "unknown-token"),
    "order": ("no-token", "unknown-token"),
    "unknown-fields": ("other",),
    "id-exact": ("near-id",),
    "unique-names": ("taken",),
    "partial": ("name-kept",),
    "body-size": ("largest",),
    "unreadable-body": ("not-json",),
    "other-methods": ("GET", "POST"),
}

COMMON_TYPE = re.compile("(text|application)/[a-z.+-]+")
# Servers may return these statuses before routing: for example, if the URI is too long.
BEFORE_ROUTING = (411, 414, 431)
CHANGING_HEADERS = {
    "age", "alt-svc", "cache-control", "connection", "content-encoding", "content-language",
    "content-length", "content-type", "date", "etag", "expires", "keep-alive", "last-modified",
    "pragma", "server", "set-cookie", "transfer-encoding", "vary",
}  # fmt: skip
PROXY_PAGE = re.compile(
    r"<center>(nginx|openresty)|Apache/\d|Apache Server|cloudflare|CloudFront|awselb|HAProxy"
    r"|Varnish|ModSecurity|Request forbidden by administrative rules|Reference #[\d.a-f]+",
    re.IGNORECASE,
)


@dataclass
class Shape:
    """The characteristics of the endpoint's responses: `Server` values and header names."""

    known: list[tuple[str | None, set[str]]] = field(default_factory=list)

    def learn(self, exchange: Exchange) -> None:
        """Add the characteristics of a response that comes from the endpoint."""
        self.known.append((exchange.header("Server"), _header_names(exchange)))

    def differs(self, exchange: Exchange) -> bool:
        """Return whether the response appears to come from a server in front of the endpoint."""
        if exchange.status in BEFORE_ROUTING:
            return True
        if "json" in exchange.media_type or exchange.succeeded:
            return False
        if exchange.status in (401, 404, 500):  # must be JSON, even from a proxy
            return False
        if PROXY_PAGE.search(exchange.text):
            return True
        names = _header_names(exchange)
        for server, known_names in self.known:
            if server == exchange.header("Server") and known_names <= names:
                return False
        return True


def _header_names(exchange: Exchange) -> set[str]:
    return {name.lower() for name, _ in exchange.headers} - CHANGING_HEADERS


def safety_breaches(
    exchange: Exchange, expectation: Expectation, credentials: Credentials
) -> Iterator[Breach]:
    """Yield breaches of the rules that are always checked: leaks and forbidden updates."""
    got = exchange.got
    how = credentials.encoding_of_leak(exchange)
    if how:
        expected = "no credential in the response"
        subject = f"a credential in a {got} response"
        yield Breach("credentials", how, "returned", expected, f"a credential ({how})", subject)
    internal = internals(exchange)
    if internal:
        expected = "no internal details in an error"
        yield Breach("internals", "error", "returned", expected, describe(internal), f"a {got}")
    if expectation.access and exchange.succeeded:
        expected = f"{expectation.rule.expected}, and no update"
        breach = _breach(expectation.access, got, expected, got + ACCEPTED)
        user = exchange.request.user
        broader = (*breach.explained_by, id_of(user.clause, user.kind, got))
        yield replace(breach, explained_by=broader)


def response_breaches(
    exchange: Exchange, expectation: Expectation, shape: Shape
) -> Iterator[Breach]:
    """Yield a breach for each rule that the exchange breaks, starting with the most basic one."""
    rule = expectation.rule
    status = exchange.status
    if not status:
        breach = _breach(rule, "no response", "a response", exchange.failure)
        broader = breach.explained_by + _explanations(exchange, expectation)
        yield replace(breach, explained_by=broader)
        return
    is_expected = status in rule.statuses
    if is_expected and not rule.has_documented_form:
        return
    if shape.differs(exchange):
        yield _before_the_endpoint(exchange, rule)
        return
    if status >= 500 and not is_expected:
        yield _server_error(exchange, expectation)
        return
    if rule.has_documented_form or rule.is_open:
        yield from _form_breaches(exchange)
        # Treat an undocumented 4xx as a 400 here; a separate finding reports the wrong status.
        if 400 <= status < 500 and status not in contract.RESPONSES:
            is_expected = 400 in rule.statuses
    if not is_expected:
        yield _wrong_status(exchange, expectation)


def _breach(rule: Rule, outcome: str, expected: str, got: str) -> Breach:
    clause = rule.clause
    broader: list[str] = []
    for kind in (rule.kind, *BROADER_KINDS.get(clause, ())):
        broader.append(id_of(clause, kind, outcome))
        if clause in ("unauthorized", "order"):  # perhaps the backend accepts invalid tokens
            broader.append(id_of("authentication", kind, "200"))
        if clause == "order":  # perhaps the status is the same for every id and body
            broader.append(id_of("unauthorized", kind, outcome))
    return Breach(clause, rule.kind, outcome, expected, got, explained_by=tuple(broader))


def _before_the_endpoint(exchange: Exchange, rule: Rule) -> Breach:
    got = f"{exchange.got} from a proxy, server or router in front of the endpoint"
    outcome = f"{exchange.got}-before-the-endpoint"
    if rule.must_succeed:
        return _breach(rule, outcome, rule.expected, got)
    expected = "a refusal by the endpoint or by a server in front of it"
    return Breach("before-the-application", "refused", outcome, expected, got, severity="note")


def _server_error(exchange: Exchange, expectation: Expectation) -> Breach:
    rule = expectation.rule
    cause = _cause_of_server_error(exchange, expectation)
    subject = "" if cause.words == rule.words else cause.words
    got = exchange.got
    breach = Breach(cause.clause, cause.kind, got, f"{rule.expected}, not 5xx", got, subject)
    broader = _breach(rule, got, "", "").explained_by + _explanations(exchange, expectation)
    return replace(breach, explained_by=broader)


def _cause_of_server_error(exchange: Exchange, expectation: Expectation) -> Rule:
    rule = expectation.rule
    text = "".join(exchange.request.text_fields.values())
    if rule.must_succeed and max(text, default="") > "\uffff":
        return Rule("update", "astral", "a value with a character beyond U+FFFF")
    causes = [*expectation.reasons, rule]
    for cause in causes:  # a rule about parsing the body is the likely cause
        if cause.clause in ("unreadable-body", "json-open") or cause.kind.startswith("empty"):
            return replace(cause, clause="unreadable-body", kind="server-error")
    return causes[0]


def _wrong_status(exchange: Exchange, expectation: Expectation) -> Breach:
    rule = expectation.rule
    request = exchange.request
    user = request.user
    if rule.clause == "unauthorized" and _reveals_something(exchange, expectation):
        rule = replace(rule, clause="order")
    if rule.clause == "update" and user.kind == "ADMIN" and exchange.status in (401, 403, 404):
        # Users with WRITE access can update, so the backend must refuse ADMIN access itself.
        rule = replace(rule, clause="access-levels", kind=user.kind)
    got = exchange.got
    if exchange.succeeded and expectation.reasons and user.statuses != {401}:
        got += ACCEPTED
    if exchange.status == 401 and user.statuses != {401}:
        got += "; check that this token is valid"
    breach = _breach(rule, exchange.got, rule.expected, got)
    if rule.kind == user.kind:
        breach = replace(breach, subject=user.words)
    broader = breach.explained_by
    if not exchange.succeeded:
        broader += _explanations(exchange, expectation)
    elif request.chunks is not None or rule.clause == "chunked":
        # The cause may be that the backend treats all chunked bodies as empty.
        broader = ("body/empty-in-chunks/200",)
    return replace(breach, explained_by=broader)


def _explanations(exchange: Exchange, expectation: Expectation) -> tuple[str, ...]:
    """Return the ids of findings about a simpler or smaller request that got the same status."""
    rules = [PLAIN, rule_of_valid(exchange.request), *expectation.reasons]
    if 200 not in exchange.request.place.statuses:
        rules.append(UNKNOWN_ID)
    if expectation.rule.depends_on_earlier:
        rules.append(TAKEN)
    if exchange.request.user.kind == "ADMIN":
        rules.append(Rule("access-levels", "ADMIN", ""))
    for name, value in exchange.request.text_fields.items():
        if name == "name":
            rules.append(OWN_NAME)
        rules += [Rule("update", f"{name}-plain", ""), rule_of_field(name, value)]
    return tuple(id_of(rule.clause, rule.kind, exchange.got) for rule in rules)


def _reveals_something(exchange: Exchange, expectation: Expectation) -> bool:
    """Return whether the status reveals something about the configuration or the body."""
    causes = (exchange.request.place, *expectation.reasons)
    return any(exchange.status in cause.statuses for cause in causes)


def _form_breaches(exchange: Exchange) -> Iterator[Breach]:
    """Check that the response has the format that the contract documents for its status."""
    status = exchange.status
    is_documented = status in contract.RESPONSES
    is_object = isinstance(exchange.value, dict)
    clause = "success-response" if exchange.succeeded else "error-response"
    if not is_documented:
        expected = f"one of {', '.join(map(str, contract.RESPONSES))}"
        subject = "a status that the contract does not document"
        yield Breach("statuses", "undocumented", str(status), expected, str(status), subject)
    if exchange.media_type != "application/json":
        got = exchange.media_type or "no Content-Type"
        subject = f"the media type of a {status} response"
        # An unusual media type could contain a token, which must not be part of the finding's id.
        outcome = got if COMMON_TYPE.fullmatch(got) or not exchange.media_type else "unusual"
        yield Breach(clause, "media-type", outcome, "application/json", got, subject)
    # Skip other bodies, such as HTML, because their wrong media type has already been reported.
    if "json" in exchange.media_type or exchange.value is not None:
        yield from _strict_json(clause, exchange)
    if is_documented and is_object:
        yield from _schema(clause, exchange)
    if is_documented:
        yield from _required_headers(exchange)
    if is_object:
        yield from _fields(exchange)


def _strict_json(clause: str, exchange: Exchange) -> Iterator[Breach]:
    subject = f"the body of a {exchange.status} response"
    try:
        value = json.loads(exchange.body.decode("utf-8"), object_pairs_hook=_fields_once)
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()  # rejects lone surrogates
    except (ValueError, RecursionError) as error:
        got = f"invalid JSON: {error}"
        yield Breach(clause, "json", "not-strict", "strict JSON in UTF-8", got, subject)
        return
    if not isinstance(value, dict):
        yield Breach(clause, "json", "no-object", "a JSON object", describe(value), subject)


def _fields_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("duplicate field")
    return fields


def _schema(clause: str, exchange: Exchange) -> Iterator[Breach]:
    for error in contract.SCHEMAS[exchange.status].iter_errors(exchange.value):
        field = str(error.instance_path[-1]) if error.instance_path else "body"
        kind = error.kind.name
        subject = f"`{field}` in a {exchange.status} response"
        expected = "a value that matches the schema"
        if kind == "const":
            expected = f"`{field}`: {describe(error.kind.as_dict()['expected_value'])}"
        got = describe(error.instance)
        yield Breach(clause, f"{field}-{kind}", "invalid", expected, got, subject)


def _required_headers(exchange: Exchange) -> Iterator[Breach]:
    clause = "challenge" if exchange.status == 401 else "error-response"
    for name, reference in contract.RESPONSES[exchange.status].get("headers", {}).items():
        header = contract.resolve(reference)
        if not header.get("required"):
            continue
        expected = f"`{name}: Bearer`" if clause == "challenge" else f"`{name}`"
        subject = f"the `{name}` header of a {exchange.status} response"
        value = exchange.header(name)
        if value is None:
            yield Breach(clause, name, "missing", expected, "no such header", subject)
        elif not re.fullmatch(header["schema"].get("pattern", "(?s).*"), value):
            yield Breach(clause, name, "other", expected, f"`{value}`", subject)


def _fields(exchange: Exchange) -> Iterator[Breach]:
    clause = "success-fields" if exchange.succeeded else "error-response"
    correct: dict[str, object] = {"success": exchange.succeeded}
    id = exchange.request.id
    if exchange.succeeded and id:
        answered = exchange.field("aiLlmId")
        is_same_uuid = UUID.fullmatch(id) and answered == id.lower()
        correct["aiLlmId"] = answered if is_same_uuid else id
    for name, expected in correct.items():
        value = exchange.field(name)
        words = f"`{name}`: {describe(expected)}"
        subject = f"`{name}` in a {exchange.status} response"
        if value is None:
            yield Breach(clause, name, "missing", words, "no such field", subject)
        elif str(value) != str(expected):  # the schema's rule reports a wrong type
            yield Breach(clause, name, "other", words, describe(value), subject)

"""Checks each exchange against the rules: first for a complete response, last for its status.

In general, only the first rule that an exchange breaks becomes a finding. However, the rules about
access, credentials and internal details are always checked.
"""

from collections.abc import Iterator
from dataclasses import replace

from support import contract, form
from support.exchange import Exchange
from support.expectation import Expectation, rule_of_field
from support.leaks import Credentials, internals
from support.proxies import Shape
from support.rule import Breach
from support.words import describe_value, id_of

# A finding of one of these kinds explains the findings of all other kinds for the same clause.
BROADER_KINDS = {
    "authentication": ("no-token", "unknown-token"),
    "unauthorized": ("no-token", "unknown-token"),
    "order": ("no-token", "unknown-token"),
    "unknown-fields": ("other",),
}


def access(exchange: Exchange, expectation: Expectation) -> Breach | None:
    """Return a breach if a request that must be refused got a 2xx response."""
    rule = expectation.access
    if rule is None or not exchange.succeeded:
        return None
    expected = f"{expectation.expected}, and no update"
    got = f"{exchange.got}: the update was accepted"
    return _breach(rule.clause, rule.kind, exchange.got, expected, got)


def leaks(exchange: Exchange, credentials: Credentials) -> Iterator[Breach]:
    """Yield breaches if the response contains a credential or internal details."""
    how = credentials.encoding_of_leak(exchange)
    if how:
        expected = "no credential in the response"
        subject = f"a credential in a {exchange.got} response"
        yield Breach("credentials", how, "returned", expected, f"a credential ({how})", subject)
    internal = internals(exchange.response) if exchange.response else None
    if internal:
        expected = "no internal details in an error"
        got = describe_value(internal)
        yield Breach("internals", "error", "returned", expected, got, f"a {exchange.got}")


def response_breaches(
    exchange: Exchange, expectation: Expectation, shape: Shape
) -> Iterator[Breach]:
    """Yield a breach for each rule that the exchange breaks, starting with the most basic one."""
    response = exchange.response
    clause = expectation.clause
    kind = expectation.kind
    if response is None:
        yield _breach(clause, kind, "no response", "a response", exchange.failure)
        return
    if shape.differs(response):
        yield _before_the_endpoint(exchange, expectation)
        return
    if response.status >= 500 and response.status not in expectation.statuses:
        yield _server_error(exchange, expectation)
        return  # do not report the 5xx again as a wrong status
    if expectation.has_documented_form:
        yield from form.breaches(exchange.request, response)
    # An undocumented 4xx has its own finding. In case that is accepted, treat the 4xx as a 400.
    is_undocumented = 400 <= response.status < 500 and response.status not in contract.STATUSES
    status = 400 if is_undocumented and expectation.has_documented_form else response.status
    if status not in expectation.statuses:
        yield _wrong_status(exchange, expectation)


def _breach(clause: str, kind: str, outcome: str, expected: str, got: str) -> Breach:
    """Return a breach with the ids of the broader findings that could explain it."""
    kinds = [other for other in BROADER_KINDS.get(clause, ()) if other != kind]
    broader = [id_of(clause, other, outcome) for other in kinds]
    # The cause may be that the backend accepts the invalid token.
    if clause in ("unauthorized", "order"):
        broader += [id_of("authentication", other, "200") for other in (kind, *kinds)]
    # A status that the backend returns for every id and body reveals nothing.
    if clause == "order":
        broader += [id_of("unauthorized", other, outcome) for other in (kind, *kinds)]
    return Breach(clause, kind, outcome, expected, got, explained_by=tuple(broader))


def _before_the_endpoint(exchange: Exchange, expectation: Expectation) -> Breach:
    got = f"{exchange.got} from a proxy, server or router in front of the endpoint"
    outcome = f"{exchange.got}-before-the-endpoint"
    if expectation.must_succeed:
        clause = expectation.clause
        return _breach(clause, expectation.kind, outcome, expectation.expected, got)
    expected = "a refusal by the endpoint or by a server in front of it"
    return Breach(
        "before-the-application", "refused", outcome, expected, got,
        is_basic=True, severity="note",
    )  # fmt: skip


def _server_error(exchange: Exchange, expectation: Expectation) -> Breach:
    """Return the breach for a 5xx, attributed to a rule about parsing the body if one applies."""
    failed_at = [*expectation.reasons, expectation]
    first = failed_at[0]
    clause = first.clause
    kind = first.kind
    subject = "" if first is expectation else first.words
    for rule in failed_at:
        is_parsed = rule.clause in ("unreadable-body", "json-open")
        if is_parsed or rule.kind.startswith("empty"):
            clause = "unreadable-body"
            kind = "server-error"
            subject = "" if rule is expectation else rule.words
            break
    text = "".join(exchange.request.text_fields.values())
    if expectation.must_succeed and any(ord(character) > 0xFFFF for character in text):
        clause = "update"
        kind = "astral"
        subject = "a value with a character beyond U+FFFF"
    got = exchange.got
    expected = f"{expectation.expected}, not 5xx"
    return Breach(clause, kind, got, expected, got, subject, is_basic=True)


def _wrong_status(exchange: Exchange, expectation: Expectation) -> Breach:
    clause = expectation.clause
    kind = expectation.kind
    user = exchange.request.user
    if clause == "unauthorized" and _reveals_something(exchange, expectation):
        clause = "order"
    if expectation.must_succeed and user.kind == "ADMIN" and exchange.status in (401, 403, 404):
        clause = "access-levels"  # the ADMIN can do less than a member with WRITE access
        kind = user.kind
    got = exchange.got
    if exchange.succeeded and expectation.reasons and user.is_valid:
        got = f"{got}: the update was accepted"
    breach = _breach(clause, kind, exchange.got, expectation.expected, got)
    if kind == user.kind:
        return replace(breach, subject=f"an update {user.words}")
    if exchange.succeeded and exchange.request.chunks is not None:
        # The cause may be that the backend treats all chunked bodies as empty.
        return replace(breach, explained_by=("body/empty-in-chunks/200",))
    if expectation.must_succeed:
        alone = [rule_of_field(*field) for field in exchange.request.text_fields.items()]
        explained_by = (id_of(rule.clause, rule.kind, exchange.got) for rule in alone)
        return replace(breach, explained_by=tuple(explained_by))
    return breach


def _reveals_something(exchange: Exchange, expectation: Expectation) -> bool:
    """Return whether the status reveals something about the configuration or the body."""
    about_the_place = exchange.status in exchange.request.place.statuses
    about_the_body = any(exchange.status in reason.statuses for reason in expectation.reasons)
    return about_the_place or about_the_body

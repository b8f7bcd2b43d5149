"""The rules for every exchange, from the most basic one to the expected status.

An exchange yields at most one finding, that of the first rule that it breaks. Access, and leaks of
credentials and internals, are judged always.
"""

from collections.abc import Iterator
from dataclasses import replace

from support import contract, form
from support.exchange import Exchange
from support.expectation import Expectation
from support.leaks import Credentials, internals
from support.proxies import Shape
from support.rule import Breach
from support.words import id_of, of_value

# For some clauses, a finding of one of these kinds explains findings of all other kinds.
BROADER_KINDS = {
    "authentication": ("no-token", "unknown-token"),
    "unauthorized": ("no-token", "unknown-token"),
    "order": ("no-token", "unknown-token"),
    "unknown-fields": ("other",),
}


def access(exchange: Exchange, expectation: Expectation) -> Breach | None:
    """Return the breach if a request that may not update got a 2xx."""
    rule = expectation.access
    if rule is None or not exchange.succeeded:
        return None
    expected = f"{expectation.expected}, and no update"
    got = f"{exchange.got}: the update was accepted"
    return _breach(rule.clause, rule.kind, exchange.got, expected, got)


def leaks(exchange: Exchange, credentials: Credentials) -> Iterator[Breach]:
    """Yield a breach if the response contains a credential or internal details."""
    how = credentials.how_returned(exchange)
    if how:
        expected = "no credential in the response"
        subject = f"a credential in a {exchange.got}"
        yield Breach("credentials", how, "returned", expected, f"one, {how}", subject)
    internal = internals(exchange.response) if exchange.response else None
    if internal:
        expected = "nothing internal in an error"
        got = of_value(internal)
        yield Breach("internals", "error", "returned", expected, got, f"a {exchange.got}")


def ordinary(exchange: Exchange, expectation: Expectation, shape: Shape) -> Iterator[Breach]:
    """Yield the rules that the exchange breaks, the most basic one first."""
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
        return  # if this deviation is accepted, so is the status
    if expectation.has_documented_form:
        yield from form.breaches(exchange.request, response)
    # If an undocumented 4xx is an accepted deviation, it counts as a 400.
    is_undocumented = 400 <= response.status < 500 and response.status not in contract.STATUSES
    status = 400 if is_undocumented and expectation.has_documented_form else response.status
    if status not in expectation.statuses:
        yield _wrong_status(exchange, expectation)


def _breach(clause: str, kind: str, outcome: str, expected: str, got: str) -> Breach:
    """Return a breach, with the ids of broader findings that would explain it."""
    kinds = [other for other in BROADER_KINDS.get(clause, ()) if other != kind]
    broader = [id_of(clause, other, outcome) for other in kinds]
    if clause in ("unauthorized", "order"):  # an accepted sender is like a user
        broader += [id_of("authentication", other, "200") for other in (kind, *kinds)]
    if clause == "order":  # a status that all configurations get reveals nothing
        broader += [id_of("unauthorized", other, outcome) for other in (kind, *kinds)]
    return Breach(clause, kind, outcome, expected, got, explained_by=tuple(broader))


def _before_the_endpoint(exchange: Exchange, expectation: Expectation) -> Breach:
    got = f"{exchange.got}, answered before the endpoint (by a proxy, server or router)"
    outcome = f"{exchange.got}-before-the-endpoint"
    if expectation.must_succeed:
        clause = expectation.clause
        return _breach(clause, expectation.kind, outcome, expectation.expected, got)
    expected = "a refusal, by the endpoint or before it"
    return Breach(
        "before-the-application", "refused", outcome, expected, got,
        is_basic=True, severity="note",
    )  # fmt: skip


def _server_error(exchange: Exchange, expectation: Expectation) -> Breach:
    """Return the breach for a 5xx: of the parsing rule if there is one, else of the first rule."""
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
    expected = f"{expectation.expected}, never 5xx"
    return Breach(clause, kind, got, expected, got, subject, is_basic=True)


def _wrong_status(exchange: Exchange, expectation: Expectation) -> Breach:
    clause = expectation.clause
    kind = expectation.kind
    user = exchange.request.user
    if clause == "unauthorized" and _is_about_something_else(exchange, expectation):
        clause = "order"
    if expectation.must_succeed and user.kind == "ADMIN" and exchange.status in (401, 403, 404):
        clause = "access-levels"  # an ADMIN may do less than a WRITE may
        kind = user.kind
    got = exchange.got
    if exchange.succeeded and expectation.reasons and user.is_valid:
        got = f"{got}: it was accepted"
    breach = _breach(clause, kind, exchange.got, expectation.expected, got)
    if kind == user.kind:
        return replace(breach, subject=f"an update {user.words}")
    if exchange.succeeded and exchange.request.chunks is not None:
        # The cause may be that the backend does not read chunked bodies.
        return replace(breach, explained_by=("body/empty-in-chunks/200",))
    return breach


def _is_about_something_else(exchange: Exchange, expectation: Expectation) -> bool:
    """Return whether the status is about the configuration or the body, instead of a 401."""
    about_the_place = exchange.status in exchange.request.place.statuses
    about_the_body = any(exchange.status in reason.statuses for reason in expectation.reasons)
    return about_the_place or about_the_body

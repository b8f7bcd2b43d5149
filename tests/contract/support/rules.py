"""The rules for every exchange, from the most basic to what this request must be answered.

An exchange yields at most one finding, that of the first rule that it breaks. Access, and leaks of
credentials and internals, are judged always.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from support import contract
from support.exchange import Exchange, Response
from support.expectation import Expectation
from support.leaks import Credentials, internals
from support.words import id_of, of_value

# An open backend is broken no matter what was accepted or selected.
OPEN_DOOR = ("authentication/no-token", "authentication/unknown-token")


@dataclass(frozen=True)
class Breach:
    """One rule that one exchange broke."""

    clause: str
    kind: str  # kind of value; never made of a value itself
    outcome: str  # what came, in a stable word
    expected: str
    got: str
    subject: str = ""  # what the finding is about, unless it is what was sent
    is_basic: bool = False  # a rule for every response: it hides what comes after it
    severity: str = "broken"  # or "note"
    explained_by: tuple[str, ...] = ()  # kinds of which a finding would be the same cause

    @property
    def id(self) -> str:
        """The finding's stable id."""
        return id_of(self.clause, self.kind, self.outcome)

    @property
    def rule(self) -> str:
        """The id without what came."""
        return id_of(self.clause, self.kind)

    @property
    def is_open_door(self) -> bool:
        """Whether anybody may update."""
        return self.rule in OPEN_DOOR

    @property
    def causes(self) -> list[str]:
        """Ids of findings that would be the same cause."""
        return [id_of(self.clause, kind, self.outcome) for kind in self.explained_by]


@dataclass(frozen=True)
class Shape:
    """How the application's responses look, by which those of a proxy before it are known."""

    server: str | None
    headers: frozenset[str]

    @classmethod
    def of(cls, response: Response) -> "Shape":
        """Return the shape of a response that surely is the application's."""
        names = {name.lower() for name, _ in response.headers}
        return cls(response.header("Server"), frozenset(names - CHANGING_HEADERS))

    def differs(self, response: Response) -> bool:
        """Return whether a proxy, or the server before it routes, made the response."""
        if "json" in response.media_type or 200 <= response.status < 300:
            return False
        names = {name.lower() for name, _ in response.headers}
        is_other_server = response.header("Server") != self.server
        lacks_headers = bool(self.headers - names)
        return is_other_server or lacks_headers or PROXY_PAGE.search(response.text) is not None


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


def access(exchange: Exchange, expectation: Expectation) -> Breach | None:
    """Judge whether somebody got in who may not."""
    reason = expectation.access
    if reason is None or not exchange.succeeded:
        return None
    expected = f"{expectation.expected}, and no update"
    got = f"{exchange.got}: the update was accepted"
    return _breach(reason.clause, reason.kind, exchange.got, expected, got)


def leaks(exchange: Exchange, credentials: Credentials) -> Iterator[Breach]:
    """Judge whether the response returns a credential or anything internal."""
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
    """Yield what the exchange breaks, the most basic rule first."""
    response = exchange.response
    if response is None:
        clause, kind = expectation.clause, expectation.kind
        yield _breach(clause, kind, "no response", "a response", exchange.failure)
        return
    if shape.differs(response):
        yield _from_a_proxy(exchange, expectation)
        return
    if response.status >= 500 and response.status not in expectation.statuses:
        yield _server_error(exchange, expectation)
        return  # if that was accepted, its status was, too
    if expectation.has_documented_form:
        for rule in FORM:
            yield from rule(exchange)
    # An undocumented 4xx that was accepted replaces 400, and nothing else.
    is_undocumented = 400 <= response.status < 500 and response.status not in contract.STATUSES
    status = 400 if is_undocumented and expectation.has_documented_form else response.status
    if status not in expectation.statuses:
        yield _wrong_status(exchange, expectation)


def _breach(clause: str, kind: str, outcome: str, expected: str, got: str) -> Breach:
    """Return a breach that a broader kind of value explains, if that has a finding, too."""
    broader = [other for other in BROADER_KINDS.get(clause, ()) if other != kind]
    return Breach(clause, kind, outcome, expected, got, explained_by=tuple(broader))


BROADER_KINDS = {
    "authentication": ("no-token", "unknown-token"),
    "unauthorized": ("no-token", "unknown-token"),
    "order": ("no-token", "unknown-token"),
    "unknown-fields": ("other",),
}


def _from_a_proxy(exchange: Exchange, expectation: Expectation) -> Breach:
    got = f"{exchange.got}, answered by a proxy before the backend"
    outcome = f"{exchange.got}-by-a-proxy"
    if expectation.must_succeed:
        clause, kind = expectation.clause, expectation.kind
        return _breach(clause, kind, outcome, expectation.expected, got)
    expected = "a refusal, by the backend or before it"
    return Breach(
        "before-the-application", "refused", outcome, expected, got,
        is_basic=True, severity="note",
    )  # fmt: skip


def _server_error(exchange: Exchange, expectation: Expectation) -> Breach:
    """Return the breach of what the backend failed at: maybe parsing, else the first reason."""
    expected = f"{expectation.expected}, never 5xx"
    failing = partial(_basic, outcome=exchange.got, expected=expected, got=exchange.got)
    for reason in expectation.reasons:
        if reason.clause in ("unreadable-body", "json-open"):
            return failing("unreadable-body", "server-error", subject=reason.words)
    if expectation.reasons:
        first = expectation.reasons[0]
        return failing(first.clause, first.kind, subject=first.words)
    if expectation.clause in ("unreadable-body", "json-open"):
        return failing("unreadable-body", "server-error")
    return failing(expectation.clause, expectation.kind)


_basic = partial(Breach, is_basic=True)


def _documented_status(exchange: Exchange) -> Iterator[Breach]:
    if exchange.status not in contract.STATUSES:
        documented = ", ".join(str(status) for status in contract.STATUSES)
        subject = "a status that the contract does not document"
        expected = f"one of {documented}"
        yield _basic("statuses", "undocumented", exchange.got, expected, exchange.got, subject)


def _form_clause(exchange: Exchange) -> str:
    return "success-response" if exchange.succeeded else "error-response"


def _media_type(exchange: Exchange) -> Iterator[Breach]:
    assert exchange.response
    came = exchange.response.media_type
    if came != "application/json":
        subject = f"the media type of a {exchange.got}"
        clause = _form_clause(exchange)
        got = came or "no Content-Type"
        yield _basic(clause, "media-type", got, "application/json", got, subject)


def _strict_json(exchange: Exchange) -> Iterator[Breach]:
    assert exchange.response
    clause = _form_clause(exchange)
    subject = f"the body of a {exchange.got}"
    try:
        text = exchange.response.body.decode("utf-8")
        value = json.loads(text, object_pairs_hook=_fields_once)
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()  # no lone surrogates
    except (ValueError, RecursionError) as error:
        why = "not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
        yield _basic(clause, "json", "not-strict", "strict JSON in UTF-8", why, subject)
        return
    if not isinstance(value, dict):
        yield _basic(clause, "json", "no-object", "a JSON object", of_value(value), subject)


def _fields_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) != len(pairs):
        raise ValueError("a field twice")
    return dict(pairs)


def _schema(exchange: Exchange) -> Iterator[Breach]:
    assert exchange.response
    value = json.loads(exchange.response.body)
    for error in contract.STATUSES[exchange.status].schema.iter_errors(value):
        field = str(error.instance_path[-1]) if error.instance_path else "body"
        kind = f"{field}-{error.kind.name}"
        subject = f"`{field}` of a {exchange.got}"
        clause = _form_clause(exchange)
        yield _basic(clause, kind, "invalid", "what the schema says", str(error.message), subject)


def _required_headers(exchange: Exchange) -> Iterator[Breach]:
    assert exchange.response
    for name, pattern in contract.STATUSES[exchange.status].required_headers.items():
        came = exchange.response.header(name)
        if came is None or (pattern and not contract.matches(pattern, came)):
            clause = "challenge" if exchange.status == 401 else "error-response"
            outcome = "missing" if came is None else "other"
            got = "no such header" if came is None else f"`{name}: {came}`"
            subject = f"the header `{name}` of a {exchange.got}"
            expected = f"`{name}: Bearer`" if clause == "challenge" else f"`{name}`"
            yield _basic(clause, name, outcome, expected, got, subject)


def _success(exchange: Exchange) -> Iterator[Breach]:
    assert exchange.response
    came = exchange.response.field("success")
    wanted = exchange.succeeded
    if came is not wanted:
        clause = "success-fields" if wanted else "error-response"
        expected = f"`success`: {json.dumps(wanted)}"
        got = f"`success`: {of_value(came)}"
        subject = f"`success` of a {exchange.got}"
        outcome = "missing" if came is None else "other"
        yield _basic(clause, "success", outcome, expected, got, subject)


def _id(exchange: Exchange) -> Iterator[Breach]:
    assert exchange.response
    wanted = exchange.request.place.id
    came = exchange.response.field("aiLlmId")
    if exchange.succeeded and wanted and came != wanted:
        expected = f"`aiLlmId`: {of_value(wanted)}, as in the request"
        outcome = "missing" if came is None else "other"
        got = f"`aiLlmId`: {of_value(came)}"
        yield _basic("success-fields", "aiLlmId", outcome, expected, got, "`aiLlmId` of a 200")


FORM: tuple[Callable[[Exchange], Iterator[Breach]], ...] = (
    _documented_status,
    _media_type,
    _strict_json,
    _schema,
    _required_headers,
    _success,
    _id,
)


def _wrong_status(exchange: Exchange, expectation: Expectation) -> Breach:
    clause = expectation.clause
    if clause == "unauthorized" and _answers_something_else(exchange, expectation):
        clause = "order"
    got = exchange.got
    if exchange.succeeded and expectation.reasons and exchange.request.user.is_valid:
        got = f"{got}: it was accepted"
    return _breach(clause, expectation.kind, exchange.got, expectation.expected, got)


def _answers_something_else(exchange: Exchange, expectation: Expectation) -> bool:
    """Return whether the status is about the configuration or the body, and came before 401."""
    about_the_place = exchange.status in exchange.request.place.statuses
    about_the_body = any(exchange.status in reason.statuses for reason in expectation.reasons)
    return about_the_place or about_the_body

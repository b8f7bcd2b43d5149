"""The backend under test, with its URL, tokens and ids."""

import argparse
import json
import re
import time
import uuid
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import combinations
from threading import Lock
from typing import Any

from reports.words import LONGEST_RESPONSE
from support import contract, values
from support.curl import ORDINARY_HEADERS, Redactor
from support.exchange import UUID, Exchange, NoVerdictError, Request
from support.expectation import with_rule
from support.options import MEANINGS
from support.rule import DATA, NO_RULE, RULES, Rule, named
from support.wire import Wire

WRITER, ADMIN, READER, STRANGER, EXPIRED, FOREIGN_ID, SIBLING_ID = MEANINGS
TOKENS = (WRITER, ADMIN, READER, STRANGER, EXPIRED)
USERS = {
    None: "authentication/no-token",
    WRITER: "update/WRITE",
    ADMIN: "update/ADMIN",
    READER: "access-levels/READ",
    STRANGER: "workspace-access/stranger",
    EXPIRED: "authentication/expired",
}
OWN = RULES["update/own"]
DEFAULT = object()  # stands for the default body

ATTEMPTS = 4  # maximum number of times to send a request while the backend or a proxy is too busy
MOST_OUTAGES = 50  # in a short run; in a longer run, one request in ten may be affected
# The statuses with which an endpoint may reject the body or the headers of a control request
BODY_ERRORS = (400, 406, 409, 412, 413, 415, 422, 428)
TIMEOUTS_IN_FULL = 3  # after this many timeouts, wait at most one second per response


def given_variables(id: str, variables: Mapping[str, str]) -> dict[str, str]:
    """Return the environment variables that are set; raise `ValueError` if one is invalid."""
    given = {"--id": id}
    for name in MEANINGS:
        if value := variables.get(name):
            given[name] = value
    for name, value in given.items():
        cure = "remove line breaks and other non-printable characters"
        is_valid = value.isprintable()
        if name in TOKENS:
            cure = "set it to the token alone, without `Bearer`, spaces or line breaks"
            is_valid = re.fullmatch("[!-~]*", value) is not None
        if not is_valid:
            raise ValueError(f"{name} contains an invalid character; {cure}")
    for one, other in combinations(given, 2):
        if given[one] == given[other] and (one, other) != (WRITER, ADMIN):
            cure = f"set {other} to {MEANINGS[other]}"
            raise ValueError(f"{one} and {other} have the same value; {cure}")
    return given


class Backend:
    """Creates requests to the backend and sends them."""

    def __init__(self, option: argparse.Namespace, given: dict[str, str]) -> None:
        """Use the backend at `--backend-url`; `given` maps environment variables to values."""
        self.given = given
        self.url: str = option.backend_url.rstrip("/")
        self.id: str = option.id
        self.own_ids = [self.id]
        if SIBLING_ID in given:
            self.own_ids.append(given[SIBLING_ID])
        self.unusable: dict[str, str] = {}  # maps variables to the reasons why they cannot be used
        self.statuses: Counter[int] = Counter()
        self.too_busy: Counter[str] = Counter()  # how often each status caused a retry
        self.repeated: deque[Exchange] = deque()  # responses of a busy backend, not checked yet
        self._outages = 0  # number of requests that got a 50x status until they were repeated
        self.from_endpoint: list[Exchange] = []  # responses from the endpoint, not from a proxy
        self.ignores_success = False  # whether `success` is false even for valid updates
        self.latest: deque[Exchange] = deque(maxlen=3)
        self.tokens = {name: given[name] for name in TOKENS if name in given}
        self.redactor = Redactor(self.tokens)
        self._rate_limit: float = option.rate_limit
        self._turn = Lock()
        self._waited = 0.0  # seconds spent waiting because of `--rate-limit`
        self._timeouts = 0
        self.body: Mapping[str, str] = values.GOOD  # the default body
        self.wire = Wire(self.url, option.timeout, option.ca)

    def _place(self, id: str) -> Rule:
        """Return the contract's rule for updates to the configuration with this id."""
        if id in self.own_ids:
            return OWN
        if id == self.given.get(FOREIGN_ID):
            return RULES["workspace-access/foreign"]
        # If ids are not UUIDs, an unknown id might have an invalid format, so also allow 400.
        statuses = {404} if UUID.fullmatch(self.id) else {400, 404}
        return replace(RULES["id/unknown"], statuses=statuses)

    def unknown_id(self) -> str:
        """Return an unused id: a large number if ids are numbers, or else a random UUID."""
        if self.id.isdecimal():
            return str(values.RANDOM.randint(2_000_000_000, 2**31 - 1))
        return values.unique()

    def request(  # noqa: PLR0913 - a request has many parts
        self,
        *,
        rule: Rule | str = NO_RULE,
        id: str = "",
        place: Rule | str | None = None,
        token: str | None = WRITER,
        user: Rule | str | None = None,
        authorization: tuple[str, ...] | None = None,
        body: Any = DEFAULT,
        headers: Mapping[str, str | None] | None = None,
        method: str = "PUT",
        path: str = "",
        query: str = "",
        escaped: bool = False,
        words: str = "",
    ) -> Request:
        """Return a request; by default, a valid update by a user with WRITE access.

        `rule` replaces the implied rule. `authorization` replaces the token, and requires a `user`.
        `body` is a JSON value, bytes, or a tuple of chunks. Headers set to None are not sent.
        """
        id = id or self.id
        if authorization is None:
            authorization = (f"Bearer {self.given[token]}",) if token else ()
        rule_of_place = named(place or self._place(id))
        content, chunks = _encoded(self.body if body is DEFAULT else body)
        request = Request(
            method=method,
            target=(path or contract.path_of(id, escaped=escaped)) + query,
            headers=tuple(_headers(method, content, chunks, headers or {}, authorization)),
            body=content,
            chunks=chunks,
            user=named(user or USERS[token]),
            place=rule_of_place,
            id=id if rule_of_place == OWN else "",
            rule=named(rule),
            words=words,
        )
        return with_rule(request)

    def control(self, body: object, **parts: Any) -> Request:
        """Return a control request: a valid update that uses a new connection and must succeed."""
        return self.request(body=body, **parts).again()

    def exchange(self, request: Request) -> Exchange:
        """Send the request, with retries; raise `NoVerdictError` if the backend stays too busy."""
        is_outage = False
        for attempt in range(ATTEMPTS):
            exchange = self.send(request)
            if not exchange.is_too_busy or (attempt > 1 and self._fails_alone(exchange)):
                self._outages += is_outage and not exchange.is_too_busy
                self._check_outages()
                self.latest.append(exchange)
                return exchange
            is_outage = exchange.status != 429
            self.too_busy[exchange.got] += 1
            self.repeated.append(exchange)
            time.sleep(exchange.pause(0.5 * 2**attempt))
        raise NoVerdictError(
            f"{ATTEMPTS} times in a row, the backend or a proxy returned {exchange.got}",
            "try again later, reduce the load with --rate-limit, or raise the backend's rate limit",
        )

    def _check_outages(self) -> None:
        """Raise `NoVerdictError` if many requests got a 50x status until they were repeated."""
        total = self.statuses.total()
        if self._outages > max(MOST_OUTAGES, total / 10):
            raise NoVerdictError(
                f"{self._outages} of {total} requests got 502, 503 or 504 until they were repeated",
                "check the proxy's log, and whether each of the backend's replicas is running",
            )

    def _fails_alone(self, exchange: Exchange) -> bool:
        """Return whether a proxy rejects this request but lets other requests through."""
        if exchange.status == 429:
            return False
        return any(self.send(control).succeeded for control in self.controls())

    def controls(self) -> Iterator[Request]:
        """Yield updates of which a backend that works accepts at least one."""
        yield self.control(self.new_body())
        yield self.control({})

    def new_body(self) -> dict[str, str]:
        """Return a body that the backend should accept: new credentials, or `{}`.

        The credentials have the same form as those in other requests.
        """
        # Do not use the seeded generator, because this method is called after random failures.
        return {name: values.canary(str(uuid.uuid4())) for name in self.body}

    def clock(self) -> float:
        """Return the time in seconds, without the delays that `--rate-limit` adds."""
        return time.monotonic() - self._waited

    def send(self, request: Request) -> Exchange:
        """Send the request without retries."""
        if self._rate_limit:
            with self._turn:  # threads also share the rate limit
                time.sleep(1 / self._rate_limit)
                self._waited += 1 / self._rate_limit
        exchange = replace(self.wire.send(request), ignores_success=self.ignores_success)
        self.statuses[exchange.status] += 1
        self._timeouts += exchange.timed_out
        if self._timeouts >= TIMEOUTS_IN_FULL:
            self.wire.timeout = min(self.wire.timeout, 1.0)
        return exchange


def _encoded(body: Any) -> tuple[bytes, tuple[bytes, ...] | None]:
    """Return the body as bytes, and its chunks (None if the body is not chunked)."""
    if isinstance(body, tuple):
        return b"".join(body), body
    if isinstance(body, bytes):
        return body, None
    return json.dumps(body).encode(), None


def _headers(
    method: str,
    body: bytes,
    chunks: tuple[bytes, ...] | None,
    others: Mapping[str, str | None],
    authorization: tuple[str, ...],
) -> Iterator[tuple[str, str]]:
    headers = {**ORDINARY_HEADERS, "Content-Type": "application/json", **others}
    if chunks is not None:
        headers["Transfer-Encoding"] = "chunked"
    elif body or method == "PUT":
        headers["Content-Length"] = str(len(body))
    for name, value in headers.items():
        if value is not None:
            yield name, value
    for value in authorization:
        yield "Authorization", value


def send_controls(backend: Backend, bodies: Iterable[Mapping[str, str]]) -> list[Exchange]:
    """Send the control requests; raise `NoVerdictError` if all of them fail.

    By default, later requests contain the last accepted body that does not change the name. A 400
    or an undocumented 2xx is not a failure here, because the tests report it as a finding.
    """
    exchanges = []
    for body in bodies:
        rule = RULES["update/plain"] if body else NO_RULE
        exchange = backend.exchange(backend.control(body, rule=rule))
        if exchange.never_sent:
            raise setup_error(backend, exchange)
        exchanges.append(exchange)
        if exchange.succeeded and not exchange.is_page:
            backend.ignores_success |= not exchange.is_accepted
            backend.from_endpoint.append(exchange)
            if "name" not in body:
                backend.body = body
    for exchange in exchanges:
        if not exchange.is_page and (exchange.succeeded or exchange.status in BODY_ERRORS):
            return exchanges
    raise setup_error(backend, exchanges[-1])


def setup_error(backend: Backend, exchange: Exchange) -> NoVerdictError:
    """Return the error for a failed control request, with a problem and remedy from rules.yaml."""
    sent = "not sent" if exchange.never_sent else "sent"
    response = f"{exchange.status}: {exchange.failure}{exchange.text}\n{sent} to {backend.url}"
    problem, cure = next(
        texts for pattern, texts in DATA["setup_errors"].items() if re.match(pattern, response)
    )
    if exchange.fields and len(exchange.text) <= LONGEST_RESPONSE:
        problem += f" ({' '.join(exchange.text.split())})"
    if exchange.timed_out:
        cure += ", or allow more time with --timeout"
    if not exchange.status:
        return NoVerdictError(f"{backend.url} does not respond: {exchange.failure}", cure)
    if location := exchange.header("Location"):
        problem += f" to {location}"
    reason = f"{backend.url} responded to the control request with {exchange.status}: {problem}"
    return NoVerdictError(reason, cure)


def is_working(backend: Backend, exchange: Exchange) -> bool:
    """Return whether the backend still works after an unexpected failure.

    Return False if the exchange crashed the backend. Raise `NoVerdictError` if the backend stopped
    working for any other reason.
    """
    latest = [f"{one.request.method} {one.request.target}: {one.got}" for one in backend.latest]
    for pause in (0.2, 0.5, 1.0, 1.5, 0):
        for request in backend.controls():
            control = backend.exchange(request)
            if control.succeeded:
                return True
        time.sleep(pause)
    if not exchange.status and not exchange.never_sent and control.never_sent:
        return False
    error = setup_error(backend, control)
    if backend.statuses[200]:
        error.reason += "; earlier requests succeeded"
    error.reason += f"; the last requests were {'; '.join(latest)}"
    raise error

"""The backend under test, with its URL, tokens and ids."""

import argparse
import json
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from threading import Lock
from typing import Any

from support import contract, values
from support.curl import Redactor
from support.exchange import UUID, Exchange, NoVerdictError, Request
from support.options import MEANINGS
from support.rule import DATA, RULES, Rule
from support.wire import Wire

WRITER, ADMIN, READER, STRANGER, EXPIRED, FOREIGN_ID, SIBLING_ID = MEANINGS
TOKENS = (WRITER, ADMIN, READER, STRANGER, EXPIRED)

NOBODY = RULES["authentication/no-token"]
USERS = {
    None: NOBODY,
    WRITER: RULES["update/WRITE"],
    ADMIN: RULES["update/ADMIN"],
    READER: RULES["access-levels/READ"],
    STRANGER: RULES["workspace-access/stranger"],
    EXPIRED: RULES["authentication/expired"],
}
OWN = RULES["update/own"]

ATTEMPTS = 4  # maximum number of times to send a request while the backend or a proxy is too busy
TIMEOUTS_IN_FULL = 3  # after this many timeouts, wait at most one second per response


class Backend:
    """Creates requests to the backend and sends them."""

    def __init__(self, option: argparse.Namespace, given: Mapping[str, str]) -> None:
        """Use the backend at `--backend-url`; `given` maps environment variables to values."""
        self.given = given
        self.url: str = option.backend_url.rstrip("/")
        self.id: str = option.id
        self.own_ids = [self.id]
        if SIBLING_ID in given:
            self.own_ids.append(given[SIBLING_ID])
        self.statuses: Counter[int] = Counter()
        self.from_endpoint: list[Exchange] = []  # responses from the endpoint, not from a proxy
        self.latest: deque[Exchange] = deque(maxlen=3)
        self.tokens = {name: given[name] for name in TOKENS if name in given}
        self.redactor = Redactor(self.tokens)
        self._rate_limit: float = option.rate_limit
        self._turn = Lock()
        self._timeouts = 0
        self.wire = Wire(self.url, option.timeout, option.ca)

    def _place(self, id: str) -> Rule:
        """Return the contract's rule for updates to the configuration with this id."""
        if id in self.own_ids:
            return OWN
        if id == self.given.get(FOREIGN_ID):
            return RULES["workspace-access/foreign"]
        if UUID.fullmatch(self.id):
            return RULES["id/unknown"]
        # No unknown id is certain to have the right form.
        return replace(RULES["id/unknown"], statuses={400, 404})

    def unknown_id(self) -> str:
        """Return an id that no configuration has: a large number if the ids are numbers."""
        if self.id.isdecimal():
            return str(values.RANDOM.randint(2_000_000_000, 2**31 - 1))
        return values.unique()

    def request(  # noqa: PLR0913 - a request has many parts
        self,
        *,
        rule: Rule | None = None,
        id: str = "",
        place: Rule | None = None,
        token: str | None = WRITER,
        user: Rule | None = None,
        authorization: str | tuple[str, ...] | None = None,
        body: Any = values.GOOD,
        headers: Mapping[str, str | None] | None = None,
        method: str = "PUT",
        path: str = "",
        query: str = "",
        escaped: bool = False,
        words: str = "",
    ) -> Request:
        """Return a request; by default, a valid update by a user with WRITE access.

        `rule` replaces the rule that the request implies. `token` names an environment variable;
        `authorization` replaces it and requires a `user`. `body` is a JSON value, bytes, or a tuple
        of chunks. Headers set to None are not sent. `path` and `query` are sent unchanged; a `path`
        requires an `id` or a `place`.
        """
        if authorization is None:
            authorization = f"Bearer {self.given[token]}" if token else ()
        id = id or self.id
        place = place or self._place(id)
        return Request(
            method=method,
            target=(path or contract.path_of(id, escaped=escaped)) + query,
            headers=tuple(_headers(method, body, headers or {}, authorization)),
            body=_content(body),
            chunks=body if isinstance(body, tuple) else None,
            user=user or USERS[token],
            place=place,
            id=id if place == OWN else "",
            rule=rule,
            words=words,
        )

    def control(self, body: object, **parts: Any) -> Request:
        """Return a control request: a valid update, sent on a new connection, that must succeed."""
        return self.request(body=body, **parts).again()

    def exchange(self, request: Request) -> Exchange:
        """Send the request, with retries; raise `NoVerdictError` if the backend stays too busy."""
        for attempt in range(ATTEMPTS):
            exchange = self.send(request)
            if not exchange.is_too_busy:
                self.latest.append(exchange)
                return exchange
            time.sleep(exchange.pause(0.5 * 2**attempt))
        raise NoVerdictError(
            f"the backend, or a proxy, returned {exchange.got} {ATTEMPTS} times in a row",
            "run again later, reduce the load with --rate-limit, or raise the backend's rate limit",
        )

    def send(self, request: Request) -> Exchange:
        """Send the request without retries."""
        if self._rate_limit:
            with self._turn:  # threads also share the rate limit
                time.sleep(1 / self._rate_limit)
        exchange = self.wire.send(request)
        self.statuses[exchange.status] += 1
        self._timeouts += exchange.timed_out
        if self._timeouts >= TIMEOUTS_IN_FULL:
            self.wire.timeout = min(self.wire.timeout, 1.0)
        return exchange


def _headers(
    method: str,
    body: Any,
    others: Mapping[str, str | None],
    authorization: str | tuple[str, ...],
) -> Iterator[tuple[str, str]]:
    headers = {"Content-Type": "application/json", **others}
    size = len(_content(body))
    if isinstance(body, tuple):
        headers["Transfer-Encoding"] = "chunked"
    elif size or method == "PUT":
        headers["Content-Length"] = str(size)
    for name, value in headers.items():
        if value is not None:
            yield name, value
    if isinstance(authorization, str):
        authorization = (authorization,)
    for value in authorization:
        yield "Authorization", value


def _content(body: Any) -> bytes:
    if isinstance(body, bytes):
        return body
    if isinstance(body, tuple):
        return b"".join(body)
    return json.dumps(body).encode()


def send_controls(backend: Backend, bodies: Iterable[object]) -> list[Exchange]:
    """Send the control requests; raise `NoVerdictError` if all of them fail.

    A 400 or an undocumented 2xx is not a failure here, because the tests report it as a finding.
    """
    exchanges = []
    for body in bodies:
        rule = None
        if body:
            rule = RULES["update/plain"]
        exchange = backend.exchange(backend.control(body, rule=rule))
        if exchange.never_sent:
            raise _unreachable(backend, exchange)
        exchanges.append(exchange)
        if exchange.succeeded:  # a proxy would not return a 2xx
            backend.from_endpoint.append(exchange)
    if not any(map(_is_from_endpoint, exchanges)):
        raise _setup_error(backend, exchanges[-1])
    return exchanges


def check_sibling(backend: Backend) -> None:
    """Raise `NoVerdictError` if the sibling configuration is missing or cannot be updated."""
    id = backend.given.get(SIBLING_ID)
    if id:
        status = backend.exchange(backend.control(values.GOOD, id=id)).status
        if status in (403, 404):
            reason = f"{SIBLING_ID}: an update of this configuration returned {status}"
            raise NoVerdictError(reason, f"set it to {MEANINGS[SIBLING_ID]}")


def _is_from_endpoint(exchange: Exchange) -> bool:
    if exchange.text.lstrip().startswith("<"):
        return False
    return exchange.succeeded or exchange.status in (400, 409, 412, 413, 415, 422, 428)


def _setup_error(backend: Backend, exchange: Exchange) -> NoVerdictError:
    status = exchange.status
    if not status:
        return _unreachable(backend, exchange)
    errors = DATA["setup_errors"]
    by_class = errors.get(status // 100, errors["other"])
    problem, cure = errors.get(status, by_class)
    if "HTTPS port" in exchange.text:
        problem = "the port expects TLS"
        cure = "use https:// in --backend-url"
    if location := exchange.header("Location"):
        problem += f" to {location}"
    reason = f"{backend.url} responded to the control request with {status}: {problem}"
    return NoVerdictError(reason, cure)


def _unreachable(backend: Backend, exchange: Exchange) -> NoVerdictError:
    failure = exchange.failure
    cure = "check that the backend is running, and check the host and port in --backend-url"
    if "certificate" in failure:
        cure = (
            "pass the CA certificate (--ca FILE or SSL_CERT_FILE), or correct the server's "
            "certificate or the host in --backend-url"
        )
    elif "TLS failed" in failure:
        cure = "use http:// in --backend-url if the port does not use TLS"
    elif not exchange.never_sent and backend.url.startswith("http:"):
        cure = "use https:// in --backend-url if the port uses TLS; if not, check the backend's log"
    if exchange.timed_out:
        cure += ", or allow more time with --timeout"
    return NoVerdictError(f"{backend.url} does not respond: {failure}", cure)


def is_working(backend: Backend, exchange: Exchange) -> bool:
    """Return whether the backend still works after an unexpected failure.

    Return False if the exchange crashed the backend. Raise `NoVerdictError` if the backend stopped
    working for another reason.
    """
    latest = [f"{one.request.method} {one.request.target}: {one.got}" for one in backend.latest]
    for pause in (0.2, 0.5, 1.0, 1.5, 0):
        control = backend.exchange(backend.control({}))
        if control.succeeded:
            return True
        time.sleep(pause)
    if not exchange.status and not exchange.never_sent and control.never_sent:
        return False
    error = _setup_error(backend, control)
    if backend.statuses[200]:
        error.reason += "; it succeeded before"
    error.reason += f"; the last requests were {'; '.join(latest)}"
    raise error

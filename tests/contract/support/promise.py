"""Promises and the state of a run.

A promise is one rule in the contract that a test checks. Tests use promises to send requests and to
check the exchanges. An exchange is a request with its response.
"""

import argparse
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from threading import Barrier
from typing import Any

import pytest

from support import contract, controls, rules, values
from support.again import Again
from support.backend import MEANINGS, NOBODY, USERS, WRITER, Backend
from support.exchange import Exchange, Place, Request, User
from support.expectation import Expectation, expectation_of
from support.findings import Finding, Findings
from support.leaks import Credentials
from support.rule import Breach, Rule

# How many seconds to test broken promises after their first finding, per promise and in total.
BUDGET_PER_PROMISE = 2.0
TOTAL_BUDGET = 15.0
NOT_SELECTED = "--source excludes all of this promise's requests"
# Like a 5xx, these statuses can mean that the backend has stopped working; 0 means no response.
SUSPICIOUS = (0, 401, 403, 404, 405)


class OverBudget(BaseException):
    """Raised to stop testing a broken promise when its time is up or the backend has crashed."""


@dataclass
class Run:
    """The state of a run, shared by all of its promises."""

    backend: Backend
    findings: Findings
    option: argparse.Namespace
    again: Again | None = None
    promises: "dict[str, Promise]" = field(default_factory=dict)
    credentials: Credentials = field(default_factory=Credentials)
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    first: Exchange | None = None
    spent: float = 0.0  # seconds spent on broken promises after their first findings
    crashed: bool = False


@dataclass
class Promise:
    """One rule in the contract that a test checks, and the results so far."""

    name: str
    family: str
    sentence: str
    clause: str
    run: Run
    rounds: int = 0
    requests: int = 0
    passed: int = 0  # number of exchanges that satisfied all rules
    skipped: str = ""  # why the promise was not tested
    found: dict[str, Finding] = field(default_factory=dict)
    hiding: set[str] = field(default_factory=set)  # ids of findings that hide other results
    broken_since: float | None = None
    is_cut_short: bool = False  # whether some requests were not sent because of a finding

    @property
    def backend(self) -> Backend:
        """The backend under test."""
        return self.run.backend

    def begin(self) -> None:
        """Start a new round of the promise's test."""
        self.rounds += 1
        self.found = {}
        self.broken_since = None

    def end(self) -> list[Finding]:
        """End the round; return those of its findings that make the run fail."""
        if self.broken_since is not None:
            self.is_cut_short = self.is_cut_short or self.is_over_budget()
            self.run.spent += time.monotonic() - self.broken_since
        return [finding for finding in self.found.values() if self.run.findings.decides(finding)]

    def is_over_budget(self) -> bool:
        """Return whether the promise is broken and has exceeded its time budget."""
        if self.broken_since is None:
            return False
        since = time.monotonic() - self.broken_since
        return since > BUDGET_PER_PROMISE or self.run.spent + since > TOTAL_BUDGET

    def need(self, variable: str) -> str:
        """Return the value of an environment variable; skip the test if it is not set."""
        if variable not in self.backend.given:
            pytest.skip(f"set {variable}: {MEANINGS[variable]}")
        return self.backend.given[variable]

    def request(  # noqa: PLR0913 - a request has many parts
        self,
        *,
        id: str | None = None,
        place: Place | None = None,
        token: str | None = WRITER,
        user: User | None = None,
        authorization: str | Iterable[str] | None = None,
        body: Any = values.GOOD,
        headers: Mapping[str, str | None] | None = None,
        method: str = "PUT",
        path: str | None = None,
        query: str = "",
        escaped: bool = False,
        words: str = "",
    ) -> Request:
        """Return a request; by default, a valid update by a user with WRITE access.

        `token` names an environment variable, or is None for no token; `authorization` overrides
        it, and `user` then describes the sender. `body` is a JSON value, bytes, or a tuple of
        chunks. Headers with the value None are not sent. `path` is sent unchanged; if it does not
        address `id`, also pass a `place`. `escaped` percent-encodes every octet of the id.
        """
        if authorization is None:
            authorization = (f"Bearer {self.backend.given[token]}",) if token else ()
        elif isinstance(authorization, str):
            authorization = (authorization,)
        content = _content(body)
        sent = _headers(method, body, content, headers or {})
        id = id or self.backend.id
        target = path or contract.path_of(id, escaped=escaped)
        return Request(
            method=method,
            target=f"{target}?{query}" if query else target,
            headers=(*sent, *(("Authorization", value) for value in authorization)),
            body=content,
            chunks=body if isinstance(body, tuple) else None,
            user=user or (USERS[token] if token else NOBODY),
            place=place or self.backend.place(id),
            words=words,
        )

    def ask(self, *, expectation: Expectation | None = None, **parts: Any) -> Exchange | None:
        """Send a request and check the exchange; return None if `--source` excludes the request."""
        return self.send(self.request(**parts), expectation)

    def ask_each(self, variations: Iterable[Mapping[str, Any]], **parts: Any) -> None:
        """Send one request for each variation, with the same `parts` in all of them."""
        for variation in variations:
            self.ask(**parts, **variation)

    def prepare(self, **parts: Any) -> None:
        """Send an update that later requests rely on; if it is excluded or fails, skip the test."""
        if not self.run.findings.is_selected(contract.CLAUSES[self.clause].source):
            pytest.skip(NOT_SELECTED)
        request = self.request(**parts)
        is_wanted = self.is_wanted(expectation_of(request))
        exchange = self.exchange(request)
        if is_wanted:
            self.check(exchange)
        if not exchange.succeeded:
            pytest.skip("an update that this promise depends on failed")

    def expect(self, rule: Rule, **parts: Any) -> bool:
        """Send a request, check the response against the rule, and return whether it is a 2xx."""
        request = self.request(**parts)
        exchange = self.send(request, expectation_of(request).with_rule(rule))
        return exchange is not None and exchange.succeeded

    def accept(self, body: dict[str, Any]) -> dict[str, Any]:
        """Send a valid update, with a new name if necessary; return the body that was sent."""
        request = self.request(body=body)
        if not self.is_wanted(expectation_of(request)):
            return body
        exchange = self.exchange_renamed(request)
        self.check(exchange)
        return exchange.request.fields

    def send(self, request: Request, expectation: Expectation | None = None) -> Exchange | None:
        """Send the request and check the exchange against all rules."""
        expectation = expectation or expectation_of(request)
        if not self.is_wanted(expectation):
            return None
        exchange = self.exchange(request)
        self.check(exchange, expectation)
        return exchange

    def is_wanted(self, expectation: Expectation) -> bool:
        """Return whether `--source` includes the request; raise `OverBudget` if time is up."""
        if self.is_over_budget():
            raise OverBudget
        return self.run.findings.is_selected(expectation.source)

    def exchange(self, request: Request) -> Exchange:
        """Send a request without checking the response."""
        self.requests += 1
        return self.backend.exchange(request)

    def exchange_renamed(self, request: Request) -> Exchange:
        """Send a request; if it fails and its name might be taken, retry it with a new name."""
        exchange = self.exchange(request)
        may_be_taken = exchange.status == 400 and "name" in request.text_fields
        if may_be_taken and expectation_of(request).must_succeed:
            return self.exchange(self.request(body=values.renamed(request.fields)))
        return exchange

    def exchange_concurrently(self, requests: list[Request]) -> list[Exchange]:
        """Send the requests concurrently; return their exchanges in the same order."""
        start = Barrier(len(requests))

        def exchange(request: Request) -> Exchange:
            start.wait()
            return self.backend.exchange(request)

        self.requests += len(requests)
        with ThreadPoolExecutor(len(requests)) as pool:
            return list(pool.map(exchange, requests))

    def adopt_results(self, other: "Promise") -> None:
        """Adopt another promise's results, because its exchanges were checked against all rules."""
        self.requests = other.requests
        self.passed = other.passed
        self.hiding = other.hiding

    def check_by(self, rule: Rule, exchange: Exchange) -> None:
        """Check an exchange against the given rule instead of the one derived from the request."""
        self.check(exchange, expectation_of(exchange.request).with_rule(rule))

    def check(self, exchange: Exchange, expectation: Expectation | None = None) -> bool:
        """Check an exchange against all rules; return whether it satisfies them."""
        expectation = expectation or expectation_of(exchange.request)
        kept = self._check_safety(exchange, expectation)
        if rules.access(exchange, expectation):
            return False
        sent = expectation.words_for(exchange.status)
        for breach in rules.response_breaches(exchange, expectation, self.backend.shape):
            if self.record(breach, exchange, sent):
                return False
        self.passed += 1
        self.run.findings.checked_rules.add(expectation.id)
        return kept

    def _check_safety(self, exchange: Exchange, expectation: Expectation) -> bool:
        """Check the rules about credentials, internal details and access; return whether all hold.

        No other finding hides a breach of these rules.
        """
        sent = expectation.words_for(exchange.status)
        breaches = list(rules.leaks(exchange, self.run.credentials))
        access_breach = rules.access(exchange, expectation)
        if access_breach:
            breaches.append(access_breach)
        recorded = [self.record(breach, exchange, sent) for breach in breaches]
        return not any(recorded)

    def record(self, breach: Breach, exchange: Exchange, sent: str) -> bool:
        """Record a breach as a finding; return whether it hides less basic breaches."""
        findings = self.run.findings
        findings.checked_rules.add(breach.rule)
        source = contract.CLAUSES[breach.clause].source
        is_selected = findings.is_selected(source) or source == "open"
        if not is_selected and not breach.is_missing_authentication:
            return False
        if findings.id_of(breach) not in findings:
            breach = self._check_backend(breach, exchange, sent)
        finding = self._add(breach, exchange, sent)
        hides = finding.severity != "accepted"
        if hides:
            self.hiding.add(finding.id)
        if finding.finder == self.name or not breach.is_basic:
            self.found[finding.id] = finding
        if self.broken_since is None and findings.decides(finding):
            self.broken_since = time.monotonic()
        return hides

    def _add(self, breach: Breach, exchange: Exchange, sent: str) -> Finding:
        """Add a breach to the findings, under the promise that covers its clause."""
        promises = self.run.promises.values()
        owners = [promise.name for promise in promises if promise.clause == breach.clause]
        owner = self.name if self.name in owners or not owners else owners[0]
        finding = self.run.findings.add(breach, self.name, owner)
        finding.add_example(exchange, sent)
        return finding

    def _check_backend(self, breach: Breach, exchange: Exchange, sent: str) -> Breach:
        """Before a failure is recorded as a finding, check that the backend still works.

        Return the breach; for a 5xx that does not recur, return an intermittent breach instead.
        """
        if exchange.status not in SUSPICIOUS and exchange.status < 500:
            return breach
        if controls.is_working(self.backend, exchange):
            return self._repeat(breach, exchange) if exchange.status >= 500 else breach
        self.run.crashed = True
        got = f"{exchange.failure}, and then the backend stopped responding"
        crash = replace(breach, outcome="crash", got=got, explained_by=())
        finding = self._add(crash, exchange, sent)
        self.found[finding.id] = finding
        raise OverBudget

    def _repeat(self, breach: Breach, exchange: Exchange) -> Breach:
        """Repeat a request that got a 5xx; if that works, return an intermittent breach instead."""
        again = self.exchange(exchange.request.again())
        self._check_safety(again, expectation_of(again.request))
        intermittent = replace(
            breach,
            clause="update",
            kind="intermittent",
            got=f"{exchange.got}, and {again.got} when it was repeated",
            subject="a request that fails only sometimes",
            explained_by=(),
        )
        # Under these clauses, a request may also fail because of the requests before it.
        depends_on_others = breach.clause in ("alone", "idempotent")
        is_known = intermittent.id in self.run.findings
        if again.status >= 500 or (depends_on_others and not is_known):
            return breach
        return intermittent


def _headers(
    method: str, body: Any, content: bytes, others: Mapping[str, str | None]
) -> Iterator[tuple[str, str]]:
    """Yield the headers that describe the body, followed by the given headers."""
    headers: dict[str, str | None] = {"Content-Type": "application/json", **others}
    if isinstance(body, tuple):
        headers["Transfer-Encoding"] = "chunked"
    elif content or method == "PUT":
        headers["Content-Length"] = str(len(content))
    for name, value in headers.items():
        if value is not None:
            yield name, value


def _content(body: Any) -> bytes:
    """Convert a body (a JSON value, bytes or a tuple of chunks) to bytes."""
    if isinstance(body, bytes):
        return body
    return b"".join(body) if isinstance(body, tuple) else contract.to_json(body)

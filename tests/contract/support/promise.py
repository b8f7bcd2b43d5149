"""A promise under test: it sends requests and checks each exchange against the rules."""

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

AFTER_A_FINDING = 2.0  # seconds for which a promise is still tested after its first finding
IN_ALL = 15.0  # the same for all broken promises together
NOT_SELECTED = "none of its values is of a selected source"
SUSPICIOUS = (0, 401, 403, 404, 405)  # besides 5xx: the backend may be down


class OverBudget(BaseException):
    """The promise is broken, and looking for more examples would take too long."""


@dataclass
class Run:
    """The state that all promises of a run share."""

    backend: Backend
    findings: Findings
    option: argparse.Namespace
    again: Again | None = None
    promises: "dict[str, Promise]" = field(default_factory=dict)
    credentials: Credentials = field(default_factory=Credentials)
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    first: Exchange | None = None
    spent: float = 0.0  # seconds spent on broken promises after their first finding
    crashed: bool = False


@dataclass
class Promise:
    """One rule of the contract, as a test checks it."""

    name: str
    family: str
    sentence: str
    clause: str
    run: Run
    rounds: int = 0
    requests: int = 0
    held: int = 0  # exchanges that broke no rule
    skipped: str = ""  # why it was not tested
    found: dict[str, Finding] = field(default_factory=dict)
    hiding: set[str] = field(default_factory=set)  # ids of its findings
    broken_since: float | None = None

    @property
    def backend(self) -> Backend:
        """The backend under test."""
        return self.run.backend

    def begin(self) -> None:
        """Begin a round."""
        self.rounds += 1
        self.found = {}
        self.broken_since = None

    def end(self) -> list[Finding]:
        """Return the findings of the round that fail the run."""
        if self.broken_since is not None:
            self.run.spent += time.monotonic() - self.broken_since
        return [finding for finding in self.found.values() if self.run.findings.decides(finding)]

    def is_over_budget(self) -> bool:
        """Return whether the promise is broken and its time is used up."""
        if self.broken_since is None:
            return False
        since = time.monotonic() - self.broken_since
        return since > AFTER_A_FINDING or self.run.spent + since > IN_ALL

    def need(self, variable: str) -> str:
        """Return the value of the variable; skip the test if it is not set."""
        if variable not in self.backend.given:
            pytest.skip(f"set {variable}: {MEANINGS[variable]}")
        return self.backend.given[variable]

    def request(  # noqa: PLR0913 - each is a part of a request
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
        """Return a request; by default a valid update by the writer.

        `token` is a variable, or None for no token, unless `authorization` is given for a `user`;
        `body` a JSON value, bytes, or a tuple of chunks; a header that is None is left out;
        `path` is sent to the letter, for a `place`; `escaped` percent-encodes the whole id.
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
        """Send a request and check its exchange against the rules; None if it is not selected."""
        return self.send(self.request(**parts), expectation)

    def ask_each(self, ways: Iterable[Mapping[str, Any]], **parts: Any) -> None:
        """Send a request for each of the variations; `parts` are common to all requests."""
        for way in ways:
            self.ask(**parts, **way)

    def prepare(self, **parts: Any) -> None:
        """Send an update that later requests depend on; skip the test if it is not selected."""
        if not self.run.findings.is_selected(contract.CLAUSES[self.clause].source):
            pytest.skip(NOT_SELECTED)
        request = self.request(**parts)
        is_wanted = self.is_wanted(expectation_of(request))
        exchange = self.exchange(request)
        if is_wanted:
            self.hold(exchange)

    def expect(self, rule: Rule, **parts: Any) -> None:
        """Send a request, and judge its response by the given rule."""
        request = self.request(**parts)
        self.send(request, expectation_of(request).by(rule))

    def accept(self, body: dict[str, Any]) -> dict[str, Any]:
        """Send a valid update, with another name if its name is taken; return the body."""
        request = self.request(body=body)
        if not self.is_wanted(expectation_of(request)):
            return body
        exchange = self.exchange_renamed(request)
        self.hold(exchange)
        return exchange.request.fields

    def send(self, request: Request, expectation: Expectation | None = None) -> Exchange | None:
        """Send a prepared request, and check its exchange against the rules."""
        expectation = expectation or expectation_of(request)
        if not self.is_wanted(expectation):
            return None
        exchange = self.exchange(request)
        self.hold(exchange, expectation)
        return exchange

    def is_wanted(self, expectation: Expectation) -> bool:
        """Return whether `--source` selects the request; raise if the time is used up."""
        if self.is_over_budget():
            raise OverBudget
        return self.run.findings.is_selected(expectation.source)

    def exchange(self, request: Request) -> Exchange:
        """Send a request without checking the response."""
        self.requests += 1
        return self.backend.exchange(request)

    def exchange_renamed(self, request: Request) -> Exchange:
        """Send a request; if its name may be taken, retry with another name."""
        exchange = self.exchange(request)
        may_be_taken = exchange.status == 400 and "name" in request.text_fields
        if may_be_taken and expectation_of(request).must_succeed:
            return self.exchange(self.request(body=values.renamed(request.fields)))
        return exchange

    def exchange_at_once(self, requests: list[Request]) -> list[Exchange]:
        """Send the requests at the same time, and return the exchanges in the same order."""
        start = Barrier(len(requests))

        def exchange(request: Request) -> Exchange:
            start.wait()
            return self.backend.exchange(request)

        self.requests += len(requests)
        with ThreadPoolExecutor(len(requests)) as pool:
            return list(pool.map(exchange, requests))

    def share(self, other: "Promise") -> None:
        """Take over the results of another promise, which checked all rules."""
        self.requests = other.requests
        self.held = other.held
        self.hiding = other.hiding

    def hold_by(self, rule: Rule, exchange: Exchange) -> None:
        """Check an exchange against the given rule."""
        self.hold(exchange, expectation_of(exchange.request).by(rule))

    def hold(self, exchange: Exchange, expectation: Expectation | None = None) -> bool:
        """Check an exchange against all rules; return whether it broke none of them."""
        expectation = expectation or expectation_of(exchange.request)
        sent = expectation.words_for(exchange.status)
        kept = True
        for leak in rules.leaks(exchange, self.run.credentials):
            kept = not self.record(leak, exchange, sent) and kept
        open_door = rules.access(exchange, expectation)
        if open_door:
            self.record(open_door, exchange, sent)
            return False
        for breach in rules.ordinary(exchange, expectation, self.backend.shape):
            if self.record(breach, exchange, sent):
                return False
        self.held += 1
        self.run.findings.judged.add(expectation.id)
        return kept

    def record(self, breach: Breach, exchange: Exchange, sent: str) -> bool:
        """Add a breach to the findings; return whether it hides later breaches."""
        findings = self.run.findings
        findings.judged.add(breach.rule)
        source = contract.CLAUSES[breach.clause].source
        is_selected = findings.is_selected(source) or source == "open"
        if not is_selected and not breach.is_open_door:
            return False
        if findings.id_of(breach) not in findings:
            self._confirm(breach, exchange, sent)
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
        """Add a breach to the findings of the promise about its clause."""
        promises = self.run.promises.values()
        owners = [promise.name for promise in promises if promise.clause == breach.clause]
        owner = self.name if self.name in owners or not owners else owners[0]
        finding = self.run.findings.add(breach, self.name, owner)
        finding.show(exchange, sent)
        return finding

    def _confirm(self, breach: Breach, exchange: Exchange, sent: str) -> None:
        """Check that the backend still works before a failure becomes a finding."""
        if exchange.status not in SUSPICIOUS and exchange.status < 500:
            return
        if controls.confirm(self.backend, exchange):
            return
        self.run.crashed = True
        got = f"{exchange.failure}, and then the backend stopped responding"
        crash = replace(breach, outcome="crash", got=got, explained_by=())
        finding = self._add(crash, exchange, sent)
        self.found[finding.id] = finding
        raise OverBudget


def _headers(
    method: str, body: Any, content: bytes, others: Mapping[str, str | None]
) -> Iterator[tuple[str, str]]:
    """Yield the headers that describe the body, then the given ones."""
    headers: dict[str, str | None] = {"Content-Type": "application/json", **others}
    if isinstance(body, tuple):
        headers["Transfer-Encoding"] = "chunked"
    elif content or method == "PUT":
        headers["Content-Length"] = str(len(content))
    for name, value in headers.items():
        if value is not None:
            yield name, value


def _content(body: Any) -> bytes:
    """Return the body as bytes; it is given as a JSON value, as bytes or as chunks."""
    if isinstance(body, bytes):
        return body
    return b"".join(body) if isinstance(body, tuple) else contract.to_json(body)

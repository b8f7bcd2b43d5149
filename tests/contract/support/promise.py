"""The state of a run, and its promises. A promise's test sends requests and checks responses.

An exchange is a request and its response.
"""

import argparse
from collections import deque
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from threading import Barrier
from typing import Any, NoReturn

import pytest

from support import checks, values
from support.backend import SIBLING_ID, Backend, is_working
from support.contract import CLAUSES, SOURCES
from support.exchange import Exchange, NoVerdictError, Request
from support.findings import Accepted, Finding
from support.options import MEANINGS
from support.rule import NO_RULE, Rule

# Seconds allowed for testing after a promise's first finding, per promise and in total.
BUDGET_PER_PROMISE = 2.0
TOTAL_BUDGET = 15.0
MOST_REPEATS = 3  # maximum repetitions of a failed request, to see whether it always fails
# The rules for intermittent failures: for page and vendor rules, and for rules from `ours`
INTERMITTENT = ("update/intermittent", "alone/intermittent")
clause = pytest.mark.clause
NOT_SELECTED = "--source excludes all of this promise's requests"
# Like a 5xx, these statuses can mean that the backend has stopped working; 0 means no response.
SUSPICIOUS = (0, 401, 403, 404, 405)


class EndOfTest(BaseException):
    """Raised to end a promise's test early, for example if its time is up.

    It derives from `BaseException` so that Hypothesis does not treat it as a failing example.
    """


@dataclass(eq=False, repr=False)
class Run:
    """The state of a run, shared by all of its promises."""

    backend: Backend
    option: argparse.Namespace
    accepted: Mapping[str, Accepted]  # the accepted findings by id
    earlier: Mapping[str, str]  # with `--again`, each promise's outcome in the earlier run
    findings: dict[str, Finding] = field(default_factory=dict)  # by id
    # Maps the id of each rule checked so far to the name of the promise that checked it first
    checked_rules: dict[str, str] = field(default_factory=dict)
    promises: "dict[str, Promise]" = field(default_factory=dict)
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    controls: list[Exchange] = field(default_factory=list)
    no_verdict: NoVerdictError | None = None  # why the run ends without a verdict
    spent: float = 0.0  # seconds spent on broken promises after their first findings
    crashed: bool = False

    def is_selected(self, clause: str) -> bool:
        """Return whether `--source` includes the source of the clause."""
        return CLAUSES[clause].source in (self.option.source or SOURCES)

    def decides(self, finding: Finding) -> bool:
        """Return whether the finding makes the run fail."""
        is_included = CLAUSES[finding.clause].source in (self.option.fail_on or SOURCES)
        is_decisive = finding.severity == "broken" and is_included
        return finding.is_missing_authentication or is_decisive

    def broken_promises(self) -> set[str]:
        """Return the names of the promises whose findings make the run fail."""
        return {finding.promise for finding in self.findings.values() if self.decides(finding)}

    def id_of(self, finding: Finding) -> str:
        """Return the id of a broader finding that explains this one, or else this finding's id."""
        for broader in finding.explained_by:
            if broader in self.findings and self.findings[broader].severity != "accepted":
                return broader
        return finding.id

    def add(self, finding: Finding, finder: str) -> Finding:
        """Add the finding unless it or a broader one is already known; return the recorded one."""
        id = self.id_of(finding)
        if id not in self.findings:
            finding.finder = finder
            finding.promise = self._covering(finding.clause, finder)
            if not finding.is_missing_authentication:
                finding.accepted = self.accepted.get(id)
            self.findings[id] = finding
        return self.findings[id]

    def _covering(self, clause: str, default: str) -> str:
        """Return a promise that covers the clause, preferably `default`.

        If no promise covers the clause, return `default`.
        """
        names = [name for name in self.promises if self.promises[name].clause == clause]
        return names[0] if names and default not in names else default

    def add_stale(self) -> None:
        """Add a finding for each accepted deviation that did not recur when its rule was tested."""
        option = self.option
        first = next(iter(self.promises), "")
        skipped = [promise for promise in self.promises.values() if promise.skipped]
        is_partial = option.keyword or option.source or option.again or skipped
        for id in self.accepted:
            rule, _, outcome = id.rpartition("/")
            was_tested = rule in self.checked_rules or not is_partial
            if id in self.findings or not was_tested:
                continue
            checked_by = self.checked_rules.get(rule, first)
            self.findings[id] = Finding(
                rule,
                outcome,
                expected="this finding, because the deviations file accepts it",
                got="no finding with this id; remove the entry from the file, or correct the id",
                subject=f"the accepted finding {id}",
                promise=self._covering(rule.partition("/")[0], checked_by),
            )


@dataclass
class Promise:
    """A contract rule that one test checks, with the results of the test so far."""

    name: str
    family: str
    sentence: str
    clause: str
    run: Run = field(init=False)
    rounds: int = 0
    requests: int = 0
    passed: int = 0  # number of exchanges that satisfied all rules
    skipped: str = ""  # the reason why the promise was not tested
    # Maps the id of each finding to whether the finding prevented other checks
    found: dict[str, bool] = field(default_factory=dict)
    broken_since: float | None = None  # the `Backend.clock` time of the first finding
    is_cut_short: bool = False  # whether a finding ended the test before it sent all requests
    prepared: Request | None = None  # the request that `prepare` sent last
    recent: deque[Request] = field(default_factory=lambda: deque(maxlen=3))

    @property
    def backend(self) -> Backend:
        """The backend under test."""
        return self.run.backend

    @property
    def hiding(self) -> list[str]:
        """The ids of the findings that prevented the promise from being tested."""
        ids = sorted(self.found.keys() - self.accepted)
        return [id for id in ids if self.found[id]] or ids

    @property
    def accepted(self) -> list[str]:
        """The ids of the accepted findings that recurred."""
        return [id for id in sorted(self.found) if self.run.findings[id].accepted]

    def end(self) -> None:
        """End a round of the test."""
        while self.backend.repeated:  # responses that caused a retry
            with suppress(EndOfTest):  # raised if the backend has crashed
                self._check_safety(self.backend.repeated.popleft())
        self.rounds += 1
        if not self.requests and not self.skipped:
            self.skipped = NOT_SELECTED
        if self.broken_since is not None:
            self.is_cut_short |= self.is_over_budget()
            self.run.spent += self.backend.clock() - self.broken_since
            self.broken_since = None

    def skip(self, reason: str) -> NoReturn:
        """End the test for this reason; the promise counts as not tested."""
        self.skipped = reason
        raise EndOfTest

    def is_over_budget(self) -> bool:
        """Return whether the promise is broken and has exceeded its time budget."""
        if self.broken_since is None:
            return False
        since = self.backend.clock() - self.broken_since
        return since > BUDGET_PER_PROMISE or self.run.spent + since > TOTAL_BUDGET

    def available(self, *variables: str) -> list[str]:
        """Return which of the given environment variables are set."""
        return [variable for variable in variables if variable in self.backend.given]

    def need(self, variable: str) -> str:
        """Return the value of an environment variable; skip the test if it cannot be used."""
        if variable in self.backend.unusable:
            self.skip(self.backend.unusable[variable])
        if variable not in self.backend.given:
            self.skip(f"set {variable}: {MEANINGS[variable]}")
        return self.backend.given[variable]

    def need_unique_names(self) -> str:
        """Return the sibling's id; skip the test if the backend accepts duplicate names.

        On such a backend, no response shows whether a name has changed. The same applies if the
        sibling cannot be renamed.
        """
        sibling = self.need(SIBLING_ID)
        renamed = self.backend.exchange(self.backend.control(values.fresh(), id=sibling))
        if not renamed.is_accepted:
            self.check(renamed)
            self.skip(f"an update of the name of the configuration in {SIBLING_ID} failed")
        body = values.fresh()
        first = self.backend.exchange(self.backend.control(body))
        taken = self.backend.control(body, rule="unique-names/taken", id=sibling)
        second = self.backend.exchange(replace(taken, earlier=(first.request,)))
        if first.is_accepted and second.is_accepted:
            self.check(second)
            self.skip("the backend accepted a duplicate name, so name changes cannot be detected")
        return sibling

    def need_empty_updates(self) -> None:
        """Skip the test if the backend rejects `{}` before it looks up the id.

        Call this method last, because the test can still find ids that are wrongly accepted.
        """
        if not self.is_wanted(self.clause):
            return
        exchange = self.exchange(self.request(body={}))
        if exchange.is_accepted:
            return
        self.check(exchange)
        again = self.exchange(exchange.request.again())
        unknown = self.exchange(self.request(id=self.backend.unknown_id(), body={}))
        if again.status == unknown.status:
            self.skip("the backend rejects `{}`")

    def request(self, **parts: Any) -> Request:
        """Return a request; see `Backend.request`."""
        return self.backend.request(**parts)

    def ask(self, rule: Rule | str = NO_RULE, **parts: Any) -> Exchange | None:
        """Send a request and check the exchange; return None if `--source` excludes the request."""
        return self.send(self.request(rule=rule, **parts))

    def ask_each(self, variations: Iterable[Mapping[str, Any]], **parts: Any) -> None:
        """Send one request for each variation; `parts` are the same in all requests."""
        for variation in variations:
            self.ask(**parts, **variation)

    def prepare(self, **parts: Any) -> None:
        """Send an update that later requests rely on; skip the test if the update fails."""
        if not self.is_wanted(self.clause):
            self.skip(NOT_SELECTED)
        exchange = self.exchange(self.request(**parts))
        self.check(exchange)
        if not exchange.is_accepted:
            reason = "a required update failed"
            if self.hiding:
                reason += f": {', '.join(self.hiding)}"
            self.skip(reason)
        self.prepared = exchange.request

    def send(self, request: Request, *, may_rename: bool = False) -> Exchange | None:
        """Send the request and check the exchange; return None if `--source` excludes the request.

        If `may_rename` is true and the name might be in use, also send the request with a new name.
        """
        rule = request.rule
        if not self.is_wanted(rule.clause):
            return None
        if rule.depends_on_earlier:
            request = replace(request, earlier=self._earlier())
        exchange = self.exchange(request)
        is_rejected = exchange.status == 400 and rule.must_succeed
        if may_rename and is_rejected and "name" in request.text_fields:
            body = values.renamed(request.fields)
            exchange = self.exchange(self.request(body=body))
        self.check(exchange)
        return exchange

    def _earlier(self) -> tuple[Request, ...]:
        """Return the prepared request, if any, and up to two of the latest requests."""
        recent = list(self.recent)
        if self.prepared in recent:
            return tuple(recent[recent.index(self.prepared) :])
        if self.prepared:
            return self.prepared, *recent[-1:]
        return tuple(recent[-1:])

    def is_wanted(self, clause: str) -> bool:
        """Return whether `--source` includes the clause; raise `EndOfTest` if time is up."""
        if self.is_over_budget():
            raise EndOfTest
        return self.run.is_selected(clause)

    def exchange(self, request: Request) -> Exchange:
        """Send a request without checking the response."""
        self.requests += 1
        self.recent.append(request)
        return self.backend.exchange(request)

    def exchange_concurrently(self, requests: list[Request]) -> list[Exchange]:
        """Send the requests concurrently; return their exchanges in the same order."""
        start = Barrier(len(requests))

        def exchange(request: Request) -> Exchange:
            start.wait()
            exchange = self.backend.exchange(request)
            if not exchange.status and not exchange.timed_out:
                # The server's queue for new connections may have been full, so try once more.
                exchange = self.backend.exchange(request)
            # The idle connection would occupy a worker of a server that has one per connection.
            self.backend.wire.disconnect()
            return exchange

        self.requests += len(requests)
        self.recent.extend(requests)
        with ThreadPoolExecutor(len(requests)) as pool:
            return list(pool.map(exchange, requests))

    def check(self, exchange: Exchange) -> None:
        """Check an exchange against all rules."""
        self._check_safety(exchange)
        if exchange.request.access and exchange.is_accepted:
            return
        before = tuple(self.recent)[-2:-1]
        for found in checks.check_response(exchange, self.backend.from_endpoint):
            finding = self._confirmed(found, exchange)
            if finding.rule in INTERMITTENT:  # perhaps the previous request is the cause
                request = replace(exchange.request, earlier=before)
                exchange = replace(exchange, request=request)
            if self.record(finding, exchange):
                return
        self.passed += 1
        self.run.checked_rules.setdefault(exchange.request.rule.id, self.name)

    def _check_safety(self, exchange: Exchange) -> None:
        backend = self.backend
        tokens = backend.tokens.values()
        for finding in checks.check_safety(exchange, tokens, backend.from_endpoint):
            self.record(finding, exchange)

    def record(self, finding: Finding, exchange: Exchange) -> bool:
        """Record a finding; return whether it prevents the remaining checks."""
        run = self.run
        run.checked_rules.setdefault(finding.rule, self.name)
        is_selected = run.is_selected(finding.clause) or finding.is_note
        if not is_selected and not finding.is_missing_authentication:
            return False
        known = run.add(finding, self.name)
        known.count += 1
        if known.id == finding.id:  # false if a broader finding explains this one
            known.add_example(exchange, finding)
        if self.broken_since is None and run.decides(known):
            self.broken_since = self.backend.clock()
        was_hiding = self.found.get(known.id, False)
        self.found[known.id] = was_hiding or not finding.continues
        if run.crashed:
            raise EndOfTest
        # After a note, there is nothing left to check, even if the note is accepted.
        is_last = finding.is_note or known.severity != "accepted"
        return is_last and not finding.continues

    def _confirmed(self, finding: Finding, exchange: Exchange) -> Finding:
        """If the finding is new, repeat the failed request. Return the finding to record.

        If the backend has crashed or the failure does not recur, the returned finding says so.
        """
        run = self.run
        is_known = run.id_of(finding) in run.findings or not run.is_selected(finding.clause)
        if is_known or 0 < exchange.status < 400:
            return finding
        may_have_stopped = exchange.status in SUSPICIOUS or exchange.status >= 500
        if may_have_stopped and not is_working(self.backend, exchange):
            run.crashed = True
            got = f"{exchange.failure}, and then the backend stopped responding"
            return replace(finding, outcome="crash", got=got, explained_by=())
        return self._compared(finding, exchange)

    def _compared(self, finding: Finding, exchange: Exchange) -> Finding:
        """Repeat the request. Return the finding if the failure recurs.

        Otherwise, return a finding about an intermittent failure.
        """
        of_vendor, of_ours = INTERMITTENT
        is_ours = CLAUSES[exchange.request.rule.clause].source == "ours"
        rule = of_ours if is_ours else of_vendor
        known = [id for id in self.run.findings if id.startswith((rule, of_vendor))]
        # For these clauses, a failure may depend on earlier requests, so it may not recur if only
        # this request is repeated.
        if finding.clause in ("alone", "idempotent") and not known:
            return finding
        expected = exchange.request.rule.statuses - {exchange.status}
        repeated = []
        for _ in range(MOST_REPEATS):
            again = self.exchange(exchange.request.again())
            self._check_safety(again)
            repeated.append(again.status)
            if again.status in expected:
                break
        if again.status not in expected:
            if exchange.status in repeated:
                return finding
            self._check_repeated(again)
        first = exchange.failure or exchange.got
        return Finding(
            rule,
            finding.outcome,
            exchange.request.rule.expected,
            f"{first}, and {again.got} when the request was repeated on a new connection",
            "a request that fails only sometimes, or only after another request on its connection",
            explained_by=tuple(known),
        )

    def _check_repeated(self, exchange: Exchange) -> None:
        """Check the response to a repeated request without repeating the request again."""
        for finding in checks.check_response(exchange, self.backend.from_endpoint):
            if self.record(finding, exchange):
                return

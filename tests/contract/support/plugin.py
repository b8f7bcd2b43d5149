"""The pytest plugin: turns outcomes of tests into promises kept, broken or not tested."""

import time
from collections.abc import Generator, Iterable
from datetime import UTC, datetime
from typing import Any

import pytest
from rich.console import Console

import reports
from reports import console as terminal
from reports.progress import Progress
from support import contract, deviations
from support.exchange import NoVerdictError
from support.findings import BrokenPromiseError, Finding
from support.promise import OverBudget, Promise, Run
from support.rules import Breach
from support.verdict import NO_VERDICT, Outcome, Row, Selection


class Hooks:
    """Hooks that other plugins of a run may implement."""

    @staticmethod
    def pytest_contract_verdict(verdict: dict[str, Any]) -> None:
        """Take the verdict of a run, by docs/verdict.schema.json."""


def clause_of(item: pytest.Item) -> str:
    """Return the id of the promise's clause."""
    marker = item.get_closest_marker("clause")
    if marker is None or marker.args[0] not in contract.CLAUSES:
        raise pytest.UsageError(f"{item.nodeid}: its mark `clause` names no clause of openapi.yaml")
    return str(marker.args[0])


def row_of(item: pytest.Item) -> Row:
    """Return the promise that a test describes in its docstring and its `clause` mark."""
    module: Any = getattr(item, "module", None)
    function: Any = getattr(item, "function", None)
    handle = getattr(function, "hypothesis", None)  # schemathesis wraps the test
    documented = handle.inner_test if handle else function
    family = (module.__doc__ or "").partition(":")[0]
    sentence = (documented.__doc__ or "").partition("\n")[0]
    case = getattr(item, "callspec", None)
    if case:
        sentence = f"{sentence.rstrip('.')}: {case.id}."
    return Row(item.name, family, sentence, clause_of(item))


class Listing:
    """Prints the promises in place of testing them."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Print every promise with its name, clause and source."""
        lines: list[str] = []
        family = ""
        for row in map(row_of, session.items):
            if row.family != family:
                family = row.family
                lines.append(f"\n{family}")
            source = contract.CLAUSES[row.clause].source
            lines += [f"  {row.name}  {row.clause} ({source})", f"      {row.sentence}"]
        print("\n".join(lines))  # noqa: T201
        return True


class Verdict:
    """Follows a run from its collection to its verdict."""

    def __init__(self, run: Run, selection: Selection, option: Any) -> None:
        """Begin a verdict on the run's backend."""
        self.run = run
        self._selection, self._option = selection, option
        self._rows: dict[str, Row] = {}
        self._promises: dict[str, list[Promise]] = {}  # one for each round
        self._skipped: dict[str, str] = {}
        self._started, self._clock = datetime.now(UTC), time.monotonic()
        self._reason = self._cure = ""
        self.broken_before: set[str] = set()  # with --again, in the earlier run
        self.broken_at_once: set[str] = set()  # with --again, in the first round
        self._console = Console(highlight=False, markup=False, emoji=False)
        self._progress = Progress(self._console, 0)

    def begin(self, promise: Promise) -> None:
        """Take down that a promise is being tested, maybe again."""
        self._promises.setdefault(promise.name, []).append(promise)

    def end(self, error: NoVerdictError) -> None:
        """End the run without a verdict."""
        self._reason, self._cure = error.reason, error.cure
        pytest.exit(error.reason, NO_VERDICT)

    def broken(self) -> set[str]:
        """Return the names of the promises that are broken so far."""
        findings = self.run.findings.values()
        return {self._owner(finding) for finding in findings if self.run.findings.decides(finding)}

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Take down which promises are to be tested."""
        for item in session.items:
            self._rows[item.name] = row_of(item)
        self._progress = Progress(self._console, len(self._rows))
        self._progress.__enter__()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Show the progress."""
        family = self._rows[item.name].family
        requests = self.run.backend.statuses.total()
        self._progress.update(family, len(self._promises), requests)
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> Generator[None, object, object]:
        """Raise what the promise found, once all of its values were tried."""
        result: object = True
        promise = self._promises[pyfuncitem.name][-1]
        try:
            result = yield
        except OverBudget:
            pass
        except NoVerdictError as error:
            self.end(error)
        finally:
            promise.close()
        if self.run.backend.no_verdict:  # it may have been raised in a thread or a subtest
            self.end(self.run.backend.no_verdict)
        if self.run.crashed:
            pyfuncitem.session.shouldstop = "the backend is gone"
        if decisive := self._decisive(promise):
            raise BrokenPromiseError(decisive)
        if promise.requests == 0:
            pytest.skip("none of its values is of a selected source")
        return result

    def _decisive(self, promise: Promise) -> list[Finding]:
        return [found for found in promise.found.values() if self.run.findings.decides(found)]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Put words in the place of a traceback, which could show a token."""
        report = yield
        error = call.excinfo.value if call.excinfo else None
        if report.skipped and error:
            self._skipped[item.name] = str(error)
        if report.failed:
            report.longrepr = self.run.backend.redactor.redact(str(error))
        expected = (BrokenPromiseError, NoVerdictError, OverBudget, pytest.fail.Exception)
        if report.failed and not isinstance(error, expected):
            what = f"{type(error).__name__}: {error}"
            self._fault(f"{item.name}: {what}")
            item.session.shouldstop = self._reason
        report.sections.clear()
        return report

    def _fault(self, what: str) -> None:
        """Have no verdict: the tests themselves failed."""
        self._reason = self._reason or f"a fault of the contract tests, not of the backend: {what}"
        self._cure = self._cure or "report it, with the seed and the versions in the verdict"

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Have no verdict on a contract that was tested in part."""
        exits = (pytest.Session.Interrupted, pytest.exit.Exception)  # of the run's own
        if not isinstance(excinfo.value, exits):
            self._reason = self._reason or "interrupted"

    def pytest_internalerror(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Say that the tests themselves failed; pytest prints where, after this."""
        self._fault(f"{excinfo.typename}: {excinfo.value}")

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Say why a test module could not be read; nothing else would."""
        if report.failed:
            self._fault(str(report.longrepr))

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Make the verdict, write the reports, print the findings, and set the exit status."""
        self._progress.__exit__(None, None, None)
        if not self._reason:
            self._add_stale_deviations()
        self._fill_rows()
        folder = self._option.report_dir
        seconds = time.monotonic() - self._clock
        outcome = Outcome(
            self.run.backend, self.run.findings, list(self._rows.values()), self._selection,
            self._option.seed, self._started, seconds, self._reason, self._cure, folder,
        )  # fmt: skip
        verdict = outcome.as_dict()
        session.exitstatus = verdict["exit_status"]
        if folder:
            reports.write(verdict, folder)
        if self._option.write_deviations:
            findings = self.run.findings.values()
            deviations.write(self._option.write_deviations, self.run.backend.url, findings)
        terminal.report(verdict, Console(highlight=False), str(folder or ""))
        session.config.hook.pytest_contract_verdict(verdict=verdict)

    def _add_stale_deviations(self) -> None:
        is_whole = not self._selection.is_partial and not self._skipped
        for deviation in self.run.findings.stale(is_whole=is_whole):
            clause, kind, outcome = deviation.id.split("/")
            breach = Breach(
                clause, kind, outcome, "the accepted deviation, until somebody fixes it",
                "it does not occur any more; remove it from the deviations file",
                f"the accepted deviation {deviation.id}",
            )  # fmt: skip
            owners = [row.name for row in self._rows.values() if row.clause == clause]
            finding = Finding(breach, owners[0] if owners else next(iter(self._rows), ""))
            self.run.findings[deviation.id] = finding

    def _fill_rows(self) -> None:
        findings = self.run.findings
        for finding in findings.values():
            finder = finding.promise
            finding.promise = self._owner(finding)
            for name in {finder, finding.promise} & set(self._rows):
                self._rows[name].findings.append(finding.id)
        for row in self._rows.values():
            self._fill(
                row, [finding for finding in findings.values() if finding.promise == row.name]
            )

    def _owner(self, finding: Finding) -> str:
        """Return the promise that a finding breaks: the one it is about, or that met it."""
        finder = self._rows.get(finding.promise)
        if finder and finder.clause == finding.breach.clause:
            return finder.name
        owners = [row.name for row in self._rows.values() if row.clause == finding.breach.clause]
        return owners[0] if owners else finding.promise

    def _fill(self, row: Row, owned: Iterable[Finding]) -> None:
        rounds = self._promises.get(row.name, [])
        row.requests = sum(promise.requests for promise in rounds)
        severities = {finding.severity for finding in owned}
        hiding = {id for promise in rounds for id in promise.hiding}
        row.outcome, row.reason = "not tested", "the run ended before"
        if "broken" in severities:
            row.outcome, row.reason = "broken", ""
        elif row.name in self._skipped:
            row.reason = self._skipped[row.name]
        elif rounds and not any(promise.held for promise in rounds):
            row.reason = f"hidden by {', '.join(sorted(hiding))}" if hiding else "not judged"
        elif rounds:
            row.outcome, row.reason = "accepted" if "accepted" in severities else "kept", ""
        if row.name in self.broken_at_once:
            row.again = "still broken"
        elif row.name in self.broken_before:
            row.again = "flaky" if row.outcome == "broken" else "fixed"

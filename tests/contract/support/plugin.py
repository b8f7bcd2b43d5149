"""A pytest plugin that follows a run and turns its test results into the verdict."""

import contextlib
import signal
import time
from collections.abc import Generator
from typing import Any

import pytest
from rich.console import Console

import reports
from reports import console as terminal
from reports.progress import Progress
from support import contract, values
from support.exchange import NoVerdictError
from support.findings import write_deviations
from support.options import FINISHED
from support.promise import NOT_SELECTED, OverBudget, Promise, Run
from support.verdict import verdict_of

TEST_ERROR = "an error in the contract tests, not in the backend"
REPORT_IT = "report this error with the seed and the versions from the verdict"


class Hooks:
    """Hooks that other pytest plugins can implement."""

    @staticmethod
    def pytest_contract_verdict(verdict: dict[str, Any]) -> None:
        """Receive the verdict at the end of a run; docs/verdict.schema.json describes it."""


def clause_of(item: pytest.Item) -> contract.Clause:
    """Return the clause from the test's `clause` marker."""
    marker = item.get_closest_marker("clause")
    if marker is None or marker.args[0] not in contract.CLAUSES:
        raise pytest.UsageError(f"{item.nodeid}: the `clause` marker must contain a clause id")
    return contract.CLAUSES[marker.args[0]]


def family_of(item: pytest.Item) -> str:
    """Return the promise's family: the text before the colon in the test module's docstring."""
    module: Any = getattr(item, "module", None)
    return (module.__doc__ or "").partition(":")[0]


def sentence_of(item: pytest.Item) -> str:
    """Return the first line of the test's docstring, followed by the parameter id, if any."""
    function: Any = getattr(item, "function", None)
    handle = getattr(function, "hypothesis", None)  # schemathesis wraps the test
    documented = handle.inner_test if handle else function
    sentence = (documented.__doc__ or "").partition("\n")[0]
    case = getattr(item, "callspec", None)
    return f"{sentence.rstrip('.')}: {case.id}." if case else sentence


def print_promises(items: list[pytest.Item]) -> None:
    """Print the name, clause, source and sentence of each promise."""
    printed = ""
    for item in items:
        family = family_of(item)
        if family != printed:
            print(f"\n{family}")  # noqa: T201
        printed = family
        clause = clause_of(item)
        print(f"  {item.name}  {clause.id} ({clause.source})\n      {sentence_of(item)}")  # noqa: T201


def _repeat(items: list[pytest.Item]) -> None:
    for item in items:
        if not item.session.shouldstop:
            item.ihook.pytest_runtest_protocol(item=item, nextitem=None)


class Follower:
    """A plugin that follows a run from test collection to the verdict."""

    def __init__(self, run: Run) -> None:
        """Follow the given run."""
        self.run = run
        self._console = Console(highlight=False)
        self._progress = Progress(self._console)
        self._done = 0

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """With `--again`, keep only tests that had findings in the earlier run."""
        if self.run.earlier:
            items[:] = [item for item in items if item.name in self.run.earlier]

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Create a promise for each collected test."""
        for item in session.items:
            clause = clause_of(item).id
            promise = Promise(item.name, family_of(item), sentence_of(item), clause, self.run)
            self.run.promises[item.name] = promise
            self.run.owners.setdefault(clause, item.name)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        """Run the tests, then repeat some of them if `--again` or `--max-time` is set."""
        option = self.run.option
        started = time.monotonic()
        result = yield
        if option.again:  # repeat the tests that passed, to detect flaky promises
            broken = self.run.findings.broken_promises()
            _repeat([item for item in session.items if item.name not in broken])
        generated = [item for item in session.items if item.get_closest_marker("generated")]
        while generated and time.monotonic() - started < option.max_time:
            if session.testsfailed or session.shouldstop:
                break
            option.seed += 1
            _repeat(generated)
        return result

    def pytest_runtest_protocol(self, item: pytest.Item) -> None:
        """Seed the random number generator, and update the progress display."""
        values.RANDOM.seed(f"{self.run.option.seed} {item.name}")
        promises = self.run.promises
        requests = self.run.backend.statuses.total()
        self._progress.update(promises[item.name].family, self._done, len(promises), requests)
        self._done += 1

    @pytest.hookimpl(wrapper=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> Generator[None, object, object]:
        """Fail the test if one of its findings fails the run; skip it if it sent no requests."""
        result: object = True
        promise = self.run.promises[pyfuncitem.name]
        try:
            with contextlib.suppress(OverBudget):
                result = yield
        finally:
            decisive = promise.end()
        if decisive:
            pytest.fail("; ".join(finding.title for finding in decisive), pytrace=False)
        if promise.requests == 0:
            pytest.skip(NOT_SELECTED)
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Replace the traceback, which might contain a token, with a redacted message."""
        report = yield
        report.sections.clear()
        error = call.excinfo.value if call.excinfo else None
        if report.skipped and error:
            self.run.promises[item.name].skipped = str(error)
        if report.failed:
            report.longrepr = self.run.backend.redactor.redact(str(error))
            self._record_error(item.name, error)
        if self.run.crashed:
            item.session.shouldstop = "the backend stopped responding"
        if self.run.no_verdict:
            item.session.shouldstop = self.run.no_verdict.reason
        return report

    def _record_error(self, name: str, error: BaseException | None) -> None:
        if isinstance(error, NoVerdictError):
            self._end(error.reason, error.cure)
        elif not isinstance(error, (OverBudget, pytest.fail.Exception)):
            self._end(f"{TEST_ERROR}: {name}: {type(error).__name__}: {error}", REPORT_IT)

    def _end(self, reason: str, cure: str = "") -> None:
        """Record why the run ends without a verdict, unless a reason has already been recorded."""
        redact = self.run.backend.redactor.redact
        if not self.run.no_verdict:
            self.run.no_verdict = NoVerdictError(redact(reason), redact(cure))

    def interrupt(self, *_: object) -> None:
        """Handle SIGTERM like Ctrl-C, but only once, so that the run can write its reports."""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        # Python swallows exceptions in finalizers and callbacks, so also end the run explicitly.
        self._end("interrupted")
        raise KeyboardInterrupt

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """End the run without a verdict if the user interrupted it."""
        exits = (pytest.Session.Interrupted, pytest.exit.Exception)  # not caused by the user
        if not isinstance(excinfo.value, exits):
            self._end("interrupted")

    def pytest_internalerror(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """End the run without a verdict after an internal error, which pytest prints."""
        self._end(f"{TEST_ERROR}: {excinfo.typename}: {excinfo.value}", REPORT_IT)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """End the run without a verdict if a test module cannot be imported."""
        if report.failed:
            self._end(f"{TEST_ERROR}: {report.longrepr}", REPORT_IT)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write the reports, print the findings, and set the exit status."""
        self._progress.stop()
        self.run.backend.close()
        option = self.run.option
        try:
            if option.write_deviations:
                findings = self.run.findings.values()
                write_deviations(option.write_deviations, self.run.backend.url, findings)
            verdict = verdict_of(self.run)
            if option.report_dir:
                reports.write(verdict, option.report_dir)
        except OSError as error:
            self._end(f"cannot write the reports: {error}", "pass another folder or file")
            option.report_dir = None
            verdict = verdict_of(self.run)
        session.exitstatus = FINISHED + verdict["exit_status"]
        terminal.report(verdict, self._console, str(option.report_dir or ""))
        session.config.hook.pytest_contract_verdict(verdict=verdict)

"""A pytest plugin that follows a run and turns its test results into the verdict."""

import contextlib
from collections.abc import Generator
from typing import Any

import pytest
from rich.console import Console

import reports
from reports import console as terminal
from reports.progress import Progress
from support import contract, deviations
from support.exchange import NoVerdictError
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
    lines: list[str] = []
    for item in items:
        family = f"\n{family_of(item)}"
        if family not in lines:
            lines.append(family)
        clause = clause_of(item)
        lines.append(f"  {item.name}  {clause.id} ({clause.source})")
        lines.append(f"      {sentence_of(item)}")
    print("\n".join(lines))  # noqa: T201


class Follower:
    """A plugin that follows a run from test collection to the verdict."""

    def __init__(self, run: Run) -> None:
        """Follow the given run."""
        self.run = run
        self._console = Console(highlight=False)
        self._progress = Progress(self._console)
        self._done = 0

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Create a promise for each collected test."""
        for item in session.items:
            clause = clause_of(item).id
            promise = Promise(item.name, family_of(item), sentence_of(item), clause, self.run)
            self.run.promises[item.name] = promise
            self.run.owners.setdefault(clause, item.name)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Update the progress display before each test."""
        promises = self.run.promises
        requests = self.run.backend.statuses.total()
        self._progress.update(promises[item.name].family, self._done, len(promises), requests)
        self._done += 1
        return (yield)

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
        if self.run.crashed:
            pyfuncitem.session.shouldstop = "the backend stopped responding"
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
        error = call.excinfo.value if call.excinfo else None
        if report.skipped and error:
            self.run.promises[item.name].skipped = str(error)
        if report.failed:
            report.longrepr = self.run.backend.redactor.redact(str(error))
        expected = (NoVerdictError, OverBudget, pytest.fail.Exception)
        if report.failed and not isinstance(error, expected):
            self._end(f"{TEST_ERROR}: {item.name}: {type(error).__name__}: {error}", REPORT_IT)
        if self.run.backend.no_verdict:
            item.session.shouldstop = self.run.backend.no_verdict.reason
        report.sections.clear()
        return report

    def _end(self, reason: str, cure: str = "") -> None:
        """Record why the run ends without a verdict, unless another reason was recorded before."""
        if not self.run.backend.no_verdict:
            self.run.backend.give_up(reason, cure)

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """End the run without a verdict if the user interrupted it."""
        exits = (pytest.Session.Interrupted, pytest.exit.Exception)  # raised by pytest itself
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
        verdict = verdict_of(self.run)
        session.exitstatus = verdict["exit_status"]
        if option.report_dir:
            reports.write(verdict, option.report_dir)
        if option.write_deviations:
            findings = self.run.findings.values()
            deviations.write(option.write_deviations, self.run.backend.url, findings)
        terminal.report(verdict, self._console, str(option.report_dir or ""))
        session.config.hook.pytest_contract_verdict(verdict=verdict)

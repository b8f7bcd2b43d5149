"""The pytest plugin: turns outcomes of tests into promises kept, broken or not tested."""

import contextlib
import os
import sys
from collections.abc import Generator
from typing import Any

import pytest
from rich.console import Console

import reports
from reports import console as terminal
from reports.progress import Progress
from support import contract, deviations
from support.exchange import NoVerdictError
from support.findings import BrokenPromiseError
from support.promise import NOT_SELECTED, OverBudget, Promise, Run
from support.verdict import verdict_of

FAULT = "a fault of the contract tests, not of the backend"
REPORT_IT = "report it, with the seed and the versions in the verdict"


class Hooks:
    """Hooks that other plugins of a run may implement."""

    @staticmethod
    def pytest_contract_verdict(verdict: dict[str, Any]) -> None:
        """Receive the verdict of a run, as described by docs/verdict.schema.json."""


def clause_of(item: pytest.Item) -> contract.Clause:
    """Return the clause that the test's mark `clause` names."""
    marker = item.get_closest_marker("clause")
    if marker is None or marker.args[0] not in contract.CLAUSES:
        raise pytest.UsageError(f"{item.nodeid}: its mark `clause` names no clause of openapi.yaml")
    return contract.CLAUSES[marker.args[0]]


def family_of(item: pytest.Item) -> str:
    """Return the promise's family: the first word of its module's docstring."""
    module: Any = getattr(item, "module", None)
    return (module.__doc__ or "").partition(":")[0]


def sentence_of(item: pytest.Item) -> str:
    """Return the first line of the test's docstring, with the name of the case if there is one."""
    function: Any = getattr(item, "function", None)
    handle = getattr(function, "hypothesis", None)  # schemathesis wraps the test
    documented = handle.inner_test if handle else function
    sentence = (documented.__doc__ or "").partition("\n")[0]
    case = getattr(item, "callspec", None)
    return f"{sentence.rstrip('.')}: {case.id}." if case else sentence


class Listing:
    """Prints the promises instead of testing them."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Print every promise with its name, clause and source."""
        family = ""
        try:
            for item in session.items:
                if family_of(item) != family:
                    family = family_of(item)
                    print(f"\n{family}")  # noqa: T201
                clause = clause_of(item)
                print(f"  {item.name}  {clause.id} ({clause.source})")  # noqa: T201
                print(f"      {sentence_of(item)}", flush=True)  # noqa: T201
        except BrokenPipeError:  # the reader, such as `head`, has closed the pipe
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return True


class Follower:
    """Follows a run from its collection to its verdict."""

    def __init__(self, run: Run) -> None:
        """Store the run."""
        self.run = run
        self._console = Console(highlight=False)
        self._progress = Progress(self._console, 0)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Record which promises will be tested."""
        for item in session.items:
            self.run.promises[item.name] = Promise(
                item.name, family_of(item), sentence_of(item), clause_of(item).id, self.run
            )
        self._progress = Progress(self._console, len(session.items)).__enter__()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Show the progress."""
        promises = self.run.promises
        done = sum(1 for promise in promises.values() if promise.rounds or promise.skipped)
        requests = self.run.backend.statuses.total()
        self._progress.update(promises[item.name].family, done, requests)
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> Generator[None, object, object]:
        """Raise the findings after all values of the promise were tried."""
        result: object = True
        promise = self.run.promises[pyfuncitem.name]
        try:
            with contextlib.suppress(OverBudget):
                result = yield
        finally:
            decisive = promise.end()
        if self.run.crashed:
            pyfuncitem.session.shouldstop = "the backend is gone"
        if decisive:
            raise BrokenPromiseError(decisive)
        if promise.requests == 0:
            pytest.skip(NOT_SELECTED)
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Replace a traceback, which could show a token, with a message."""
        report = yield
        error = call.excinfo.value if call.excinfo else None
        if report.skipped and error:
            self.run.promises[item.name].skipped = str(error)
        if report.failed:
            report.longrepr = self.run.backend.redactor.redact(str(error))
        expected = (BrokenPromiseError, NoVerdictError, OverBudget, pytest.fail.Exception)
        if report.failed and not isinstance(error, expected):
            self._end(f"{FAULT}: {item.name}: {type(error).__name__}: {error}", REPORT_IT)
        if self.run.backend.no_verdict:
            item.session.shouldstop = self.run.backend.no_verdict.reason
        report.sections.clear()
        return report

    def _end(self, reason: str, cure: str = "") -> None:
        """End without a verdict, unless another reason is already known."""
        if not self.run.backend.no_verdict:
            self.run.backend.give_up(reason, cure)

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """End without a verdict, because the run was interrupted."""
        exits = (pytest.Session.Interrupted, pytest.exit.Exception)  # of the run's own
        if not isinstance(excinfo.value, exits):
            self._end("interrupted")

    def pytest_internalerror(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """End without a verdict, because of an error in the tests; pytest prints it."""
        self._end(f"{FAULT}: {excinfo.typename}: {excinfo.value}", REPORT_IT)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """End without a verdict, because a test module could not be imported."""
        if report.failed:
            self._end(f"{FAULT}: {report.longrepr}", REPORT_IT)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write the reports, print the findings, and set the exit status."""
        self._progress.__exit__()
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

"""A pytest plugin that follows a run and turns its test results into the verdict."""

import contextlib
import signal
import sys
import time
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import pytest

from reports import console, rendering
from support import values
from support.exchange import NoVerdictError
from support.findings import write_deviations
from support.options import FINISHED, NO_VERDICT
from support.promise import NOT_SELECTED, OverBudget, Promise, Run
from support.verdict import verdict_of

TEST_ERROR = "an error in the contract tests, not in the backend"
PROMISE = pytest.StashKey[Promise]()
OTHER_OUTPUT = "pass another folder or file"
REPORT_IT = "report this error with the seed and the versions from the verdict"


class Hooks:
    """Hooks that other pytest plugins can implement."""

    @staticmethod
    def pytest_contract_verdict(verdict: dict[str, Any]) -> None:
        """Receive the verdict at the end of a run; docs/verdict.schema.json describes it."""


def _repeat(items: list[pytest.Item]) -> None:
    for item in items:
        if not item.session.shouldstop:
            item.ihook.pytest_runtest_protocol(item=item, nextitem=None)


@dataclass(eq=False, repr=False)
class RunPlugin(Run):
    """A run implemented as a pytest plugin, from test collection to the verdict."""

    def __post_init__(self) -> None:
        """Prepare the output."""
        self._console = console.Output(highlight=False)
        self._status = self._console.status("")
        self._family = ""
        self._done = 0

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Store the session, which is needed to stop the run."""
        self._session = session
        signal.signal(signal.SIGTERM, self._interrupt)

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """With `--again`, keep only promises that had findings. Run `last` tests at the end."""
        if self.earlier:
            items[:] = [item for item in items if item.name in self.earlier]
        items.sort(key=lambda item: item.get_closest_marker("last") is not None)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Add the promises to the run."""
        for item in session.items:
            promise = item.stash[PROMISE]
            promise.run = self
            self.promises[item.name] = promise

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        """Run the tests, then repeat some of them if `--again` or `--max-time` is set."""
        option = self.option
        started = time.monotonic()
        result = yield
        if option.again:  # repeat the tests that passed, to detect flaky promises
            broken = self.broken_promises()
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
        values.RANDOM.seed(f"{self.option.seed} {item.name}")
        self._show_progress(item.stash[PROMISE].family)
        if self._console.quiet:
            self._end("the output was closed", "read all of the output, or free up disk space")

    def _show_progress(self, family: str) -> None:
        """Update the status line; if the output is not a terminal, print each family once."""
        if self._console.is_terminal:
            promises = f"{self._done}/{len(self.promises)} promises"
            requests = self.backend.statuses.total()
            self._status.update(f"{family}: {promises} · {requests:,} requests")
            self._status.start()
        elif family != self._family:
            self._console.print(f"{family} ...")
        self._family = family
        self._done += 1

    @pytest.hookimpl(wrapper=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> Generator[None, object, object]:
        """Fail the test if one of its findings fails the run; skip it if it sent no requests."""
        result: object = True
        promise = pyfuncitem.stash[PROMISE]
        try:
            with contextlib.suppress(OverBudget):
                result = yield
        except pytest.skip.Exception as reason:
            promise.skipped = str(reason)
            raise
        finally:
            decisive = promise.end()
        if decisive:
            pytest.fail("; ".join(finding.title for finding in decisive), pytrace=False)
        if promise.requests == 0:
            promise.skipped = NOT_SELECTED
        return result

    def pytest_runtest_logreport(self) -> None:
        """Stop after the current test if the backend has crashed or the run has no verdict."""
        if self.crashed or self.no_verdict:
            self._session.shouldstop = "no further requests are possible"

    def pytest_exception_interact(
        self, node: pytest.Item | pytest.Collector, call: pytest.CallInfo[None]
    ) -> None:
        """End the run without a verdict after an exception that is not a finding."""
        error = call.excinfo and call.excinfo.value
        if isinstance(error, NoVerdictError):
            self._end(error.reason, error.cure)
        elif not isinstance(error, (OverBudget, pytest.fail.Exception)):
            self._end(f"{TEST_ERROR}: {node.name}: {type(error).__name__}: {error}", REPORT_IT)

    def _end(self, reason: str, cure: str = "") -> None:
        """Record why the run ends without a verdict, unless a reason has already been recorded."""
        redact = self.backend.redactor.redact
        if not self.no_verdict:
            self.no_verdict = NoVerdictError(redact(reason), redact(cure))
        self._session.shouldstop = reason

    def _interrupt(self, *_: object) -> None:
        """Handle SIGTERM like Ctrl-C, but only once, so that the run can write its reports."""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        # Python swallows exceptions in finalizers and callbacks, so also end the run explicitly.
        self._end("interrupted")
        raise KeyboardInterrupt

    def _would_lose_a_verdict(self, verdict: dict[str, Any]) -> bool:
        """Return whether reports of a run that tested nothing would replace earlier reports."""
        is_empty = not any(promise.requests for promise in self.promises.values())
        folder = self.option.report_dir
        is_kept = bool(folder) and (folder / "verdict.json").exists()
        return is_kept and is_empty and verdict["result"] == "no verdict"

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Write the reports, print the findings, and set the exit status."""
        if exitstatus == pytest.ExitCode.INTERNAL_ERROR:  # pytest prints the error
            self._end(TEST_ERROR, REPORT_IT)
        self._status.stop()
        self.backend.wire.close()
        option = self.option
        try:
            verdict = verdict_of(self)
            if verdict["result"] == "no verdict" and not self.findings:
                option.write_deviations = None  # do not overwrite the file with an empty one
            if option.write_deviations:
                findings = self.findings.values()
                redact = self.backend.redactor.redact
                write_deviations(option.write_deviations, self.backend.url, findings, redact)
            if self._would_lose_a_verdict(verdict):
                option.report_dir = None
            if option.report_dir:
                rendering.write(verdict, option.report_dir)
            problem = ""
        except OSError as error:
            problem = f"cannot write the reports: {error}; {OTHER_OUTPUT}"
            option.report_dir = option.write_deviations = None
            verdict = verdict_of(self)
        session.exitstatus = FINISHED + verdict["exit_status"]
        files = (option.report_dir, option.write_deviations)
        console.report(verdict, self._console, *(str(file or "") for file in files))
        if problem:
            session.exitstatus = FINISHED + NO_VERDICT
            verdict["exit_status"] = NO_VERDICT
            sys.stderr.write(f"No verdict: {self.backend.redactor.redact(problem)}\n")
        session.config.hook.pytest_contract_verdict(verdict=verdict)

"""A pytest plugin that follows a run and turns its test results into the verdict."""

import argparse
import contextlib
import random
import signal
import sys
import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import pytest

from reports import console, rendering
from support import contract, values
from support.backend import Backend, given_variables
from support.exchange import NoVerdictError
from support.findings import DEFAULT, load_deviations, name_of
from support.options import KEPT, LAST_RUN, NO_VERDICT
from support.promise import EndOfTest, Promise, Run
from support.rule import NO_AUTHENTICATION
from support.verdict import read_earlier, verdict_of

TEST_ERROR = "an error in the contract tests, not in the backend"
PROMISE = pytest.StashKey[Promise]()
OTHER_OUTPUT = "pass another folder or file"
REPORT_IT = "report this error with the seed and the versions from the verdict"
FOLDER = Path(__file__).parents[1]


def run_pytest(*arguments: str, plugin: object) -> int:
    """Run pytest with the settings for the contract tests, and return its exit status."""
    return pytest.main(["-c", str(FOLDER / "pytest.toml"), *arguments], [plugin])


class _Collector:
    """A plugin that stores the collected tests."""

    items: Sequence[pytest.Item] = ()

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.items = session.items


def collect(keyword: str) -> Sequence[pytest.Item]:
    """Return the tests that a `-k` expression selects, without running them."""
    collector = _Collector()
    status = run_pytest(str(FOLDER), "--collect-only", "-k", keyword, plugin=collector)
    return [] if status else collector.items


def list_promises(keyword: str) -> int:
    """Print the promises that a `-k` expression selects, and return the exit status."""
    items = collect(keyword)
    output = console.Output(markup=False, highlight=False, soft_wrap=True)
    if not items:
        output.print("-k matches no promise; use --list without -k to see the names")
    family = ""
    for item in items:
        promise = item.stash[PROMISE]
        if promise.family != family:
            output.print(f"\n{promise.family}")
        family = promise.family
        source = contract.CLAUSES[promise.clause].source
        output.print(f"  {promise.name}  {promise.clause} ({source})\n      {promise.sentence}")
    return KEPT if items and not output.quiet else NO_VERDICT


@dataclass(eq=False, repr=False)
class RunPlugin(Run):
    """A run implemented as a pytest plugin, from test collection to the verdict."""

    def __post_init__(self) -> None:
        """Prepare the output."""
        self._console = console.Output(highlight=False)
        self._status = self._console.status("")
        self._family = ""

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

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run the tests, then repeat some of them if `--again` or `--max-time` is set."""
        option = self.option
        started = time.monotonic()
        self._run(session.items)
        if option.again:  # repeat the tests that passed, to detect flaky promises
            broken = self.broken_promises()
            self._run([item for item in session.items if item.name not in broken])
        generated = [item for item in session.items if item.get_closest_marker("generated")]
        while generated and time.monotonic() - started < option.max_time:
            if self.broken_promises() or self.crashed or self.no_verdict:
                break
            option.seed += 1
            self._run(generated)
        return True

    def _run(self, items: list[pytest.Item]) -> None:
        """Run the tests; stop early if the backend crashes or there can be no verdict."""
        for item, following in zip(items, [*items[1:], None], strict=False):
            self._show_progress(item.stash[PROMISE].family)
            if self._console.quiet:
                self._end("the output was closed", "read all of the output, or free up disk space")
            if self.crashed or self.no_verdict:
                return
            values.RANDOM.seed(f"{self.option.seed} {item.name}")
            item.ihook.pytest_runtest_protocol(item=item, nextitem=following)

    def _show_progress(self, family: str) -> None:
        """Update the status line; if the output is not a terminal, print each family once."""
        if self._console.is_terminal:
            done = sum(promise.rounds > 0 for promise in self.promises.values())
            promises = f"{done}/{len(self.promises)} promises"
            requests = self.backend.statuses.total()
            self._status.update(f"{family}: {promises} · {requests:,} requests")
            self._status.start()
        elif family != self._family:
            self._console.print(f"{family} ...")
        self._family = family

    @pytest.hookimpl(wrapper=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> Generator[None, object, object]:
        """Run the test and end the promise's round. `EndOfTest` does not make the test fail."""
        try:
            with contextlib.suppress(EndOfTest):
                yield
        finally:
            pyfuncitem.stash[PROMISE].end()
        return True

    def pytest_exception_interact(
        self, node: pytest.Item | pytest.Collector, call: pytest.CallInfo[None]
    ) -> None:
        """End the run without a verdict after an exception."""
        error = call.excinfo and call.excinfo.value
        if isinstance(error, NoVerdictError):
            self._end(error.reason, error.cure)
        # EndOfTest is raised here only if the backend crashes before the first test.
        elif not isinstance(error, EndOfTest):
            self._end(f"{TEST_ERROR}: {node.name}: {type(error).__name__}: {error}", REPORT_IT)

    def _end(self, reason: str, cure: str = "") -> None:
        """Record why the run ends without a verdict, unless a reason has already been recorded."""
        redact = self.backend.redactor.redact
        if not self.no_verdict:
            self.no_verdict = NoVerdictError(redact(reason), redact(cure))

    def interrupt(self, *_: object) -> None:
        """End the run. Ignore further signals, so that the run can write its reports."""
        for other in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
            signal.signal(other, signal.SIG_IGN)
        # Python swallows exceptions in finalizers and callbacks, so also end the run explicitly.
        self._end("interrupted")
        raise KeyboardInterrupt

    def test(self, *arguments: str) -> int:
        """Run the tests, write the reports, print the verdict, and return the exit status.

        The `arguments` for pytest are tests or options; by default, all tests are run.
        """
        option = self.option
        tests = arguments or [str(FOLDER)]
        status = run_pytest(*tests, "-k", option.keyword, plugin=self)
        if status == pytest.ExitCode.INTERNAL_ERROR:  # pytest prints the error
            self._end(TEST_ERROR, REPORT_IT)
        self._status.stop()
        self.backend.wire.close()
        problem = ""
        try:
            self.verdict = self._write()
        except OSError as error:
            problem = f"cannot write the reports: {error}; {OTHER_OUTPUT}"
            option.report_dir = option.write_deviations = None
            self.verdict = verdict_of(self)
        reports = str(option.report_dir or "")
        deviations = str(option.write_deviations or "")
        console.report(self.verdict, self._console, reports, deviations)
        if problem:
            self.verdict["exit_status"] = NO_VERDICT
            sys.stderr.write(f"No verdict: {self.backend.redactor.redact(problem)}\n")
        return int(self.verdict["exit_status"])

    def _write(self) -> dict[str, Any]:
        """Write the reports and the deviations file, and return the verdict."""
        option = self.option
        verdict = verdict_of(self)
        has_verdict = verdict["result"] != "no verdict"
        if not has_verdict and not self.findings:
            option.write_deviations = None  # do not overwrite the file with an empty one
        if option.write_deviations:
            context = {
                "host": name_of(self.backend.url),
                "never_accepted": NO_AUTHENTICATION,
                "accepted": self.accepted,
            }
            text = rendering.render("deviations.yaml", verdict, **context)
            option.write_deviations.write_text(text, "utf-8")
        was_tested = any(promise.requests for promise in self.promises.values())
        folder = option.report_dir
        if folder and not (has_verdict or was_tested) and (folder / "verdict.json").exists():
            option.report_dir = None  # keep the reports of an earlier run, for --again
        if option.report_dir:
            rendering.write(verdict, option.report_dir)
        return verdict


def prepare(option: argparse.Namespace, variables: Mapping[str, str]) -> RunPlugin:
    """Return the run without sending requests; `variables` are the environment variables.

    Raise `ValueError` if an option or variable is invalid.
    """
    contract.check_values(values.DATA["UNUSUAL"])
    have_no_common_source = set(option.source).isdisjoint(option.fail_on)
    if option.source and option.fail_on and have_no_common_source:
        cure = "specify at least one source that is in both options"
        raise ValueError(f"--source and --fail-on have no source in common; {cure}")
    accepted_file = option.deviations or DEFAULT
    written = option.write_deviations
    if written and written.resolve() == accepted_file.resolve():
        problem = "--write-deviations would overwrite the file of accepted findings"
        raise ValueError(f"{problem}; write to another file")
    option.id = option.id or variables.get("FLASHBACK_AI_LLM_ID") or contract.EXAMPLE_ID
    given = given_variables(option.id, variables)
    if option.again == LAST_RUN:
        option.again = option.report_dir / "verdict.json"
    earlier = read_earlier(option) if option.again else {}
    if option.seed is None:
        option.seed = random.SystemRandom().randrange(10**9)
    accepted = load_deviations(option.deviations, option.backend_url)
    _check_outputs(option)
    return RunPlugin(Backend(option, given), option, accepted, earlier)


def _check_outputs(option: argparse.Namespace) -> None:
    """Raise `ValueError` if the reports or the deviations file cannot be written."""
    try:
        if option.report_dir:
            option.report_dir.mkdir(parents=True, exist_ok=True)
            TemporaryFile(dir=option.report_dir).close()
        if option.write_deviations:
            option.write_deviations.open("a").close()
    except OSError as error:
        raise ValueError(f"cannot write the reports: {error}; {OTHER_OUTPUT}") from None

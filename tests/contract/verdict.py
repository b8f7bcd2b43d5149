"""The verdict: each promise with its outcome, told as it falls, and kept as HTML."""

import time
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
import requests
from backend import Backend
from exchange import NoVerdictError
from rich.console import Console
from rich.text import Text
from schemathesis.core.failures import Failure, FailureGroup

STYLES = {"kept": "green", "broken": "bold red", "known": "magenta", "not tested": "yellow"}
LONGEST = 2000  # characters of a request or an answer that are worth reading
NO_VERDICT = 2
# Rich fills it in; long lines wrap, also on a phone.
PAGE = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Does the backend keep the contract?</title>
<pre style="font: 14px/1.5 monospace; white-space: pre-wrap; overflow-wrap: anywhere">{code}</pre>
</html>
"""


@dataclass
class Promise:
    """One rule of the contract, as a sentence, and what became of it."""

    family: str
    sentence: str
    clause: str
    source: str
    outcome: str = ""
    requests: int = 0
    detail: str = ""  # why it was not tested, or what was expected, what came, how to see it

    @classmethod
    def of(cls, item: Any) -> "Promise":
        """The promise that a test tells in its docstring and its `clause` mark."""
        family, sentence = (
            told.__doc__.partition("\n")[0] for told in (item.module, item.function)
        )
        case = getattr(item, "callspec", None)
        if case:  # a docstring that does not end is ended by each of its cases
            sentence += f" [{case.id}]" if sentence.endswith(".") else f" {case.id}."
        return cls(family, sentence, *item.get_closest_marker("clause").args)

    def line(self) -> Text:
        """The promise and its outcome in one line, or two if there is a reason."""
        style = STYLES[self.outcome]
        line = Text.assemble(
            (f"  {self.outcome:<11}", style),
            (f"{self.requests:>6}  ", "bright_black"),
            self.sentence,
            (f"  {self.clause} · {self.source}", "bright_black"),
        )
        reason = f"\n{'':21}{self.detail}" if self.outcome in ("known", "not tested") else ""
        return line.append(reason, style)


class Verdict:
    """A pytest plugin that turns outcomes of tests into promises kept, broken or not tested."""

    def __init__(self, backend: Backend, deviations: Mapping[str, str]) -> None:
        """Begin a verdict on the backend, of which deviations are known: promise to reason."""
        self._backend, self._deviations = backend, deviations
        self._console = Console(
            record=True, highlight=False, markup=False, emoji=False, soft_wrap=True
        )
        self._progress = Console()  # of which nothing is kept
        self._promises: dict[str, Promise] = {}
        self._started = time.monotonic()
        self._no_verdict = ""
        self._console.print(f"Testing {backend.url}, configuration {backend.id}")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Show which promise is being tested, then what became of it."""
        promise = self._promises.get(item.nodeid) or Promise.of(item)
        if promise.family not in [known.family for known in self._promises.values()]:
            self._console.print(f"\n{promise.family}", style="bold")
        self._promises[item.nodeid] = promise
        before, known = self._backend.statuses.total(), promise.outcome
        with self._progress.status(Text(promise.sentence)):
            result = yield
        promise.requests += self._backend.statuses.total() - before
        if promise.outcome != known:  # a further round says nothing unless it found something
            self._console.print(promise.line())
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Take the outcome; put words in the place of a traceback, which could show a token."""
        report = yield
        promise = self._promises[item.nodeid]
        error = call.excinfo.value if call.excinfo else None
        if isinstance(error, NoVerdictError):
            promise.outcome, promise.detail = "not tested", "there is no verdict"
            self._no_verdict = item.session.shouldstop = self._backend.redact(str(error))
        elif report.failed and error:
            promise.outcome, promise.detail = "broken", self._explain(error)
        elif report.skipped and error:
            promise.outcome, promise.detail = "not tested", str(error)
        elif report.when == "call":
            promise.outcome = "kept"
        # As a file of deviations calls it: without the operation that schemathesis appends.
        known = self._deviations.get(item.name.partition("[PUT ")[0])
        if report.when == "call" and known:
            _excuse(promise, report, known)
        if report.failed:
            report.longrepr = promise.detail
        report.sections.clear()
        return report

    def pytest_keyboard_interrupt(self) -> None:
        """Have no verdict on a contract of which a part was looked at."""
        self._no_verdict = self._no_verdict or "interrupted"

    def pytest_internalerror(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Say that the tests themselves failed; pytest prints where, after this."""
        self._no_verdict = f"a fault of the contract tests, not of the backend: {excinfo.typename}"

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Tell why a test module could not be read; nothing else would."""
        if report.failed:
            self._no_verdict = self._backend.redact(str(report.longrepr))

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Explain what is broken, sum up, write the HTML report, and set the exit status."""
        if not {"kept", "broken", "known"} & {p.outcome for p in self._promises.values()}:
            self._no_verdict = self._no_verdict or "no promise was tested; -k may match none"
        if self._no_verdict:
            session.exitstatus = NO_VERDICT
        for promise in self._promises.values():
            if promise.outcome == "broken":
                self._console.print(f"\nBroken: {promise.sentence}", style="bold red")
                self._console.print(f"Promised by: {promise.clause} ({promise.source})")
                self._console.print(promise.detail)
        self._console.print()
        reports = self._backend.settings.report_dir
        picked = session.config.option.keyword
        subject = f"What -k {picked!r} picks of the contract" if picked else "The contract"
        self._sum_up(subject, f"Reports: {reports}/verdict.html and junit.xml" if reports else "")
        if reports:
            html = str(reports / "verdict.html")
            self._console.save_html(html, inline_styles=True, code_format=PAGE)

    def _explain(self, error: BaseException) -> str:
        """What was expected, what came, and the curl line that shows it; no given token."""
        lines = list(_findings(error))
        exchange = self._backend.last
        if exchange:
            lines += ["See it:", f"  {_shortened(self._backend.curl(exchange))}"]
            lines += ["Came:", *(f"  {line}" for line in _answer(exchange.response))]
        return self._backend.redact("\n".join(lines))

    def _sum_up(self, subject: str, reports: str) -> None:
        statuses, seconds = self._backend.statuses, time.monotonic() - self._started
        seed = self._backend.settings.seed
        self._console.print(f"{statuses.total()} requests in {seconds:.1f} s, seed {seed}")
        counts = (f"{status} ×{count}" for status, count in sorted(statuses.items()))
        self._console.print("Statuses: " + ", ".join(counts))
        if reports:
            self._console.print(reports)
        outcomes = [promise.outcome for promise in self._promises.values()]
        shown = [outcome for outcome in STYLES if outcome != "known" or outcome in outcomes]
        counted = ", ".join(f"{outcomes.count(outcome)} {outcome}" for outcome in shown)
        if self._no_verdict:
            self._console.print(f"No verdict: {self._no_verdict}", style="bold yellow")
        elif "broken" in outcomes:
            self._console.print(f"{subject} is broken: {counted}.", style="bold red")
        else:
            self._console.print(f"{subject} is kept: {counted}.", style="bold green")


def _excuse(promise: Promise, report: pytest.TestReport, known: str) -> None:
    """Let a known deviation pass, and none that no longer occurs."""
    if promise.outcome == "broken":
        promise.outcome, promise.detail, report.outcome = "known", known, "passed"
    elif promise.outcome == "kept":
        promise.outcome, report.outcome = "broken", "failed"
        promise.detail = f"expected the known deviation ({known}); it is gone: take it out"


def _findings(error: BaseException) -> Iterator[str]:
    """What was found, without schemathesis' own curl lines: sanitised, they cannot be replayed."""
    for failure in error.exceptions if isinstance(error, FailureGroup) else [error]:
        if isinstance(failure, Failure):
            yield f"{failure.title}: {failure.message}".strip(": ")
        else:
            yield str(failure).partition("\n")[0] or type(failure).__name__


def _answer(response: requests.Response) -> list[str]:
    if not response.status_code:
        return ["nothing"]
    headers = [f"{name}: {value}" for name, value in response.headers.items()]
    body = _shortened(response.content.decode(errors="replace"))
    return [f"{response.status_code} {response.reason}", *headers, body]


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} … ({len(text)} characters)"

"""The verdict: each promise with its outcome, told as it falls, and kept as HTML."""

import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass

import pytest
from backend import Exchange, NoVerdictError
from rich.console import Console
from rich.text import Text
from schemathesis.core.failures import Failure, FailureGroup
from settings import Settings

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
    def of(cls, item: pytest.Item) -> "Promise":
        """The promise that a test tells in its docstring and its `clause` mark."""
        function = getattr(item, "function", None)
        module = getattr(item, "module", None)
        clause = item.get_closest_marker("clause")
        if not clause:
            raise pytest.UsageError(f"{item.nodeid} names no clause: add @pytest.mark.clause")
        case = getattr(item, "callspec", None)
        sentence = _first_line(function)
        if case:  # a docstring that does not end is ended by each of its cases
            sentence += f" [{case.id}]" if sentence.endswith(".") else f" {case.id}."
        return cls(_first_line(module), sentence, *clause.args)


class Verdict:
    """A pytest plugin that turns outcomes of tests into promises kept, broken or not tested."""

    def __init__(self, settings: Settings) -> None:
        """Begin a verdict on the settings' backend."""
        self._settings, self._backend = settings, settings.backend
        self._console = Console(record=True, highlight=False, soft_wrap=True)
        self._promises: dict[str, Promise] = {}
        self._started = time.monotonic()
        self._no_verdict = ""
        self._console.print(f"Testing {settings.backend.url}, configuration {settings.backend.id}")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Show which promise is being tested, then what became of it."""
        again = item.nodeid in self._promises
        promise = self._promises.setdefault(item.nodeid, Promise.of(item))
        if not again:
            self._print_family(promise)
        before, known = self._backend.statuses.total(), promise.outcome
        if self._console.is_terminal:
            with self._console.status(promise.sentence):
                result = yield
        else:
            result = yield
        promise.requests += self._backend.statuses.total() - before
        if promise.outcome != known:  # a further round says nothing unless it found something
            self._console.print(_line(promise))
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
        if report.when == "call":
            self._excuse(promise, report, self._settings.deviations.get(_name(item)))
        if report.failed:
            report.longrepr = promise.detail
        report.sections.clear()
        return report

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
        if not any(
            promise.outcome in ("kept", "broken", "known") for promise in self._promises.values()
        ):
            self._no_verdict = self._no_verdict or "no promise was tested; -k may match none"
        if self._no_verdict:
            session.exitstatus = NO_VERDICT
        for promise in self._promises.values():
            if promise.outcome == "broken":
                self._console.print(Text(f"\nBroken: {promise.sentence}", "bold red"))
                self._console.print(
                    f"Promised by: {promise.clause} ({promise.source})", markup=False
                )
                self._console.print(Text(promise.detail))
        self._console.print()
        for line in self._summary():
            self._console.print(line)
        if self._settings.report_dir:
            html = self._settings.report_dir / "verdict.html"
            self._console.save_html(str(html), inline_styles=True, code_format=PAGE)

    def _excuse(self, promise: Promise, report: pytest.TestReport, known: str | None) -> None:
        """Let a known deviation pass, and none that no longer occurs."""
        if known and promise.outcome == "broken":
            promise.outcome, promise.detail, report.outcome = "known", known, "passed"
        elif known and promise.outcome == "kept":
            promise.outcome, report.outcome = "broken", "failed"
            promise.detail = f"expected the known deviation ({known}); it is gone: take it out"

    def _print_family(self, promise: Promise) -> None:
        if [known.family for known in self._promises.values()].count(promise.family) == 1:
            self._console.print(Text(f"\n{promise.family}", style="bold"))

    def _explain(self, error: BaseException) -> str:
        """What was expected, what came, and the curl line that shows it; no given token."""
        lines = list(_findings(error))
        exchange = self._backend.last
        if exchange:
            lines += ["See it:", f"  {_shortened(self._backend.curl(exchange))}"]
            lines += ["Came:", *(f"  {line}" for line in _answer(exchange))]
        return self._backend.redact("\n".join(lines))

    def _summary(self) -> Iterator[Text]:
        statuses = sorted(self._backend.statuses.items())
        seconds = time.monotonic() - self._started
        total = self._backend.statuses.total()
        yield Text(f"{total} requests in {seconds:.1f} s, seed {self._settings.seed}")
        yield Text("Statuses: " + ", ".join(f"{status} ×{count}" for status, count in statuses))
        if self._settings.report_dir:
            yield Text(f"Reports: {self._settings.report_dir}/verdict.html and junit.xml")
        outcomes = [promise.outcome for promise in self._promises.values()]
        shown = [outcome for outcome in STYLES if outcome != "known" or outcome in outcomes]
        counted = ", ".join(f"{outcomes.count(outcome)} {outcome}" for outcome in shown)
        if self._no_verdict:
            yield Text(f"No verdict: {self._no_verdict}", "bold yellow")
        elif "broken" in outcomes:
            yield Text(f"The contract is broken: {counted}.", "bold red")
        else:
            yield Text(f"The contract is kept: {counted}.", "bold green")


def _name(item: pytest.Item) -> str:
    """The promise's name, as a file of deviations calls it."""
    return item.name.partition("[PUT ")[0]


def _first_line(documented: object) -> str:
    return (getattr(documented, "__doc__", None) or "").partition("\n")[0]


def _line(promise: Promise) -> Text:
    line = Text.assemble(
        (f"  {promise.outcome:<11}", STYLES[promise.outcome]),
        (f"{promise.requests:>6}  ", "bright_black"),
        promise.sentence,
        (f"  {promise.clause} · {promise.source}", "bright_black"),
    )
    if promise.outcome in ("known", "not tested"):
        line.append(f"\n{'':21}{promise.detail}", style=STYLES[promise.outcome])
    return line


def _findings(error: BaseException) -> Iterator[str]:
    """What was found, without schemathesis' own curl lines: sanitised, they cannot be replayed."""
    for failure in error.exceptions if isinstance(error, FailureGroup) else [error]:
        if isinstance(failure, Failure):
            yield f"{failure.title}: {failure.message}".strip(": ")
        else:
            yield str(failure).partition("\n")[0] or type(failure).__name__


def _answer(exchange: Exchange) -> Iterator[str]:
    response = exchange.response
    if not response.status_code:
        yield "nothing"
        return
    yield f"{response.status_code} {response.reason}"
    yield from (f"{name}: {value}" for name, value in response.headers.items())
    yield _shortened(response.content.decode(errors="replace"))


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} … ({len(text)} characters)"

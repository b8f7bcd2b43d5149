"""pytest configuration for the contract tests: options, fixtures and repeated rounds."""

import argparse
import json
import os
import random
import re
import signal
import time
from collections.abc import Generator
from itertools import combinations
from pathlib import Path

import pytest
from schemathesis.schemas import BaseSchema
from test_authentication import BAD_TOKENS

from support import contract, controls, deviations, generation, values
from support.backend import ADMIN, TOKENS, WRITER, Backend
from support.exchange import NoVerdictError
from support.findings import Findings
from support.options import LAST_RUN, MEANINGS, add_options
from support.plugin import Follower, Hooks, clause_of, family_of, print_promises
from support.promise import Promise, Run

FOLLOWER = pytest.StashKey[Follower]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the command-line options, which scripts/contract passes on to pytest."""
    add_options(parser.getgroup("contract").addoption)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Declare the hook through which other plugins receive the verdict."""
    pluginmanager.add_hookspecs(Hooks)


def pytest_configure(config: pytest.Config) -> None:
    """Prepare the run without sending requests."""
    if config.option.list or config.option.collectonly:
        config.option.collectonly = True
        return
    try:
        follower = Follower(_run(config.option))
    except NoVerdictError as error:
        raise pytest.UsageError(f"no verdict: {error.reason}; {error.cure}") from None
    # Handle SIGTERM like Ctrl-C so that a terminated run still writes its reports.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    config.stash[FOLLOWER] = follower
    config.pluginmanager.register(follower)


def _run(option: argparse.Namespace) -> Run:
    """Create the run; raise `NoVerdictError` if an option or environment variable is invalid."""
    for reason, cure in contract.missing_values(values.DATA["UNUSUAL"]):
        raise NoVerdictError(reason, cure)
    given = {name: os.environ[name] for name in MEANINGS if os.environ.get(name)}
    if not option.backend_url or WRITER not in given:
        raise NoVerdictError("no backend was specified", f"pass --backend-url and set {WRITER}")
    for name in TOKENS:
        if not re.fullmatch("[!-~]*", given.get(name, "")):
            raise NoVerdictError(f"{name} contains an invalid character", "set it again")
    for first, second in combinations(given, 2):
        if given[first] == given[second] and (first, second) != (WRITER, ADMIN):
            reason = f"{first} and {second} have the same value"
            raise NoVerdictError(reason, f"set {second} to {MEANINGS[second]}")
    if option.again == LAST_RUN:
        option.again = (option.report_dir or Path("reports")) / "verdict.json"
    seed = random.SystemRandom().randrange(10**9)
    earlier: dict[str, str] = {}
    if option.again:
        seed, earlier = _read_earlier(option.again)
    if option.seed is None:
        option.seed = seed
    accepted = deviations.load(option.deviations, option.backend_url)
    return Run(Backend(option, given), Findings(accepted, option), option, earlier)


def _read_earlier(file: Path) -> tuple[int, dict[str, str]]:
    """Return an earlier run's seed, and the outcome of each promise that had findings.

    Raise `NoVerdictError` if the file is not a verdict or contains no findings.
    """
    try:
        verdict = json.loads(file.read_text("utf-8"))
        promises = [promise for promise in verdict["promises"] if promise["findings"]]
        outcomes = {promise["name"]: promise["outcome"] for promise in promises}
        seed = int(verdict["seed"])
    except (OSError, ValueError, LookupError, TypeError):
        reason = f"--again {file}: not a valid verdict"
        raise NoVerdictError(reason, "pass the verdict.json of an earlier run") from None
    if not outcomes:
        reason = f"--again {file}: that run had no findings"
        raise NoVerdictError(reason, "run without --again, or pass another verdict.json")
    return seed, outcomes


def pytest_itemcollected(item: pytest.Item) -> None:
    """Let `-k` select tests by clause id, source or family, in addition to their names."""
    clause = clause_of(item)
    item.extra_keyword_matches.update((clause.id, clause.source, family_of(item)))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Move tests marked `last` to the end. With `--again`, keep only tests that had findings."""
    items.sort(key=lambda item: item.get_closest_marker("last") is not None)
    follower = config.stash.get(FOLLOWER, None)
    if follower and config.option.again:
        items[:] = [item for item in items if item.name in follower.run.earlier]


def pytest_collection_finish(session: pytest.Session) -> None:
    """List the promises if `--list` is set."""
    if session.config.option.list:
        print_promises(session.items)


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    """Run the tests, then repeat some of them if `--again` or `--max-time` is set."""
    option = session.config.option
    started = time.monotonic()
    result = yield
    if option.again:
        _repeat(session, session.config.stash[FOLLOWER].run)
    generated = [item for item in session.items if item.get_closest_marker("generated")]
    while generated and time.monotonic() - started < option.max_time:
        if session.testsfailed or session.shouldstop:
            break
        option.seed += 1
        for item in generated:
            item.ihook.pytest_runtest_protocol(item=item, nextitem=None)
    return result


def _repeat(session: pytest.Session, run: Run) -> None:
    """Repeat the tests that passed in the first round, to detect flaky promises."""
    findings = run.findings.values()
    broken = {finding.promise for finding in findings if run.findings.decides(finding)}
    for item in session.items:
        if item.name not in broken and not session.shouldstop:
            item.ihook.pytest_runtest_protocol(item=item, nextitem=None)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Seed the random generator with the run's seed and the test's name."""
    values.RANDOM.seed(f"{item.config.option.seed} {item.name}")


@pytest.fixture(scope="session")
def run(request: pytest.FixtureRequest) -> Generator[Run]:
    """Send the control requests and yield the run; reset the configuration afterward."""
    run = request.config.stash[FOLLOWER].run
    backend = run.backend
    values.RANDOM.seed(f"{request.config.option.seed} controls")
    run.controls = controls.send_controls(backend, ({}, values.fresh(), values.GOOD))
    for control in run.controls:
        run.credentials.learn(control.request)
    controls.record_refusals(backend)
    _check_authentication(run)
    yield run
    rest = dict(contract.EVERYTHING)
    # Send the name separately and last, because the update fails if the name is taken.
    name = rest.pop("name")
    for body in (rest, {"name": name}):
        backend.send(backend.control(body))


def _check_authentication(run: Run) -> None:
    """Record a finding if the backend accepts updates without a valid token.

    This check runs even if the authentication tests are not selected.
    """
    for case in ("missing", "unknown"):
        name = f"test_bad_token_answers_401[{case}]"
        promise = run.promises.get(name) or Promise(name, "", "", "unauthorized", run)
        exchange = promise.exchange(promise.request(**BAD_TOKENS[case], body={}))
        if exchange.succeeded:
            promise.check(exchange)


@pytest.fixture(autouse=True)
def promise(request: pytest.FixtureRequest, run: Run) -> Promise:
    """Return the promise under test."""
    item = request.node
    # schemathesis 4.32 reads and writes this attribute, which pytest 9.2 removed.
    item._nodeid = item.nodeid  # noqa: SLF001
    return run.promises[item.name]


@pytest.fixture
def valid_requests(run: Run) -> BaseSchema:
    """Return a Schemathesis schema that generates valid requests."""
    return generation.load(run, "positive")


@pytest.fixture
def invalid_requests(run: Run) -> BaseSchema:
    """Return a Schemathesis schema that generates invalid requests."""
    return generation.load(run, "negative")

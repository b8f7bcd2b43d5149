"""Sets the contract tests up against one backend: options, fixtures, rounds."""

import json
import os
import random
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from schemathesis.schemas import BaseSchema
from test_authentication import UNKNOWN

from support import contract, controls, deviations, generation, rules, values
from support.backend import (
    MEANINGS,
    NOBODY,
    SIBLING_ID,
    TOKENS,
    WRITER,
    Backend,
    Settings,
    unusable,
)
from support.exchange import NoVerdictError
from support.expectation import expectation_of
from support.findings import Findings
from support.options import add_options
from support.plugin import Hooks, Listing, Verdict, clause_of, row_of
from support.promise import Promise, Run
from support.verdict import Selection

VERDICT = pytest.StashKey[Verdict]()
OPEN_DOOR = {"missing": (NOBODY, ()), "unknown": (UNKNOWN, "Bearer wrong")}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options; scripts/contract passes them on."""
    add_options(parser.getgroup("contract").addoption)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Let other plugins take the verdict."""
    pluginmanager.add_hookspecs(Hooks)


def pytest_configure(config: pytest.Config) -> None:
    """Make the run's parts; nothing is sent before the first promise."""
    option = config.option
    if option.list:
        config.pluginmanager.register(Listing())
    if option.list or option.collectonly:
        return
    earlier = _earlier_verdict(option.again) if option.again else {}
    if option.seed is None:
        option.seed = earlier.get("seed", random.SystemRandom().randrange(10**9))
    given = {name: os.environ[name] for name in MEANINGS if os.environ.get(name)}
    if lacking := "; ".join(contract.lacking(values.UNUSUAL)):
        raise pytest.UsageError(f"no verdict: {lacking}")
    if not option.backend_url or WRITER not in given:
        raise pytest.UsageError(f"name a backend: --backend-url, and {WRITER}: {MEANINGS[WRITER]}")
    for name in TOKENS:
        if unusable(given.get(name, "")):
            raise pytest.UsageError(f"no verdict: {name} has a character that no token has")
    try:
        accepted = deviations.load(option.deviations, option.backend_url)
    except NoVerdictError as error:
        raise pytest.UsageError(f"no verdict: {error.reason}; {error.cure}") from None
    id = option.id or contract.EXAMPLE_ID
    settings = Settings(option.backend_url, id, option.rate_limit, option.timeout, option.ca)
    run = Run(Backend(settings, given), Findings(accepted, option.source, option.fail_on))
    selection = Selection(
        option.keyword, option.source, option.fail_on, option.require_all, bool(option.again)
    )
    config.stash[VERDICT] = Verdict(run, selection, option)
    config.pluginmanager.register(config.stash[VERDICT])


def _earlier_verdict(file: Path) -> dict[str, Any]:
    try:
        verdict: dict[str, Any] = json.loads(file.read_text("utf-8"))
        seed, promises = verdict["seed"], verdict["promises"]
    except (OSError, ValueError, LookupError, TypeError):
        raise pytest.UsageError(
            f"no verdict: --again {file}: must be the verdict.json of a run"
        ) from None
    return {"seed": seed, "promises": promises}


def pytest_itemcollected(item: pytest.Item) -> None:
    """Let -k take clause ids, families and sources, too."""
    clause = contract.CLAUSES[clause_of(item)]
    item.extra_keyword_matches.update((clause.id, clause.source, row_of(item).family))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let what judges the whole run come last; with --again, select what broke."""
    items.sort(key=lambda item: item.get_closest_marker("last") is not None)
    if config.option.again:
        promises = _earlier_verdict(config.option.again)["promises"]
        broken = {promise["name"] for promise in promises if promise["outcome"] == "broken"}
        met = {promise["name"] for promise in promises if promise["findings"]}
        items[:] = [item for item in items if item.name in broken | met]
        config.stash[VERDICT].broken_before = broken


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    """After the first round, go on: with new seeds for --max-time, once more for --again."""
    option, started = session.config.option, time.monotonic()
    result = yield
    if option.again:
        verdict = session.config.stash[VERDICT]
        verdict.broken_at_once = verdict.broken()
        for item in session.items:
            if item.name not in verdict.broken_at_once and not session.shouldstop:
                item.ihook.pytest_runtest_protocol(item=item, nextitem=None)
    generated = [item for item in session.items if item.get_closest_marker("generated")]
    while generated and time.monotonic() - started < option.max_time:
        if session.testsfailed or session.shouldstop:
            break
        option.seed += 1
        for item in generated:
            item.ihook.pytest_runtest_protocol(item=item, nextitem=None)
    return result


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Let what a promise draws depend on the seed and its name alone."""
    values.RANDOM.seed(f"{item.config.option.seed} {item.name}")


@pytest.fixture(scope="session")
def run(request: pytest.FixtureRequest) -> Generator[Run]:
    """Return the run on a backend that can be judged; afterwards leave the contract's example."""
    verdict = request.config.stash[VERDICT]
    run = verdict.run
    values.RANDOM.seed(f"{request.config.option.seed} controls")
    try:
        run.first = controls.ask_first(run.backend, ({}, values.fresh(), values.GOOD))
        _probe_open_door(run, verdict)
    except NoVerdictError as error:
        verdict.end(error)
    yield run
    name = {"name": contract.EVERYTHING["name"]}
    rest = {field: value for field, value in contract.EVERYTHING.items() if field != "name"}
    for body in (rest, name):
        run.backend.send(run.backend.control(body))
    run.backend.close()


def _probe_open_door(run: Run, verdict: Verdict) -> None:
    """See whether anybody may update: that is red, even if it was accepted or not selected."""
    for case, (user, authorization) in OPEN_DOOR.items():
        promise = Promise(f"test_bad_token_answers_401[{case}]", "unauthorized", run)
        request = promise.request(user=user, authorization=authorization, body={})
        exchange = promise.exchange(request)
        breach = rules.access(exchange, expectation_of(request))
        if breach:
            promise.record(breach, exchange, expectation_of(request).words)
            verdict.begin(promise)


@pytest.fixture(autouse=True)
def promise(request: pytest.FixtureRequest, run: Run) -> Promise:
    """Return the promise under test."""
    item = request.node
    # schemathesis 4.32 reads and writes this attribute, which pytest 9.2 no longer has.
    item._nodeid = item.nodeid  # noqa: SLF001
    promise = Promise(item.name, clause_of(item), run)
    request.config.stash[VERDICT].begin(promise)
    return promise


@pytest.fixture(scope="session")
def unique_names(run: Run) -> None:
    """Skip where names are not unique, since no effect of an update shows then."""
    if SIBLING_ID not in run.backend.given:
        pytest.skip(f"set {SIBLING_ID}: {MEANINGS[SIBLING_ID]}")
    body = values.fresh()
    statuses = [
        run.backend.exchange(run.backend.control(body, id=id)).status for id in run.backend.own_ids
    ]
    if statuses != [200, 400]:
        pytest.skip("names are not unique on this backend, so that no effect shows over HTTP")


@pytest.fixture
def valid_requests(request: pytest.FixtureRequest, run: Run) -> BaseSchema:
    """Return the contract, to generate valid requests from."""
    option = request.config.option
    return generation.load(run.backend, "positive", option.seed, option.max_examples)


@pytest.fixture
def invalid_requests(request: pytest.FixtureRequest, run: Run) -> BaseSchema:
    """Return the contract, to generate invalid requests from."""
    option = request.config.option
    return generation.load(run.backend, "negative", option.seed, option.max_examples)

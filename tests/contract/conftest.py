"""pytest configuration for the contract tests: options, and fixtures that prepare the run."""

import argparse
import json
import os
import random
import re
import sys
from collections.abc import Generator
from itertools import combinations
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import pytest

try:
    from support import contract
except Exception as error:  # noqa: BLE001 - an invalid contract can cause any error
    problem = " ".join(f"{type(error).__name__}: {error}".split())
    sys.exit(
        f"No verdict: openapi.yaml cannot be used ({problem}); run scripts/generate --check and "
        "scripts/test tests/test_openapi.py to locate the problem"
    )
from test_authentication import BAD_TOKENS

from reports.console import Output
from support import values
from support.backend import ADMIN, SIBLING_ID, TOKENS, WRITER, Backend, send_controls
from support.exchange import NoVerdictError
from support.findings import DEFAULT, load_deviations
from support.options import LAST_RUN, MEANINGS, NO_VERDICT, add_options
from support.plugin import OTHER_OUTPUT, PROMISE, Hooks, RunPlugin
from support.promise import Promise, Run

RUN = pytest.StashKey[RunPlugin]()
# Requests that must be rejected, keyed by the name of the promise that each request tests
REJECTED: dict[str, dict[str, Any]] = {
    "test_bad_token_answers_401[missing]": BAD_TOKENS["missing"],
    "test_bad_token_answers_401[unknown]": BAD_TOKENS["unknown"],
    "test_unknown_id_answers_404": {},
    "test_invalid_value_answers_400[name]": {"body": {"name": 5}},
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the command-line options, which scripts/contract passes on to pytest."""
    add_options(parser.getgroup("contract").addoption)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Declare the hook through which other plugins receive the verdict."""
    pluginmanager.add_hookspecs(Hooks)


def pytest_cmdline_main(config: pytest.Config) -> int | None:
    """Prepare the run without sending requests; return an exit status if the run cannot start."""
    if config.option.list or config.option.collectonly:
        config.option.collectonly = True
        return None
    try:
        config.stash[RUN] = _run(config.option)
    except NoVerdictError as error:
        sys.stderr.write(f"No verdict: {error.reason}; {error.cure}\n")
        return NO_VERDICT
    config.pluginmanager.register(config.stash[RUN])
    return None


def _run(option: argparse.Namespace) -> RunPlugin:
    """Create the run; raise `NoVerdictError` if an option or environment variable is invalid."""
    contract.check_values(values.DATA["UNUSUAL"])
    if option.source and option.fail_on and not {*option.source} & {*option.fail_on}:
        reason = "--source and --fail-on have no source in common"
        raise NoVerdictError(reason, "include at least one source in both options")
    written = option.write_deviations
    if written and written.resolve() == (option.deviations or DEFAULT).resolve():
        reason = "--write-deviations would overwrite the file of accepted findings"
        raise NoVerdictError(reason, "write to another file")
    option.id = option.id or os.environ.get("FLASHBACK_AI_LLM_ID") or contract.EXAMPLE_ID
    given = _given_variables(option.id)
    if not option.backend_url or WRITER not in given:
        raise NoVerdictError("no backend was specified", f"pass --backend-url and set {WRITER}")
    if option.again == LAST_RUN:
        option.again = (option.report_dir or Path("reports")) / "verdict.json"
    earlier = _read_earlier(option) if option.again else {}
    if option.seed is None:
        option.seed = random.SystemRandom().randrange(10**9)
    accepted = load_deviations(option.deviations, option.backend_url)
    _check_outputs(option)
    return RunPlugin(Backend(option, given), option, accepted, earlier)


def _check_outputs(option: argparse.Namespace) -> None:
    """Raise `NoVerdictError` if the reports or the deviations file cannot be written."""
    try:
        if option.report_dir:
            option.report_dir.mkdir(parents=True, exist_ok=True)
            TemporaryFile(dir=option.report_dir).close()
        if option.write_deviations:
            option.write_deviations.open("a").close()
    except OSError as error:
        raise NoVerdictError(f"cannot write the reports: {error}", OTHER_OUTPUT) from None


def _given_variables(id: str) -> dict[str, str]:
    """Return the environment variables that are set; raise `NoVerdictError` if one is invalid."""
    given = {"--id": id}
    for name in MEANINGS:
        if value := os.environ.get(name):
            given[name] = value
    for name, value in given.items():
        cure = "remove line breaks and other non-printable characters"
        is_valid = value.isprintable()
        if name in TOKENS:
            cure = "set it to the token alone, without `Bearer`, spaces or line breaks"
            is_valid = re.fullmatch("[!-~]*", value) is not None
        if not is_valid:
            raise NoVerdictError(f"{name} contains an invalid character", cure)
    for one, other in combinations(given, 2):
        if given[one] == given[other] and (one, other) != (WRITER, ADMIN):
            reason = f"{one} and {other} have the same value"
            raise NoVerdictError(reason, f"set {other} to {MEANINGS[other]}")
    return given


def _read_earlier(option: argparse.Namespace) -> dict[str, str]:
    """Return the outcome of each promise that had findings in the earlier run, keyed by name.

    Unless `--seed` is set, also use the earlier run's seed. Raise `NoVerdictError` if the file is
    not a verdict or contains no findings.
    """
    outcomes = {}
    problem = "that run had no findings"
    try:
        verdict = json.loads(option.again.read_text("utf-8"))
        for promise in verdict["promises"]:
            if promise["findings"]:
                outcomes[promise["name"]] = promise["outcome"]
        seed = int(verdict["seed"])
    except FileNotFoundError:
        problem = "file not found"
    except (ArithmeticError, LookupError, OSError, RecursionError, TypeError, ValueError):
        outcomes = {}
        problem = "not a valid verdict"
    if not outcomes:
        cure = "run without --again, or pass the verdict.json of a run that had findings"
        raise NoVerdictError(f"--again {option.again}: {problem}", cure)
    if option.seed is None:
        option.seed = seed
    return outcomes


def pytest_itemcollected(item: Any) -> None:
    """Store the test's `Promise`; let `-k` also select the test by clause id, source or family."""
    marker = item.get_closest_marker("clause")
    clause_id = marker and marker.args[0]
    if clause_id not in contract.CLAUSES:
        problem = f"`clause` marker: expected a clause in openapi.yaml, got {clause_id}"
        raise pytest.UsageError(f"{item.nodeid}: {problem}")
    clause = contract.CLAUSES[clause_id]
    family = item.module.__doc__.partition(":")[0]
    test = item.function
    if hasattr(test, "hypothesis"):  # schemathesis wraps the test
        test = test.hypothesis.inner_test
    sentence = (test.__doc__ or "").partition("\n")[0]
    case = getattr(item, "callspec", None)
    if case:
        sentence = f"{sentence.rstrip('.')}: {case.id}."
    item.stash[PROMISE] = Promise(item.name, family, sentence, clause.id)
    item.extra_keyword_matches.update((clause.id, clause.source, family))


def pytest_collection_finish(session: pytest.Session) -> None:
    """List the promises if `--list` is set."""
    if not session.config.option.list:
        return
    console = Output(markup=False, highlight=False, soft_wrap=True)
    if not session.items:
        console.print("-k matches no promise; use --list without -k to see the names")
    family = ""
    for item in session.items:
        promise = item.stash[PROMISE]
        if promise.family != family:
            console.print(f"\n{promise.family}")
        family = promise.family
        source = contract.CLAUSES[promise.clause].source
        console.print(f"  {promise.name}  {promise.clause} ({source})\n      {promise.sentence}")
    if console.quiet:
        pytest.exit("the output was closed", returncode=NO_VERDICT)


@pytest.fixture(scope="session")
def run(request: pytest.FixtureRequest) -> Generator[Run]:
    """Send the control requests and yield the run. At the end, restore the example values."""
    run = request.config.stash[RUN]
    backend = run.backend
    values.RANDOM.seed(f"{run.option.seed} controls")
    run.controls = send_controls(backend, ({}, values.fresh(), values.GOOD))
    _update_sibling(run)
    _send_rejected(run)
    yield run
    rest = dict(contract.EVERYTHING)
    # Send the name separately, so that the other fields are restored even if the name is taken.
    name = rest.pop("name")
    for body in (rest, {"name": name}):
        backend.send(backend.control(body))


def _update_sibling(run: Run) -> None:
    """Update the sibling. After a 403 or 404, record a finding and stop using the sibling."""
    backend = run.backend
    id = backend.given.get(SIBLING_ID, "")
    if not id:
        return
    exchange = backend.exchange(backend.control(values.GOOD, id=id, rule="update/sibling"))
    if exchange.status in (403, 404):
        promise = _promise_named("test_member_can_update[WRITE]", run)
        promise.check(exchange)
        promise.broken_since = None  # the time limit starts with the promise's own requests
        del backend.given[SIBLING_ID]
        reason = f"an update of the configuration in {SIBLING_ID} returned {exchange.status}"
        backend.unusable[SIBLING_ID] = reason
        backend.own_ids.remove(id)


def _promise_named(name: str, run: Run) -> Promise:
    """Return the named promise. If it is not selected, return one that only records findings."""
    promise = run.promises.get(name) or Promise(name, "", "", "unauthorized")
    promise.run = run
    return promise


def _send_rejected(run: Run) -> None:
    """Send requests that must be rejected, and remember the rejections.

    If a request crashes the backend or succeeds without a valid token, record a finding even
    if no selected test covers that case.
    """
    for name, parts in REJECTED.items():
        promise = _promise_named(name, run)
        id = run.backend.unknown_id() if "unknown_id" in name else ""
        request = run.backend.request(**{"id": id, "body": {}, **parts})
        exchange = run.backend.exchange(request)
        if exchange.status:
            run.backend.from_endpoint.append(exchange)
        is_update = exchange.is_accepted and exchange.request.user.statuses == {401}
        if is_update or not exchange.status:
            promise.check(exchange)
            promise.broken_since = None


@pytest.fixture(autouse=True)
def promise(request: pytest.FixtureRequest, run: Run) -> Promise:
    """Return the promise under test."""
    item = request.node
    # schemathesis 4.32 reads and writes this attribute, which pytest 9.2 removed.
    item._nodeid = item.nodeid  # noqa: SLF001
    return run.promises[item.name]

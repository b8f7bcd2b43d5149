"""pytest configuration for the contract tests: the promises, and the fixtures for their tests."""

from collections.abc import Generator
from typing import Any

import pytest
from test_authentication import BAD_TOKENS

from support import contract, values
from support.backend import SIBLING_ID, send_controls
from support.checks import every_rejection
from support.plugin import PROMISE
from support.promise import Promise, Run


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


@pytest.fixture(scope="session")
def run(request: pytest.FixtureRequest) -> Generator[Run]:
    """Send the control requests and yield the run. At the end, restore the example values."""
    run = request.session.items[0].stash[PROMISE].run
    backend = run.backend
    values.RANDOM.seed(f"{run.option.seed} controls")
    run.controls = send_controls(backend, ({}, values.fresh(), values.GOOD))
    _update_sibling(run)
    _send_rejected(run)
    for promise in run.promises.values():
        promise.broken_since = None  # the time limit starts with the promise's own requests
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
        _promise(run, "test_member_can_update[WRITE]").check(exchange)
        del backend.given[SIBLING_ID]
        reason = f"an update of the configuration in {SIBLING_ID} returned {exchange.status}"
        backend.unusable[SIBLING_ID] = reason
        backend.own_ids.remove(id)


def _send_rejected(run: Run) -> None:
    """Send requests that must be rejected, and remember the rejections.

    If a request crashes the backend or succeeds without a valid token, or if all of these requests
    get the same 5xx status, record a finding even if no selected test covers that case.
    """
    backend = run.backend
    rejected: dict[str, dict[str, Any]] = {
        "test_bad_token_answers_401[missing]": BAD_TOKENS["missing"],
        "test_bad_token_answers_401[unknown]": BAD_TOKENS["unknown"],
        "test_unknown_id_answers_404": {"id": backend.unknown_id()},
        "test_invalid_value_answers_400[name]": {"body": {"name": 5}},
    }
    statuses = set()
    for name, parts in rejected.items():
        exchange = backend.exchange(backend.request(**{"body": {}, **parts}))
        if exchange.status:
            backend.from_endpoint.append(exchange)
        is_update = exchange.is_accepted and exchange.request.user.statuses == {401}
        if is_update or not exchange.status:
            _promise(run, name).check(exchange)
        statuses.add(exchange.status)
    if len(statuses) == 1 and exchange.status >= 500:
        promise = _promise(run, "test_every_response[statuses]")
        promise.record(every_rejection(exchange), exchange)


def _promise(run: Run, name: str) -> Promise:
    """Return the named promise, even if it is not selected."""
    promise = run.promises.get(name) or Promise(name, "", "", "unauthorized")
    promise.run = run
    return promise


@pytest.fixture(autouse=True)
def promise(request: pytest.FixtureRequest, run: Run) -> Promise:
    """Return the promise under test."""
    item = request.node
    # schemathesis 4.32 reads and writes this attribute, which pytest 9.2 removed.
    item._nodeid = item.nodeid  # noqa: SLF001
    return run.promises[item.name]

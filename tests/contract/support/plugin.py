"""The pytest plugin: turns outcomes of tests into promises kept, broken or not tested."""

import json
import time
from collections.abc import Callable, Generator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from support import contract, deviations
from support.exchange import NoVerdictError
from support.findings import BrokenPromiseError
from support.promise import OverBudget, Promise, Run
from support.verdict import NO_VERDICT, Outcome, Row, Selection

PROMISE = pytest.StashKey[Promise]()
Render = Callable[[dict[str, Any]], None]


class Hooks:
    """Hooks that other plugins of a run may implement."""

    @staticmethod
    def pytest_contract_verdict(verdict: dict[str, Any]) -> None:
        """Take the verdict of a run, by docs/verdict.schema.json."""


def name_of(item: pytest.Item) -> str:
    """Return the promise's name, which -k takes."""
    return item.name


def clause_of(item: pytest.Item) -> str:
    """Return the id of the promise's clause."""
    marker = item.get_closest_marker("clause")
    if marker is None or marker.args[0] not in contract.CLAUSES:
        raise pytest.UsageError(f"{item.nodeid} names no clause of openapi.yaml")
    return str(marker.args[0])


def row_of(item: pytest.Item) -> Row:
    """Return the promise that a test describes in its docstring and its `clause` mark."""
    module: Any = getattr(item, "module", None)
    function: Any = getattr(item, "function", None)
    family = (module.__doc__ or "").partition("\n")[0]
    sentence = (_documented(function).__doc__ or "").partition("\n")[0]
    case = getattr(item, "callspec", None)
    if case:  # a docstring without a full stop is completed by the case
        sentence += f" [{case.id}]" if sentence.endswith(".") else f" `{case.id}`."
    return Row(name_of(item), family, sentence, clause_of(item))


def _documented(function: Any) -> Any:
    """Return the test that schemathesis wrapped, or the function itself."""
    handle = getattr(function, "hypothesis", None)
    return handle.inner_test if handle else function


class Verdict:
    """Follows a run from its collection to its verdict."""

    def __init__(self, run: Run, selection: Selection, config: pytest.Config) -> None:
        """Begin a verdict on the run's backend."""
        self.run = run
        self._selection = selection
        self._option = config.option
        self._hook = config.hook
        self._rows: dict[str, Row] = {}
        self._promises: dict[str, Promise] = {}
        self._started = datetime.now(UTC)
        self._clock = time.monotonic()
        self._reason, self._cure = "", ""
        self._progress: Any = None

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Take down which promises are to be tested."""
        for item in session.items:
            self._rows[name_of(item)] = row_of(item)

    @pytest.hookimpl(wrapper=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> Generator[None, object, object]:
        """Raise what the promise found, once all of its values were tried."""
        promise = pyfuncitem.stash[PROMISE]
        before = set(self.run.findings)
        try:
            result = yield
        except OverBudget:
            result = True
        except NoVerdictError as error:
            self._end(error)
        finally:
            promise.close()
        if self.run.backend.no_verdict:  # it may have been raised in a thread or a subtest
            self._end(self.run.backend.no_verdict)
        findings = [finding for id, finding in self.run.findings.items() if id not in before]
        decisive = [finding for finding in findings if self.run.findings.decides(finding)]
        decisive += [f for f in promise.found.values() if self.run.findings.decides(f)]
        if decisive:
            raise BrokenPromiseError(list(dict.fromkeys_by_id(decisive)))
        if promise.requests == 0:
            pytest.skip("none of its values is of a selected source")
        return result

    def _end(self, error: NoVerdictError) -> None:
        self._reason, self._cure = error.reason, error.cure
        pytest.exit(error.reason, NO_VERDICT)

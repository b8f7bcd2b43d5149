"""Run the contract tests in the current process, which is faster than starting a new one."""

import contextlib
import io
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from flashback_mock import Mock
from scripts.contract import environment
from support import promise
from support.options import BROKEN, FINISHED, KEPT, NO_VERDICT
from tests.faults.backend import Change, serving

CONTRACT_TESTS = Path(__file__).parents[1] / "contract"
# Findings must not depend on the speed of the machine, so do not limit the time for each promise.
promise.BUDGET_PER_PROMISE = promise.TOTAL_BUDGET = math.inf


@dataclass(eq=False)
class RunResult:
    """The result of a contract test run. It is also a pytest plugin that observes the run."""

    status: int = NO_VERDICT
    output: str = ""
    verdict: dict[str, Any] = field(default_factory=dict[str, Any])  # docs/verdict.schema.json
    promises: dict[str, str] = field(default_factory=dict[str, str])  # node ids by name

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Store the promises that were selected."""
        self.promises = {item.name: f"{CONTRACT_TESTS}/{item.nodeid}" for item in session.items}

    def pytest_contract_verdict(self, verdict: dict[str, Any]) -> None:
        """Store the verdict."""
        self.verdict = verdict

    @property
    def findings(self) -> list[dict[str, Any]]:
        """Return the findings whose severity is `broken`, excluding accepted findings and notes."""
        findings = self.verdict.get("findings", [])
        return [finding for finding in findings if finding["severity"] == "broken"]

    @property
    def ids(self) -> list[str]:
        """Return the sorted ids of the findings whose severity is `broken`."""
        return sorted(finding["id"] for finding in self.findings)

    def promise(self, name: str) -> dict[str, Any]:
        """Return the verdict's entry for a promise."""
        entries: dict[str, dict[str, Any]]
        entries = {entry["name"]: entry for entry in self.verdict["promises"]}
        return entries[name]


Names = str | tuple[str, ...]  # one or more prefixes of promise names


def run_with_changes(changes: Iterable[Change], *options: str, promises: Names = "") -> RunResult:
    """Run the contract tests against a mock with these changes."""
    with serving(*changes) as mock:
        return run_on(mock, *options, promises=promises)


def run_on(mock: Mock, *options: str, promises: Names = "") -> RunResult:
    """Run the contract tests against this mock."""
    variables = environment(mock.tokens, mock.ids)
    return run_with_url(mock.base_url, variables, *options, promises=promises)


def run_with_url(
    url: str, variables: Mapping[str, str], *options: str, promises: Names = ""
) -> RunResult:
    """Run the contract tests against this URL, with the tokens and ids in `variables`."""
    tests = [test for name, test in all_promises().items() if name.startswith(promises)]
    return _run(tests, variables, "--backend-url", url, "--seed", "1", "--timeout", "20", *options)


@cache
def all_promises() -> dict[str, str]:
    """Return the node id of each promise. Tests selected by node id are collected faster."""
    return selected_promises("")


def selected_promises(expression: str) -> dict[str, str]:
    """Return the name and node id of each promise that a `-k` expression selects."""
    return _run([str(CONTRACT_TESTS)], {}, "--list", "-k", expression).promises


def _run(tests: list[str], variables: Mapping[str, str], *options: str) -> RunResult:
    # Disable pytest's unraisable-exception plugin, whose garbage collection takes too long.
    arguments = ["-c", str(CONTRACT_TESTS / "pytest.toml"), "-p", "no:unraisableexception"]
    arguments += ["--tb=no"]
    result = RunResult()
    output = io.StringIO()
    with (
        patch.dict(os.environ, variables, clear=True),
        contextlib.redirect_stdout(output),
        contextlib.redirect_stderr(output),
    ):
        status = pytest.main([*tests, *arguments, *options], [result]) - FINISHED
    if status in (KEPT, BROKEN):
        result.status = status
    result.output = output.getvalue()
    assert "Traceback" not in result.output, result.output
    return result

"""Run the contract tests in the current process, which is faster than starting a new one."""

import contextlib
import io
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from scripts.contract import environment
from support.options import BROKEN, FINISHED, KEPT, NO_VERDICT
from tests.faults.backend import Change, serving

CONTRACT_TESTS = Path(__file__).parents[1] / "contract"


@dataclass(eq=False)
class RunResult:
    """The result of a contract test run. As a pytest plugin, it receives the run's verdict."""

    status: int = NO_VERDICT
    output: str = ""
    verdict: dict[str, Any] = field(default_factory=dict[str, Any])  # docs/verdict.schema.json

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
        promises = {promise["name"]: promise for promise in self.verdict["promises"]}
        promise: dict[str, Any] = promises[name]
        return promise


def run_with_changes(changes: Iterable[Change], *options: str, promises: str = "") -> RunResult:
    """Run the contract tests against a mock with these changes; `promises` is a `-k` expression."""
    with serving(*changes) as mock:
        variables = environment(mock.tokens, mock.ids)
        return run_with_url(mock.base_url, variables, *options, promises=promises)


def run_with_url(
    url: str, variables: Mapping[str, str], *options: str, promises: str = ""
) -> RunResult:
    """Run the contract tests against this URL, with the tokens and ids in `variables`."""
    defaults = ["--backend-url", url, "-k", promises, "--seed", "1", "--timeout", "4"]
    return _run(variables, *defaults, *options)


def selected_promises(expression: str) -> list[str]:
    lines = _run({}, "--list", "-k", expression).output.splitlines()
    return [line.split()[0] for line in lines if line.startswith("  test_")]


def _run(variables: Mapping[str, str], *options: str) -> RunResult:
    arguments = [str(CONTRACT_TESTS), "-c", str(CONTRACT_TESTS / "pytest.toml")]
    arguments += ["--capture=no", "--tb=no"]
    arguments += ["-p", "no:unraisableexception"]  # this plugin's garbage collection takes too long
    result = RunResult()
    output = io.StringIO()
    with (
        patch.dict(os.environ, variables, clear=True),
        contextlib.redirect_stdout(output),
        contextlib.redirect_stderr(output),
    ):
        status = pytest.main([*arguments, *options], [result]) - FINISHED
    if status in (KEPT, BROKEN):
        result.status = status
    result.output = output.getvalue()
    return result

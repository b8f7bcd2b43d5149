"""Run the contract tests in the current process, which is faster than starting a new one."""

import contextlib
import io
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from unittest.mock import patch

from flashback_mock import Mock
from scripts.contract import environment, parse
from support import plugin, promise
from support.options import NO_VERDICT
from tests.faults.backend import Change, serving

# Findings must not depend on the speed of the machine, so do not limit the time for each promise.
promise.BUDGET_PER_PROMISE = promise.TOTAL_BUDGET = math.inf


@dataclass(eq=False)
class RunResult:
    """The result of a contract test run."""

    status: int
    output: str
    verdict: dict[str, Any]  # docs/verdict.schema.json describes its format

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
    return {item.name: f"{plugin.FOLDER}/{item.nodeid}" for item in plugin.collect(expression)}


def _run(tests: list[str], variables: Mapping[str, str], *arguments: str) -> RunResult:
    option = parse(arguments)
    if "--report-dir" not in arguments:
        option.report_dir = None
    output = io.StringIO()
    with (
        patch.dict(os.environ, variables, clear=True),
        contextlib.redirect_stdout(output),
        contextlib.redirect_stderr(output),
    ):
        try:
            run = plugin.prepare(option, variables)
        except ValueError as error:
            return RunResult(NO_VERDICT, f"No verdict: {error}", {})
        # Disable pytest's unraisable-exception plugin, whose garbage collection takes too long.
        status = run.test(*tests, "-p", "no:unraisableexception", "--tb=no")
    assert "Traceback" not in output.getvalue(), output.getvalue()
    return RunResult(status, output.getvalue(), run.verdict)

"""Fixtures for the tests of scripts/contract."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from scripts.contract import environment
from tests.faults.backend import Change, serving
from tests.faults.runner import RunResult, run_with_url

Contract = Callable[..., RunResult]
Backend = Callable[..., AbstractContextManager[dict[str, str]]]


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    """Return the folder to which the runs write their reports."""
    return tmp_path / "reports"


@pytest.fixture
def command(root: Path, reports: Path, tmp_path: Path) -> Contract:
    """Return a function that runs scripts/contract with only the given FLASHBACK_* variables."""

    def run(*options: str, **variables: str) -> RunResult:
        for name, value in os.environ.items():
            if not name.startswith("FLASHBACK_"):
                variables.setdefault(name, value)
        script = str(root / "scripts" / "contract.py")
        completed = subprocess.run(
            [sys.executable, script, *options, "--report-dir", str(reports)],
            env=variables,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        output = completed.stdout + completed.stderr
        assert "Traceback" not in output, output
        file = reports / "verdict.json"
        verdict = json.loads(file.read_text("utf-8")) if file.exists() else {}
        return RunResult(completed.returncode, output, verdict)

    return run


@pytest.fixture
def contract(reports: Path) -> Contract:
    """Return a function that runs the contract tests in this process to avoid slow imports."""

    def run(*options: str, url: str, **variables: str) -> RunResult:
        result = run_with_url(url, variables, *options, "--report-dir", str(reports))
        assert "Traceback" not in result.output, result.output
        return result

    return run


@pytest.fixture
def backend() -> Backend:
    """Return a context manager that serves a changed mock and yields arguments for `contract`."""

    @contextmanager
    def serve(*changes: Change) -> Generator[dict[str, str]]:
        with serving(*changes) as mock:
            yield {"url": mock.base_url, **environment(mock.tokens, mock.ids)}

    return serve

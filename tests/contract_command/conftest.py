"""Fixtures for the tests of scripts/contract."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.runner import RunResult

Command = Callable[..., RunResult]


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    """Return the folder where the runs write their reports."""
    return tmp_path / "reports"


@pytest.fixture
def script(root: Path, reports: Path) -> list[str]:
    """Return the command that runs scripts/contract."""
    return [sys.executable, str(root / "scripts" / "contract.py"), "--report-dir", str(reports)]


@pytest.fixture
def command(script: list[str], reports: Path, tmp_path: Path) -> Command:
    """Return a function that runs scripts/contract with only the given FLASHBACK_* variables."""

    def run(*options: str, **variables: str) -> RunResult:
        for name, value in os.environ.items():
            if not name.startswith("FLASHBACK_"):
                variables.setdefault(name, value)
        completed = subprocess.run(
            [*script, *options],
            env=variables,
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=600,
        )
        output = completed.stdout
        assert "Traceback" not in output, output
        file = reports / "verdict.json"
        verdict = json.loads(file.read_text("utf-8")) if file.exists() else {}
        return RunResult(completed.returncode, output, verdict)

    return run

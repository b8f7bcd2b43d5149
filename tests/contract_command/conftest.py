"""Fixtures for the tests of scripts/contract."""

import sys
from pathlib import Path

import pytest


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    """Return the folder where the runs write their reports."""
    return tmp_path / "reports"


@pytest.fixture
def script(root: Path, reports: Path) -> list[str]:
    """Return the command that runs scripts/contract."""
    program = str(root / "scripts" / "contract.py")
    return [sys.executable, "-P", program, "--report-dir", str(reports)]

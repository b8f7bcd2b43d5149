"""Fixtures for the tests of scripts/contract."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from scripts.contract import environment
from tests.faults.backend import Change, serving
from tests.faults.judge import Judgement, judge_url

Contract = Callable[..., Judgement]
Backend = Callable[..., AbstractContextManager[dict[str, str]]]


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    """Return the folder for the reports of a run."""
    return tmp_path / "reports"


@pytest.fixture
def command(root: Path, reports: Path, tmp_path: Path) -> Contract:
    """Run scripts/contract with these FLASHBACK_* variables and no others."""

    def run(*options: str, **variables: str) -> Judgement:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("FLASHBACK_")}
        script = str(root / "scripts" / "contract.py")
        done = subprocess.run(
            [sys.executable, script, *options, "--report-dir", str(reports)],
            env={**inherited, **variables},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        output = done.stdout + done.stderr
        assert "Traceback" not in output, output
        file = reports / "verdict.json"
        verdict = json.loads(file.read_text("utf-8")) if file.exists() else {}
        return Judgement(done.returncode, output, verdict)

    return run


@pytest.fixture
def contract(reports: Path) -> Contract:
    """Test the backend at `url` as scripts/contract does, but in a fork, which is faster."""

    def run(*options: str, url: str, **variables: str) -> Judgement:
        judgement = judge_url(url, variables, *options, "--report-dir", str(reports))
        assert "Traceback" not in judgement.output, judgement.output
        return judgement

    return run


@pytest.fixture
def backend() -> Backend:
    """Serve the mock with a change; yield its URL and the variables of its fixtures."""

    @contextmanager
    def serve(**change: Any) -> Generator[dict[str, str]]:
        with serving(Change(**change)) as mock:
            yield {"url": mock.base_url, **environment(mock.tokens, mock.ids)}

    return serve

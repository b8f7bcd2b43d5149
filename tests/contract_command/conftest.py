"""Fixtures for the tests of scripts/contract."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from tests.faults.backend import Change, serving
from tests.faults.judge import environment


@dataclass
class Done:
    """A run of scripts/contract that has ended."""

    status: int
    output: str
    errors: str
    reports: Path
    verdict: dict[str, Any]

    @property
    def broken(self) -> set[str]:
        """Return the ids of the findings that are against the contract."""
        findings = self.verdict["findings"]
        return {finding["id"] for finding in findings if finding["severity"] == "broken"}

    def outcome(self, name: str) -> str:
        """Return the outcome of a promise."""
        promises = {promise["name"]: promise for promise in self.verdict["promises"]}
        return str(promises[name]["outcome"])


Contract = Callable[..., Done]
ChangedContract = Callable[[str, str], Path]
Backend = Callable[..., AbstractContextManager[dict[str, str]]]


@pytest.fixture
def contract(root: Path, tmp_path: Path) -> Contract:
    """Run scripts/contract; variables are set as given, all other FLASHBACK_* are unset."""

    def run(*options: str, checkout: Path = root, **variables: str) -> Done:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("FLASHBACK_")}
        url = variables.pop("url", "")
        command = [sys.executable, str(checkout / "scripts" / "contract.py"), *options]
        command += ["--backend-url", url] if url else []
        reports = tmp_path / "reports"
        done = subprocess.run(
            [*command, "--report-dir", str(reports)],
            env={**inherited, **variables},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        assert "Traceback" not in done.stdout + done.stderr, done.stdout + done.stderr
        file = reports / "verdict.json"
        verdict = json.loads(file.read_text("utf-8")) if file.exists() else {}
        return Done(done.returncode, done.stdout, done.stderr, reports, verdict)

    return run


@pytest.fixture
def changed_contract(root: Path, tmp_path: Path) -> ChangedContract:
    """Copy the contract tests, with some lines of the contract replaced; return the copy's root."""

    def copy(old: str, new: str) -> Path:
        checkout = tmp_path / "checkout"
        for folder in ("scripts", "tests/contract"):
            shutil.copytree(root / folder, checkout / folder)
        text = (root / "openapi.yaml").read_text("utf-8")
        assert old in text
        (checkout / "openapi.yaml").write_text(text.replace(old, new, 1), "utf-8")
        return checkout

    return copy


@pytest.fixture
def backend() -> Backend:
    """Serve the mock with a change; return its URL, and the variables of its fixtures."""

    @contextmanager
    def serve(**change: Any) -> Generator[dict[str, str]]:
        with serving(Change(**change)) as mock:
            yield {"url": mock.base_url, **environment(mock.tokens, mock.ids)}

    return serve


@pytest.fixture(scope="session")
def schema(root: Path) -> jsonschema_rs.Draft202012Validator:
    """Return the validator of verdict.json."""
    text = (root / "docs" / "verdict.schema.json").read_text("utf-8")
    return jsonschema_rs.Draft202012Validator(json.loads(text))

"""Tests for the Dockerfile and the Compose example. They do not start containers."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from flashback_mock import Mock
from flashback_mock.__main__ import main


def run_healthcheck(root: Path, url: str) -> int:
    """Run the health check from the Dockerfile against this URL, and return its exit status."""
    text = (root / "Dockerfile").read_text("utf-8")
    line = re.search(r"HEALTHCHECK .*\\\n +CMD (\[.*\])", text)
    assert line
    python, *arguments = json.loads(line[1])
    assert python == "/mock/bin/python"
    arguments[-1] = arguments[-1].replace("http://127.0.0.1:4010", url)
    environment = {"http_proxy": "http://127.0.0.1:1"}  # as set by Docker's proxy configuration
    command = [sys.executable, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, check=False).returncode


def test_healthcheck_succeeds_while_the_mock_is_running(root: Path, mock: Mock) -> None:
    """The health check succeeds if the mock is running and fails otherwise."""
    assert run_healthcheck(root, mock.base_url) == 0
    assert run_healthcheck(root, "http://127.0.0.1:1") != 0


def test_compose_file_uses_existing_options(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The Dockerfile and the Compose file refer only to existing options and files."""
    folder = root / "examples" / "compose"
    compose: dict[str, Any] = yaml.safe_load((folder / "compose.yaml").read_text("utf-8"))
    mock = compose["services"]["mock"]
    rotation = compose["services"]["rotation"]
    entrypoint = re.search(r"ENTRYPOINT (\[.*\])", (root / "Dockerfile").read_text("utf-8"))
    assert entrypoint
    options = [*json.loads(entrypoint[1])[3:], *mock["command"], "--contract", "missing"]
    monkeypatch.setattr(sys, "argv", ["flashback_mock", *options])
    assert main() == 1
    assert "missing: cannot be read" in capsys.readouterr().err
    assert (folder / mock["build"] / "Dockerfile").exists()
    assert rotation["environment"]["FLASHBACK_TOKEN"] == "owner-token"
    assert rotation["environment"]["FLASHBACK_ALLOW_HTTP"] == "1"


def test_image_is_built_from_the_sources_only(root: Path) -> None:
    """The Docker build context excludes everything except the package's sources."""
    lines = (root / ".dockerignore").read_text("utf-8").split()
    assert lines[0] == "*"
    pyproject = (root / "pyproject.toml").read_text("utf-8")
    sources = re.findall(r'"(?:generated|mock|runtime)/', pyproject)
    assert {f"!/{source[1:-1]}" for source in sources} <= {*lines}

"""Tests for the Dockerfile and the Compose example. They do not start containers."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import yaml

from flashback_mock import Mock
from tests.programs import run


def in_dockerfile(root: Path, instruction: str) -> list[str]:
    """Return the arguments of the Dockerfile's only `CMD` or `ENTRYPOINT`."""
    text = (root / "Dockerfile").read_text("utf-8")
    (arguments,) = re.findall(rf"{instruction} (\[.*\])", text)
    python, *rest = json.loads(arguments)
    assert python == "/mock/bin/python"
    return [sys.executable, *rest]


def test_healthcheck_succeeds_while_the_mock_is_running(root: Path, mock: Mock) -> None:
    """The health check succeeds if the mock is running and fails otherwise."""
    *command, script = in_dockerfile(root, "CMD")
    # As set by Docker's proxy configuration.
    proxy = {"http_proxy": "http://127.0.0.1:1", "no_proxy": ""}
    for url, status in ((mock.base_url, 0), ("http://127.0.0.1:1", 1)):
        given = script.replace("http://127.0.0.1:4010", url)
        run(*command, given, status=status, variables=proxy)


def test_image_has_a_numeric_user(root: Path) -> None:
    """The image's user is a number other than 0, as `runAsNonRoot` in Kubernetes requires."""
    assert "\nUSER 1000\n" in (root / "Dockerfile").read_text("utf-8")


def test_compose_file_uses_existing_options(root: Path) -> None:
    """The Dockerfile and the Compose file refer only to existing options and files."""
    folder = root / "examples" / "compose"
    compose: dict[str, Any] = yaml.safe_load((folder / "compose.yaml").read_text("utf-8"))
    mock = compose["services"]["mock"]
    rotation = compose["services"]["rotation"]
    command = [*in_dockerfile(root, "ENTRYPOINT"), *mock["command"], "--contract", "missing"]
    assert "missing: cannot be read" in run(*command, status=1)
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

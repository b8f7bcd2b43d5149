"""Fixtures shared by several test folders."""

import json
import os
import shutil
from collections.abc import Generator
from pathlib import Path
from typing import Any, NoReturn

import httpx
import jsonschema_rs
import pytest
import yaml
from playwright.sync_api import Browser, sync_playwright

from flashback_mock import Mock

ROOT = Path(__file__).parents[1]

SLOWEST = ("test_checks_pass", "test_additions", "test_removed_fields")

# The contract tests require a backend, so they run only through scripts/contract.
collect_ignore = ["contract"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start the slowest tests first so that they do not delay the end of the run."""
    items.sort(key=lambda item: item.name not in SLOWEST)


@pytest.fixture(scope="session")
def root() -> Path:
    """Return the root of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def document() -> dict[str, Any]:
    """Return the parsed openapi.yaml."""
    parsed = yaml.safe_load((ROOT / "openapi.yaml").read_text("utf-8"))
    # Convert keys to strings, because YAML parses an unquoted status as a number.
    document: dict[str, Any] = json.loads(json.dumps(parsed))
    return document


@pytest.fixture(scope="session")
def schema(root: Path) -> jsonschema_rs.Draft202012Validator:
    """Return a validator for verdict.json."""
    text = (root / "docs" / "verdict.schema.json").read_text("utf-8")
    return jsonschema_rs.Draft202012Validator(json.loads(text))


def skip_without(program: str) -> NoReturn:
    """Skip the test because the given program is not installed. In CI, fail the test instead."""
    problem = f"{program} is not installed; install it with scripts/install --system"
    if os.environ.get("CI") == "true":
        pytest.fail(problem)
    pytest.skip(problem)


def find_program(*names: str) -> str:
    """Return the path to the first of these programs that is installed, or skip the test."""
    for name in names:
        if path := shutil.which(name):
            return path
    skip_without(names[0])


@pytest.fixture(scope="session")
def curl() -> str:
    """Return the path to curl."""
    return find_program("curl")


@pytest.fixture(scope="session")
def node() -> str:
    """Return the path to Node.js."""
    return find_program("node", "nodejs")


@pytest.fixture(scope="session")
def chromium() -> str:
    """Return the path to Chromium or Chrome."""
    return find_program("chromium", "google-chrome")


@pytest.fixture(scope="module")
def browser(chromium: str) -> Generator[Browser]:
    """Yield a headless Chromium browser."""
    # Chromium does not start as root with its sandbox enabled.
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"]) as browser,
    ):
        yield browser


@pytest.fixture
def mock(flashback_mock: Mock) -> Mock:
    """Return the mock that the `flashback_mock` fixture starts."""
    return flashback_mock


@pytest.fixture
def http(mock: Mock) -> Generator[httpx.Client]:
    """Yield an HTTP client that sends the owner's token to the mock."""
    authorization = {"Authorization": f"Bearer {mock.tokens['owner']}"}
    url = f"{mock.base_url}/ai/llm/"
    with httpx.Client(base_url=url, headers=authorization, timeout=15, trust_env=False) as http:
        yield http

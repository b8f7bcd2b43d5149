"""Fixtures for more than one folder of tests."""

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

# The contract tests need a backend, which scripts/contract gives them.
collect_ignore = ["contract"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start with the longest test, so that no worker has to wait for it at the end."""
    items.sort(key=lambda item: item.name != "test_checks_pass")


@pytest.fixture(scope="session")
def root() -> Path:
    """Return the root of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def document() -> dict[str, Any]:
    """Return the contract."""
    document: dict[str, Any] = yaml.safe_load((ROOT / "openapi.yaml").read_text("utf-8"))
    return document


@pytest.fixture(scope="session")
def schema(root: Path) -> jsonschema_rs.Draft202012Validator:
    """Return the validator of verdict.json."""
    text = (root / "docs" / "verdict.schema.json").read_text("utf-8")
    return jsonschema_rs.Draft202012Validator(json.loads(text))


def lacking(program: str) -> NoReturn:
    """Skip the test, or fail it in CI, and say how to install the missing program."""
    give_up = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
    give_up(f"needs {program}: scripts/install --system installs it")


def program(*names: str) -> str:
    """Return the path of the first of these programs that is installed."""
    return next(filter(None, map(shutil.which, names)), None) or lacking(names[0])


@pytest.fixture(scope="session")
def curl() -> str:
    """Return curl."""
    return program("curl")


@pytest.fixture(scope="session")
def node() -> str:
    """Return Node."""
    return program("node", "nodejs")


@pytest.fixture(scope="session")
def chromium() -> str:
    """Return Chromium or Chrome."""
    return program("chromium", "google-chrome")


@pytest.fixture(scope="module")
def browser(chromium: str) -> Generator[Browser]:
    """Yield a headless Chromium, without its sandbox, which does not work for root."""
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"]) as browser,
    ):
        yield browser


@pytest.fixture
def mock(flashback_mock: Mock) -> Mock:
    """Return the mock that the pytest plugin starts."""
    return flashback_mock


@pytest.fixture
def http(mock: Mock) -> Generator[httpx.Client]:
    """Yield an HTTP client that sends the owner's token to the mock."""
    authorization = {"Authorization": f"Bearer {mock.tokens['owner']}"}
    url = f"{mock.base_url}/ai/llm/"
    with httpx.Client(base_url=url, headers=authorization, timeout=15, trust_env=False) as http:
        yield http

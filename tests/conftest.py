"""Fixtures that more than one folder of tests uses."""

import os
import shutil
from collections.abc import Generator
from pathlib import Path
from typing import Any, NoReturn

import httpx
import pytest
import yaml
from playwright.sync_api import Browser, sync_playwright

from flashback_mock import Mock

ROOT = Path(__file__).parents[1]

# They need a backend: scripts/contract runs them, and tests/contract_command tests it.
collect_ignore = ["contract"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest test, so that no worker has to wait for it at the end."""
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


def lacking(what: str) -> NoReturn:
    """Skip the test and say how to install what it needs; in CI, fail it."""
    give_up = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
    give_up(f"needs {what}: scripts/install --system installs it")


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
    """Yield a headless Chromium; without its sandbox, which root cannot have."""
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"]) as browser,
    ):
        yield browser


@pytest.fixture
def mock(flashback_mock: Mock) -> Mock:
    """The plugin's own fixture, as users have it."""
    return flashback_mock


@pytest.fixture
def http(mock: Mock) -> Generator[httpx.Client]:
    """Plain HTTP to the mock; by default as the owner, on the main configuration."""
    authorization = {"Authorization": f"Bearer {mock.tokens['owner']}"}
    url = f"{mock.base_url}/ai/llm/"
    with httpx.Client(base_url=url, headers=authorization, timeout=15, trust_env=False) as http:
        yield http

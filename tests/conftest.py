"""Fixtures that more than one folder of tests uses."""

import os
import shutil
from collections.abc import Generator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from flashback_mock import Mock

ROOT = Path(__file__).parents[1]

# They judge a backend: scripts/contract runs them, and test_contract_command.py tests that.
collect_ignore = ["contract"]


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def document() -> dict[str, Any]:
    """The contract."""
    document: dict[str, Any] = yaml.safe_load((ROOT / "openapi.yaml").read_text("utf-8"))
    return document


def program(*names: str) -> str:
    """A program of this machine: without it, red in CI and a skip with the cure elsewhere."""
    found = next(filter(None, map(shutil.which, names)), None)
    if not found:
        give_up = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        give_up(f"needs {names[0]}: scripts/install --system installs it")
    return found


@pytest.fixture(scope="session")
def curl() -> str:
    """The curl of this machine."""
    return program("curl")


@pytest.fixture(scope="session")
def chromium() -> str:
    """The Chromium of this machine, or its Chrome."""
    return program("chromium", "google-chrome")


@pytest.fixture
def mock(flashback_mock: Mock) -> Mock:
    """The plugin's own fixture, as users have it."""
    return flashback_mock


@pytest.fixture
def http(mock: Mock) -> Generator[httpx.Client]:
    """Plain HTTP to the mock, as the owner, on the main configuration unless told otherwise."""
    authorization = {"Authorization": f"Bearer {mock.tokens['owner']}"}
    url = f"{mock.base_url}/ai/llm/"
    with httpx.Client(base_url=url, headers=authorization, timeout=15, trust_env=False) as http:
        yield http

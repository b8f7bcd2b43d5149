"""Fixtures for the client tests."""

import asyncio
import os
import time
from typing import Any

import pytest

from tests.client.support import update_async, update_blocking


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith(("FLASHBACK_", "SSL_CERT")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture(params=[update_blocking, update_async], ids=["blocking", "async"])
def update(request: pytest.FixtureRequest) -> Any:
    """Return `update_blocking` or `update_async`, so that each test runs with both clients."""
    return request.param


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Make the client's waits end immediately, and return a list of their lengths in seconds."""
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr(time, "sleep", waits.append)
    monkeypatch.setattr(asyncio, "sleep", sleep)
    return waits

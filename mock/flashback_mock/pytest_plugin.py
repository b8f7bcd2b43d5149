"""The pytest fixture `flashback_mock`: a mock for the tests of a service that calls the endpoint.

pytest loads this wherever the package is installed, with or without the extra, so it imports
nothing of the mock until the fixture is used.
"""

from collections.abc import Generator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .mock import Mock


@pytest.fixture(scope="session")
def _flashback_mock_of_session() -> Generator["Mock"]:
    """One server for all tests of this process, on a free loopback port."""
    import flashback_mock  # noqa: PLC0415 - see above

    try:
        running = flashback_mock.running
    except ImportError as missing:
        pytest.fail(str(missing), pytrace=False)
    with running() as mock:
        yield mock


@pytest.fixture
def flashback_mock(_flashback_mock_of_session: "Mock", monkeypatch: pytest.MonkeyPatch) -> "Mock":
    """A mock of the Flashback AI LLM backend, as new: fixtures, an empty journal, no faults.

    $FLASHBACK_BASE_URL and $FLASHBACK_TOKEN lead the client there, as the owner, for this test,
    and $NO_PROXY past any proxy of this machine.
    """
    mock = _flashback_mock_of_session
    mock.reset()
    monkeypatch.setenv("FLASHBACK_BASE_URL", mock.base_url)
    monkeypatch.setenv("FLASHBACK_TOKEN", mock.tokens["owner"])
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1", prepend=",")
    return mock

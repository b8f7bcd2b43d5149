"""The pytest fixtures: mocks for the tests of a service that calls the endpoint.

pytest loads this plugin in every environment with the client, even without the extra `mock`, so it
imports the rest of the package only when a fixture is used.
"""

from collections.abc import Callable, Generator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .control.mock import Mock


@pytest.fixture(scope="session")
def flashback_mock_factory() -> Generator[Callable[..., "Mock"]]:
    """Return a function that starts a mock, which runs until the end of the session.

    It takes the arguments of `flashback_mock.running`.
    """
    import flashback_mock  # noqa: PLC0415 - see above

    try:
        running = flashback_mock.running
    except ImportError as error:
        pytest.fail(str(error), pytrace=False)
    with ExitStack() as stack:

        def start(*arguments: Any, **options: Any) -> "Mock":
            return stack.enter_context(running(*arguments, **options))

        yield start


@pytest.fixture(scope="session")
def _flashback_mock_of_session(flashback_mock_factory: Callable[..., "Mock"]) -> "Mock":
    return flashback_mock_factory()


@pytest.fixture(scope="session")
def flashback_mock_session(
    flashback_mock_factory: Callable[..., "Mock"],
) -> Generator["Mock"]:
    """Return one mock for all tests of this process; it is never reset.

    The environment variables of `flashback_mock` are set for the whole session.
    """
    mock = flashback_mock_factory()
    with pytest.MonkeyPatch.context() as environment:
        _set_environment(environment, mock)
        yield mock


@pytest.fixture
def flashback_mock(_flashback_mock_of_session: "Mock", monkeypatch: pytest.MonkeyPatch) -> "Mock":
    """Return a mock with the default fixtures, an empty request log and nothing planned.

    For this test, $FLASHBACK_BASE_URL and $FLASHBACK_TOKEN make the client call the mock as the
    owner, and $NO_PROXY prevents the use of a proxy.
    """
    mock = _flashback_mock_of_session
    mock.reset()
    _set_environment(monkeypatch, mock)
    return mock


def _set_environment(environment: pytest.MonkeyPatch, mock: "Mock") -> None:
    environment.setenv("FLASHBACK_BASE_URL", mock.base_url)
    environment.setenv("FLASHBACK_TOKEN", mock.tokens["owner"])
    for name in ("NO_PROXY", "no_proxy"):
        environment.setenv(name, "127.0.0.1", prepend=",")

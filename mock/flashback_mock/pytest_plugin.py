"""A pytest plugin with fixtures for testing services that call the endpoint.

pytest loads this plugin in every environment where the client is installed, even without the
`mock` extra. The plugin therefore imports the rest of the package only when a fixture is used.
"""

from collections.abc import Callable, Generator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .control.mock import Mock


@pytest.fixture(scope="session")
def flashback_mock_factory() -> Generator[Callable[..., "Mock"]]:
    """Return a function that starts a mock. The mock runs until the end of the session.

    The function accepts the same arguments as `flashback_mock.running`.
    """
    import flashback_mock  # noqa: PLC0415 - imported only when a fixture is used

    try:
        running = flashback_mock.running
    except ImportError as error:
        pytest.fail(str(error), pytrace=False)
    with ExitStack() as stack:

        def start(*arguments: Any, **options: Any) -> "Mock":
            return stack.enter_context(running(*arguments, **options))

        yield start


@pytest.fixture(scope="session")
def _shared_flashback_mock(flashback_mock_factory: Callable[..., "Mock"]) -> "Mock":
    return flashback_mock_factory()


@pytest.fixture(scope="session")
def flashback_mock_session(
    flashback_mock_factory: Callable[..., "Mock"],
) -> Generator["Mock"]:
    """Return a mock that is shared by all tests in this process and is never reset.

    This fixture sets the same environment variables as `flashback_mock`, but for the whole session.
    """
    mock = flashback_mock_factory()
    with pytest.MonkeyPatch.context() as environment:
        _set_environment(environment, mock)
        yield mock


@pytest.fixture
def flashback_mock(_shared_flashback_mock: "Mock", monkeypatch: pytest.MonkeyPatch) -> "Mock":
    """Return a fresh mock with the default fixtures, an empty request log and no planned responses.

    During the test, $FLASHBACK_BASE_URL and $FLASHBACK_TOKEN make the client call the mock as
    `owner`, and $NO_PROXY prevents requests to the mock from going through a proxy.
    """
    mock = _shared_flashback_mock
    mock.reset()
    _set_environment(monkeypatch, mock)
    return mock


def _set_environment(environment: pytest.MonkeyPatch, mock: "Mock") -> None:
    environment.setenv("FLASHBACK_BASE_URL", mock.base_url)
    environment.setenv("FLASHBACK_TOKEN", mock.tokens["owner"])
    for name in ("NO_PROXY", "no_proxy"):
        environment.setenv(name, "127.0.0.1", prepend=",")

"""Sets the contract tests up against one backend: options, order, rounds, fixtures."""

import time
from collections.abc import Callable, Generator

import hypothesis
import pytest
import requests
import settings
from answers import RULES, Watch
from asking import Asker
from backend import MEANINGS, Backend, BrokenPromiseError, NoVerdictError
from contract import EXAMPLES
from schemathesis.pytest.plugin import SchemathesisFunction
from verdict import Verdict

WATCHED = pytest.StashKey[dict[str, Watch]]()

# Statuses at which the control request says that the run was set up wrongly.
CURES = {
    401: "the backend does not know the token; set FLASHBACK_TOKEN to one that may update the id",
    403: "the token may not update the id; give a token with WRITE, or another --id",
    404: "no configuration has the id; give the id of a throwaway one with --id",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options that scripts/contract passes on."""
    settings.add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Make sure that the backend can be judged at all, before anything is collected."""
    try:
        current = settings.read(config)
        _make_sure_control_works(current.backend)
    except NoVerdictError as why:
        raise pytest.UsageError(f"no verdict: {why}") from None
    settings.begin(current)
    watches = {rule: Watch(judge()) for rule, (_, _, judge) in RULES.items()}
    current.backend.watchers.extend(watches.values())
    config.stash[WATCHED] = watches
    config.pluginmanager.register(Verdict(current))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let what judges the whole run come last."""
    items.sort(key=lambda item: item.get_closest_marker("last") is not None)


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    """After the first round, go on with new seeds until the time is up or a promise is broken."""
    result = yield
    current = settings.current()
    generated = [item for item in session.items if isinstance(item, SchemathesisFunction)]
    while generated and time.monotonic() < current.ends and not session.testsfailed:
        current.seed += 1
        for item in generated:
            hypothesis.seed(current.seed)(item.obj)
            item.ihook.pytest_runtest_protocol(item=item, nextitem=None)
    return result


def pytest_sessionfinish() -> None:
    """Leave the configuration as the contract's example says, whatever the run made of it."""
    backend = settings.current().backend
    example = EXAMPLES["everything"]
    for body in (example, {k: v for k, v in example.items() if k != "name"}):
        request = backend.control()
        request.prepare_body(None, None, json=body)
        try:
            if backend.send(request).status_code == requests.codes.ok:
                break
        except (NoVerdictError, BrokenPromiseError):
            break
    backend.close()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Let what a promise draws depend on the seed and its name alone."""
    settings.current().begin_promise(item.name)


@pytest.fixture(scope="session")
def backend() -> Backend:
    """The backend under test."""
    return settings.current().backend


@pytest.fixture(scope="session")
def ask(backend: Backend) -> Asker:
    """Asks the backend."""
    return Asker(backend)


@pytest.fixture
def watches(pytestconfig: pytest.Config) -> dict[str, Watch]:
    """The rules that are held against every exchange of the run."""
    return pytestconfig.stash[WATCHED]


@pytest.fixture
def need(backend: Backend) -> Callable[[str], str]:
    """Gives a variable's value; a promise whose variable is not given is not tested."""

    def given(variable: str) -> str:
        if variable not in backend.given:
            pytest.skip(f"set {variable}: {MEANINGS[variable]}")
        return backend.given[variable]

    return given


def _make_sure_control_works(backend: Backend) -> None:
    """Ask twice: what the first request of all gets is a promise of its own."""
    backend.send(backend.control())
    backend.first = backend.last
    status = backend.send(backend.control()).status_code
    if status in CURES:
        raise NoVerdictError(f"the control request was answered {status}: {CURES[status]}")

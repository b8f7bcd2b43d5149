"""Sets the contract tests up against one backend: options, order, rounds, fixtures."""

import os
import random
import re
import time
from collections.abc import Generator
from pathlib import Path
from urllib.parse import urlsplit

import backend
import hypothesis
import pytest
import values
import yaml
from backend import MEANINGS, TOKENS, WRITER, Backend
from contract import EXAMPLE_ID, EXAMPLES
from exchange import BrokenPromiseError, NoVerdictError
from schemathesis.pytest.plugin import SchemathesisFunction
from verdict import Verdict

DEVIATIONS = Path(__file__).with_name("deviations.yaml")

# Statuses at which the control request says that the run was set up wrongly.
CURES = {
    401: "the backend does not know the token; set FLASHBACK_TOKEN to one that may update the id",
    403: "the token may not update the id; give a token with WRITE, or another --id",
    404: "no configuration has the id; give the id of a throwaway one with --id",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options that scripts/contract passes on."""
    add = parser.getgroup("contract").addoption
    add("--backend-url", help="the backend to test")
    add("--id", default=EXAMPLE_ID, help="the configuration that the run overwrites")
    add("--max-examples", type=int, default=100, help="generated requests a property")
    add("--max-time", type=float, default=0, help="go on generating for S seconds")
    add("--rate-limit", type=float, default=0, help="requests a second, at most")
    add("--timeout", type=float, default=10, help="longest time to answer, in seconds")
    add("--deviations", type=Path, default=DEVIATIONS, help="known deviations, YAML")
    add("--seed", type=int, help="the same seed gives the same requests")
    add("--report-dir", type=Path, help="where the reports go")


def pytest_configure(config: pytest.Config) -> None:
    """Make sure that the backend can be judged at all, before anything is collected."""
    option = config.option
    if option.seed is None:
        option.seed = random.SystemRandom().randrange(10**9)
    given = {name: os.environ[name] for name in MEANINGS if os.environ.get(name)}
    if lacking := "; ".join(values.lacking()):
        raise pytest.UsageError(f"no verdict: {lacking}")
    if not option.backend_url or WRITER not in given:
        raise pytest.UsageError(f"name a backend: --backend-url, and {WRITER}: {MEANINGS[WRITER]}")
    for name in TOKENS:
        if not re.fullmatch("[!-~]*", given.get(name, "")):
            raise pytest.UsageError(f"no verdict: {name} has a character that no token has")
    backend.under_test = Backend(option, given)
    try:
        known = _known_deviations(option.deviations, urlsplit(option.backend_url).hostname or "")
        _make_sure_control_works(backend.under_test)
    except NoVerdictError as why:
        backend.under_test.close()
        raise pytest.UsageError(f"no verdict: {why}") from None
    config.pluginmanager.register(Verdict(backend.under_test, known))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let what judges the whole run come last."""
    items.sort(key=lambda item: item.get_closest_marker("last") is not None)


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    """After the first round, go on with new seeds until the time is up or a promise is broken."""
    option, started = session.config.option, time.monotonic()
    result = yield
    generated = [item for item in session.items if isinstance(item, SchemathesisFunction)]
    ends = started + option.max_time
    while generated and time.monotonic() < ends and not session.testsfailed:
        option.seed += 1
        for item in generated:
            hypothesis.seed(option.seed)(item.obj)
            item.ihook.pytest_runtest_protocol(item=item, nextitem=None)
    return result


def pytest_sessionfinish() -> None:
    """Leave the configuration as the contract's example says, whatever the run made of it."""
    example = EXAMPLES["everything"]
    try:
        for body in (example, {k: v for k, v in example.items() if k != "name"}):
            if backend.under_test.exchange(backend.under_test.control(body)).status == 200:
                break
    except (NoVerdictError, BrokenPromiseError):
        pass
    backend.under_test.close()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Let what a promise draws depend on the seed and its name alone."""
    values.RANDOM.seed(f"{item.config.option.seed} {item.name}")


def _make_sure_control_works(backend: Backend) -> None:
    """Ask twice: what the first request of all gets is a promise of its own."""
    try:
        backend.first = backend.exchange(backend.control())
    except BrokenPromiseError:  # such as a reset
        backend.first = backend.last
    status = backend.exchange(backend.control()).status
    if status in CURES:
        raise NoVerdictError(f"the control request was answered {status}: {CURES[status]}")


def _known_deviations(file: Path, host: str) -> dict[str, str]:
    """What is known of a host: each promise with its reason, link and date."""
    try:
        entries = yaml.safe_load(file.read_text("utf-8")).get(host, [])
        return {e["promise"]: f"{e['reason']} ({e['link']}, {e['date']})" for e in entries}
    except (OSError, AttributeError, LookupError, TypeError, yaml.YAMLError) as error:
        raise NoVerdictError(
            f"{file} must be YAML, for each host a list of promise, reason, link, date; "
            f"{type(error).__name__}: {error}"
        ) from None

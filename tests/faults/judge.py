"""Run the contract tests against a backend, in a forked process."""

import gc
import io
import multiprocessing
import os
import re
import time
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from scripts.contract import environment
from tests.faults.backend import serving
from tests.faults.changes import NamedChange

CONTRACT_TESTS = Path(__file__).parents[1] / "contract"
SEED = "1"
KEPT, BROKEN, NO_VERDICT = 0, 1, 2


@dataclass
class Judgement:
    """What the contract tests say about a backend."""

    status: int = -1
    broken: list[str] = field(default_factory=list[str])
    tested: list[str] = field(default_factory=list[str])
    collected: list[str] = field(default_factory=list[str])
    output: str = ""
    seconds: float = 0  # of processor time, the backend's included
    promises: str = ""

    @pytest.hookimpl(tryfirst=True)
    def pytest_make_collect_report(self, collector: pytest.Collector) -> object:
        """Skip the collection of promises that are not selected: it generates requests."""
        is_test = collector.name.startswith("test_") and collector.name.isidentifier()
        if not is_test or any(name in collector.name for name in _names(self.promises)):
            return None
        return pytest.CollectReport(collector.nodeid, "passed", None, [])

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        """Record which promises there are."""
        self.collected.append(item.nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Record which promises are broken: this object is a plugin of its own run."""
        name = report.nodeid.rpartition("::")[2]
        if report.failed:
            self.broken.append(name)
        if report.when == "call":
            self.tested.append(name)


def judge(change: NamedChange, *options: str, promises: str = "") -> Judgement:
    """Return the contract tests' judgement of the mock with a change.

    `promises` selects some of them, as `-k` does. The process is forked from one that has
    imported schemathesis, which saves a second.
    """
    options = (*_files(promises), "-k", promises, *options)
    here, there = _forks.Pipe(duplex=False)
    process = _forks.Process(target=_judge, args=(change.name, promises, options, there))
    process.start()
    there.close()
    with here:
        judgement: Judgement = here.recv()
    process.join()
    return judgement


_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(
    [
        "schemathesis.pytest.plugin",
        "schemathesis.specs.openapi.checks",
        "schemathesis.specs.openapi.schemas",
        "flashback_mock.server",
        "rich.text",
        "tests.faults.faults",
        "tests.faults.correct",
    ]
)


def _files(promises: str) -> list[str]:
    """Return the files that hold the promises: what is not collected takes no time."""
    files = sorted(CONTRACT_TESTS.glob("test_*.py"))
    names = [f"def {name}" for name in _names(promises)]
    return [str(file) for file in files if any(name in file.read_text("utf-8") for name in names)]


def _names(promises: str) -> list[str]:
    return re.findall(r"test_\w+", promises) or ["test_"]


def _judge(name: str, promises: str, options: tuple[str, ...], result: Connection) -> None:
    from tests.faults.correct import CORRECT
    from tests.faults.faults import FAULTS

    gc.freeze()  # pytest collects garbage twice; nothing that was forked is garbage
    change = {**FAULTS, **CORRECT}[name]
    output = io.StringIO()
    judgement = Judgement(promises=promises)
    with serving(change) as mock, redirect_stdout(output), redirect_stderr(output):
        variables = environment(mock).items()
        given = {name: value for name, value in variables if not name.startswith("PYTEST_")}
        os.environ.clear()
        os.environ.update(given)
        arguments = ["--backend-url", mock.base_url, "--id", mock.ids["main"], "--seed", SEED]
        arguments += ["-c", str(CONTRACT_TESTS / "pytest.toml"), "--capture=no", "--timeout", "4"]
        judgement.status = int(pytest.main([*arguments, *options], [judgement]))
        judgement.output = output.getvalue()
        judgement.seconds = time.process_time()
        result.send(judgement)
        os._exit(0)  # the server that still listens ends with the process

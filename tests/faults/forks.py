"""A worker process that imports and collects the contract tests once, then forks for each run.

Importing and collecting the tests takes seconds, but most runs take only tenths of a second.
"""

import argparse
import gc
import io
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

CONTRACT_TESTS = Path(__file__).parents[1] / "contract"


@dataclass(frozen=True)
class Job:
    """A request to run the contract tests."""

    change: str  # the name of a change to the mock; empty if the options contain a URL
    options: tuple[str, ...]  # command-line options for scripts/contract
    variables: Mapping[str, str] = field(default_factory=dict[str, str])
    is_brief: bool = False  # whether the run stops at the first finding


def serve(jobs: Connection) -> None:
    """Process jobs from the connection until the other end closes it.

    For a `Job`, run the contract tests and send the exit status, the output and the verdict. For a
    list of `-k` expressions, send the names of the promises that each expression selects.
    """
    sys.path.insert(0, str(CONTRACT_TESTS))
    from tests.faults import imports  # noqa: F401 - imported once, before the first fork

    os.environ.clear()
    arguments = [str(CONTRACT_TESTS), "-c", str(CONTRACT_TESTS / "pytest.toml")]
    pytest.main([*arguments, "--capture=no", "--tb=no", "--collect-only"], [_Forks(jobs)])


class _Forks:
    """A pytest plugin that forks the session before the first test."""

    def __init__(self, jobs: Connection) -> None:
        self._jobs = jobs
        self._output = io.StringIO()
        self._verdict: dict[str, Any] = {}
        self._is_fork = False

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        """Fork for each job; the child process runs the tests."""
        gc.freeze()  # Exclude inherited objects from garbage collection in the child processes.
        while True:
            try:
                job = self._jobs.recv()
            except EOFError:
                return True
            if isinstance(job, list):
                self._jobs.send([_selected_names(session, expression) for expression in job])
                continue
            process = os.fork()
            if not process:
                self._is_fork = True
                self._begin(session, job)
                return None
            _, status = os.waitpid(process, 0)
            if status:
                self._jobs.send((-1, f"the child process ended with wait status {status}", {}))

    def _begin(self, session: pytest.Session, job: Job) -> None:
        """Apply the job's options and environment variables to the session."""
        sys.stdout = sys.stderr = self._output
        options = [*job.options]
        os.environ.update(job.variables)
        if job.change:
            options += self._serve(job.change)
        config = session.config
        vars(config.option).update(_parsed(options), collectonly=False)
        if job.is_brief:
            from support import promise

            config.option.maxfail = 1
            promise.BUDGET_PER_PROMISE = 0.0
        conftest: Any = config.pluginmanager.get_plugin(str(CONTRACT_TESTS / "conftest.py"))
        try:
            conftest.pytest_configure(config)
        except pytest.UsageError as error:
            print(error)  # noqa: T201 - pytest also prints usage errors
            raise
        config.hook.pytest_collection_modifyitems(
            session=session, config=config, items=session.items
        )
        config.hook.pytest_collection_finish(session=session)

    def _serve(self, change: str) -> list[str]:
        """Serve the mock with a change until the process exits; return options for testing it."""
        from scripts.contract import environment
        from tests.faults.backend import serving
        from tests.faults.imports import CHANGES

        self._serving = serving(CHANGES[change])
        mock = self._serving.__enter__()
        os.environ.update(environment(mock.tokens, mock.ids))
        return ["--backend-url", mock.base_url, "--id", mock.ids["main"]]

    def pytest_contract_verdict(self, verdict: dict[str, Any]) -> None:
        """Store the verdict."""
        self._verdict = verdict

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Any:
        """In a child process, send the result and exit without waiting for running threads."""
        result = yield
        if self._is_fork:
            self._jobs.send((int(session.exitstatus), self._output.getvalue(), self._verdict))
            os._exit(0)
        return result


def _parsed(options: list[str]) -> dict[str, Any]:
    from support.options import add_options

    parser = argparse.ArgumentParser()
    parser.add_argument("-k", dest="keyword", default="")
    add_options(parser.add_argument)
    return vars(parser.parse_args(options))


def _selected_names(session: pytest.Session, expression: str) -> list[str]:
    """Return the names of the tests that a `-k` expression selects."""
    config = session.config
    config.option.keyword = expression
    items = list(session.items)
    config.hook.pytest_collection_modifyitems(session=session, config=config, items=items)
    return [item.name for item in items]

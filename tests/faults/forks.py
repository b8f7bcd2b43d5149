"""A process that has imported and collected the contract tests; each run is a fork of it.

Importing and collecting takes seconds, and most runs need tenths of a second.
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
    """A requested run of the contract tests."""

    change: str  # the name of a changed mock to serve; if empty, the options name a backend
    options: tuple[str, ...]  # those of scripts/contract
    variables: Mapping[str, str] = field(default_factory=dict[str, str])
    is_brief: bool = False  # the run ends at the first finding


def serve(jobs: Connection) -> None:
    """Run each job until the other side closes the connection.

    Answer a job with status, output and verdict, and a list of expressions for `-k` with the names
    of the promises that each selects.
    """
    sys.path.insert(0, str(CONTRACT_TESTS))
    from tests.faults import imports  # noqa: F401 - before the forks

    os.environ.clear()
    arguments = [str(CONTRACT_TESTS), "-c", str(CONTRACT_TESTS / "pytest.toml")]
    pytest.main([*arguments, "--capture=no", "--tb=no", "--collect-only"], [_Forks(jobs)])


class _Forks:
    """A pytest plugin that forks the session before its first test."""

    def __init__(self, jobs: Connection) -> None:
        self._jobs = jobs
        self._output = io.StringIO()
        self._verdict: dict[str, Any] = {}
        self._is_fork = False

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        """Fork for every job; in the fork, go on to the tests."""
        gc.freeze()  # what a fork inherits is not its garbage
        while True:
            try:
                job = self._jobs.recv()
            except EOFError:
                return True
            if isinstance(job, list):
                self._jobs.send([_names_of(session, expression) for expression in job])
                continue
            process = os.fork()
            if not process:
                self._is_fork = True
                self._begin(session, job)
                return None
            _, status = os.waitpid(process, 0)
            if status:
                self._jobs.send((-1, f"the run's process ended with {status}", {}))

    def _begin(self, session: pytest.Session, job: Job) -> None:
        """Configure the session again, for the job's options and environment."""
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
            promise.AFTER_A_FINDING = 0.0
        conftest: Any = config.pluginmanager.get_plugin(str(CONTRACT_TESTS / "conftest.py"))
        try:
            conftest.pytest_configure(config)
        except pytest.UsageError as error:
            print(error)  # noqa: T201 - as pytest does
            raise
        config.hook.pytest_collection_modifyitems(
            session=session, config=config, items=session.items
        )
        config.hook.pytest_collection_finish(session=session)

    def _serve(self, change: str) -> list[str]:
        """Serve the changed mock until the process ends; return the options for it."""
        from scripts.contract import environment
        from tests.faults.backend import serving
        from tests.faults.imports import CHANGES

        self._serving = serving(CHANGES[change])
        mock = self._serving.__enter__()
        os.environ.update(environment(mock.tokens, mock.ids))
        return ["--backend-url", mock.base_url, "--id", mock.ids["main"]]

    def pytest_contract_verdict(self, verdict: dict[str, Any]) -> None:
        """Take the verdict."""
        self._verdict = verdict

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Any:
        """In a fork, send the result and end the process, with all servers and threads in it."""
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


def _names_of(session: pytest.Session, expression: str) -> list[str]:
    """Return the names of the tests that `-k` would select."""
    config = session.config
    config.option.keyword = expression
    items = list(session.items)
    config.hook.pytest_collection_modifyitems(session=session, config=config, items=items)
    return [item.name for item in items]

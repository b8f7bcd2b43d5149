"""Run the contract tests against a backend, in a process that is forked for it."""

import gc
import io
import multiprocessing
import os
import re
from collections.abc import Mapping
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from tests.faults.backend import serving
from tests.faults.changes import NamedChange

CONTRACT_TESTS = Path(__file__).parents[1] / "contract"
SEED = "1"
KEPT, BROKEN, NO_VERDICT = 0, 1, 2
VARIABLES = {
    "FLASHBACK_ADMIN_TOKEN": "admin",
    "FLASHBACK_READER_TOKEN": "reader",
    "FLASHBACK_STRANGER_TOKEN": "stranger",
    "FLASHBACK_EXPIRED_TOKEN": "expired",
    "FLASHBACK_TOKEN": "owner",
}
ID_VARIABLES = {
    "FLASHBACK_FOREIGN_AI_LLM_ID": "foreign",
    "FLASHBACK_SIBLING_AI_LLM_ID": "sibling",
    "FLASHBACK_AI_LLM_ID": "main",
}


@dataclass
class Judgement:
    """What the contract tests say about a backend."""

    status: int = -1
    output: str = ""
    verdict: dict[str, Any] = field(default_factory=dict[str, Any])  # see docs/verdict.schema.json
    collected: list[str] = field(default_factory=list[str])  # names of promises

    @property
    def broken(self) -> list[str]:
        """Return the names of the broken promises."""
        promises = self.verdict.get("promises", [])
        return [promise["name"] for promise in promises if promise["outcome"] == "broken"]

    @property
    def findings(self) -> list[dict[str, Any]]:
        """Return the findings that break the contract, without the notes."""
        findings = self.verdict.get("findings", [])
        return [finding for finding in findings if finding["severity"] == "broken"]

    @property
    def ids(self) -> list[str]:
        """Return the ids of the findings."""
        return sorted(finding["id"] for finding in self.findings)


def environment(tokens: Mapping[str, str], ids: Mapping[str, str]) -> dict[str, str]:
    """Return the environment variables with the tokens and ids of each role."""
    variables = {variable: tokens[role] for variable, role in VARIABLES.items()}
    return variables | {variable: ids[role] for variable, role in ID_VARIABLES.items()}


def judge(
    change: NamedChange, *options: str, promises: str = "", is_brief: bool = False
) -> Judgement:
    """Return the contract tests' judgement of the mock with a change.

    `promises` selects some of them, as `-k` does; a brief run ends at the first finding.
    """
    return _in_a_fork(_Run(change.name, "", {}, promises, options, is_brief))


def judge_url(
    url: str, variables: Mapping[str, str], *options: str, promises: str = ""
) -> Judgement:
    """Return the contract tests' judgement of the backend at a URL."""
    return _in_a_fork(_Run("", url, dict(variables), promises, options))


@dataclass(frozen=True)
class _Run:
    """The forked process's job: serve the change, or else test the URL."""

    change: str
    url: str
    variables: dict[str, str]
    promises: str
    options: tuple[str, ...]
    is_brief: bool = False


def _in_a_fork(run: _Run) -> Judgement:
    here, there = _forks.Pipe(duplex=False)
    process = _forks.Process(target=_test, args=(run, there))
    process.start()
    there.close()
    with here:
        judgement: Judgement = here.recv()
    process.join()
    return judgement


# The server forks processes that have imported everything, which saves a second for each.
_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(["tests.faults.preload"])


def _test(run: _Run, result: Connection) -> None:
    gc.freeze()  # pytest collects garbage twice; nothing that was forked is garbage
    with ExitStack() as stack:
        url, variables = run.url, run.variables
        if run.change:
            mock = stack.enter_context(serving(_changes()[run.change]))
            url, variables = mock.base_url, environment(mock.tokens, mock.ids)
        os.environ.clear()
        os.environ.update(variables)
        if run.is_brief:
            from support import promise

            promise.AFTER_A_FINDING = 0.0
        judgement = Judgement()
        output = stack.enter_context(io.StringIO())
        arguments = [*_files(run.promises), "-k", run.promises, "--backend-url", url]
        arguments += ["--id", variables["FLASHBACK_AI_LLM_ID"]]
        arguments += ["--seed", SEED, "--timeout", "4", "--tb=no"]
        arguments += ["-c", str(CONTRACT_TESTS / "pytest.toml"), "--capture=no", *run.options]
        arguments += ["--maxfail=1"] if run.is_brief else []
        with redirect_stdout(output), redirect_stderr(output):
            judgement.status = int(pytest.main(arguments, [_Collector(judgement, run.promises)]))
        judgement.output = output.getvalue()
        result.send(judgement)
    os._exit(0)  # a server that still listens ends with the process


def _changes() -> dict[str, NamedChange]:
    from tests.faults.causes import CAUSES, OPEN
    from tests.faults.changes import together
    from tests.faults.correct import CORRECT
    from tests.faults.faults import FAULTS
    from tests.faults.unusable import UNUSABLE

    left_open = together(OPEN)
    return {**FAULTS, **CORRECT, **CAUSES, **UNUSABLE, left_open.name: left_open}


def _files(promises: str) -> list[str]:
    """Return the files with these promises, so that pytest collects no other."""
    files = sorted(CONTRACT_TESTS.glob("test_*.py"))
    names = [f"def {name}" for name in _names(promises)]
    return [str(file) for file in files if any(name in file.read_text("utf-8") for name in names)]


def _names(promises: str) -> list[str]:
    return re.findall(r"test_\w+", promises) or ["test_"]


@dataclass
class _Collector:
    """A pytest plugin that receives the verdict, and records all promises."""

    judgement: Judgement
    promises: str

    @pytest.hookimpl(tryfirst=True)
    def pytest_make_collect_report(self, collector: pytest.Collector) -> object:
        """Skip the collection of promises that are not selected: it generates requests."""
        is_test = collector.name.startswith("test_") and collector.name.isidentifier()
        if not is_test or any(name in collector.name for name in _names(self.promises)):
            return None
        return pytest.CollectReport(collector.nodeid, "passed", None, [])

    def pytest_contract_verdict(self, verdict: dict[str, Any]) -> None:
        """Take the verdict."""
        self.judgement.verdict = verdict

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        """Record the promise."""
        self.judgement.collected.append(item.nodeid.rpartition("::")[2])

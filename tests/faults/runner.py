"""Run the contract tests against a backend and return the result."""

import multiprocessing
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from multiprocessing.connection import Connection
from typing import Any

from tests.faults import forks
from tests.faults.changes import NamedChange

KEPT, BROKEN, NO_VERDICT = 0, 1, 2


@dataclass
class RunResult:
    """The result of one run of the contract tests."""

    status: int
    output: str
    verdict: dict[str, Any]  # conforms to docs/verdict.schema.json

    @property
    def findings(self) -> list[dict[str, Any]]:
        """Return the findings whose severity is `broken`, excluding accepted findings and notes."""
        findings = self.verdict.get("findings", [])
        return [finding for finding in findings if finding["severity"] == "broken"]

    @property
    def ids(self) -> list[str]:
        """Return the sorted ids of the findings whose severity is `broken`."""
        return sorted(finding["id"] for finding in self.findings)

    def promise(self, name: str) -> dict[str, Any]:
        """Return the verdict's entry for a promise."""
        promises = {promise["name"]: promise for promise in self.verdict["promises"]}
        promise: dict[str, Any] = promises[name]
        return promise


def run_with_change(
    change: NamedChange, *options: str, promises: str = "", is_brief: bool = False
) -> RunResult:
    """Run the contract tests against the mock with this change.

    `promises` is a `-k` expression. A brief run stops at the first finding.
    """
    return _run(forks.Job(change.name, _options(promises, options), is_brief=is_brief))


def run_with_url(
    url: str, variables: Mapping[str, str], *options: str, promises: str = ""
) -> RunResult:
    """Run the contract tests against the backend at this URL.

    `variables` contains the environment variables for the tokens and ids.
    """
    backend = ["--backend-url", url]
    if "FLASHBACK_AI_LLM_ID" in variables:
        backend += ["--id", variables["FLASHBACK_AI_LLM_ID"]]
    return _run(forks.Job("", (*backend, *_options(promises, options)), variables))


def selected_promises(expressions: list[str]) -> list[list[str]]:
    """Return the names of the promises that each `-k` expression selects."""
    worker = _worker()
    worker.send(expressions)
    names: list[list[str]] = worker.recv()
    return names


def _options(promises: str, options: tuple[str, ...]) -> tuple[str, ...]:
    return ("-k", promises, "--seed", "1", "--timeout", "4", *options)


def _run(job: forks.Job) -> RunResult:
    worker = _worker()
    worker.send(job)
    status, output, verdict = worker.recv()
    return RunResult(status if status in (KEPT, BROKEN) else NO_VERDICT, output, verdict)


@cache
def _worker() -> Connection:
    """Return the connection to the worker process, starting the process on the first call.

    The worker process exits when this process exits.
    """
    connection, worker_connection = multiprocessing.Pipe()
    # Spawn the worker, because forking a process that has running threads is not safe.
    context = multiprocessing.get_context("spawn")
    context.Process(target=forks.serve, args=(worker_connection,), daemon=True).start()
    worker_connection.close()
    return connection

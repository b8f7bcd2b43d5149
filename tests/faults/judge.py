"""Run the contract tests against a backend and return the verdict."""

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
class Judgement:
    """The result of one run of the contract tests."""

    status: int
    output: str
    verdict: dict[str, Any]  # see docs/verdict.schema.json

    @property
    def findings(self) -> list[dict[str, Any]]:
        """Return the findings that break the contract, without the notes."""
        findings = self.verdict.get("findings", [])
        return [finding for finding in findings if finding["severity"] == "broken"]

    @property
    def ids(self) -> list[str]:
        """Return the ids of the findings."""
        return sorted(finding["id"] for finding in self.findings)

    def promise(self, name: str) -> dict[str, Any]:
        """Return the entry of a promise in the verdict."""
        promises = {promise["name"]: promise for promise in self.verdict["promises"]}
        promise: dict[str, Any] = promises[name]
        return promise


def judge(
    change: NamedChange, *options: str, promises: str = "", is_brief: bool = False
) -> Judgement:
    """Run the contract tests against the mock with a change.

    `promises` is an expression for `-k`. A brief run ends at the first finding.
    """
    return _run(forks.Job(change.name, _options(promises, options), is_brief=is_brief))


def judge_url(
    url: str, variables: Mapping[str, str], *options: str, promises: str = ""
) -> Judgement:
    """Run the contract tests against the backend at a URL."""
    backend = ["--backend-url", url]
    if "FLASHBACK_AI_LLM_ID" in variables:
        backend += ["--id", variables["FLASHBACK_AI_LLM_ID"]]
    return _run(forks.Job("", (*backend, *_options(promises, options)), variables))


def selected(expressions: list[str]) -> list[list[str]]:
    """Return the names of the promises that each expression for `-k` selects."""
    process = _process()
    process.send(expressions)
    names: list[list[str]] = process.recv()
    return names


def _options(promises: str, options: tuple[str, ...]) -> tuple[str, ...]:
    return ("-k", promises, "--seed", "1", "--timeout", "4", *options)


def _run(job: forks.Job) -> Judgement:
    process = _process()
    process.send(job)
    status, output, verdict = process.recv()
    return Judgement(status if status in (KEPT, BROKEN) else NO_VERDICT, output, verdict)


@cache
def _process() -> Connection:
    """Start the process that makes the runs, which ends with this process."""
    here, there = multiprocessing.Pipe()
    # Spawned, because a fork of this process would inherit its threads.
    target = multiprocessing.get_context("spawn").Process
    target(target=forks.serve, args=(there,), daemon=True).start()
    there.close()
    return here

"""The verdict on a backend as one dictionary, by docs/verdict.schema.json."""

import argparse
import platform
from collections import Counter
from collections.abc import Iterable
from importlib.metadata import version
from typing import Any

from support import contract, curl
from support.backend import MEANINGS, Backend
from support.exchange import Exchange
from support.findings import Example, Finding
from support.promise import Promise, Run
from support.words import shortened

NOT_SHOWN_BY_HTTP = [
    "`key` and `secret` are encrypted before they are stored",
    "old values of `key` and `secret` are securely replaced",
]
KEPT = 0
BROKEN = 1
NO_VERDICT = 2
OUTCOMES = ("kept", "broken", "accepted", "not tested")
SEVERITIES = ("broken", "accepted", "note")
OUR_NAMES = ("id", "name", "promise")  # made of words, which may look like a token

Document = dict[str, Any]


def verdict_of(run: Run) -> Document:
    """Return the verdict of a run that has ended; write request bodies that need a file."""
    backend = run.backend
    if not backend.no_verdict and run.promises:
        is_whole = not run.is_partial and not any(one.skipped for one in run.promises.values())
        run.findings.add_stale(next(iter(run.promises)), is_whole=is_whole)
    promises = _promises(run)
    findings = sorted(run.findings.values(), key=_rank)
    outcomes = Counter(promise["outcome"] for promise in promises)
    status, result, reason, cure = _result(run, outcomes)
    verdict = {
        "format": 1,
        "contract": {"title": contract.TITLE, "version": contract.VERSION},
        "tools": _tools(),
        "backend": {"url": backend.url, "id": backend.id},
        "seed": run.option.seed,
        "started": run.started.isoformat(timespec="seconds"),
        "seconds": round(run.seconds, 1),
        "requests": backend.statuses.total(),
        "statuses": {
            str(status or "none"): count for status, count in sorted(backend.statuses.items())
        },
        "result": result,
        "exit_status": status,
        "reason": reason,
        "cure": cure,
        "selection": _selection(run.option),
        "counts": {outcome.replace(" ", "_"): outcomes[outcome] for outcome in OUTCOMES},
        "by_source": _by_source(findings),
        "promises": promises,
        "findings": [_finding(run, finding) for finding in findings],
        "not_shown_by_http": NOT_SHOWN_BY_HTTP,
        "missing_variables": _missing_variables(promises),
    }
    redacted: Document = _redacted(verdict, backend)
    return redacted


def _selection(option: argparse.Namespace) -> Document:
    return {
        "keyword": option.keyword,
        "sources": option.source,
        "fail_on": option.fail_on,
        "require_all": option.require_all,
        "again": bool(option.again),
    }


def owner_of(run: Run, finding: Finding) -> str:
    """Return the promise that a finding breaks: the one it is about, or that met it."""
    clause = finding.breach.clause
    owners = [promise.name for promise in run.promises.values() if promise.clause == clause]
    if finding.promise in owners or not owners:
        return finding.promise
    return owners[0]


def _rank(finding: Finding) -> tuple[bool, int, int]:
    source = contract.SOURCES.index(finding.clause.source)
    return not finding.breach.is_open_door, SEVERITIES.index(finding.severity), source


def _result(run: Run, outcomes: Counter[str]) -> tuple[int, str, str, str]:
    """Return exit status and result, and reason and cure if they need any."""
    option = run.option
    findings = run.findings.values()
    severities = {finding.severity for finding in findings}
    is_red = any(run.findings.decides(finding) for finding in findings)
    is_tested = outcomes.total() > outcomes["not tested"]
    if error := run.backend.no_verdict:
        return NO_VERDICT, "no verdict", error.reason, error.cure
    if not is_tested and not is_red:
        cure = "give -k a name that --list prints, or set the missing variables"
        return NO_VERDICT, "no verdict", "no promise was tested", cure
    reasons: list[str] = []
    result = "kept except for accepted deviations" if "accepted" in severities else "kept"
    if "broken" in severities:
        result = "broken"
        if not is_red:
            reasons.append(f"no finding is of --fail-on {','.join(option.fail_on)}")
    if option.require_all and outcomes["not tested"]:
        reasons = [f"--require-all: {outcomes['not tested']} promises were not tested"]
        is_red = True
    if contract.OTHER_OPERATIONS:
        others = ", ".join(contract.OTHER_OPERATIONS)
        reasons.append(f"only {contract.OPERATION_ID} is tested, not {others}")
    return (BROKEN if is_red else KEPT), result, "; ".join(reasons), ""


def _promises(run: Run) -> list[Document]:
    """Return the promises, each with the findings that break it or that it met."""
    severities: dict[str, set[str]] = {name: set() for name in run.promises}
    ids: dict[str, list[str]] = {name: [] for name in run.promises}
    for finding in run.findings.values():
        finder = finding.promise
        finding.promise = owner_of(run, finding)
        for name in {finder, finding.promise} & set(run.promises):
            ids[name].append(finding.id)
        severities.setdefault(finding.promise, set()).add(finding.severity)
    documents: list[Document] = []
    for promise in run.promises.values():
        outcome, reason = _outcome(promise, severities[promise.name])
        documents.append(
            {
                "name": promise.name,
                "family": promise.family,
                "sentence": promise.sentence,
                "clause": promise.clause,
                "source": contract.CLAUSES[promise.clause].source,
                "outcome": outcome,
                "reason": reason,
                "requests": promise.requests,
                "findings": ids[promise.name],
                "again": _again(promise, outcome),
            }
        )
    return documents


def _outcome(promise: Promise, severities: set[str]) -> tuple[str, str]:
    if "broken" in severities:
        return "broken", ""
    if promise.skipped:
        return "not tested", promise.skipped
    if not promise.rounds:
        return "not tested", "the run ended before"
    if not promise.held:
        hidden = f"hidden by {', '.join(sorted(promise.hiding))}"
        return "not tested", hidden if promise.hiding else "not judged"
    return ("accepted" if "accepted" in severities else "kept"), ""


def _again(promise: Promise, outcome: str) -> str | None:
    if promise.broken_at_once:
        return "still broken"
    if promise.broken_before:
        return "flaky" if outcome == "broken" else "fixed"
    return None


def _finding(run: Run, finding: Finding) -> Document:
    clause = finding.clause
    return {
        "id": finding.id,
        "promise": finding.promise,
        "clause": {
            "id": clause.id,
            "source": clause.source,
            "text": clause.text,
            "line": clause.line,
        },
        "source": clause.source,
        "title": finding.title,
        "expected": finding.breach.expected,
        "got": finding.breach.got,
        "count": finding.count,
        "severity": finding.severity,
        "decides": run.findings.decides(finding),
        "accepted": finding.accepted if finding.severity == "accepted" else None,
        "examples": [
            _example(run, example, f"{finding.id.replace('/', '-')}-{number}")
            for number, example in enumerate(finding.examples, 1)
        ],
    }


def _example(run: Run, example: Example, name: str) -> Document:
    request = example.exchange.request
    redactor = run.backend.redactor
    folder = run.option.report_dir
    url = run.backend.url_of(request)
    body: str | None = request.body.decode(errors="replace")
    relative: str | None = None
    file = None
    if curl.needs_file(request):
        body = None
        if folder:
            relative = f"bodies/{name}.bin"
            file = folder / relative
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(redactor.redact_bytes(request.body))
    return {
        "sent": example.sent,
        "curl": curl.command(request, url, redactor, file),
        "request": {
            "method": request.method,
            "url": url,
            "headers": [list(header) for header in request.headers],
            "body": body,
            "body_file": relative,
        },
        "response": _response(example.exchange),
    }


def _response(exchange: Exchange) -> Document | None:
    response = exchange.response
    if response is None:
        return None
    return {
        "status": response.status,
        "reason": response.reason,
        "headers": [list(header) for header in response.headers],
        "body": shortened(response.text),
    }


def _tools() -> dict[str, str]:
    names = ("schemathesis", "hypothesis", "pytest")
    return {"python": platform.python_version(), **{name: version(name) for name in names}}


def _by_source(findings: Iterable[Finding]) -> dict[str, dict[str, int]]:
    by_source: dict[str, dict[str, int]] = {}
    for finding in findings:
        empty = {"broken": 0, "accepted": 0, "notes": 0}
        counts = by_source.setdefault(finding.clause.source, empty)
        counts["notes" if finding.severity == "note" else finding.severity] += 1
    return by_source


def _missing_variables(promises: list[Document]) -> list[Document]:
    missing: list[Document] = []
    for name, meaning in MEANINGS.items():
        waiting = [one for one in promises if one["reason"].startswith(f"set {name}:")]
        if waiting:
            missing.append({"name": name, "meaning": meaning, "promises": len(waiting)})
    return missing


def _redacted(value: Any, backend: Backend) -> Any:
    """Return the value without any given token, deep inside too."""
    if isinstance(value, str):
        return backend.redactor.redact(value)
    if isinstance(value, list):
        return [_redacted(item, backend) for item in value]
    if isinstance(value, dict):
        return {
            key: item if key in OUR_NAMES and isinstance(item, str) else _redacted(item, backend)
            for key, item in value.items()
        }
    return value

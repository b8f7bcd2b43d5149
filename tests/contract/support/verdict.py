"""Builds a run's verdict in the format that docs/verdict.schema.json describes."""

import platform
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from support import contract, curl
from support.exchange import Exchange, NoVerdictError, Request, Response
from support.findings import Finding
from support.options import BROKEN, KEPT, MEANINGS, NO_VERDICT
from support.promise import Promise, Run

NOT_SHOWN_BY_HTTP = [
    "`key` and `secret` are encrypted before they are stored",
    "old values of `key` and `secret` are securely replaced",
]
LONGEST_BODY = 2000  # characters; longer response bodies are truncated
OUTCOMES = ("kept", "broken", "accepted", "not tested")
SEVERITIES = ("broken", "accepted", "note")

Document = dict[str, Any]


def verdict_of(run: Run) -> Document:
    """Return a finished run's verdict; also write the request bodies that curl reads from files."""
    backend = run.backend
    option = run.option
    is_partial = option.keyword or option.source or option.again
    if not run.no_verdict and run.promises:
        is_whole = not is_partial and not any(promise.skipped for promise in run.promises.values())
        run.findings.add_stale(next(iter(run.promises)), is_whole=is_whole)
    promises = [_promise(run, promise) for promise in run.promises.values()]
    findings = sorted(run.findings.values(), key=_rank)
    outcomes = Counter(promise["outcome"] for promise in promises)
    statuses = sorted(backend.statuses.items())
    tools = ("schemathesis", "hypothesis", "pytest")
    return {
        "format": 1,
        "contract": {"title": contract.TITLE, "version": contract.VERSION},
        "tools": {"python": platform.python_version(), **{name: version(name) for name in tools}},
        "backend": {"url": backend.url, "id": backend.id},
        "seed": option.seed,
        "started": run.started.isoformat(timespec="seconds"),
        "seconds": round((datetime.now(UTC) - run.started).total_seconds(), 1),
        "requests": backend.statuses.total(),
        "statuses": {str(status or "none"): count for status, count in statuses},
        **_result(run, outcomes),
        "selection": {
            "keyword": option.keyword,
            "sources": option.source,
            "fail_on": option.fail_on,
            "require_all": option.require_all,
            "again": bool(option.again),
        },
        "counts": {outcome.replace(" ", "_"): outcomes[outcome] for outcome in OUTCOMES},
        "by_source": _by_source(findings),
        "promises": promises,
        "findings": [_finding(run, finding) for finding in findings],
        "not_shown_by_http": NOT_SHOWN_BY_HTTP,
        "missing_variables": _missing_variables(promises),
    }


def _rank(finding: Finding) -> tuple[bool, int, int]:
    source = contract.SOURCES.index(finding.clause.source)
    return not finding.breach.is_missing_authentication, SEVERITIES.index(finding.severity), source


def _result(run: Run, outcomes: Counter[str]) -> Document:
    option = run.option
    findings = run.findings.values()
    severities = {finding.severity for finding in findings}
    is_red = any(run.findings.decides(finding) for finding in findings)
    error = run.no_verdict
    if not error and outcomes.total() == outcomes["not tested"] and not is_red:
        cure = "use a name from --list with -k, or set the missing variables"
        error = NoVerdictError("no promise was tested", cure)
    if error:
        reasons = {"reason": error.reason, "cure": error.cure}
        return {"result": "no verdict", "exit_status": NO_VERDICT, **reasons}
    reason = ""
    result = "kept except for accepted deviations" if "accepted" in severities else "kept"
    if "broken" in severities:
        result = "broken"
        if not is_red:
            reason = f"--fail-on {','.join(option.fail_on)} excludes all findings"
    if option.require_all and outcomes["not tested"]:
        reason = f"--require-all: {outcomes['not tested']} promises were not tested"
        is_red = True
    if contract.OTHER_OPERATIONS:
        others = ", ".join(contract.OTHER_OPERATIONS)
        only = f"only {contract.OPERATION_ID} is tested, not {others}"
        reason = f"{reason}; {only}" if reason else only
    status = BROKEN if is_red else KEPT
    return {"result": result, "exit_status": status, "reason": reason, "cure": ""}


def _promise(run: Run, promise: Promise) -> Document:
    """Return the promise's entry, with findings that are assigned to it or that its test found."""
    name = promise.name
    all_findings = run.findings.values()
    findings = [found for found in all_findings if name in (found.promise, found.finder)]
    severities = {finding.severity for finding in findings if finding.promise == name}
    outcome, reason = _outcome(promise, severities)
    return {
        "name": name,
        "family": promise.family,
        "sentence": promise.sentence,
        "clause": promise.clause,
        "source": contract.CLAUSES[promise.clause].source,
        "outcome": outcome,
        "reason": reason,
        "requests": promise.requests,
        "findings": [finding.id for finding in findings],
        "again": _again(run, promise, outcome),
    }


def _again(run: Run, promise: Promise, outcome: str) -> str | None:
    """Return `fixed`, `flaky` or `still broken` for a promise that was broken before, or None."""
    if run.earlier.get(promise.name) != "broken":
        return None
    if outcome != "broken":
        return "fixed"
    return "flaky" if promise.rounds > 1 else "still broken"


def _outcome(promise: Promise, severities: set[str]) -> tuple[str, str]:
    if "broken" in severities:
        return "broken", ""
    if promise.skipped:
        return "not tested", promise.skipped
    if not promise.rounds:
        return "not tested", "the run ended before the test started"
    hiding = ", ".join(sorted(promise.hiding))
    if not promise.passed:
        return "not tested", f"hidden by {hiding}" if hiding else "no response was checked"
    if promise.is_cut_short:
        return "not tested", f"some requests were not sent because of {hiding}"
    return ("accepted" if "accepted" in severities else "kept"), ""


def _finding(run: Run, finding: Finding) -> Document:
    name = finding.id.replace("/", "-")
    from_requests = {
        "title": finding.title,
        "expected": finding.breach.expected,
        "got": finding.breach.got,
        "examples": [
            _example(run, sent, exchange, f"{name}-{number}")
            for number, (sent, exchange) in enumerate(finding.examples.items(), 1)
        ],
    }
    return {
        "id": finding.id,
        "promise": finding.promise,
        "clause": {key: getattr(finding.clause, key) for key in ("id", "source", "text", "line")},
        "source": finding.clause.source,
        "count": finding.count,
        "severity": finding.severity,
        "decides": run.findings.decides(finding),
        "accepted": finding.accepted if finding.severity == "accepted" else None,
        **_redacted(from_requests, run.backend.redactor),
    }


def _example(run: Run, sent: str, exchange: Exchange, name: str) -> Document:
    request = exchange.request
    redactor = run.backend.redactor
    commands: list[str] = []
    body_file = ""
    for number, step in enumerate((*request.earlier, request)):
        body_file = _save_body(run, step, f"bodies/{name}-{number}.bin")
        file = run.option.report_dir / body_file if body_file else None
        commands.append(curl.command(step, run.backend.url + step.target, redactor, file))
    return {
        "sent": sent,
        "curl": "\n".join(commands),
        "request": {
            "method": request.method,
            "url": run.backend.url + request.target,
            "headers": [list(header) for header in request.headers],
            "body": None if curl.needs_file(request) else request.body.decode(errors="replace"),
            "body_file": body_file or None,
        },
        "response": _response(exchange.response, redactor),
    }


def _save_body(run: Run, request: Request, name: str) -> str:
    """Write the body to a file if curl cannot receive it as an argument; return the file name."""
    if not curl.needs_file(request) or not run.option.report_dir:
        return ""
    file = run.option.report_dir / name
    file.parent.mkdir(parents=True, exist_ok=True)
    body = run.backend.redactor.redact(request.body.decode("latin-1"))
    file.write_bytes(body.encode("latin-1"))
    return name


def _response(response: Response | None, redactor: curl.Redactor) -> Document | None:
    if response is None:
        return None
    headers = [list(header) for header in response.headers]
    body = redactor.redact(response.text)  # redact first: truncation could split a token
    if len(body) > LONGEST_BODY:
        body = f"{body[:LONGEST_BODY]}… ({len(body):,} characters)"
    return {**asdict(response), "headers": headers, "body": body}


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
        start = f"set {name}:"
        waiting = [promise for promise in promises if promise["reason"].startswith(start)]
        if waiting:
            missing.append({"name": name, "meaning": meaning, "promises": len(waiting)})
    return missing


def _redacted(value: Any, redactor: curl.Redactor) -> Any:
    if isinstance(value, str):
        return redactor.redact(value)
    if isinstance(value, list):
        return [_redacted(item, redactor) for item in value]
    if isinstance(value, dict):
        return {name: _redacted(item, redactor) for name, item in value.items()}
    return value

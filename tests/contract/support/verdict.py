"""Builds and reads verdicts in the format that docs/verdict.schema.json describes."""

import argparse
import json
import platform
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from reports.words import OUTCOMES, map_strings
from support import contract, curl
from support.backend import Backend
from support.exchange import Exchange, NoVerdictError
from support.findings import Finding
from support.options import BROKEN, KEPT, MEANINGS, NO_VERDICT
from support.promise import Promise, Run
from support.rule import DATA

NOT_SHOWN_BY_HTTP = [
    "whether credentials are encrypted before they are stored",
    "whether old credentials are securely replaced",
]
LONGEST_BODY = 2000  # in characters; longer response bodies are truncated
# With `--again`, the outcomes of previously broken promises are reported under these names
AGAIN = {"kept": "fixed", "broken": "still broken"}
# The severities, starting with the worst, and their names in `by_source`
SEVERITIES = {"broken": "broken", "accepted": "accepted", "note": "notes"}

Document = dict[str, Any]


def verdict_of(run: Run) -> Document:
    """Return a finished run's verdict; also write the request bodies that curl reads from files."""
    backend = run.backend
    option = run.option
    if not run.no_verdict:
        run.add_stale()
    promises = [_promise(run, promise) for promise in run.promises.values()]
    findings = _findings(run, promises)
    outcomes = Counter(promise["outcome"] for promise in promises)
    duration = datetime.now(UTC) - run.started
    statuses = sorted(backend.statuses.items())
    return {
        "format": 1,
        "contract": {"title": contract.TITLE, "version": contract.VERSION},
        "tools": _tools(),
        "backend": {"url": backend.url, "id": backend.id},
        "seed": option.seed,
        "started": run.started.isoformat(timespec="seconds"),
        "seconds": round(duration.total_seconds(), 1),
        "requests": backend.statuses.total(),
        "statuses": {str(status or "none"): number for status, number in statuses},
        **_result(run, promises),
        "selection": {
            "keyword": option.keyword,
            "sources": option.source,
            "fail_on": option.fail_on,
            "require_all": option.require_all,
            "again": bool(option.again),
        },
        "counts": {name.replace(" ", "_"): outcomes[name] for name in OUTCOMES},
        "by_source": _by_source(findings),
        "promises": promises,
        "findings": findings,
        "not_shown_by_http": NOT_SHOWN_BY_HTTP,
        "missing_variables": _missing_variables(promises),
    }


def _findings(run: Run, promises: list[Document]) -> list[Document]:
    """Return the findings' entries in the verdict, starting with those to fix first."""
    hidden = Counter[str]()
    for promise in promises:
        if promise["outcome"] == "not tested":
            hidden.update(run.promises[promise["name"]].hiding)
    ordered = sorted(run.findings.values(), key=lambda finding: _rank(finding, hidden))
    return [_finding(run, finding, hidden[finding.id]) for finding in ordered]


def _tools() -> dict[str, str]:
    """Return the versions of Python and of the main packages that the tests use."""
    tools = {"python": platform.python_version()}
    for package in ("schemathesis", "hypothesis", "pytest"):
        tools[package] = version(package)
    return tools


def _rank(finding: Finding, hidden: Mapping[str, int]) -> tuple[bool, int, int, int, int]:
    """Return a sort key: the greatest impact first, then the largest number of hidden promises."""
    severity = [*SEVERITIES].index(finding.severity)
    clause = [*contract.CLAUSES].index(finding.clause)
    impact = _impact(finding)
    return not finding.is_missing_authentication, severity, impact, -hidden[finding.id], clause


def _impact(finding: Finding) -> int:
    """Return the index of the finding's group under `impact` in rules.yaml (0: most serious)."""
    groups = DATA["impact"]
    is_update = finding.outcome.startswith("2") or finding.rule.endswith("/applied")
    for number, group in enumerate(groups):
        if finding.rule in group:
            return number
    for number, group in enumerate(groups):
        if finding.clause in group and (is_update or number > 0):
            return number
    return len(groups)


def _result(run: Run, promises: list[Document]) -> Document:
    option = run.option
    untested = [promise for promise in promises if promise["outcome"] == "not tested"]
    is_red = bool(run.broken_promises())
    error = run.no_verdict
    if not error and untested == promises and not is_red:
        # If the -k expression is invalid, no promise has been started.
        started = [promise for promise in untested if run.promises[promise["name"]].rounds]
        causes = sorted({promise["reason"] for promise in started})
        cure = "; ".join(causes) or "use -k with a name that --list prints"
        error = NoVerdictError("no promise was tested", cure)
    if error:
        cause = {"reason": error.reason, "cure": error.cure}
        return {"result": "no verdict", "exit_status": NO_VERDICT, **cause}
    severities = [finding.severity for finding in run.findings.values()]
    result = "kept"
    if "broken" in severities:
        result = "broken"
    elif "accepted" in severities:
        result = "kept except for accepted deviations"
    reasons = []
    if option.require_all and untested:
        numbers = f"{len(untested)} of {len(promises)}"
        reasons.append(f"--require-all: {numbers} promises were not tested")
        is_red = True
    elif result == "broken" and not is_red:
        reasons.append(f"--fail-on {','.join(option.fail_on)} excludes all findings")
    if contract.OTHER_OPERATIONS:
        others = ", ".join(contract.OTHER_OPERATIONS)
        reasons.append(f"only {contract.OPERATION_ID} is tested, not {others}")
    if repeated := _repeated(run.backend):
        reasons.append(repeated)
    status = BROKEN if is_red else KEPT
    return {"result": result, "exit_status": status, "reason": "; ".join(reasons), "cure": ""}


def _repeated(backend: Backend) -> str:
    """Return how many requests were repeated because of an undocumented status or no response."""
    repeated = backend.too_busy + Counter({"no response": backend.wire.resent})
    for status in contract.RESPONSES:
        del repeated[str(status)]
    if not repeated:
        return ""
    causes = " or ".join(sorted(repeated))
    total = backend.statuses.total()
    return f"{repeated.total():,} of {total:,} requests got {causes} and were repeated"


def _promise(run: Run, promise: Promise) -> Document:
    """Return the promise's entry in the verdict."""
    name = promise.name
    ids = []
    severities = set()
    for finding in run.findings.values():
        if finding.promise == name:
            severities.add(finding.severity)
        if name in (finding.promise, finding.finder):
            ids.append(finding.id)
    reason = _reason_for_no_test(promise)
    outcome = "kept"
    if "broken" in severities:
        outcome = "broken"
        reason = ""
    elif reason and promise.rounds and promise.accepted and not promise.hiding:
        outcome = "accepted"
        reason = f"hidden by the accepted finding {', '.join(promise.accepted)}"
    elif reason:
        outcome = "not tested"
    elif "accepted" in severities:
        outcome = "accepted"
    again = None
    if run.earlier.get(name) == "broken":
        again = AGAIN.get(outcome, outcome)
        if outcome == "broken" and promise.rounds > 1:
            again = "flaky"
    return {
        "name": name,
        "family": promise.family,
        "sentence": promise.sentence,
        "clause": promise.clause,
        "source": contract.CLAUSES[promise.clause].source,
        "outcome": outcome,
        "reason": reason,
        "requests": promise.requests,
        "findings": ids,
        "again": again,
    }


def _reason_for_no_test(promise: Promise) -> str:
    """Return the reason the promise was not tested, or an empty string if it was tested."""
    hiding = ", ".join(promise.hiding)
    if promise.skipped:
        return promise.skipped
    if not promise.rounds:
        return "the run ended before the test started"
    if not promise.passed and hiding:
        return f"hidden by {hiding}"
    if not promise.passed:
        return "no response was checked"
    if promise.is_cut_short:
        return f"some requests were not sent because of {hiding}"
    return ""


def _finding(run: Run, finding: Finding, hides: int) -> Document:
    clause = contract.CLAUSES[finding.clause]
    examples = []
    for number, (sent, exchange) in enumerate(finding.examples.items(), 1):
        name = f"{finding.id.replace('/', '-')}-{number}"
        examples.append({"sent": sent, **_example(run, exchange, name)})
    from_requests = {
        "title": finding.title,
        "expected": finding.expected,
        "got": finding.got,
        "examples": examples,
    }
    return {
        "id": finding.id,
        "promise": finding.promise,
        "clause": vars(clause),
        "source": clause.source,
        "count": finding.count,
        "severity": finding.severity,
        "decides": run.decides(finding),
        "accepted": finding.accepted,
        **map_strings(from_requests, run.backend.redactor.redact),
        "hides": hides,
    }


def _example(run: Run, exchange: Exchange, name: str) -> Document:
    request = exchange.request
    backend = run.backend
    redactor = backend.redactor
    folder = run.option.report_dir
    commands = []
    body_file = None
    for number, step in enumerate((*request.earlier, request)):
        file = None
        body_file = None
        if folder and curl.needs_file(step):
            body_file = f"bodies/{name}-{number}.bin"
            file = folder / body_file
            file.parent.mkdir(parents=True, exist_ok=True)
            body = redactor.redact(step.body.decode("latin-1"))
            file.write_bytes(body.encode("latin-1"))
        commands.append(curl.options_for(step, backend.url + step.target, redactor, file))
    return {
        "curl": "curl " + " \\\n  --next ".join(commands),  # on the same connection
        "request": {
            "method": request.method,
            "url": backend.url + request.target,
            "headers": list(map(list, request.headers)),
            "body": None if curl.needs_file(request) else request.text,
            "body_file": body_file,
        },
        "response": _response(exchange, redactor),
    }


def _response(exchange: Exchange, redactor: curl.Redactor) -> Document | None:
    if not exchange.status:
        return None
    body = redactor.redact(exchange.text)  # redact first: truncation could split a token
    if len(body) > LONGEST_BODY:
        body = f"{body[:LONGEST_BODY]}… ({len(body):,} characters)"
    return {
        "status": exchange.status,
        "reason": exchange.reason,
        "headers": list(map(list, exchange.headers)),
        "body": body,
    }


def _by_source(findings: list[Document]) -> Document:
    by_source: Document = {}
    for finding in sorted(findings, key=lambda finding: contract.SOURCES.index(finding["source"])):
        counts = by_source.setdefault(finding["source"], dict.fromkeys(SEVERITIES.values(), 0))
        counts[SEVERITIES[finding["severity"]]] += 1
    return by_source


def _missing_variables(promises: list[Document]) -> list[Document]:
    reasons = Counter(promise["reason"] for promise in promises)
    missing = []
    for name, meaning in MEANINGS.items():
        if count := reasons[f"set {name}: {meaning}"]:
            missing.append({"name": name, "meaning": meaning, "promises": count})
    return missing


def read_earlier(option: argparse.Namespace) -> dict[str, str]:
    """Return the outcome of each promise that had findings in the earlier run, keyed by name.

    Unless `--seed` is set, also use the earlier run's seed. Raise `ValueError` if the file is
    not a verdict or contains no findings.
    """
    outcomes = {}
    problem = "that run had no findings"
    try:
        verdict = json.loads(option.again.read_text("utf-8"))
        for promise in verdict["promises"]:
            if promise["findings"]:
                outcomes[promise["name"]] = promise["outcome"]
        seed = int(verdict["seed"])
    except FileNotFoundError:
        problem = "file not found"
    except (ArithmeticError, LookupError, OSError, RecursionError, TypeError, ValueError):
        outcomes = {}
        problem = "not a valid verdict"
    if not outcomes:
        cure = "run without --again, or pass the verdict.json of a run that had findings"
        raise ValueError(f"--again {option.again}: {problem}; {cure}")
    if option.seed is None:
        option.seed = seed
    return outcomes

"""The verdict on a backend as one dictionary, by docs/verdict.schema.json."""

import platform
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from support import contract, curl
from support.backend import MEANINGS, Backend
from support.deviations import Deviation
from support.exchange import Exchange
from support.findings import Example, Finding, Findings
from support.words import shortened

NOT_SHOWN_BY_HTTP = [
    "`key` and `secret` are encrypted before they are stored",
    "old values of `key` and `secret` are securely replaced",
]
KEPT, BROKEN, NO_VERDICT = 0, 1, 2
OUR_NAMES = ("id", "name", "promise")  # made of words, which may look like a token


@dataclass
class Row:
    """A promise in the verdict."""

    name: str
    family: str
    sentence: str
    clause: str
    outcome: str = "not tested"
    reason: str = "the run ended before"
    requests: int = 0
    findings: list[str] = field(default_factory=list)
    again: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the promise as the schema wants it."""
        return {**vars(self), "source": contract.CLAUSES[self.clause].source}


@dataclass
class Selection:
    """Which promises were tested, and which findings decide."""

    keyword: str = ""
    sources: list[str] = field(default_factory=list)
    fail_on: list[str] = field(default_factory=list)
    require_all: bool = False
    again: bool = False

    @property
    def is_partial(self) -> bool:
        """Whether promises were left out on purpose."""
        return bool(self.keyword or self.sources or self.again)


@dataclass
class Outcome:
    """What a run came to."""

    backend: Backend
    findings: Findings
    rows: list[Row]
    selection: Selection
    seed: int
    started: datetime
    seconds: float
    reason: str = ""
    cure: str = ""
    report_dir: Path | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the verdict."""
        counts = Counter(row.outcome.replace(" ", "_") for row in self.rows)
        findings = sorted(self.findings.values(), key=self._rank)
        status, result, reason = self._result(counts)
        verdict: dict[str, Any] = {
            "format": 1,
            "contract": {"title": contract.TITLE, "version": contract.VERSION},
            "tools": _tools(),
            "backend": {"url": self.backend.url, "id": self.backend.id},
            "seed": self.seed,
            "started": self.started.isoformat(timespec="seconds"),
            "seconds": round(self.seconds, 1),
            "requests": self.backend.statuses.total(),
            "statuses": {
                str(status or "none"): count
                for status, count in sorted(self.backend.statuses.items())
            },
            "result": result,
            "exit_status": status,
            "reason": reason,
            "cure": self.cure,
            "selection": vars(self.selection),
            "counts": {
                outcome: counts[outcome] for outcome in ("kept", "broken", "accepted", "not_tested")
            },
            "by_source": _by_source(findings),
            "promises": [row.as_dict() for row in self.rows],
            "findings": [self._finding(finding) for finding in findings],
            "not_shown_by_http": NOT_SHOWN_BY_HTTP,
            "missing_variables": self._missing(),
        }
        redacted = _redacted(verdict, self.backend)
        assert isinstance(redacted, dict)
        return redacted

    def _rank(self, finding: Finding) -> tuple[bool, int, int]:
        severities = ("broken", "accepted", "note")
        source = contract.SOURCES.index(finding.source)
        return not finding.is_open_door, severities.index(finding.severity), source

    def _result(self, counts: Mapping[str, int]) -> tuple[int, str, str]:
        severities = {finding.severity for finding in self.findings.values()}
        decisive = any(self.findings.decides(finding) for finding in self.findings.values())
        tested = counts["kept"] + counts["broken"] + counts["accepted"]
        if self.reason:
            return NO_VERDICT, "no verdict", self.reason
        if not tested and not decisive:
            self.cure = "give -k a name that --list prints, or set the missing variables"
            return NO_VERDICT, "no verdict", "no promise was tested"
        reason = ""
        result = "kept except for accepted deviations" if "accepted" in severities else "kept"
        if "broken" in severities:
            result = "broken"
            if not decisive:
                reason = f"no finding is of --fail-on {','.join(self.selection.fail_on)}"
        if self.selection.require_all and counts["not_tested"]:
            reason = f"--require-all: {counts['not_tested']} promises were not tested"
            decisive = True
        if contract.OTHER_OPERATIONS:
            others = ", ".join(contract.OTHER_OPERATIONS)
            untested = f"only {contract.OPERATION_ID} is tested, not {others}"
            reason = f"{reason}; {untested}" if reason else untested
        return (BROKEN if decisive else KEPT), result, reason

    def _finding(self, finding: Finding) -> dict[str, Any]:
        clause = finding.clause
        deviation = finding.deviation if finding.severity == "accepted" else None
        named = {"id": clause.id, "source": clause.source, "text": clause.text, "line": clause.line}
        return {
            "id": finding.id,
            "promise": finding.promise,
            "clause": named,
            "source": finding.source,
            "title": finding.title,
            "expected": finding.breach.expected,
            "got": finding.breach.got,
            "count": finding.count,
            "severity": finding.severity,
            "decides": self.findings.decides(finding),
            "accepted": deviation and _accepted(deviation),
            "examples": [
                self._example(example, f"{finding.id.replace('/', '-')}-{number}")
                for number, example in enumerate(finding.examples, 1)
            ],
        }

    def _example(self, example: Example, name: str) -> dict[str, Any]:
        request = example.exchange.request
        file = None
        if self.report_dir and curl.needs_file(request):
            file = self.report_dir / "bodies" / f"{name}.bin"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(self.backend.redactor.redact_bytes(request.body))
        url = self.backend.url_of(request)
        body = None if curl.needs_file(request) else request.body.decode()
        relative = str(file.relative_to(self.report_dir)) if self.report_dir and file else None
        return {
            "sent": example.sent,
            "curl": curl.command(request, url, self.backend.redactor, file),
            "request": {
                "method": request.method,
                "url": url,
                "headers": [list(header) for header in request.headers],
                "body": body,
                "body_file": relative,
            },
            "response": _response(example.exchange),
        }

    def _missing(self) -> list[dict[str, Any]]:
        missing: list[dict[str, Any]] = []
        for name, meaning in MEANINGS.items():
            waiting = [row for row in self.rows if row.reason.startswith(f"set {name}:")]
            if waiting:
                missing.append({"name": name, "meaning": meaning, "promises": len(waiting)})
        return missing


def _tools() -> dict[str, str]:
    names = ("schemathesis", "hypothesis", "pytest")
    return {"python": platform.python_version(), **{name: version(name) for name in names}}


def _accepted(deviation: Deviation) -> dict[str, str]:
    return {"reason": deviation.reason, "link": deviation.link, "date": deviation.date}


def _by_source(findings: Iterable[Finding]) -> dict[str, dict[str, int]]:
    by_source: dict[str, dict[str, int]] = {}
    keys = {"broken": "broken", "accepted": "accepted", "note": "notes"}
    for finding in findings:
        counted = by_source.setdefault(finding.source, {"broken": 0, "accepted": 0, "notes": 0})
        counted[keys[finding.severity]] += 1
    return by_source


def _response(exchange: Exchange) -> dict[str, Any] | None:
    response = exchange.response
    if response is None:
        return None
    return {
        "status": response.status,
        "reason": response.reason,
        "headers": [list(header) for header in response.headers],
        "body": shortened(response.text),
    }


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

"""Format a verdict as text, Markdown, GitHub annotations or JSON."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from itertools import groupby
from typing import Any

from scripts.compatibility.findings import Finding, Severity, Verdict
from scripts.compatibility.values import shortened

TITLES = {
    Severity.BREAKING: "Breaking",
    Severity.UNDECIDED: "Undecided (counts as breaking)",
    Severity.ADDITION: "Additions",
    Severity.WORDS: "Words",
}
SUMMARIES = {
    Severity.BREAKING: "breaking",
    Severity.UNDECIDED: "undecided",
    Severity.ADDITION: "additions",
    Severity.WORDS: "words only",
    Severity.NONE: "nothing changed",
}


def as_text(verdict: Verdict) -> str:
    """Return the report as text for a terminal."""
    lines = [_compared(verdict)]
    for title, findings in groupby(verdict.findings, key=_title):
        lines += ["", title]
        for finding in findings:
            lines.append(f"  {_place(finding)}: {_what(finding)}")
            lines += [f"    {line}" for line in _details(finding)]
    lines += ["", *_result(verdict)]
    return "\n".join(map(printable, lines)) + "\n"


def as_markdown(verdict: Verdict) -> str:
    """Return the report for a pull request, with text from the contracts in code spans."""
    sign = "✅" if verdict.in_order else "❌"
    lines = [f"### {sign} {_code(_compared(verdict))}", "", *map(_code, _result(verdict))]
    for title, findings in groupby(verdict.findings, key=_title):
        lines += ["", f"**{title}**", ""]
        for finding in findings:
            lines.append(f"- {_code(_place(finding))}: {_code(_what(finding))}")
            lines += [f"  - {_code(line.strip())}" for line in _details(finding)]
    return "\n".join(lines) + "\n"


def as_github(verdict: Verdict) -> str:
    """Return the report as GitHub workflow commands: one per finding, and one for the result."""
    level = "warning" if verdict.in_order else "error"
    lines: list[str] = []
    for finding in verdict.findings:
        kind = level if finding.final_severity >= Severity.UNDECIDED else "notice"
        title = f"{finding.severity.word}: {_place(finding)}"
        lines.append(_command(kind, verdict, title, [_what(finding), *_details(finding)]))
    kind = "notice" if verdict.in_order else "error"
    lines.append(_command(kind, verdict, "version", _result(verdict)))
    return "\n".join(lines) + "\n"


def _command(kind: str, verdict: Verdict, title: str, text: list[str]) -> str:
    file = _property(verdict.head.source)
    message = "\n".join(map(printable, text))
    message = message.replace("%", "%25").replace("\n", "%0A")
    return f"::{kind} file={file},title={_property(title)}::{message}"


def _property(text: str) -> str:
    return printable(text).replace("%", "%25").replace(":", "%3A").replace(",", "%2C")


def as_json(verdict: Verdict) -> str:
    """Return the report as JSON."""
    result = {
        "base": {"source": verdict.base.source, "version": verdict.base.version},
        "head": {"source": verdict.head.source, "version": verdict.head.version},
        "compared": True,
        "in_order": verdict.in_order,
        "found": verdict.severity().word,
        "wire": verdict.severity("wire").word,
        "python": verdict.severity("python").word,
        "python_not_compared": verdict.not_compared,
        "least_version": verdict.least_version,
        "stale": verdict.stale,
        "findings": [_as_fields(finding) for finding in verdict.findings],
    }
    return json.dumps(result, indent=2, default=str) + "\n"


def _as_fields(finding: Finding) -> dict[str, Any]:
    fields = asdict(finding)
    fields["change"] = fields.pop("severity").word
    fields["part"] = fields.pop("interface")
    return {"id": finding.id, **fields}


def _compared(verdict: Verdict) -> str:
    base = verdict.base
    head = verdict.head
    return f"{base.version} ({base.source}) → {head.version} ({head.source})"


def _title(finding: Finding) -> str:
    return "Removed responses" if finding.removed else TITLES[finding.severity]


def _place(finding: Finding) -> str:
    return f"Python: {finding.place}" if finding.interface == "python" else finding.place


def _what(finding: Finding) -> str:
    if not finding.also:
        return finding.what
    others = shortened(finding.also, "; ")
    return f"{finding.what}; also in {others}"


def _details(finding: Finding) -> Iterator[str]:
    """Yield the lines of evidence, and then a line with the decision or the finding's id."""
    yield from finding.shown[:1]
    for line in finding.shown[1:]:
        yield f"  {line}"
    decision = finding.decision
    if decision:
        reason = " ".join(str(decision["reason"]).split())
        yield f"Decided on {decision['date']}: {decision['verdict']}. {reason}"
    elif finding.severity >= Severity.UNDECIDED:
        yield f"finding {finding.id}"


def printable(text: str) -> str:
    """Return the text on one line, with unprintable characters escaped as in JSON."""
    characters = list(text)
    for index, character in enumerate(characters):
        if not character.isprintable():
            characters[index] = json.dumps(character)[1:-1]
    return "".join(characters)


def _result(verdict: Verdict) -> list[str]:
    wire = SUMMARIES[verdict.severity("wire")]
    python = SUMMARIES[verdict.severity("python")]
    if not verdict.severity("python"):
        python = "no breaking changes"
    if verdict.not_compared:
        python = f"not compared ({verdict.not_compared})"
    versions = f"expected {verdict.least_version} or later, got {verdict.head.version}"
    result = f"Version OK: {versions}"
    if not verdict.is_high_enough:
        result = f"Version too low: {versions}. Set info.version"
        if verdict.severity() >= Severity.UNDECIDED:
            result += ", or explain in compat.yaml why a finding does not affect any caller"
    stale = "compat.yaml: there is no finding {}; correct or delete the entry."
    return [f"Wire: {wire}. Python: {python}.", f"{result}.", *map(stale.format, verdict.stale)]


def _code(text: str) -> str:
    content = printable(text).replace("`", "'")
    return f"`{content}`"

"""The verdict in a terminal: findings first, the result last."""

import textwrap

from rich.console import Console
from rich.text import Text

from reports import words
from reports.words import Finding, Verdict

STYLES = {"kept": "green", "broken": "bold red", "accepted": "magenta", "not tested": "yellow"}
INDENT = 13


def report(verdict: Verdict, console: Console, reports: str = "") -> None:
    """Print the verdict; `reports` names the folder where the other reports are."""
    verdict = words.readable(verdict)
    for number, finding in enumerate(words.with_severity(verdict, "broken"), 1):
        _print_finding(console, f"{number}. {finding['title']}", finding, "broken")
    for finding in words.with_severity(verdict, "note"):
        _print_finding(console, f"Note: {finding['title']}", finding, "not tested")
    _print_accepted(console, verdict)
    _print_untested(console, verdict)
    _print_families(console, verdict)
    _print_missing(console, verdict)
    _print_result(console, verdict, reports)


def _print_finding(console: Console, title: str, finding: Finding, outcome: str) -> None:
    console.print()
    _print_wrapped(console, title, STYLES[outcome])
    for example in finding["examples"]:
        _print_row(console, "sent", example["sent"])
    _print_row(console, "expected", finding["expected"])
    _print_row(console, "got", finding["got"])
    _print_row(console, "clause", f"{words.clause_reference(finding)}: {finding['clause']['text']}")
    if finding["severity"] == "broken" and not finding["decides"]:
        _print_row(console, "status", "does not decide, because of --fail-on")
    _print_row(console, "seen in", words.plural(finding["count"], "request"))
    _print_row(console, "id", finding["id"])
    for example in finding["examples"][:1]:  # at the margin, whole, so that it can be pasted
        console.print(Text(example["curl"], "cyan"), soft_wrap=True)


def _print_accepted(console: Console, verdict: Verdict) -> None:
    findings = words.with_severity(verdict, "accepted")
    if findings:
        console.print(Text("\nAccepted deviations", "bold"))
    for finding in findings:
        entry = finding["accepted"]
        _print_wrapped(console, f"  {finding['title']}", STYLES["accepted"])
        _print_row(console, "got", finding["got"])
        _print_row(console, "reason", f"{entry['reason']} ({entry['link']}, {entry['date']})")
        _print_row(console, "id", finding["id"])


def _print_untested(console: Console, verdict: Verdict) -> None:
    """Print why promises were not tested, but for missing variables, which come last."""
    missing = [variable["name"] for variable in verdict["missing_variables"]]
    reasons = {
        reason: promises
        for reason, promises in words.untested(verdict).items()
        if not any(name in reason for name in missing)
    }
    if reasons:
        console.print(Text("\nNot tested", "bold"))
    for reason, promises in reasons.items():
        line = f"  {words.plural(len(promises), 'promise')}: {reason}"
        _print_wrapped(console, line, STYLES["not tested"])


def _print_families(console: Console, verdict: Verdict) -> None:
    families = words.families(verdict)
    if families:
        console.print(Text("\nPromises", "bold"))
    width = max(map(len, families), default=0)
    for family, promises in families.items():
        line = Text(f"  {family:<{width}}  ")
        separator = ""
        for part in words.tally(promises).split(", "):
            line.append(separator)
            line.append(part, STYLES[part.partition(" ")[2]])
            separator = ", "
        console.print(line, soft_wrap=True)


def _print_missing(console: Console, verdict: Verdict) -> None:
    variables = verdict["missing_variables"]
    if variables:
        console.print(Text("\nTo test the rest, set", "bold"))
    for variable in variables:
        promises = words.plural(variable["promises"], "promise")
        _print_wrapped(console, f"  {variable['name']}: {variable['meaning']} ({promises})")
    if verdict["promises"] and verdict["not_shown_by_http"]:
        unseen = ", ".join(verdict["not_shown_by_http"])
        console.print()
        _print_wrapped(console, f"HTTP cannot show, so this verdict does not cover: {unseen}.")


def _print_result(console: Console, verdict: Verdict, reports: str) -> None:
    console.print()
    again = [promise["again"] for promise in verdict["promises"] if promise["again"]]
    for became in dict.fromkeys(again):
        console.print(Text(f"{became}: {words.plural(again.count(became), 'promise')}"))
    console.print(Text(words.run_facts(verdict)), soft_wrap=True)
    if reports:
        console.print(Text(f"Reports: {reports}/verdict.html, verdict.json"), soft_wrap=True)
    style = f"bold {STYLES[words.tone(verdict)]}"
    counts = words.tally(verdict["promises"])
    headline = words.headline(verdict)
    console.print(Text(f"{headline}: {counts}." if counts else f"{headline}.", style))
    for line in (verdict["reason"], verdict["cure"]):
        if line:
            _print_wrapped(console, line, style)


def _print_row(console: Console, label: str, text: str) -> None:
    line = Text(f"   {label:<{INDENT - 3}}", "bright_black")
    line.append(_wrapped(console, text, INDENT), "default")
    console.print(line, soft_wrap=True)


def _print_wrapped(console: Console, text: str, style: str = "") -> None:
    console.print(Text(_wrapped(console, text, 2).lstrip("\n"), style), soft_wrap=True)


def _wrapped(console: Console, text: str, indent: int) -> str:
    """Return the text broken for a terminal; in a log each stays one line, to be searched."""
    if not console.is_terminal:
        return text
    lines = textwrap.wrap(
        text,
        max(console.width - indent, 20),
        break_long_words=False,
        break_on_hyphens=False,
        drop_whitespace=True,
    )
    return f"\n{'':{indent}}".join(lines)

"""Converts findings to workflow commands that annotate a GitHub job.

`python -m reports.github FILE` prints the commands for the verdict in FILE.
"""

import json
import sys
from pathlib import Path

from reports import words
from reports.words import Finding, Verdict


def annotations(verdict: Verdict) -> str:
    """Return a workflow command for each finding; only findings that fail the run are errors."""
    verdict = words.readable(verdict)
    commands = []
    if verdict["result"] == "no verdict":
        commands.append(_command("error", "No verdict", f"{verdict['reason']}\n{verdict['cure']}"))
    elif verdict["exit_status"] and verdict["reason"]:
        commands.append(_command("error", words.headline(verdict), verdict["reason"]))
    for finding in verdict["findings"]:
        commands.append(_command(_level(finding), finding["title"], _message(finding)))
    return "".join(commands)


def _level(finding: Finding) -> str:
    if finding["decides"]:
        return "error"
    return "warning" if finding["severity"] == "broken" else "notice"


def _message(finding: Finding) -> str:
    lines = [
        f"expected {finding['expected']}, got {finding['got']}",
        f"{words.clause_reference(finding)}: {finding['clause']['text']}",
        f"seen in {words.reach(finding)}, id: {finding['id']}",
    ]
    for example in finding["examples"][:1]:
        lines += [f"sent: {example['sent']}", example["curl"]]
    return "\n".join(lines)


def _command(level: str, title: str, message: str) -> str:
    escaped = _escaped(title).replace(":", "%3A").replace(",", "%2C")
    return f"::{level} title={escaped}::{_escaped(message.strip())}\n"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


if __name__ == "__main__":
    print(annotations(json.loads(Path(sys.argv[1]).read_text("utf-8"))), end="")  # noqa: T201

"""A judgement as text: for people, as Markdown for a pull request, as JSON for programs."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from scripts.compatibility.findings import Change

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scripts.compatibility.findings import Finding
    from scripts.compatibility.judgement import Judgement

ANSWER = re.compile(r"(.*, )answer (\w+)(.*)")
TITLES = {
    Change.BREAKING: "Breaking",
    Change.UNDECIDED: "Undecided, which counts as breaking",
    Change.ADDITION: "Additions",
    Change.WORDS: "Words",
    Change.NONE: "Notes",
}


def text(judgement: Judgement) -> str:
    """For people."""
    lines = [_compared(judgement)]
    for change, findings in _grouped(judgement):
        lines += ["", TITLES[change]]
        for each in findings:
            lines += [f"  {_sentence(each)}", *(f"    {line}" for line in _more(each))]
    return "\n".join([*lines, "", *_verdict(judgement)]) + "\n"


def markdown(judgement: Judgement) -> str:
    """To paste into a pull request."""
    sign = "✅" if judgement.in_order else "❌"
    lines = [f"### {sign} {_compared(judgement)}", "", *_verdict(judgement)]
    for change, findings in _grouped(judgement):
        lines += ["", f"**{TITLES[change]}**", ""]
        for each in findings:
            lines.append(f"- {_sentence(each)}")
            more = [line.replace("```", "` ` `") for line in _more(each)]
            if more:
                lines += ["", *(f"  {line}" for line in ("```text", *more, "```")), ""]
    return "\n".join(lines) + "\n"


def as_json(judgement: Judgement) -> str:
    """For programs."""
    made = {
        "base": {"source": judgement.base.source, "version": judgement.base.version},
        "head": {"source": judgement.head.source, "version": judgement.head.version},
        "compared": True,
        "in_order": judgement.in_order,
        "found": judgement.weight().word,
        "wire": judgement.weight("wire").word,
        "python": judgement.weight("python").word,
        "due": judgement.due,
        "step": judgement.step,
        "least_version": judgement.least,
        "stale": judgement.stale,
        "findings": [_as_data(each) for each in judgement.findings],
    }
    return json.dumps(made, indent=2, ensure_ascii=False, default=str) + "\n"


def _as_data(finding: Finding) -> dict[str, object]:
    return {
        "id": finding.id,
        "part": finding.part,
        "change": finding.change.word,
        "place": finding.place,
        "also": list(finding.also),
        "what": finding.what,
        "witness": finding.witness,
        "shown": list(finding.shown),
        "word": finding.word,
    }


def _compared(judgement: Judgement) -> str:
    base, head = judgement.base, judgement.head
    return f"{base.version} ({base.source}) → {head.version} ({head.source})"


def _grouped(judgement: Judgement) -> Iterator[tuple[Change, list[Finding]]]:
    for change in TITLES:
        found = [each for each in judgement.findings if each.change == change]
        if found:
            yield change, found


def _sentence(finding: Finding) -> str:
    part = "Python: " if finding.part == "python" else ""
    return f"{part}{finding.place}: {finding.what}{_also(finding)}"


def _also(finding: Finding) -> str:
    """The other places, without what they have in common with the first one."""
    answer = ANSWER.match(finding.place)
    places = [
        each for each in finding.also if not answer or answer[1] + answer[3] not in _parts(each)
    ]
    statuses = [
        found[2] for each in finding.also if each not in places and (found := ANSWER.match(each))
    ]
    alike = [f"answer {', '.join(statuses)}"] if statuses else []
    return f"; the same in {'; '.join((*alike, *places))}" if finding.also else ""


def _parts(place: str) -> tuple[str, ...]:
    """A place in an answer without its status."""
    found = ANSWER.match(place)
    return (found[1] + found[3],) if found else ()


def _more(finding: Finding) -> Iterator[str]:
    """What shows it, and what a human said or may say of it."""
    for i, line in enumerate(finding.shown):
        yield line if not i else f"  {line}"
    if finding.word:
        word = finding.word
        yield f"A human's word of {word['date']}: {word['verdict']}, since {word['reason']}"
    elif finding.change >= Change.UNDECIDED:
        yield f"finding {finding.id}"


def _verdict(judgement: Judgement) -> list[str]:
    return [_weighed(judgement), _version(judgement), *_stale(judgement)]


def _weighed(judgement: Judgement) -> str:
    wire, python = judgement.weight("wire"), judgement.weight("python")
    words = {
        Change.BREAKING: "breaking",
        Change.UNDECIDED: "undecided",
        Change.ADDITION: "additions",
        Change.WORDS: "words only",
        Change.NONE: "nothing changed",
    }
    return f"Wire: {words[wire]}. Python: {words[python]}."


def _version(judgement: Judgement) -> str:
    old, new, due = judgement.base.version, judgement.head.version, judgement.due
    if judgement.step == "backwards":
        least = judgement.least
        return f"Not in order: info.version goes back, {old} → {new}; set it to {least} or later."
    step = f"a {judgement.step} step" if judgement.step != "none" else "no step"
    if due == "none":
        waits = judgement.weight() == Change.WORDS
        why = "words alone wait for the next release" if waits else "nothing needs a step"
        return f"In order: {why}, and {old} → {new} is {step}."
    why = f"a {due} step is due ({judgement.least} or later), and {old} → {new} is {step}"
    if judgement.in_order or judgement.stale:
        return f"In order: {why}."
    said = any(each.change >= Change.UNDECIDED and not each.word for each in judgement.findings)
    cure = "; or say in compat.yaml why a finding breaks nobody" if said else ""
    return f"Not in order: {why}. Set info.version{cure}."


def _stale(judgement: Judgement) -> list[str]:
    return [
        f"Not in order: compat.yaml speaks of {each}, which is no finding any more; delete it."
        for each in judgement.stale
    ]

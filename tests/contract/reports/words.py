"""Phrases and groupings shared by all reports."""

import shlex
from collections.abc import Callable, Iterable
from typing import Any

Verdict = dict[str, Any]
Finding = dict[str, Any]
Promise = dict[str, Any]

LONGEST_RESPONSE = 300  # in characters; compact reports truncate longer responses
MOST_NAMES = 3
OUTCOMES = ("kept", "broken", "accepted", "not tested")


def map_strings(value: Any, function: Callable[[str], str]) -> Any:
    """Return the JSON value with the function applied to each of its strings."""
    if isinstance(value, str):
        return function(value)
    if isinstance(value, list):
        return [map_strings(item, function) for item in value]
    if isinstance(value, dict):
        return {name: map_strings(item, function) for name, item in value.items()}
    return value


def escape_invisible(text: str) -> str:
    """Return the text with an escape sequence in place of each invisible character."""
    escaped = ""
    for character in text:
        if character.isprintable() or character in "\n\t":
            escaped += character
        else:
            escaped += character.encode("unicode_escape").decode()
    return escaped


def plural(number: int, noun: str) -> str:
    """Return the number followed by the noun, for example `1 finding` or `1,200 findings`."""
    if number != 1:
        noun += "s"
    return f"{number:,} {noun}"


def headline(verdict: Verdict) -> str:
    """Summarize the result in a phrase that does not claim more than was tested."""
    if verdict["result"] == "no verdict":
        return "No verdict"
    selection = verdict["selection"]
    subject = "The contract"
    if selection["keyword"] or selection["sources"] or selection["again"]:
        subject = "The selected part of the contract"
    if verdict["result"] == "broken":
        return f"{subject} is broken"
    if verdict["exit_status"] == 1:
        return "Not all promises were tested"
    phrase = f"{subject} is kept"
    if accepted := with_severity(verdict, "accepted"):
        phrase += f" except for {plural(len(accepted), 'accepted deviation')}"
    if verdict["counts"]["not_tested"]:
        phrase += ", but some promises were not tested"
    return phrase


def tone(verdict: Verdict) -> str:
    """Return the outcome that determines the color of the result in the reports."""
    if verdict["exit_status"] == 2:
        return "not tested"
    if verdict["exit_status"] == 1:
        return "broken"
    return {"kept": "kept", "broken": "not tested"}.get(verdict["result"], "accepted")


def tally(promises: Iterable[Promise]) -> str:
    """Return the number of promises with each outcome, for example `45 kept, 6 broken`."""
    by_outcome = grouped(promises, "outcome")
    counts = [f"{len(by_outcome[name])} {name}" for name in OUTCOMES if name in by_outcome]
    return ", ".join(counts)


def summary(verdict: Verdict) -> str:
    """Return a one-line summary that counts findings by source and promises by outcome."""
    if verdict["result"] == "no verdict":
        return f"No verdict: {verdict['reason']}"
    parts = []
    counted = tally(verdict["promises"])
    if findings := with_severity(verdict, "broken"):
        numbers = []
        for source, counts in verdict["by_source"].items():
            if counts["broken"]:
                numbers.append(f"{counts['broken']} {source}")
        parts.append(f"{plural(len(findings), 'finding')} ({', '.join(numbers)})")
        counted = f"promises: {counted}"
    if verdict["promises"]:
        parts.append(counted)
    text = headline(verdict)
    if parts:
        text += f": {'; '.join(parts)}"
    return f"{text}."


def fix_first(verdict: Verdict) -> str:
    """Return the first finding if it prevents tests; otherwise, return an empty string."""
    findings = with_severity(verdict, "broken")
    if not findings or not findings[0]["hides"]:
        return ""
    first = findings[0]
    hidden = plural(first["hides"], "promise")
    effect = f"This finding prevents {hidden} from being tested."
    return f"Fix this finding first: {first['title']}. {effect}"


def reach(finding: Finding) -> str:
    """Return how many requests show the finding, and how many promises it leaves untested."""
    text = plural(finding["count"], "request")
    if finding["hides"]:
        text += f"; prevents {plural(finding['hides'], 'promise')} from being tested"
    return text


def response(finding: Finding) -> str:
    """Return the start of the body of the first example's response, on one line."""
    examples = finding["examples"]
    if not examples or not examples[0]["response"]:
        return ""
    body = " ".join(examples[0]["response"]["body"].split())
    if len(body) > LONGEST_RESPONSE:
        body = f"{body[:LONGEST_RESPONSE]}…"
    return body


def rerun(verdict: Verdict, finding: Finding) -> str:
    """Return the `-k` option that selects the promises with this finding."""
    names = []
    for promise in verdict["promises"]:
        if finding["id"] in promise["findings"]:
            names.append(promise["name"])
    expression = " or ".join(names) or finding["promise"]
    return f"-k {shlex.quote(expression)}"


def explanation(verdict: Verdict) -> list[str]:
    """Return the reason and the remedy, but omit a reason that `summary` already contains."""
    sentences = [verdict["cure"], fix_first(verdict)]
    if verdict["result"] != "no verdict":
        sentences.insert(0, verdict["reason"])
    return list(filter(None, sentences))


def with_severity(verdict: Verdict, severity: str) -> list[Finding]:
    """Return the findings with this severity."""
    return [finding for finding in verdict["findings"] if finding["severity"] == severity]


def untested(verdict: Verdict) -> dict[str, list[Promise]]:
    """Return the untested promises grouped by reason, or an empty dict if there is no verdict."""
    if verdict["result"] == "no verdict":
        return {}
    by_outcome = grouped(verdict["promises"], "outcome")
    return grouped(by_outcome.get("not tested", []), "reason")


def names(promises: list[Promise]) -> str:
    """Return the names of the first three promises, and the number of other promises."""
    text = ", ".join(promise["name"] for promise in promises[:MOST_NAMES])
    others = len(promises) - MOST_NAMES
    return f"{text} and {others} more" if others > 0 else text


def names_variable(verdict: Verdict, reason: str) -> bool:
    """Return whether the reason names a missing environment variable."""
    return any(variable["name"] in reason for variable in verdict["missing_variables"])


def grouped(promises: Iterable[Promise], key: str) -> dict[str, list[Promise]]:
    """Group the promises by the value of the given key."""
    groups: dict[str, list[Promise]] = {}
    for promise in promises:
        groups.setdefault(promise[key], []).append(promise)
    return groups


def facts(verdict: Verdict, finding: Finding) -> list[tuple[str, str]]:
    """Return the details that the text reports show for a finding, each with a label."""
    rows = []
    for example in finding["examples"]:
        if example["sent"].lower() not in finding["title"].lower():
            rows.append(("sent", example["sent"]))
    rows.append(("expected", finding["expected"]))
    rows.append(("got", finding["got"]))
    if text := response(finding):
        rows.append(("response", text))
    clause = finding["clause"]
    place = f"{clause['id']} ({clause['source']}), openapi.yaml line {clause['line']}"
    rows.append(("clause", f"{place}: {clause['text']}"))
    if finding["severity"] == "broken" and not finding["decides"]:
        rows.append(("status", "does not fail the run, because of --fail-on"))
    if accepted := finding["accepted"]:
        rows.append(("accepted", f"{accepted['reason']} ({accepted['link']}, {accepted['date']})"))
    rows.append(("seen in", reach(finding)))
    rows.append(("id", finding["id"]))
    if finding["examples"]:  # a stale accepted finding has no examples
        rows.append(("rerun with", rerun(verdict, finding)))
    return rows


def run_facts(verdict: Verdict) -> str:
    """Return the number of requests, the duration and the seed of the run."""
    requests = plural(verdict["requests"], "request")
    return f"{requests} in {verdict['seconds']:.1f} s, seed {verdict['seed']}"

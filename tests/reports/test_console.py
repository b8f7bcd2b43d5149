"""Tests for the console output, in a terminal and in a log file."""

import io
import re

import pytest
from rich.console import Console

from reports import console, words
from reports.progress import Progress
from tests.reports.samples import ALL, Verdict, accepted, broken, kept, no_verdict, not_tested


def printed(verdict: Verdict, width: int = 0) -> str:
    """Return the output for a terminal of this width, or for a log file if `width` is 0."""
    file = io.StringIO()
    console.report(verdict, Console(file=file, force_terminal=bool(width), width=width or None))
    return re.sub(r"\x1b\[[\d;]*m", "", file.getvalue())


def test_output_ends_with_the_result() -> None:
    """The output starts with the first finding, and ends with the result and what to fix first.

    A finding's text shows the requests, the statuses, the clause, the id and a curl command.
    """
    lines = printed(broken()).strip().splitlines()
    assert lines[0] == "1. A member with READ access updated the configuration"
    findings = "6 findings (1 page, 1 vendor, 4 ours)"
    assert lines[-2] == f"The contract is broken: {findings}; promises: 11 kept, 6 broken."
    first = "because it prevents the test of 4 promises: A member with READ access updated the"
    assert lines[-1] == f"Fix this finding first, {first} configuration."
    clause = "access-levels (vendor), openapi.yaml line 74: `READ` is read-only; updating needs"
    assert lines[1 : lines.index("")] == [
        "   sent      `name` with the token of a member with READ access",
        "   sent      an empty object with the token of a member with READ access",
        "   expected  403",
        "   got       200",
        '   response  {"success": true, "aiLlmId": "550e8400-e29b-41d4-a716-446655440000"}',
        f"   clause    {clause} `WRITE` or `ADMIN`.",
        "   seen in   61 requests; prevents the test of 4 promises",
        "   id        access-levels:READ:2xx",
        broken()["findings"][0]["examples"][0]["curl"],
    ]


def test_terminal_does_not_wrap_curl_commands() -> None:
    """In a narrow terminal, curl commands are not wrapped, so that users can copy them."""
    lines = printed(broken(), width=72).splitlines()
    for finding in broken()["findings"]:
        for example in finding["examples"][:1]:
            assert example["curl"] in lines


def test_missing_variables_are_listed_once() -> None:
    """The output mentions each missing variable exactly once."""
    text = printed(not_tested())
    for variable in not_tested()["missing_variables"]:
        assert text.count(variable["name"]) == 1
    assert "  1 promise: hidden by `500:json:malformed`" in text
    assert text.strip().endswith("--require-all: 7 of 67 promises were not tested")


@pytest.mark.parametrize("name", ALL)
def test_contract_is_kept_only_if_everything_was_tested(name: str) -> None:
    """The output contains `The contract is kept:` only if every promise was tested and kept."""
    verdict = ALL[name]()
    assert ("The contract is kept:" in printed(verdict)) == (name == "kept")


def test_headline_mentions_exceptions() -> None:
    """The headline mentions accepted deviations, untested promises and partial runs."""
    assert words.headline(accepted()) == "The contract is kept except for 1 accepted deviation"
    untested = not_tested() | {"exit_status": 0}
    assert words.headline(untested) == "The contract is kept, but some promises were not tested"
    for name, value in {"keyword": "access", "sources": ["page"], "again": True}.items():
        verdict = kept()
        verdict["selection"][name] = value
        assert words.headline(verdict) == "The selected part of the contract is kept"


def test_results_with_again_option_are_listed() -> None:
    """With --again, the output shows which promises are fixed, still broken or flaky."""
    verdict = broken()
    verdict["selection"]["again"] = True
    states = ["fixed", "fixed", "still broken", "flaky"]
    for promise, state in zip(verdict["promises"], states, strict=False):
        promise["again"] = state
    first, second, third, fourth = [promise["name"] for promise in verdict["promises"][:4]]
    lines = f"fixed: {first}, {second}\nstill broken: {third}\nflaky: {fourth}\n"
    assert lines in printed(verdict)


def test_backend_cannot_control_the_terminal() -> None:
    """Control sequences from a backend are escaped, so they cannot affect the terminal."""
    verdict = broken()
    verdict["findings"][0]["got"] = "200 \x1b]0;owned\x07\x1b[2J\u202e"
    text = printed(verdict)
    assert r"200 \x1b]0;owned\x07\x1b[2J\u202e" in text
    assert not re.search("[\x00-\x08\x0b-\x1f]", text)


def test_progress_in_a_log_has_one_line_per_family() -> None:
    """In a log file, progress output has one plain line for each family of promises."""
    file = io.StringIO()
    progress = Progress(Console(file=file))
    progress.update("Access", 0, 3, 10)
    progress.update("Access", 1, 3, 20)
    progress.update("Ids", 2, 3, 30)
    progress.stop()
    assert file.getvalue() == "Access ...\nIds ...\n"


def test_progress_in_a_terminal_shows_family_and_requests() -> None:
    """In a terminal, the progress line shows the family, promise count and request count."""
    file = io.StringIO()
    terminal = Console(file=file, force_terminal=True, width=100)
    progress = Progress(terminal)
    progress.update("Access", 1, 3, 1200)
    progress.stop()
    output = re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", file.getvalue())
    assert "Access" in output
    assert "1/3 promises · 1,200 requests" in output


def test_missing_verdict_is_reported_with_reason_and_remedy() -> None:
    """If there is no verdict, the output shows only the totals, the reason and the remedy."""
    lines = printed(no_verdict()).strip().splitlines()
    assert lines == [
        "2 requests in 8.2 s, seed 42",
        f"No verdict: {no_verdict()['reason']}",
        no_verdict()["cure"],
    ]

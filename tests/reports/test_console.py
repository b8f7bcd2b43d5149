"""Tests for the console output, in a terminal and in a log file."""

import io
import re

import pytest
from rich.console import Console

from reports import console, words
from tests.reports.samples import ALL, Verdict, accepted, broken, kept, no_verdict, not_tested


def printed(verdict: Verdict, width: int = 0) -> str:
    """Return the output for a terminal of this width, or for a log file if `width` is 0."""
    file = io.StringIO()
    console.report(verdict, Console(file=file, force_terminal=bool(width), width=width or None))
    return re.sub(r"\x1b\[[\d;]*m", "", file.getvalue())


def test_output_ends_with_the_result() -> None:
    """The output starts with the first finding, and ends with the result and what to fix first.

    Each finding lists the requests, the statuses, the clause, the id, the option that retests every
    promise with this finding, and a curl command.
    """
    lines = printed(broken()).strip().splitlines()
    assert lines[0] == "1. An update with a READ member's token: got 200"
    findings = "7 findings (1 vendor, 1 page, 5 ours)"
    counts = "11 kept, 6 broken, 1 not tested"
    assert lines[-2] == f"The contract is broken: {findings}; promises: {counts}."
    first = "Fix this finding first: An update with a READ member's token: got 200."
    assert lines[-1] == f"{first} This finding prevents 1 promise from being tested."
    clause = "challenge (ours), openapi.yaml line 159"
    response = '{"success":false,"message":"Authorization: a valid bearer token is required"}'
    keyword = "test_bad_token_answers_401[missing] or test_every_response[challenge]"
    start = lines.index("4. The `WWW-Authenticate` header of a 401 response: got no header")
    assert lines[start + 1 : lines.index("", start)] == [
        "   sent      an update without a token",
        "   sent      an update with an unknown token",
        "   expected  `WWW-Authenticate: Bearer`",
        "   got       no header",
        f"   response  {response}",
        f"   clause    {clause}: A 401 response has the header `WWW-Authenticate: Bearer`.",
        "   seen in   425 requests",
        "   id        challenge/WWW-Authenticate/missing",
        f"   rerun with -k '{keyword}'",
        broken()["findings"][3]["examples"][0]["curl"],
    ]


def test_finding_to_fix_first_is_the_first_one_or_none() -> None:
    """The output ends with the result if only other findings prevent tests."""
    verdict = broken()
    verdict["findings"][0]["hides"] = 0
    verdict["findings"][1]["hides"] = 5
    last = printed(verdict).strip().splitlines()[-1]
    assert last.startswith("The contract is broken: 7 findings")


def test_terminal_does_not_wrap_curl_commands() -> None:
    """In a narrow terminal, curl commands are not wrapped, so that users can copy them."""
    text = printed(broken(), width=72)
    for finding in broken()["findings"]:
        for example in finding["examples"][:1]:
            assert example["curl"] in text


def test_missing_variables_are_listed_once() -> None:
    """The output mentions each missing variable exactly once."""
    text = printed(not_tested())
    for variable in not_tested()["missing_variables"]:
        assert text.count(variable["name"]) == 1
    names = "test_every_response[credentials], test_every_response[challenge]"
    assert f"  2 promises: no response was checked\n    {names}\n" in text
    assert text.strip().endswith("--require-all: 7 of 18 promises were not tested")


def test_long_text_is_shortened() -> None:
    """Only the start of a long response and the names of three untested promises are printed."""
    verdict = no_verdict() | {"result": "kept"}
    names = [promise["name"] for promise in verdict["promises"]]
    assert f"    {', '.join(names[:3])} and 15 more\n" in printed(verdict)
    verdict = broken()
    verdict["findings"][0]["examples"][0]["response"]["body"] = "<html>\n<h1>" + "x" * 5000
    assert f"   response  <html> <h1>{'x' * 289}…\n" in printed(verdict)


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


def test_results_of_retested_promises_are_listed() -> None:
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


def test_missing_verdict_is_reported_with_reason_and_remedy() -> None:
    """If there is no verdict, the output shows only the totals, the reason and the remedy."""
    lines = printed(no_verdict()).strip().splitlines()
    assert lines == [
        "2 requests in 23.8 s, seed 1",
        f"No verdict: {no_verdict()['reason']}",
        no_verdict()["cure"],
    ]

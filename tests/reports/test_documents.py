"""Tests for the JSON, JUnit XML and Markdown reports, and for GitHub annotations."""

import json
import re
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import jsonschema_rs
import pytest
import yaml
from markdown_it import MarkdownIt

from reports import words
from reports.rendering import render, write
from tests.reports.samples import ALL, Verdict, accepted, broken, no_verdict, not_tested

FILES = ("annotations.txt", "junit.xml", "verdict.html", "verdict.json", "verdict.md")
HOSTILE = (
    "@octocat\x1b[2J\x00 \ud800 \u202e |`<img src=x>` [x](http://x) ``` #1\n"
    "::error::x %0A\n```\n<img>"
)


@pytest.fixture
def hostile() -> Verdict:
    """Return a verdict that contains hostile text from a backend."""
    verdict = broken()
    for finding in verdict["findings"]:
        finding |= {"title": HOSTILE, "got": HOSTILE}
        for example in finding["examples"]:
            example |= {"sent": HOSTILE, "curl": HOSTILE}
    return verdict


def test_schema_allows_no_unknown_fields(root: Path) -> None:
    """In the verdict's schema, objects that list their fields allow no other fields."""
    text = (root / "docs" / "verdict.schema.json").read_text("utf-8")
    assert text.count('"properties": {') == text.count('"additionalProperties": false')


@pytest.mark.parametrize("make", ALL.values(), ids=ALL)
def test_all_files_are_written(
    tmp_path: Path, schema: jsonschema_rs.Draft202012Validator, make: Callable[[], Verdict]
) -> None:
    """All report files are written for every result, and verdict.json conforms to its schema."""
    schema.validate(make())
    write(make(), tmp_path / "reports")
    assert {file.name for file in (tmp_path / "reports").iterdir()} == {*FILES}
    assert json.loads((tmp_path / "reports" / "verdict.json").read_text("utf-8")) == make()


def test_control_characters_are_escaped(tmp_path: Path, hostile: Verdict) -> None:
    """Lone surrogates and control characters from the backend are escaped in all report files."""
    write(hostile, tmp_path)
    for name in FILES:
        text = (tmp_path / name).read_text("utf-8")
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", text), name
    ET.parse(tmp_path / "junit.xml")  # noqa: S314 - a trusted file


def suite_of(verdict: Verdict) -> ET.Element:
    """Return the test suite in the verdict's JUnit report."""
    return ET.fromstring(render("junit.xml", verdict))[0]  # noqa: S314 - a trusted file


def test_junit_report_has_a_case_for_each_promise() -> None:
    """Each promise becomes a test case with its docstring, clause and source as properties."""
    verdict = broken()
    cases = suite_of(verdict).findall("testcase")
    for case, promise in zip(cases, verdict["promises"], strict=True):
        assert case.get("name") == promise["name"]
        for name in ("sentence", "clause", "source", "outcome"):
            [item] = case.findall(f"properties/property[@name='{name}']")
            assert item.get("value") == promise[name]


def test_junit_has_failures_only_for_decisive_findings() -> None:
    """Findings that fail the run become failures.

    Promises that have only other findings, or that were not tested, become skipped tests.
    """
    suite = suite_of(broken())
    failures = suite.findall("testcase/failure")
    assert suite.get("failures") == str(len(failures)) == "5"
    assert suite.get("skipped") == "2"
    text = "".join(failures[0].itertext())
    assert "expected: 400, 403, 413 or 415, and no update\ngot: 200: the update" in text
    assert "curl -i -X PUT http://127.0.0.1:8000/ai/llm/" in text


def test_junit_report_with_missing_results() -> None:
    """Untested promises are reported as skipped or, with --require-all, as errors.

    A missing verdict is reported as an error, and an accepted deviation as skipped, with the
    finding's title.
    """
    verdict = not_tested()
    assert suite_of(verdict).get("errors") == "7"
    verdict["selection"]["require_all"] = False
    suite = suite_of(verdict)
    assert (suite.get("skipped"), suite.get("errors")) == ("7", "0")
    verdict = no_verdict()
    [error] = suite_of(verdict).findall("testcase/error")
    assert error.get("message") == f"{verdict['reason']} {verdict['cure']}"
    [skipped] = suite_of(accepted()).findall("testcase/skipped")
    message = "accepted deviation: An update with a READ member's token: got 200"
    assert skipped.get("message") == message


def annotations(verdict: Verdict) -> str:
    """Return the workflow commands that annotate a GitHub job."""
    return render("annotations.txt", verdict)


def test_annotations_have_a_level() -> None:
    """Findings that fail the run are errors, other findings are warnings, and notes are notices.

    If there is no verdict or a required promise is untested, an annotation gives the reason.
    """
    lines = annotations(broken()).splitlines()
    levels = Counter(line.partition(" ")[0] for line in lines)
    assert levels == {"::error": 6, "::warning": 1, "::notice": 1}
    title = "`key`%3A 8%2C193 characters (`maxLength` is 8%2C192)%3A got 200"
    assert lines[6].startswith(f"::error title={title}::expected: 400%0Agot: 200")
    assert "%0Aseen in: 17 requests%0Aid: lengths/key-maxLength/200" in lines[6]
    assert annotations(no_verdict()).startswith("::error title=No verdict::GET and PUT")
    untested = annotations(not_tested())
    assert untested.startswith("::error title=Not all promises were tested::--require-all: 7")


def test_backend_text_cannot_start_a_workflow_command(hostile: Verdict) -> None:
    """Plain or percent-encoded line breaks from the backend cannot start a workflow command."""
    lines = annotations(hostile).splitlines()
    assert len(lines) == len(hostile["findings"])
    for line in lines:
        assert re.match("::(error|warning|notice) title=[^,:]*::", line)
    assert "%250A" in lines[0]


def test_markdown_shows_findings() -> None:
    """The summary shows the result, a table of findings by source, and each finding in detail.

    It lists missing variables; if there is no verdict, it shows the remedy.
    """
    html = MarkdownIt().enable("table").render(render("verdict.md", broken()))
    assert "<h2>The contract is broken</h2>" in html
    assert html.count("<h3>") == len(broken()["findings"]) + 1  # and the untested promises
    assert html.count("<pre><code>curl") == 8
    assert "<td>page</td>" in html
    assert "<li>sent: a body that is not JSON, after <code>{}</code></li>" in html
    hidden = "hidden by access-levels/READ/200: test_headers_do_not_grant_access[READ]"
    assert f"<li>1 promise: {hidden}</li>" in html
    html = MarkdownIt().render(render("verdict.md", not_tested()))
    assert "<h2>Not all promises were tested</h2>" in html
    assert "<code>FLASHBACK_READER_TOKEN</code>: a token for a READ member" in html
    html = MarkdownIt().render(render("verdict.md", no_verdict()))
    assert "<h2>No verdict</h2>" in html
    assert "Give the URL of the API itself with --backend-url." in html


def test_markdown_shows_backend_text_literally(hostile: Verdict) -> None:
    """Text from the backend is escaped, so it cannot create links, mentions or HTML."""
    html = MarkdownIt().enable("table").render(render("verdict.md", hostile))
    assert not re.search("<(img|a|script)\\b", html)
    assert "\\@octocat" in render("verdict.md", hostile)


def test_details_include_the_reason_for_accepting_a_finding() -> None:
    """Text reports show why a finding is accepted, and how to repeat its examples, if any."""
    verdict = accepted()
    [finding] = verdict["findings"]
    details = dict(words.facts(verdict, finding))
    assert finding["accepted"]["reason"] in details["accepted"]
    assert details["rerun with"].startswith("-k")
    finding["examples"] = []
    assert "rerun with" not in dict(words.facts(verdict, finding))


def test_written_deviations_keep_accepted_entries() -> None:
    """--write-deviations does not change existing entries, even if they contain unusual text."""
    verdict = accepted()
    id = verdict["findings"][0]["id"]
    entry = {"reason": "gelé\u00a0: 'x' \"y\" \u2028 \U0001f600", "link": "https://a", "date": ""}
    context = {"host": "a:1", "never_accepted": "none", "accepted": {id: entry}}
    text = render("deviations.yaml", verdict, **context)
    assert yaml.safe_load(text)["a:1"][0] == {"finding": id, **entry}

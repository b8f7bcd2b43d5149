"""Tests for accepted deviations, the sources of findings, and the --again option."""

from pathlib import Path

import pytest
import yaml

from flashback_mock import Mock
from tests.faults.backend import Change, call, serving
from tests.faults.changes import on, promote, reply
from tests.faults.faults import FAULTS
from tests.faults.messages import Answer, page, rejected
from tests.faults.runner import Names, RunResult, run_on, run_with_changes, run_with_url

READER = "test_reader_cannot_update"
NO_TOKEN = "test_bad_token_answers_401[missing]"
AI_TYPE = "test_invalid_value_answers_400[aiType]"
URL = "http://127.0.0.1:1"  # these runs end before they send a request
VARIABLES = {"FLASHBACK_TOKEN": "owner-token"}
ENTRY = """- finding: {id}
  reason: until roles are implemented
  link: https://tracker.example/1
  date: 2026-11-26"""

readers_can_update = promote("reader", lambda is_for: is_for("main"))
strangers_can_update = promote("stranger", lambda is_for: is_for("main"))
reject_reader = reply(404, lambda role, is_for: role == "reader" and is_for("sibling"))


@pytest.fixture
def known(tmp_path: Path) -> Path:
    """Return the path of a deviations file."""
    return tmp_path / "known.yaml"


def run_accepting(
    known: Path, id: str, mock: Mock, *options: str, promises: Names = ""
) -> RunResult:
    """Run the tests with a deviations file that accepts the finding with this id."""
    known.write_text(f"{mock.base_url.removeprefix('http://')}:\n{ENTRY.format(id=id)}")
    return run_on(mock, "--deviations", str(known), *options, promises=promises)


def test_accepted_finding_does_not_fail_the_run(known: Path) -> None:
    """An accepted finding does not fail the run, and the output shows why it was accepted.

    Another finding for the same promise still fails the run.
    """
    with serving(readers_can_update) as mock:
        result = run_accepting(known, "access-levels/READ/200", mock, promises=READER)
    assert result.status == 0, result.output
    assert result.verdict["result"] == "kept except for accepted deviations"
    assert result.promise(READER)["outcome"] == "accepted"
    assert "until roles are implemented" in result.output
    with serving(readers_can_update, reject_reader) as mock:
        result = run_accepting(known, "access-levels/READ/200", mock, promises=READER)
    assert result.status == 1
    assert result.ids == ["access-levels/READ/404"]


def test_written_entries_have_comments(known: Path) -> None:
    """--write-deviations writes each finding's title and clause as comments above its entry."""
    leak = on(
        401,
        lambda tokens, answer: answer.set_header("WWW-Authenticate", tokens["reader"] + "\x85 x"),
    )
    options = ("--write-deviations", str(known))
    with serving(readers_can_update, leak) as mock:
        run_on(mock, *options, promises=(READER, NO_TOKEN))
        text = known.read_text("utf-8")
        run_on(mock, *options, promises="test_missing_body")
    title, clause, entry = text.splitlines()[3:6]
    assert title == "# An update with a READ member's token: got 200"
    assert clause.startswith(
        "# access-levels (vendor): Updating requires `WRITE` or `ADMIN` access"
    )
    assert entry == "- finding: access-levels/READ/200"
    assert "header of a 401 response: got `${FLASHBACK_READER_TOKEN}" in text
    assert mock.tokens["reader"] not in text
    assert yaml.safe_load(text).keys() == {mock.base_url.removeprefix("http://")}
    assert [*yaml.safe_load(known.read_text("utf-8")).values()] == [[]]


@pytest.mark.parametrize(
    ("response", "id"),
    [
        (rejected(422), "statuses/undocumented/422"),
        (Answer(400, b"wrong"), "error-response/json/not-strict"),
    ],
)
def test_undocumented_response_can_be_accepted(known: Path, response: Answer, id: str) -> None:
    """A deviations file can allow an undocumented status or a body that is not JSON."""
    with serving(on(400, lambda answer: answer.replace_with(response))) as mock:
        result = run_accepting(known, id, mock, promises=AI_TYPE)
    assert result.status == 0, result.output
    assert result.promise(AI_TYPE)["outcome"] == "accepted"


@pytest.mark.parametrize(
    ("fault", "id", "promise"),
    [
        ("reader_can_update", "access-levels/READ/200", "test_headers_do_not_grant_access[READ]"),
        ("duplicate_names_are_accepted", "unique-names/taken/200", "test_different_names"),
    ],
)
def test_promise_hidden_by_an_accepted_finding_is_accepted(
    known: Path, fault: str, id: str, promise: str
) -> None:
    """Even with --require-all, accepting a finding also accepts the promises that it hides."""
    with serving(FAULTS[fault].change) as mock:
        result = run_accepting(known, id, mock, "--require-all", promises=promise)
    assert result.status == 0, result.output
    [entry] = result.verdict["promises"]
    assert entry["outcome"] == "accepted"
    assert entry["reason"] == f"hidden by the accepted finding {id}"


def test_promise_whose_only_responses_are_an_accepted_note_is_accepted(known: Path) -> None:
    """A page from a firewall does not show that the endpoint would have rejected the value."""
    firewall = on(400, lambda answer: answer.replace_with(page(400, "<hr>ModSecurity")))
    id = "before-the-application/rejected/400-before-the-endpoint"
    promises = ("test_invalid_value_answers_400[a", "test_invalid_value_answers_400[n")
    with serving(firewall) as mock:
        result = run_accepting(known, id, mock, "--require-all", promises=promises)
    assert result.status == 0, result.output
    assert {entry["outcome"] for entry in result.verdict["promises"]} == {"accepted"}


def test_deviation_that_no_longer_occurs_fails_the_run(known: Path) -> None:
    """A run fails if it checks the rule of an accepted finding and the finding does not occur.

    The failure belongs to the promise that checked the rule, or to one that covers its clause.
    """
    with serving() as mock:
        result = run_accepting(known, "access-levels/READ/200", mock, "-k", READER)
        unrelated = run_accepting(known, "access-levels/READ/200", mock, "-k", "idempotent")
        checked = run_accepting(known, "lengths/key-maxLength/200", mock, "-k", "READ or value")
        misspelled = run_accepting(known, "other-media-type/none/20", mock, "-k", "READ or media")
    assert result.status == 1
    assert "got no finding with this id; remove the entry from the file" in result.output
    assert unrelated.status == 0, unrelated.output
    [finding] = checked.findings
    assert finding["promise"] == "test_invalid_value_answers_400[key]"
    [finding] = misspelled.findings
    assert finding["promise"] == "test_other_media_type_is_rejected"


def test_backend_that_needs_no_token_always_fails(known: Path, tmp_path: Path) -> None:
    """If a backend accepts requests without a token, the run fails regardless of its options."""
    id = "authentication/no-token/200"
    promises = (NO_TOKEN, "test_no_header")
    with serving(promote("")) as mock:
        file = tmp_path / "all.yaml"
        first = run_on(mock, "--write-deviations", str(file), promises=promises)
        text = file.read_text("utf-8")
        text = text.replace('reason: ""', "reason: x").replace('link: ""', "link: x")
        file.write_text(text.replace('date: ""', "date: 2026-11-26"))
        accepted = run_on(mock, "--deviations", str(file), promises=promises)
        by_hand = run_accepting(known, id, mock, promises=promises)
        options = ("--source", "ours", "--fail-on", "ours")
        other_source = run_on(mock, *options, promises="test_first_request")
    assert first.status == accepted.status == other_source.status == 1, accepted.output
    assert by_hand.status == 1
    assert id in accepted.ids
    assert other_source.ids == [id]


INVALID_ENTRIES = {
    "finding: challenge/WWW-Authenticate/missing": '"reason" is a required',
    "finding: no-clause/x/200, reason: x, link: x, date: 2026-11-26": "finding id",
    "finding: test_reader, reason: x, link: x, date: 2026-11-26": "finding id",
    "finding: alone/x/200, reason: x, link: x, date: soon": '"soon" is not a "date"',
    "finding: alone/x/200, reason: ' ', link: x, date: 2026-11-26": "reason: must not be empty",
}
INVALID_FILES = {
    "[": "while parsing",
    "[" * 10_000: "maximum recursion depth",
    "- 1": 'the document: ["1"] is not of type "object"',
    "localhost: []": "no entry for this backend",
    "127.0.0.1: []": "no entry for this backend",
    **{f"HOST: [{{{entry}}}]": message for entry, message in INVALID_ENTRIES.items()},
}


@pytest.mark.parametrize(("text", "message"), INVALID_FILES.items())
def test_invalid_deviations_file_prevents_a_verdict(known: Path, text: str, message: str) -> None:
    """With an invalid deviations file, the run exits with status 2 and prints the reason."""
    known.write_text(text.replace("HOST", '"127.0.0.1:1"'))
    result = run_with_url(URL, VARIABLES, "--deviations", str(known))
    assert result.status == 2
    assert message in result.output
    assert "known.yaml" in result.output


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "file not found"),
        ("[" * 100_000, "not a valid verdict"),
        ('{"promises": [], "seed": 1e999}', "not a valid verdict"),
        ('{"promises": [{"findings": [1]}], "seed": 1}', "not a valid verdict"),
        ('{"promises": [], "seed": 1}', "that run had no findings"),
    ],
)
def test_file_for_again_option_must_be_a_verdict_with_findings(
    tmp_path: Path, text: str | None, message: str
) -> None:
    """If the file for --again is unusable, the run exits with status 2 and says why."""
    if text is not None:
        (tmp_path / "verdict.json").write_text(text, "utf-8")
    result = run_with_url(URL, VARIABLES, "--report-dir", str(tmp_path), "--again")
    assert result.status == 2
    assert f"verdict.json: {message}" in result.output


def test_run_without_tests_keeps_the_earlier_verdict(reports: Path) -> None:
    """If no promise can be tested, the run says why and does not overwrite an earlier verdict."""
    options = ("--report-dir", str(reports))
    with serving(readers_can_update) as mock:
        run_on(mock, *options, promises=READER)
        verdict = (reports / "verdict.json").read_bytes()
        unknown = run_on(mock, *options, "-k", "no-promise")
        invalid = run_on(mock, *options, "-k", "names in a workspace")
        deselected = run_on(mock, *options, "--source", "page", promises=READER)
    stopped = run_with_url(mock.base_url, VARIABLES, *options, "--again")
    assert (reports / "verdict.json").read_bytes() == verdict
    for result in (unknown, invalid, deselected, stopped):
        assert result.status == 2, result.output
        assert "Reports:" not in result.output
    for result in (unknown, invalid):
        assert "use -k with a name that --list prints" in result.output
    assert "--source excludes all of this promise's requests" in deselected.output
    assert "does not respond" in stopped.output


def test_findings_can_be_limited_by_source() -> None:
    """--fail-on limits which findings fail the run; --source limits which ones are reported."""
    promises = (NO_TOKEN, "test_every_response[challenge]")
    with serving(FAULTS["challenge_is_missing"].change) as mock:
        with_fail_on = run_on(mock, "--fail-on", "page,vendor", promises=promises)
        with_source = run_on(mock, "--source", "page,vendor", promises=promises)
    assert with_fail_on.status == 0, with_fail_on.output
    assert with_fail_on.ids == ["challenge/WWW-Authenticate/missing"]
    assert with_fail_on.verdict["by_source"]["ours"]["broken"] == 1
    assert with_source.status == 0
    assert with_source.ids == []
    assert with_source.promise(NO_TOKEN)["outcome"] == "kept"


def test_sources_are_listed_in_the_order_of_the_documentation() -> None:
    """The verdict lists the sources in a fixed order, not in the order of the findings."""
    names = ("lower_case_scheme_returns_401", "unknown_types_with_other_fields", "numeric_types")
    changes = [FAULTS[name].change for name in names]
    result = run_with_changes(changes, promises=("test_scheme", AI_TYPE))
    assert result.verdict["findings"][0]["source"] == "ours"
    assert [*result.verdict["by_source"]] == ["page", "ours"]


def test_contradictory_options_prevent_a_verdict(known: Path) -> None:
    """A run has no verdict if its options contradict each other or would overwrite its input."""
    known.write_text("'127.0.0.1:1': []")
    never = run_with_url(URL, VARIABLES, "--source", "page", "--fail-on", "vendor,ours")
    files = ("--deviations", str(known), "--write-deviations", str(known))
    overwritten = run_with_url(URL, VARIABLES, *files)
    assert never.status == overwritten.status == 2
    assert "have no source in common" in never.output
    assert "would overwrite" in overwritten.output
    assert known.read_text() == "'127.0.0.1:1': []"


AGAIN: list[tuple[Change, Change, dict[str, str]]] = [
    (
        lambda request: readers_can_update(request) or strangers_can_update(request),
        strangers_can_update,
        {READER: "fixed", "test_stranger_cannot_update": "still broken"},
    ),
    # The second run uses the names that the first run released.
    (
        FAULTS["name_stays_taken_after_it_is_given_up"].change,
        lambda: None,
        {"test_name_that_was_given_up_is_free": "fixed"},
    ),
    # The promise is kept in the first round of the second run and broken in the next round.
    (
        readers_can_update,
        promote("reader", lambda count: count("second run") > 50),
        {READER: "flaky"},
    ),
]


@pytest.mark.parametrize(("before", "after", "expected"), AGAIN, ids=["fixed", "names", "flaky"])
def test_broken_promises_are_retested_with_again_option(
    reports: Path, before: Change, after: Change, expected: dict[str, str]
) -> None:
    """--again retests only the broken promises; it reports each as fixed, still broken or flaky."""
    changes = [before]
    with serving(lambda request: call(changes[-1], request)) as mock:
        first = run_on(mock, "--report-dir", str(reports), promises=tuple(expected))
        changes.append(after)
        again = run_on(mock, "--report-dir", str(reports), "--again")
    assert first.status == 1
    assert again.status == (0 if {*expected.values()} == {"fixed"} else 1)
    assert {entry["name"]: entry["again"] for entry in again.verdict["promises"]} == expected

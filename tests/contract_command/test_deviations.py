"""Tests for accepted deviations, the sources of findings, and the --again option."""

from pathlib import Path

import pytest

from flashback_mock import Mock
from tests.faults.backend import serving
from tests.faults.changes import on, promote, reply
from tests.faults.faults import FAULTS
from tests.faults.messages import Answer, Request, rejected
from tests.faults.runner import run_on, run_with_url

READER = "test_reader_cannot_update"
URL = "http://127.0.0.1:1"  # these runs end before they send a request
VARIABLES = {"FLASHBACK_TOKEN": "owner-token"}

readers_can_update = promote("reader", lambda is_for: is_for("main"))
strangers_can_update = promote("stranger", lambda is_for: is_for("main"))
ENTRY = """- finding: {id}
  reason: until roles are implemented
  link: https://tracker.example/1
  date: 2026-11-26"""


def accepting(mock: Mock, file: Path, id: str) -> tuple[str, str]:
    """Write a deviations file that accepts a finding; return the option that selects the file."""
    file.write_text(f"{host_of(mock)}:\n{ENTRY.format(id=id)}")
    return ("--deviations", str(file))


def host_of(mock: Mock) -> str:
    """Return the host and port, which identify the backend in a deviations file."""
    return mock.base_url.removeprefix("http://")


@pytest.fixture
def known(tmp_path: Path) -> Path:
    """Return the path of a deviations file."""
    return tmp_path / "known.yaml"


def test_accepted_finding_does_not_fail_the_run(known: Path) -> None:
    """An accepted finding does not fail the run, and the output shows why it was accepted."""
    with serving(readers_can_update) as mock:
        accepted = accepting(mock, known, "access-levels/READ/200")
        result = run_on(mock, *accepted, promises=READER)
    assert result.status == 0, result.output
    assert result.verdict["result"] == "kept except for accepted deviations"
    assert result.promise(READER)["outcome"] == "accepted"
    assert "until roles are implemented" in result.output


def test_other_finding_of_the_promise_fails_the_run(known: Path) -> None:
    """An entry in a deviations file accepts one finding, not all findings for the promise."""
    reject_sibling = reply(404, lambda role, is_for: role == "reader" and is_for("sibling"))
    with serving(readers_can_update, reject_sibling) as mock:
        accepted = accepting(mock, known, "access-levels/READ/200")
        result = run_on(mock, *accepted, promises=READER)
    assert result.status == 1
    assert result.ids == ["access-levels/READ/404"]


@pytest.mark.parametrize(
    ("response", "id"),
    [
        (rejected(422), "statuses/undocumented/422"),
        (Answer(400, b"wrong"), "error-response/json/not-strict"),
    ],
)
def test_accepted_form_of_a_response_does_not_fail_the_run(
    known: Path, response: Answer, id: str
) -> None:
    """A deviations file can allow an undocumented status or a body that is not JSON."""
    promise = "test_invalid_value_answers_400[aiType]"
    with serving(on(400, lambda answer: answer.replace_with(response))) as mock:
        result = run_on(mock, *accepting(mock, known, id), promises=promise)
    assert result.status == 0, result.output
    assert result.promise(promise)["outcome"] == "accepted"


def test_fixed_deviation_fails_the_run(known: Path) -> None:
    """If an accepted finding no longer occurs, the run fails until the entry is removed."""
    with serving() as mock:
        accepted = accepting(mock, known, "access-levels/READ/200")
        result = run_on(mock, "-k", READER, *accepted)
        unrelated = run_on(mock, "-k", "idempotent", *accepted)
    assert result.status == 1
    assert "no longer occurs" in result.output
    assert unrelated.status == 0, unrelated.output


def test_open_backend_always_fails(known: Path, tmp_path: Path) -> None:
    """A backend that accepts requests without a token fails the run; no option prevents this."""
    id = "authentication/no-token/200"
    promises = ("test_bad_token_answers_401[missing]", "test_no_header")
    with serving(promote("")) as mock:
        file = tmp_path / "all.yaml"
        first = run_on(mock, "--write-deviations", str(file), promises=promises)
        text = file.read_text("utf-8")
        text = text.replace("reason: ''", "reason: x").replace("link: ''", "link: x")
        file.write_text(text.replace("date: ''", "date: 2026-11-26"))
        accepted = run_on(mock, "--deviations", str(file), promises=promises)
        by_hand = run_on(mock, *accepting(mock, known, id), promises=promises)
        options = ("--source", "ours", "--fail-on", "ours")
        other_source = run_on(mock, *options, promises="test_first_request")
    assert first.status == accepted.status == other_source.status == 1, accepted.output
    assert by_hand.status == 1
    assert id in accepted.ids
    assert other_source.ids == [id]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[", "while parsing"),
        ("[" * 10_000, "maximum recursion depth"),
        ("- 1", 'the document: ["1"] is not of type "object"'),
        ("HOST: [{finding: challenge/WWW-Authenticate/missing}]", '"reason" is a required'),
        ("HOST: [{finding: no-clause/x/200, reason: x, link: x, date: 2026-11-26}]", "finding id"),
        ("HOST: [{finding: test_reader, reason: x, link: x, date: 2026-11-26}]", "finding id"),
        (
            "HOST: [{finding: alone/x/200, reason: x, link: x, date: soon}]",
            '"soon" is not a "date"',
        ),
        (
            "HOST: [{finding: alone/x/200, reason: ' ', link: x, date: 2026-11-26}]",
            '" " does not match',
        ),
        ("localhost: []", "no entry for this backend"),
        ("127.0.0.1: []", "no entry for this backend"),
    ],
)
def test_invalid_deviations_file_has_no_verdict(known: Path, text: str, message: str) -> None:
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
        ('{"promises": [], "seed": 1}', "that run had no findings"),
    ],
)
def test_again_requires_a_verdict_with_findings(
    tmp_path: Path, text: str | None, message: str
) -> None:
    """If the file for --again is unusable, the run exits with status 2 and says why."""
    if text is not None:
        (tmp_path / "verdict.json").write_text(text, "utf-8")
    result = run_with_url(URL, VARIABLES, "--report-dir", str(tmp_path), "--again")
    assert result.status == 2
    assert f"verdict.json: {message}" in result.output


def test_sources_can_be_ignored() -> None:
    """--fail-on limits which findings fail the run; --source limits which ones are reported."""
    promise = "test_bad_token_answers_401[missing]"
    promises = (promise, "test_every_response[challenge]")
    with serving(FAULTS["challenge_is_missing"].change) as mock:
        with_fail_on = run_on(mock, "--fail-on", "page,vendor", promises=promises)
        with_source = run_on(mock, "--source", "page,vendor", promises=promises)
    assert with_fail_on.status == 0, with_fail_on.output
    assert with_fail_on.ids == ["challenge/WWW-Authenticate/missing"]
    assert with_fail_on.verdict["by_source"]["ours"]["broken"] == 1
    assert with_source.status == 0
    assert with_source.ids == []
    assert with_source.promise(promise)["outcome"] == "kept"


def test_contradictory_options_have_no_verdict(known: Path) -> None:
    """A run has no verdict if its options contradict each other or would overwrite its input."""
    known.write_text("'127.0.0.1:1': []")
    never = run_with_url(URL, VARIABLES, "--source", "page", "--fail-on", "vendor,ours")
    files = ("--deviations", str(known), "--write-deviations", str(known))
    overwritten = run_with_url(URL, VARIABLES, *files)
    assert never.status == overwritten.status == 2
    assert "except those about missing authentication" in never.output
    assert "would overwrite" in overwritten.output
    assert known.read_text() == "'127.0.0.1:1': []"


def test_again_repeats_broken_promises(reports: Path) -> None:
    """--again retests the broken promises and reports each one as fixed or still broken."""
    is_fixed = False

    def faulty(request: Request) -> None:
        strangers_can_update(request)
        if not is_fixed:
            readers_can_update(request)

    options = ("-k", "Access", "--report-dir", str(reports))
    with serving(faulty) as mock:
        first = run_on(mock, *options)
        is_fixed = True
        again = run_on(mock, *options, "--again")
    assert first.status == again.status == 1
    assert again.promise(READER)["again"] == "fixed"
    assert again.promise("test_stranger_cannot_update")["again"] == "still broken"
    assert len(again.verdict["promises"]) <= 3


def test_again_reports_a_fix_for_repeated_names(reports: Path) -> None:
    """--again reports a fix if the backend now accepts another configuration's former name."""
    is_fixed = False
    name_stays_taken = FAULTS["name_stays_taken_after_it_is_given_up"].change

    def faulty(request: Request) -> object:
        changed = name_stays_taken(request)
        return None if is_fixed else changed

    options = ("--report-dir", str(reports))
    with serving(faulty) as mock:
        first = run_on(mock, *options, promises="test_name_that_was_given_up")
        is_fixed = True
        again = run_on(mock, *options, "--again")
    assert (first.status, again.status) == (1, 0)
    assert again.verdict["promises"][0]["again"] == "fixed"


def test_again_reports_a_flaky_promise(reports: Path) -> None:
    """--again reports a promise as flaky if it is kept in one round and broken in the next."""
    requests = 0
    kept_until = 0

    def faulty(request: Request) -> None:
        nonlocal requests
        requests += request.role == "reader"
        if requests > kept_until:
            readers_can_update(request)

    options = ("--report-dir", str(reports))
    with serving(faulty) as mock:
        first = run_on(mock, *options, promises=READER)
        requests_per_round = first.promise(READER)["requests"]
        kept_until = requests + requests_per_round + 5
        again = run_on(mock, *options, "--again")
    assert first.status == again.status == 1
    assert again.promise(READER)["again"] == "flaky"

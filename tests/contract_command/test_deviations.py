"""Tests for accepted deviations, the sources of findings, and the --again option."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.contract_command.conftest import Backend, Contract
from tests.faults.messages import Answer, Request, refused

ENTRY = """- finding: {id}
  reason: until roles are implemented
  link: https://tracker.example/1
  date: 2026-11-26"""

Accept = Callable[..., tuple[str, str]]


@pytest.fixture
def accept(tmp_path: Path) -> Accept:
    """Return a function that writes a deviations file and returns the option that selects it."""

    def write(arguments: dict[str, str], id: str) -> tuple[str, str]:
        file = tmp_path / "known.yaml"
        file.write_text(f"{host_of(arguments)}:\n{ENTRY.format(id=id)}")
        return ("--deviations", str(file))

    return write


def host_of(arguments: dict[str, str]) -> str:
    """Return the host and port, which identify the backend in a deviations file."""
    return arguments["url"].removeprefix("http://")


def readers_may_update(request: Request) -> None:
    """Accept updates from readers."""
    if request.role == "reader" and request.id == request.ids["main"]:
        request.as_user("owner")


def test_accepted_finding_does_not_fail_the_run(
    contract: Contract, backend: Backend, accept: Accept
) -> None:
    """An accepted finding does not fail the run, and the output shows why it was accepted."""
    with backend(readers_may_update) as arguments:
        accepted = accept(arguments, "access-levels/READ/200")
        result = contract("-k", "test_reader_may", *accepted, **arguments)
    assert result.status == 0, result.output
    assert result.verdict["result"] == "kept except for accepted deviations"
    assert result.promise("test_reader_may_not_update")["outcome"] == "accepted"
    assert "until roles are implemented" in result.output


def test_other_finding_of_the_promise_fails_the_run(
    contract: Contract, backend: Backend, accept: Accept
) -> None:
    """An entry in a deviations file accepts one finding, not all findings for the promise."""

    def return_404_for_sibling(request: Request) -> Answer | None:
        readers_may_update(request)
        is_sibling = request.id == request.ids["sibling"] and request.role == "reader"
        return refused(404) if is_sibling else None

    with backend(return_404_for_sibling) as arguments:
        accepted = accept(arguments, "access-levels/READ/200")
        result = contract("-k", "test_reader_may", *accepted, **arguments)
    assert result.status == 1
    assert result.ids == ["access-levels/READ/404"]


@pytest.mark.parametrize(
    ("response", "id"),
    [
        (refused(422), "statuses/undocumented/422"),
        (Answer(400, b"wrong"), "error-response/json/not-strict"),
    ],
)
def test_accepted_form_of_a_response_does_not_fail_the_run(
    contract: Contract, backend: Backend, accept: Accept, response: Answer, id: str
) -> None:
    """A deviations file can allow an undocumented status or a body that is not JSON."""

    def replace_400(answer: Answer) -> None:
        if answer.status == 400:
            answer.replace_with(response)

    with backend(replace_400) as arguments:
        result = contract("-k", "aiType", *accept(arguments, id), **arguments)
    assert result.status == 0, result.output
    assert result.promise("test_invalid_value_answers_400[aiType]")["outcome"] == "accepted"


def test_fixed_deviation_fails_the_run(
    contract: Contract, backend: Backend, accept: Accept
) -> None:
    """If an accepted finding no longer occurs, the run fails until the entry is removed."""
    with backend() as arguments:
        accepted = accept(arguments, "access-levels/READ/200")
        result = contract("-k", "test_reader_may", *accepted, **arguments)
        unrelated = contract("-k", "idempotent", *accepted, **arguments)
    assert result.status == 1
    assert "no longer occurs" in result.output
    assert unrelated.status == 0, unrelated.output


def test_open_backend_always_fails(
    contract: Contract, backend: Backend, accept: Accept, tmp_path: Path
) -> None:
    """A backend that accepts requests without a token fails the run; no option prevents this."""

    def accept_without_token(request: Request) -> None:
        if not request.role:
            request.as_user("owner")

    with backend(accept_without_token) as arguments:
        file = tmp_path / "all.yaml"
        selection = ("-k", "Authentication or Access")
        first = contract(*selection, "--write-deviations", str(file), **arguments)
        text = file.read_text("utf-8")
        text = text.replace("reason: ''", "reason: x").replace("link: ''", "link: x")
        file.write_text(text.replace("date: ''", "date: 2026-11-26"))
        accepted = contract(*selection, "--deviations", str(file), **arguments)
        other_source = contract(
            "-k", "idempotent", "--source", "ours", "--fail-on", "ours", **arguments
        )
        refused_entry = contract(*accept(arguments, "authentication/no-token/200"), **arguments)
    assert first.status == accepted.status == other_source.status == 1, accepted.output
    assert "authentication/no-token/200" in accepted.ids
    assert other_source.ids == ["authentication/no-token/200"]
    assert refused_entry.status == 2
    assert "missing authentication cannot be accepted" in refused_entry.output


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[", "while parsing"),
        ("- 1", 'is not of type "object"'),
        ("HOST: []\nHOST: []", "duplicate key"),
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
        (
            "HOST: [&entry {finding: alone/x/200, reason: x, link: x, date: 2026-11-26}, *entry]",
            "alone/x/200 is listed twice",
        ),
        ("localhost: []", "no entry for this backend"),
        ("127.0.0.1: []", "no entry for this backend"),
    ],
)
def test_invalid_deviations_file_has_no_verdict(
    contract: Contract, backend: Backend, tmp_path: Path, text: str, message: str
) -> None:
    """With an invalid deviations file, the run exits with status 2 and prints the reason."""
    file = tmp_path / "known.yaml"
    with backend() as arguments:
        file.write_text(text.replace("HOST", f'"{host_of(arguments)}"'))
        result = contract("--deviations", str(file), **arguments)
    assert result.status == 2
    assert message in result.output
    assert "known.yaml" in result.output


@pytest.mark.parametrize("text", ["[" * 100_000, '{"promises": [], "seed": 1e999}'])
def test_again_requires_a_verdict(
    contract: Contract, backend: Backend, tmp_path: Path, text: str
) -> None:
    """If the file for --again is not a verdict, the run exits with status 2 and names the file."""
    file = tmp_path / "other.json"
    file.write_text(text, "utf-8")
    with backend() as arguments:
        result = contract("--again", str(file), **arguments)
    assert result.status == 2
    assert "other.json: not a valid verdict" in result.output
    assert "Traceback" not in result.output


def test_sources_can_be_ignored(contract: Contract, backend: Backend) -> None:
    """--fail-on limits which findings fail the run; --source limits which ones are reported."""

    def drop_challenge(answer: Answer) -> None:
        answer.drop_header("WWW-Authenticate")

    with backend(drop_challenge) as arguments:
        options = ("-k", "test_bad_token or challenge")
        with_fail_on = contract(*options, "--fail-on", "page,vendor", **arguments)
        with_source = contract(*options, "--source", "page,vendor", **arguments)
    assert with_fail_on.status == 0, with_fail_on.output
    assert with_fail_on.ids == ["challenge/WWW-Authenticate/missing"]
    assert with_fail_on.verdict["by_source"]["ours"]["broken"] == 1
    assert with_source.status == 0
    assert with_source.ids == []
    assert with_source.promise("test_bad_token_answers_401[missing]")["outcome"] == "kept"


def test_again_repeats_broken_promises(contract: Contract, backend: Backend) -> None:
    """--again retests the broken promises and reports each one as fixed or still broken."""
    is_fixed = False

    def faulty(request: Request) -> None:
        if request.role == "stranger" and request.id == request.ids["main"]:
            request.as_user("owner")
        if not is_fixed:
            readers_may_update(request)

    with backend(faulty) as arguments:
        first = contract("-k", "Access", **arguments)
        is_fixed = True
        again = contract("--again", **arguments)
    assert first.status == again.status == 1
    assert again.promise("test_reader_may_not_update")["again"] == "fixed"
    assert again.promise("test_stranger_may_not_update")["again"] == "still broken"
    assert len(again.verdict["promises"]) <= 3


def test_again_reports_a_fix_for_repeated_names(
    contract: Contract, backend: Backend, reports: Path
) -> None:
    """--again reports a fix if the backend now accepts another configuration's former name."""
    id_by_name: dict[str, str] = {}
    is_fixed = False

    def refuse_names_of_other_ids(request: Request) -> Answer | None:
        name = request.name
        first_id = id_by_name.setdefault(name, request.id)
        return refused(400) if name and first_id != request.id and not is_fixed else None

    with backend(refuse_names_of_other_ids) as arguments:
        first = contract("-k", "test_name_that_was_given_up", **arguments)
        is_fixed = True
        again = contract("--again", str(reports / "verdict.json"), **arguments)
    assert (first.status, again.status) == (1, 0)
    assert again.verdict["promises"][0]["again"] == "fixed"


def test_again_needs_an_earlier_finding(contract: Contract, backend: Backend) -> None:
    """If the earlier run had no findings, --again exits with status 2 and says so."""
    with backend() as arguments:
        contract("-k", "test_member_may_update", **arguments)
        again = contract("--again", **arguments)
    assert again.status == 2
    assert "that run had no findings" in again.output


def test_again_reports_a_flaky_promise(contract: Contract, backend: Backend, reports: Path) -> None:
    """--again reports a promise as flaky if it is kept in one round and broken in the next."""
    requests = 0
    kept_until = 0

    def faulty(request: Request) -> None:
        nonlocal requests
        requests += request.role == "reader"
        if requests > kept_until:
            readers_may_update(request)

    with backend(faulty) as arguments:
        first = contract("-k", "test_reader_may", **arguments)
        requests_per_round = first.verdict["promises"][0]["requests"]
        kept_until = requests + requests_per_round + 5
        again = contract("--again", str(reports / "verdict.json"), **arguments)
    assert first.status == again.status == 1
    assert again.verdict["promises"][0]["again"] == "flaky"

"""Accepted deviations, the sources of findings, and runs with --again."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.contract_command.conftest import Backend, Contract
from tests.faults.messages import Answer, Request, refused

ENTRY = """- finding: {id}
  reason: until the roles are done
  link: https://tracker.example/1
  date: 2026-11-26"""


Accept = Callable[..., tuple[str, str]]


@pytest.fixture
def accept(tmp_path: Path) -> Accept:
    """Write a deviations file that accepts some findings; return the option that names it."""

    def write(given: dict[str, str], *ids: str) -> tuple[str, str]:
        file = tmp_path / "known.yaml"
        entries = [ENTRY.format(id=id) for id in ids]
        file.write_text("\n".join([f"{host_of(given)}:", *entries]))
        return ("--deviations", str(file))

    return write


def host_of(given: dict[str, str]) -> str:
    """Return the host and port of the backend, which are its key in a deviations file."""
    return given["url"].removeprefix("http://")


def readers_may_update(request: Request) -> None:
    """Let readers update."""
    if request.role == "reader" and request.id == request.ids["main"]:
        request.as_user("owner")


def test_accepted_finding_does_not_fail_the_run(
    contract: Contract, backend: Backend, accept: Accept
) -> None:
    """An accepted finding does not fail the run, and the verdict shows the reason."""
    with backend(before=readers_may_update) as given:
        accepted = accept(given, "access-levels/READ/200")
        done = contract("-k", "test_reader_may", *accepted, **given)
    assert done.status == 0, done.output
    assert done.verdict["result"] == "kept except for accepted deviations"
    assert done.promise("test_reader_may_not_update")["outcome"] == "accepted"
    assert "until the roles are done" in done.output


def test_other_finding_of_the_promise_fails_the_run(
    contract: Contract, backend: Backend, accept: Accept
) -> None:
    """An entry accepts one finding, not every finding of its promise."""

    def answer_401(request: Request) -> Answer | None:
        readers_may_update(request)
        at_sibling = request.id == request.ids["sibling"] and request.role == "reader"
        return refused(404) if at_sibling else None

    with backend(before=answer_401) as given:
        accepted = accept(given, "access-levels/READ/200")
        done = contract("-k", "test_reader_may", *accepted, **given)
    assert done.status == 1
    assert done.ids == ["access-levels/READ/404"]


@pytest.mark.parametrize(
    ("refusal", "id"),
    [
        (refused(422), "statuses/undocumented/422"),
        (Answer(400, b"wrong"), "error-response/json/not-strict"),
    ],
)
def test_accepted_form_of_a_response_does_not_fail_the_run(
    contract: Contract, backend: Backend, accept: Accept, refusal: Answer, id: str
) -> None:
    """An undocumented status or a body that is not JSON can be accepted."""

    def refuse_in_another_form(_: Request, answer: Answer) -> None:
        if answer.status == 400:
            answer.replace_with(refusal)

    with backend(after=refuse_in_another_form) as given:
        done = contract("-k", "aiType", *accept(given, id), **given)
    assert done.status == 0, done.output
    assert done.promise("test_invalid_value_answers_400[aiType]")["outcome"] == "accepted"


def test_fixed_deviation_fails_the_run(
    contract: Contract, backend: Backend, accept: Accept
) -> None:
    """An accepted finding that no longer occurs fails the run until its entry is removed."""
    with backend() as given:
        accepted = accept(given, "access-levels/READ/200")
        done = contract("-k", "test_reader_may", *accepted, **given)
        unrelated = contract("-k", "idempotent", *accepted, **given)
    assert done.status == 1
    assert "no longer occurs" in done.output
    assert unrelated.status == 0, unrelated.output


def test_open_backend_always_fails(
    contract: Contract, backend: Backend, accept: Accept, tmp_path: Path
) -> None:
    """A backend that accepts requests without a token fails, with any options."""

    def open_door(request: Request) -> None:
        if not request.role:
            request.as_user("owner")

    with backend(before=open_door) as given:
        file = tmp_path / "all.yaml"
        selection = ("-k", "Authentication or Access")
        first = contract(*selection, "--write-deviations", str(file), **given)
        text = file.read_text("utf-8")
        text = text.replace("reason: ''", "reason: x").replace("link: ''", "link: x")
        file.write_text(text.replace("date: ''", "date: 2026-11-26"))
        accepted = contract(*selection, "--deviations", str(file), **given)
        other_source = contract(
            "-k", "idempotent", "--source", "ours", "--fail-on", "ours", **given
        )
        refused_entry = contract(*accept(given, "authentication/no-token/200"), **given)
    assert first.status == accepted.status == other_source.status == 1, accepted.output
    assert "authentication/no-token/200" in accepted.ids
    assert other_source.ids == ["authentication/no-token/200"]
    assert refused_entry.status == 2
    assert "missing authentication cannot be accepted" in refused_entry.output


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[", "cannot be read"),
        ("- 1", "expected a mapping of hosts"),
        ("HOST: [{finding: challenge/WWW-Authenticate/missing}]", "missing reason, link, date"),
        ("HOST: [{finding: no-clause/x/200, reason: x, link: x, date: 2026-11-26}]", "not the id"),
        ("HOST: [{finding: test_reader, reason: x, link: x, date: 2026-11-26}]", "not the id"),
        ("HOST: [{finding: alone/x/200, reason: x, link: x, date: soon}]", "expected a date"),
        ("localhost: []", "no entry for this backend"),
        ("127.0.0.1: []", "no entry for this backend"),
    ],
)
def test_invalid_file_has_no_verdict(
    contract: Contract, backend: Backend, tmp_path: Path, text: str, complaint: str
) -> None:
    """A file that is invalid or has no entry for the backend exits with 2 and a reason."""
    file = tmp_path / "known.yaml"
    with backend() as given:
        file.write_text(text.replace("HOST", f'"{host_of(given)}"'))
        done = contract("--deviations", str(file), **given)
    assert done.status == 2
    assert complaint in done.output
    assert "known.yaml" in done.output


def test_sources(contract: Contract, backend: Backend) -> None:
    """--fail-on ignores findings of other sources in the exit status, and --source skips them."""

    def no_challenge(_: Request, answer: Answer) -> None:
        answer.drop_header("WWW-Authenticate")

    with backend(after=no_challenge) as given:
        options = ("-k", "test_bad_token or challenge")
        judged = contract(*options, "--fail-on", "page,vendor", **given)
        selected = contract(*options, "--source", "page,vendor", **given)
    assert judged.status == 0, judged.output
    assert judged.ids == ["challenge/WWW-Authenticate/missing"]
    assert judged.verdict["by_source"]["ours"]["broken"] == 1
    assert selected.status == 0
    assert selected.ids == []
    assert selected.promise("test_bad_token_answers_401[missing]")["outcome"] == "kept"


def test_again_repeats_broken_promises(contract: Contract, backend: Backend) -> None:
    """--again repeats the broken promises, and says which ones are fixed or still broken."""
    is_fixed = False

    def faulty(request: Request) -> None:
        if request.role == "stranger" and request.id == request.ids["main"]:
            request.as_user("owner")
        if not is_fixed:
            readers_may_update(request)

    with backend(before=faulty) as given:
        first = contract("-k", "Access", **given)
        is_fixed = True
        again = contract("--again", **given)
    assert first.status == again.status == 1
    became = {promise["name"]: promise["again"] for promise in again.verdict["promises"]}
    assert became["test_reader_may_not_update"] == "fixed"
    assert became["test_stranger_may_not_update"] == "still broken"
    assert len(became) <= 3


def test_repeated_name_is_fixed(contract: Contract, backend: Backend, reports: Path) -> None:
    """--again reports a fix although the repeated seed uses the same names again."""
    kept: dict[str, str] = {}
    is_fixed: list[bool] = []

    def keep_names(request: Request) -> Answer | None:
        name = request.name
        owner = kept.setdefault(name, request.id)
        return refused(400) if name and owner != request.id and not is_fixed else None

    with backend(before=keep_names) as given:
        first = contract("-k", "test_name_that_was_given_up", **given)
        is_fixed.append(True)
        again = contract("--again", str(reports / "verdict.json"), **given)
    assert (first.status, again.status) == (1, 0)
    assert again.verdict["promises"][0]["again"] == "fixed"


def test_again_needs_an_earlier_finding(contract: Contract, backend: Backend) -> None:
    """If the earlier run had no finding, --again says so and gives no verdict."""
    with backend() as given:
        contract("-k", "test_member_may_update", **given)
        again = contract("--again", **given)
    assert again.status == 2
    assert "that run had no findings" in again.output


def test_again_reports_a_flaky_promise(contract: Contract, backend: Backend, reports: Path) -> None:
    """A promise is flaky if --again first keeps and then breaks it."""
    state = {"readers": 0, "faulty from": 0}

    def faulty(request: Request) -> None:
        state["readers"] += request.role == "reader"
        if state["readers"] > state["faulty from"]:
            readers_may_update(request)

    with backend(before=faulty) as given:
        first = contract("-k", "test_reader_may", **given)
        round_of_requests = first.verdict["promises"][0]["requests"]
        state["faulty from"] = state["readers"] + round_of_requests + 5
        again = contract("--again", str(reports / "verdict.json"), **given)
    assert first.status == again.status == 1
    assert again.verdict["promises"][0]["again"] == "flaky"

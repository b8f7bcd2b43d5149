"""Tests that the contract tests detect every fault and accept correct backends."""

import contextlib
from unittest.mock import patch

import pytest

from support.options import BROKEN, KEPT
from support.wire import Wire
from tests.faults.backend import serving
from tests.faults.changes import on, when
from tests.faults.correct import CORRECT, ids_are_compared_as_uuids
from tests.faults.faults import FAULTS
from tests.faults.messages import RETRY_NOW, Answer, Request, page, rejected
from tests.faults.runner import all_promises, run_on, run_with_changes


@pytest.mark.parametrize("name", FAULTS)
def test_fault_breaks_a_promise(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("support.promise.BUDGET_PER_PROMISE", 0.0)  # stop at the first finding
    fault = FAULTS[name]
    result = run_with_changes([fault.change], "--timeout", "5", promises=fault.promises)
    assert result.status == BROKEN, result.output


@pytest.mark.parametrize("name", CORRECT)
def test_correct_backend_keeps_every_promise(name: str) -> None:
    result = run_with_changes(CORRECT[name], "--max-examples", "5", "--require-all")
    assert result.ids == [], result.output
    assert result.status == KEPT, result.output


def test_backend_may_return_an_uppercase_uuid_in_lowercase() -> None:
    with serving(ids_are_compared_as_uuids) as mock:
        result = run_on(mock, "--id", mock.ids["main"].upper(), promises="test_member")
    assert result.status == KEPT, result.output


def test_page_of_a_proxy_does_not_keep_the_promises_about_fields() -> None:
    """A proxy's 400 page keeps only promises about bodies that a proxy might be unable to parse."""
    change = on(400, lambda answer: answer.replace_with(page(400, "<hr><center>nginx</center>")))
    names = ("test_unreadable_body", "test_missing_body", "test_invalid", "test_unknown_field")
    result = run_with_changes([change], promises=names)
    assert result.ids == [], result.output
    outcomes = {entry["name"]: entry["outcome"] for entry in result.verdict["promises"]}
    kept = {name for name, outcome in outcomes.items() if outcome == "kept"}
    assert kept == {name for name in outcomes if "_body_" in name}, result.output


def test_verdict_says_that_requests_were_repeated() -> None:
    """Even if the contract is kept, the verdict says how many requests had to be repeated."""
    unavailable = page(503, "<h1>Service Unavailable</h1>", **RETRY_NOW)
    change = when(lambda count: count("any") % 10 == 9, lambda: unavailable)
    result = run_with_changes([change], promises="test_member_can_update")
    assert result.status == KEPT, result.output
    total = result.verdict["requests"]
    assert f" of {total} requests got 503 and were repeated" in result.output


def test_rate_limit_is_not_an_outage() -> None:
    """A backend that often returns 429 still gets a verdict."""
    change = when(lambda count: count("any") % 2, lambda: rejected(429, **RETRY_NOW))
    result = run_with_changes([change], promises="test_invalid_value")
    assert result.status == KEPT, result.output


def test_verdict_says_that_requests_got_no_response() -> None:
    """Even if the contract is kept, the verdict says how often a persistent connection was lost."""

    def reset_some(request: Request, answer: Answer) -> None:
        if request.count("any") % 10 == 9:
            answer.fault = "reset"

    result = run_with_changes([reset_some], promises="test_member_can_update")
    assert result.status == KEPT, result.output
    assert f" of {result.verdict['requests']} requests got no response" in result.output


def test_backend_may_parse_a_numeric_id() -> None:
    def parse_id(request: Request) -> None:
        with contextlib.suppress(ValueError):  # not a number
            request.for_id(str(int(request.id)))

    with serving(parse_id) as mock:
        mock.add_configuration(id="17")
        result = run_on(mock, "--id", "17", promises="test_similar_id")
    assert result.status == KEPT, result.output


@pytest.mark.parametrize(("id", "others"), [("llm-12", ("llm-1", "llm-120")), ("main", ("new",))])
def test_similar_ids_cause_no_finding(id: str, others: tuple[str, ...]) -> None:
    with serving() as mock:
        for existing in (id, *others):
            mock.add_configuration(id=existing)
        result = run_on(mock, "--id", id, promises="test_similar_id")
    assert result.status == KEPT, result.output


def test_a_chunk_ends_inside_a_character() -> None:
    """The first chunk of an update ends inside a character, because some backends decode chunks."""
    with (
        serving() as mock,
        patch.object(Wire, "send", side_effect=Wire.send, autospec=True) as send,
    ):
        run_on(mock, promises="test_update_takes_effect")
    bodies = [call.args[1].chunks or [b""] for call in send.call_args_list]
    assert any(chunks[0].endswith(b"\xc3") for chunks in bodies)


def test_every_promise_has_its_own_fault() -> None:
    """For each promise, there is a fault whose `promises` prefix matches only that promise."""
    missing = {*all_promises()}
    for name, fault in FAULTS.items():
        promises = [promise for promise in all_promises() if promise.startswith(fault.promises)]
        assert promises, f"{name}: no promise's name starts with {fault.promises}"
        if len(promises) == 1:
            missing -= {*promises}
    assert not missing, f"promises without a fault: {missing}; add faults for them to tests/faults/"

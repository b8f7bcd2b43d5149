"""Tests for the mock's Python API: state, request log and assertions."""

import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import httpx
import pytest
from multidict import CIMultiDict

import flashback_mock
from flashback_client import FlashbackClient
from flashback_mock import Entry, Mock
from flashback_mock.http.messages import Request
from tests.mock.wire import MAIN, put
from tests.programs import run


def test_log_is_bounded(mock: Mock) -> None:
    """The log keeps the last 10,000 requests, and `/__admin` returns 1,000 of them by default."""
    for number in range(10_005):
        mock.log(Entry("PUT", str(number)))
    assert len(mock.requests) == 10_000
    assert mock.requests[0].request_id == "5"
    listed = httpx.get(f"{mock.base_url}/__admin/requests", trust_env=False).json()
    assert listed["total"] == 10_000
    assert len(listed["requests"]) == 1000
    assert listed["requests"][-1]["request_id"] == "10004"


def test_failed_assertion_lists_the_requests(http: httpx.Client, mock: Mock) -> None:
    """A failed `assert_updated` shows how the fields differ and lists the requests in order."""
    wrong = {"Authorization": "Bearer wrong"}
    http.put(MAIN, json={"nme": "x"})
    http.put(MAIN, json={"name": "new"}, headers=wrong)
    http.put(mock.ids["sibling"], json={"name": "sibling's"})
    http.put("unknown", json={"name": "new"})
    with pytest.raises(AssertionError) as failed:
        mock.assert_updated(MAIN, name="new", secret="expected")
    lines = [line.strip() for line in str(failed.value).splitlines()]
    assert lines[0] == f"configuration {MAIN} is not as expected:"
    assert lines[1] == "name: expected 'new', got 'OpenAI in production'"
    assert lines[2] == "secret: differs"
    assert lines[3] == "latest requests, oldest first:"
    assert "PUT 400 as owner: body: has an unknown field" in lines[4]
    assert lines[5].endswith(f"the token is unknown or expired (id {MAIN})")
    assert lines[6].endswith(f"PUT 200 as owner (name) (id {mock.ids['sibling']})")
    assert lines[7].endswith(f"PUT 404 as owner (name): {mock.contract.message(404)} (id unknown)")


def test_assert_updated_requires_an_update(mock: Mock) -> None:
    """`assert_updated` fails if the fixtures contain the value but no update has stored it."""
    name = mock.configuration(MAIN)["name"]
    mock.answer_next(200)
    with FlashbackClient() as client:
        client.update_ai_llm(MAIN, name=name)
        with pytest.raises(AssertionError, match="was not updated"):
            mock.assert_updated(MAIN, name=name)
        client.update_ai_llm(MAIN, name=name)
    mock.assert_updated(MAIN, name=name)
    with pytest.raises(AssertionError, match="key: was not updated"):
        mock.assert_updated(MAIN, key="made-up-access-key")
    sibling = mock.ids["sibling"]
    assert not mock.reveals(sibling, secret="never set")
    with pytest.raises(AssertionError, match="secret: is not set"):
        mock.assert_updated(sibling, secret="never set")


def test_waiting_returns_matching_requests(mock: Mock) -> None:
    """`wait_for` also counts earlier requests. A timeout error lists recent requests."""
    later = threading.Timer(0.3, put, (mock.base_url, MAIN, {"name": "later"}))
    put(mock.base_url, MAIN, {"name": "before"})
    later.start()
    entries = mock.wait_for(2, timeout=10, configuration=MAIN, status=200)
    assert [entry.updated for entry in entries] == [True, True]
    put(mock.base_url, MAIN, {"nme": "x"})
    with pytest.raises(TimeoutError) as timed_out:
        mock.wait_for(timeout=0.1, status=201, fields=["s3cret"], reason="s3cret")
    message = str(timed_out.value)
    assert message.startswith(
        "expected 1 request(s) matching the criteria (status, fields, reason) within 0.1 s, got 0"
    )
    assert "PUT 400 as owner: body: has an unknown field" in message
    assert "s3cret" not in message


def test_mock_stops_when_its_with_block_ends() -> None:
    """At the end of its `with` block, the mock stops; pending and later calls raise an error."""
    with ThreadPoolExecutor() as pool:
        with flashback_mock.running() as mock:
            waiting = pool.submit(mock.wait_for, timeout=60)
            time.sleep(0.2)
        for call in (partial(waiting.result, 10), mock.reset):
            with pytest.raises(RuntimeError, match="the mock has stopped; use it inside"):
                call()
    with pytest.raises(httpx.ConnectError):
        httpx.get(mock.base_url, trust_env=False)


MISUSES: list[tuple[Callable[[Any], object], str]] = [
    (lambda mock: mock.answer_sequence(), "no steps were given"),
    (lambda mock: mock.answer_next(429, status=500), "status: is specified twice"),
    (lambda mock: mock.add_configuration(aiType="AWS", ai_type="AWS"), "is specified twice"),
    (lambda mock: mock.add_configuration(name="\ud800"), "name: contains a lone surrogate"),
    (lambda mock: mock.add_member(""), "user: is required"),
    (
        lambda mock: mock.add_member("Zoë"),
        r"token: must be a bearer token of .* \(default: USER-token",
    ),
    (lambda mock: mock.answer_sequence(500), "a step must be a dict"),
    (lambda mock: setattr(mock, "delay", "1"), "delay: must be a number"),
    (lambda mock: mock.wait_for(time="12:00"), "time: must be of type datetime"),
    (lambda mock: mock.revoke_token("owner"), "token: .* a token such as owner-token, not a role"),
    (lambda mock: mock.add_member("a", access="ROOT"), "access: must be one of READ, WRITE, ADMIN"),
    (lambda mock: mock.configuration("unknown"), "id: no .* has this id; the ids in the fixtures"),
    (lambda mock: mock.reveals(MAIN, name="new"), "expected credentials"),
    (lambda mock: mock.wait_for(0), "count: must be at least 1"),
    (lambda mock: mock.add_configuration(id="x" * 1000), "id: must have at most "),
    (
        lambda mock: mock.add_configuration(secrt="x"),
        "^secrt: unknown field; the known fields are workspace, ",
    ),
    (lambda mock: mock.add_configuration(CorrectHorse="x"), "^unknown field; the known fields"),
    (lambda mock: mock.assert_updated(MAIN, {"secret": "x"}), r"id: str, \*\*fields: str$"),
]


@pytest.mark.parametrize(("misuse", "message"), MISUSES, ids=range(len(MISUSES)))
def test_invalid_argument_raises_value_error(
    mock: Mock, misuse: Callable[[Any], object], message: str
) -> None:
    """An argument with the wrong type or value raises a ValueError that names the argument."""
    with pytest.raises(ValueError, match=message) as rejected:
        misuse(mock)
    assert rejected.value.__context__ is None  # a chained exception could show a credential


def test_no_repr_shows_a_token_or_a_credential(mock: Mock) -> None:
    """The repr of a running mock, its fixtures, its store or a request contains no secret."""
    request = Request("PUT", "/", CIMultiDict(Authorization="Bearer owner-token"), b"made-up")
    printed = repr(mock) + repr(mock.fixtures) + repr(mock.store) + repr(request)
    for secret in (*mock.tokens.values(), "made-up"):
        assert secret not in printed


UNFINISHED = """
import flashback_mock
unfinished = flashback_mock.running()
mock = unfinished.__enter__()
mock.reset()
"""


def test_process_exits_even_if_a_mock_is_running() -> None:
    """A process can exit while a mock is running, for example because `setUpClass` failed."""
    run(sys.executable, "-c", UNFINISHED)

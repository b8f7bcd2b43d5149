"""Answers that fail on purpose, as the client of a service under test meets them."""

import asyncio
import time
from collections.abc import Generator
from typing import Any

import flashback_mock
import httpx
import pytest
from flashback_client import AsyncFlashbackClient, FlashbackClient, errors
from flashback_mock import control

from tests.mock.wire import connected, head

OFFER = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAEAAEAA"}
FAULTS: list[tuple[dict[str, Any], type[errors.FlashbackError]]] = [
    ({"status": 400}, errors.BadRequestError),
    ({"status": 401}, errors.AuthenticationError),
    ({"status": 403}, errors.PermissionDeniedError),
    ({"status": 404}, errors.NotFoundError),
    ({"status": 500}, errors.InternalServerError),
    ({"fault": "reset"}, errors.ApiConnectionError),
    ({"fault": "truncated"}, errors.ApiConnectionError),
    ({"fault": "timeout"}, errors.ApiTimeoutError),
    ({"fault": "malformed"}, errors.ResponseDecodeError),
    ({"fault": "malformed", "status": 500}, errors.InternalServerError),
]
IDS = ["-".join(map(str, plan.values())) for plan, _ in FAULTS]


@pytest.fixture(params=[{}, OFFER], ids=["httptools", "h11"])
def client(mock: flashback_mock.Mock, request: pytest.FixtureRequest) -> Generator[FlashbackClient]:
    """A client without retries, on each of the mock's two parsers."""
    url, headers = mock.base_url, request.param
    with FlashbackClient(base_url=url, headers=headers, max_retries=0, timeout=5) as client:
        yield client


@pytest.mark.parametrize(("plan", "kind"), FAULTS, ids=IDS)
def test_every_failure_reaches_the_client(
    mock: flashback_mock.Mock,
    client: FlashbackClient,
    plan: dict[str, Any],
    kind: type[errors.FlashbackError],
) -> None:
    """What is planned comes once, as the client's own error, and nothing is stored."""
    before = mock.configuration(mock.ids["main"])
    mock.answer_next(**plan)
    hurried = client.with_options(timeout=0.3 if plan.get("fault") == "timeout" else 5)
    with pytest.raises(errors.FlashbackError) as caught:
        hurried.update_ai_llm(mock.ids["main"], name="lost", secret="lost")
    assert type(caught.value) is kind
    assert mock.configuration(mock.ids["main"]) == before
    (entry,) = mock.requests
    assert (entry.user, entry.configuration) == ("owner", mock.ids["main"])
    assert (entry.fields, entry.updated) == (("name", "secret"), False)
    assert entry.fault == plan.get("fault", "")
    client.update_ai_llm(mock.ids["main"], name="stored")
    mock.assert_updated(mock.ids["main"], name="stored")


@pytest.mark.parametrize(("plan", "kind"), FAULTS, ids=IDS)
def test_every_failure_reaches_who_asks_in_process(
    mock: flashback_mock.Mock, plan: dict[str, Any], kind: type[errors.FlashbackError]
) -> None:
    """The same holds in process, where a broken connection is an error of httpx."""

    async def ask() -> None:
        transport = httpx.ASGITransport(app=mock.asgi)
        async with AsyncFlashbackClient(transport=transport, max_retries=0) as client:
            await client.update_ai_llm(mock.ids["main"], name="lost")

    mock.answer_next(**plan)
    with pytest.raises(kind):
        asyncio.run(ask())
    assert mock.configuration(mock.ids["main"])["name"] == "OpenAI in production"
    assert [entry.updated for entry in mock.requests] == [False]


def test_reset_is_a_reset(mock: flashback_mock.Mock) -> None:
    """`reset` is a reset of the connection, and no orderly end."""
    mock.answer_next(fault="reset")
    with connected(mock) as wire:
        wire.sendall(head(mock))
        with pytest.raises(ConnectionResetError):
            wire.recv(100)


@pytest.mark.parametrize("plan", [{"status": 500}, {"fault": "reset"}, {"fault": "truncated"}])
def test_update_may_be_stored_before_its_answer_fails(
    mock: flashback_mock.Mock, client: FlashbackClient, plan: dict[str, Any]
) -> None:
    """With `after_update` the update is stored, and only its answer is lost."""
    mock.answer_next(**plan, after_update=True)
    with pytest.raises(errors.FlashbackError):
        client.update_ai_llm(mock.ids["main"], secret="stored all the same")
    mock.assert_updated(mock.ids["main"], secret="stored all the same")


def test_retries_outlast_what_fails_a_few_times(mock: flashback_mock.Mock) -> None:
    """With `times` the next so many requests fail, and the one after them does not."""
    mock.answer_next(status=500, times=1)
    mock.answer_next(fault="reset")
    with FlashbackClient(max_retries=2) as client:
        client.update_ai_llm(mock.ids["main"], name="at last")
    assert [(entry.status, entry.fault) for entry in mock.requests] == [
        (500, ""),
        (0, "reset"),
        (200, ""),
    ]
    mock.assert_updated(mock.ids["main"], name="at last")


def test_late_answer_is_stored_at_once(mock: flashback_mock.Mock) -> None:
    """With a delay the answer is late; the update, and its place in the journal, are not."""
    mock.answer_next(delay=0.4)
    with FlashbackClient(timeout=0.1, max_retries=0) as hurried:
        with pytest.raises(errors.ApiTimeoutError):
            hurried.update_ai_llm(mock.ids["main"], name="late")
        mock.assert_updated(mock.ids["main"], name="late")
        mock.answer_next(delay=0.2)
        begun = time.monotonic()
        hurried.with_options(timeout=5).update_ai_llm(mock.ids["main"], name="patient")
    assert 0.2 <= time.monotonic() - begun < 2
    assert mock.requests[-1].milliseconds < 200


def test_bad_request_is_refused_by_what_is_planned(mock: flashback_mock.Mock) -> None:
    """A plan holds for requests that would be refused too, and they stand in the journal."""
    mock.answer_next(status=500, times=2)
    with FlashbackClient("wrong", max_retries=0) as client:
        for _ in range(2):
            with pytest.raises(errors.InternalServerError):
                client.update_ai_llm("unknown")
        with pytest.raises(errors.AuthenticationError):
            client.update_ai_llm("unknown")
    assert [(entry.status, entry.user) for entry in mock.requests] == [
        (500, ""),
        (500, ""),
        (401, ""),
    ]


@pytest.mark.parametrize(
    ("plan", "why"),
    [
        ({"status": 418}, "status: must be one of 200, 400, 401, 403, 404, 500"),
        ({"fault": "smoke"}, "fault: must be one of reset, truncated, malformed, timeout"),
        ({"times": 0}, "times: must be at least 1"),
        ({"times": control.MOST + 1}, "at most 10000 may be planned"),
        ({"delay": -1}, "delay: must be from 0 to 3600 seconds"),
        ({"delay": float("nan")}, "delay: must be from 0 to 3600 seconds"),
    ],
)
def test_plan_that_makes_no_sense_is_refused(
    mock: flashback_mock.Mock, plan: dict[str, Any], why: str
) -> None:
    """A plan that cannot be kept says what it may be."""
    with pytest.raises(ValueError, match=why):
        mock.answer_next(**plan)
    mock.answer_next(200, times=control.MOST)
    with pytest.raises(ValueError, match="at most 10000"):
        mock.answer_next(200)


def test_journal_keeps_the_last_ten_thousand(mock: flashback_mock.Mock) -> None:
    """The journal is bounded: the oldest entries go first."""
    for number in range(control.MOST + 5):
        mock.control.journal.append(control.Entry(str(number), "PUT", 200, 0.1))
    assert len(mock.requests) == control.MOST
    assert mock.requests[0].request_id == "5"


PREFERRED = [
    ({"Prefer": "code=404"}, "", 404, "AI LLM configuration not found"),
    ({"Prefer": 'code="404"'}, "", 404, "AI LLM configuration not found"),
    ({"Prefer": "respond-async, Code = 500; x=y"}, "", 500, "Failed to update"),
    ({"Prefer": "code=400, example=nameTaken"}, "", 400, "name: another configuration"),
    ({"Prefer": "example=nameTaken"}, "", 400, "name: another configuration"),
    ({}, "?__code=403", 403, "Insufficient permissions"),
    ({}, "?a=b&__code=400&__example=unknownField", 400, "body: has an unknown field"),
    ({"Prefer": "code=200"}, "?__code=500", 200, "updated successfully"),
    ({"Prefer": "code=405"}, "", 400, "Prefer: there is no such example; there are code=200 (u"),
    ({"Prefer": "code=404, example=nameTaken"}, "", 400, "code=404 (notFound), code=500 (failed"),
    ({"Prefer": "code="}, "?__example=nope", 400, "there is no such example"),
]


@pytest.mark.parametrize("case", PREFERRED)
def test_preferred_example_is_answered(
    http: httpx.Client, mock: flashback_mock.Mock, case: tuple[dict[str, str], str, int, str]
) -> None:
    """`Prefer` and the query name an answer, as they do for Prism, and nothing is stored."""
    headers, query, status, message = case
    before = mock.configuration(mock.ids["main"])
    answer = http.put(mock.ids["main"] + query, json={"name": "x", "key": "x"}, headers=headers)
    assert (answer.status_code, message in answer.json()["message"]) == (status, True)
    assert mock.configuration(mock.ids["main"]) == before
    assert [entry.updated for entry in mock.requests] == [False]


def test_preferred_401_has_its_challenge(http: httpx.Client, mock: flashback_mock.Mock) -> None:
    """A preferred 401 is as the contract has it."""
    answer = http.put(mock.ids["main"], json={}, headers={"Prefer": "code=401"})
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")


@pytest.mark.parametrize(
    ("query", "headers"),
    [("?code=404&x__code=404", {}), ("", {"Prefer": "return=minimal, x-code=404"})],
)
def test_other_preferences_are_ignored(
    http: httpx.Client, mock: flashback_mock.Mock, query: str, headers: dict[str, str]
) -> None:
    """What prefers something else changes nothing (RFC 7240)."""
    assert http.put(mock.ids["main"] + query, json={}, headers=headers).status_code == 200


def test_preference_comes_after_authentication_and_validation(
    http: httpx.Client, mock: flashback_mock.Mock
) -> None:
    """401 and 400 come first; 403 and 404, which depend on the state, do not."""
    wished = {"Prefer": "code=200"}
    wrong = {**wished, "Authorization": "Bearer wrong"}
    reader = {**wished, "Authorization": f"Bearer {mock.tokens['reader']}"}
    main = mock.ids["main"]
    assert http.put(main, json={}, headers=wrong).status_code == 401
    assert http.put(main, json={"name": ""}, headers=wished).status_code == 400
    assert http.put(main, json={}, headers=reader).status_code == 200
    assert http.put("unknown", json={}, headers=wished).status_code == 200


def test_request_id_is_taken_over_or_made(http: httpx.Client, mock: flashback_mock.Mock) -> None:
    """A good X-Request-Id comes back, and stands in the journal; else one is made."""
    main, token = mock.ids["main"], mock.tokens["owner"]
    for given in ("abc-123._", "x" * 64):
        answer = http.put(main, json={}, headers={"X-Request-Id": given})
        assert answer.headers["X-Request-Id"] == given
        assert mock.requests[-1].request_id == given
    made = set[str]()
    for bad in ("", "x" * 65, "a b", "a\tb", token):
        answer = http.put(main, json={}, headers={"X-Request-Id": bad})
        made.add(answer.headers["X-Request-Id"])
    assert len(made) == 5
    assert all(len(number) == 32 for number in made)
    assert http.get(main).headers["X-Request-Id"]
    assert http.put(main + "/x").headers["X-Request-Id"]


def test_clients_errors_carry_the_request_id(mock: flashback_mock.Mock) -> None:
    """Every error of an answer has the request's id, as the journal has it, and names it."""
    plans: list[dict[str, Any]] = [{"status": 500}, {"fault": "malformed"}]
    for plan in plans:
        mock.answer_next(**plan)
        with (
            FlashbackClient(max_retries=0) as client,
            pytest.raises(errors.FlashbackError) as caught,
        ):
            client.update_ai_llm(mock.ids["main"])
        number = mock.requests[-1].request_id
        assert vars(caught.value)["request_id"] == number
        assert f"request id {number}" in str(caught.value)

"""Tests for the planned responses that clients receive."""

import gc
import socket
import sys
import time
from http import HTTPStatus
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import httpx
import pytest

import flashback_mock
from flashback_client import FlashbackClient, errors
from flashback_mock import Mock, Step
from tests.mock.wire import MAIN, OWNER, connected, empty_update, put
from tests.programs import run

PLANS: list[tuple[Step, type[errors.FlashbackError]]] = [
    ({"status": HTTPStatus.IM_A_TEAPOT}, errors.ApiStatusError),
    ({"status": 500}, errors.InternalServerError),
    ({"example": "nameTaken"}, errors.BadRequestError),
    ({"fault": "reset"}, errors.ApiConnectionError),
    ({"fault": "empty"}, errors.ApiConnectionError),
    ({"fault": "truncated"}, errors.ApiConnectionError),
    ({"fault": "timeout"}, errors.ApiTimeoutError),
    ({"fault": "malformed"}, errors.ResponseDecodeError),
    ({"fault": "malformed", "status": 500}, errors.InternalServerError),
]


@pytest.mark.parametrize(("plan", "kind"), PLANS, ids=str)
def test_planned_failure_reaches_the_client(
    mock: Mock, plan: Step, kind: type[errors.FlashbackError]
) -> None:
    """A planned failure occurs once. The client raises a matching error, and nothing is stored."""
    before = mock.configuration(MAIN)
    mock.answer_sequence(plan)
    fault = plan.get("fault") or ""
    with FlashbackClient(max_retries=0, timeout=0.3 if fault == "timeout" else 10) as client:
        with pytest.raises(kind):
            client.update_ai_llm(MAIN, name="lost", secret="lost")
        assert mock.configuration(MAIN) == before
        (entry,) = mock.requests
        assert (entry.user, entry.configuration, entry.fault) == ("owner", MAIN, fault)
        assert (entry.fields, entry.updated) == (("name", "secret"), False)
        assert type(entry.status) is int
        client.with_options(timeout=10).update_ai_llm(MAIN, name="stored")
    mock.assert_updated(MAIN, name="stored")


def test_headers_are_added_to_the_planned_or_real_response(http: httpx.Client, mock: Mock) -> None:
    """The mock adds planned headers to both planned and real responses."""
    step: Step = {"status": 429, "headers": {"Retry-After": "2"}}
    mock.answer_sequence(step, {"headers": {"X-A": "1"}})
    step["headers"]["Retry-After"] = "changed after planning"
    answer = http.put(MAIN, json={})
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "2")
    assert answer.json()["message"] == mock.contract.message(429)
    assert http.put(MAIN, json={"name": "stored"}).headers["X-A"] == "1"
    mock.assert_updated(MAIN, name="stored")


def test_plan_for_an_id_applies_only_to_that_id(http: httpx.Client, mock: Mock) -> None:
    """A plan with an id applies only to that id; a planned 200 contains the requested id."""
    mock.answer_next(500, id=mock.add_configuration(id="main"))  # also the name of a role
    mock.answer_next(200, id=mock.ids["sibling"])
    mock.answer_next(403)
    mock.answer_next(500)
    assert http.put(MAIN, json={}).status_code == 403
    assert http.put(mock.ids["sibling"], json={}).json()["aiLlmId"] == mock.ids["sibling"]
    mock.delay = 60
    mock.clear_planned()
    assert http.put(MAIN, json={}).status_code == 200


def test_proxy_errors_are_html(http: httpx.Client, mock: Mock) -> None:
    """The body of a planned 502, 503 or 504 is an HTML page, unless the plan specifies JSON."""
    mock.answer_next(502)
    mock.answer_next(502, headers={"Content-Type": "application/json"})
    page = http.put(MAIN, json={})
    assert (page.status_code, page.headers["Content-Type"]) == (502, "text/html")
    assert "<h1>502 Bad Gateway</h1>" in page.text
    assert http.put(MAIN, json={}).json()["success"] is False


def test_connection_ends_as_planned(mock: Mock) -> None:
    """`reset` sends a TCP reset; `empty` closes the connection normally."""
    mock.answer_sequence({"fault": "empty"}, {"fault": "reset"})
    with connected(mock.base_url) as connection:
        connection.sendall(empty_update(mock))
        assert connection.recv(100) == b""
    with connected(mock.base_url) as connection:
        connection.sendall(empty_update(mock))
        with pytest.raises(ConnectionResetError):
            connection.recv(100)


def test_refused_fault_closes_the_port() -> None:
    """`refused` closes the port, keeps it reserved for the mock, and reopens it later.

    When the mock stops, it closes all sockets.
    """
    with flashback_mock.running(host="::1") as mock, httpx.Client(trust_env=False) as client:
        url = f"{mock.base_url}/__admin/health"
        client.get(url)
        mock.answer_next(fault="refused", duration=1)
        with pytest.raises(httpx.ConnectError):
            client.get(url)
        time.sleep(1.5)
        assert client.get(url).status_code == 200
        for reopen in (mock.clear_planned, mock.reset):
            mock.answer_next(fault="refused", duration=0.1)
            longer: Step = {"fault": "refused", "duration": 60}
            mock.answer_sequence(longer, {"fault": "refused", "duration": 0.1})  # `longer` wins
            time.sleep(0.3)
            with pytest.raises(httpx.ConnectError):
                client.get(url)
            with socket.socket(socket.AF_INET6) as other:
                other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                with pytest.raises(OSError, match="in use"):
                    other.bind(("::1", urlsplit(url).port))
            reopen()
            assert client.get(url).status_code == 200
        mock.answer_next(fault="refused", duration=60)
    gc.collect()  # pytest fails if a socket is not closed


FORKING = """
import os, signal
import flashback_mock, pytest
from tests.mock.wire import connected, empty_update
with flashback_mock.running() as mock, connected(mock.base_url) as connection:
    connection.sendall(empty_update(mock))
    connection.recv(1000)
    ready, finish = os.pipe()
    child = os.fork()
    signal.alarm(30)  # fail if a fault waits for the child process
    if child == 0:
        os.read(ready, 1)
        try:
            mock.reset()
        except RuntimeError:
            os._exit(0)
    mock.answer_next(fault="reset")
    connection.sendall(empty_update(mock))
    with pytest.raises(ConnectionResetError):
        connection.recv(100)
    mock.answer_next(fault="refused", duration=60)
    with pytest.raises(ConnectionRefusedError):
        connected(mock.base_url).__enter__()
    os.write(finish, b"1")
    assert os.waitpid(child, 0)[1] == 0
"""


def test_forked_process_does_not_affect_the_mock(root: Path) -> None:
    """A forked process cannot control the mock, or keep its port or connections open."""
    run(sys.executable, "-W", "ignore", "-c", FORKING, cwd=root)


def test_refused_fault_closes_connections_with_incomplete_requests(mock: Mock) -> None:
    """`refused` closes connections with incomplete requests, but complete requests are answered."""
    mock.answer_next(delay=0.5)
    with connected(mock.base_url) as first, connected(mock.base_url) as second:
        first.sendall(empty_update(mock))
        mock.wait_for()
        second.sendall(empty_update(mock)[:-1])
        time.sleep(0.2)
        second.settimeout(2)
        mock.answer_next(fault="refused", duration=0.1)
        assert second.recv(100) == b""
        assert first.recv(100).startswith(b"HTTP/1.1 200")
    assert len(mock.requests) == 1


def test_request_with_delayed_response_is_stored_and_logged_immediately(mock: Mock) -> None:
    """A delay postpones only the response."""
    mock.answer_next(delay=2)
    with (
        FlashbackClient(timeout=1, max_retries=0) as client,
        pytest.raises(errors.ApiTimeoutError),
    ):
        client.update_ai_llm(MAIN, name="late")
    mock.assert_updated(MAIN, name="late")
    assert mock.requests[-1].updated


def test_log_says_that_a_response_was_planned(mock: Mock) -> None:
    """The log shows that a response was planned and which error the planned response replaced."""
    for token, reason in (
        (OWNER, "planned response"),
        ("wrong", "planned response sent instead of 401, Authorization: the token is unknown"),
    ):
        mock.answer_next(429, headers={"X-A": "1"})
        assert put(mock.base_url, MAIN, {}, token).status_code == 429
        assert mock.requests[-1].reason.startswith(reason)
    mock.answer_next(headers={"X-A": "1"})
    put(mock.base_url, MAIN, {})
    assert mock.requests[-1].reason == ""


MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({}, "nothing planned; specify status, example, headers, delay or fault"),
    ({"status": 204}, "status: must be 200 or a number from 400 to 599"),
    ({"example": "nameTaken", "status": 404}, "no such example; the contract defines 200"),
    ({"status": 500, "id": ""}, "id: must not be empty"),
    ({"example": ""}, "no such example; the contract defines 200"),
    (
        {"status": 500, "id": "main"},
        f"id: no .* has this id; the ids in the fixtures are .*'main': '{MAIN}'",
    ),
    ({"fault": "smoke"}, "fault: must be one of reset, empty, refused, timeout"),
    ({"fault": "reset", "status": 500}, "reset sends no response; do not combine it with status"),
    ({"fault": "refused", "duration": 1, "id": "x"}, "fault: refused requires duration, and"),
    ({"status": 500, "duration": 1}, "neither can be combined with other options"),
    ({"status": 500, "times": True}, "times: must be an integer"),
    ({"status": 500, "times": 0}, "times: must be at least 1"),
    ({"status": 500, "tims": 2}, "unknown field; the known fields are status, example, headers"),
    ({"delay": float("nan")}, "delay: must be between 0 and 10 minutes"),
    ({"headers": {"A b": "x"}}, "headers: a header name contains invalid"),
    ({"headers": {1: "x"}}, "headers: a header name contains invalid"),
    ({"headers": {"X": "a", "x": "b"}}, "headers: a header is specified twice"),
    ({"headers": {"X": "a\r\nb"}}, "headers: X must be a string of printable ASCII"),
    ({"headers": {"Content-Length": "1"}}, "headers: Content-Length is set by the mock"),
]


@pytest.mark.parametrize(("plan", "message"), MISTAKES, ids=str)
def test_invalid_plan_is_rejected(mock: Mock, plan: dict[str, Any], message: str) -> None:
    """If one step in a sequence is invalid, an error is raised and no step is planned."""
    with pytest.raises(ValueError, match=message):
        mock.answer_sequence({"status": 500}, cast("Step", plan))
    assert mock.planned == []

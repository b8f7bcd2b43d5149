"""Tests for the HTTP server: misbehaving clients do not affect others, and shutdown is fast."""

import json
import os
import pty
import resource
import socket
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from unittest.mock import patch

import httpx
import pytest

from flashback_mock import Mock
from flashback_mock.http import server
from flashback_mock.http.server import Connection
from tests.mock.wire import (
    MAIN,
    UPGRADE,
    command,
    connected,
    empty_update,
    exchange,
    put,
    receive_all,
    request_head,
)

TIME_LIMIT = 0.5  # in seconds; shorter than the real limit to keep the tests fast
CHUNKED = b"PUT /ai/llm/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
PAGE = b"GET /__admin/docs/swagger_bundle.js HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"  # a large page


@pytest.fixture(autouse=True)
def _short_time_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "SECONDS", TIME_LIMIT)
    monkeypatch.setattr(server, "IDLE_SECONDS", 2 * TIME_LIMIT)


def assert_responsive(http: httpx.Client, mock: Mock) -> None:
    """Assert that an update from another client succeeds within five seconds."""
    begin = time.monotonic()
    assert http.put(mock.ids["main"], json={}).status_code == 200
    assert time.monotonic() - begin < 5


INCOMPLETE = {
    "nothing": b"",
    "half a request line": b"PUT /ai/ll",
    "half a head": b"PUT /ai/llm/x HTTP/1.1\r\nHost: x\r\nX-Half: ",
    "half a body": b"PUT /x HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n\r\n{",
}


@pytest.mark.parametrize("drip", [b"", b"x"], ids=["silent", "drips"])
def test_incomplete_requests_time_out(mock: Mock, http: httpx.Client, drip: bytes) -> None:
    """Incomplete and slow requests time out and do not delay other clients."""
    with ExitStack() as stack:
        connections = {name: stack.enter_context(connected(mock.base_url)) for name in INCOMPLETE}
        for name, connection in connections.items():
            connection.sendall(INCOMPLETE[name])
        assert_responsive(http, mock)
        start = time.monotonic()
        while drip and time.monotonic() - start < 5 * TIME_LIMIT:
            time.sleep(TIME_LIMIT / 10)
            for connection in connections.values():
                with suppress(ConnectionError):
                    connection.sendall(drip)
        for connection in connections.values():
            receive_all(connection)
        assert time.monotonic() - start < 20


def test_slow_body_returns_400(mock: Mock) -> None:
    """If a body does not arrive in time, the server returns 400 and changes nothing."""
    answer = exchange(mock, request_head(mock, "Content-Length: 99") + b'{"name": "half')
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"body: was not received in time" in answer
    assert [(entry.status, entry.updated) for entry in mock.requests] == [(400, False)]


def test_half_closed_client_receives_all_responses(
    mock: Mock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A half-closed client receives the responses to its pipelined requests in order."""
    monkeypatch.setattr(server, "SECONDS", 3)  # long enough for a busy machine
    mock.delay = TIME_LIMIT / 10
    with connected(mock.base_url) as connection:
        connection.sendall(empty_update(mock) * 3 + PAGE * 8)
        connection.shutdown(socket.SHUT_WR)
        answers = receive_all(connection)
    assert answers.count(b"HTTP/1.1 200 ") == 11
    assert answers.rindex(b"aiLlmId") < answers.index(b"Referrer-Policy")


UNPARSABLE = {
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "another version": b"PUT / HTTP/2.0\r\nHost: x\r\n\r\n",
    "no Host": b"GET / HTTP/1.1\r\n\r\n",
    "two media types": CHUNKED[:-2] + b"Content-Type: a\r\nContent-Type: b\r\n\r\n0\r\n\r\n",
    "two Hosts": b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "two lengths": CHUNKED[:-2].replace(b"Transfer-Encoding: chunked", b"Content-Length: 2")
    + b"Content-Length: 3\r\n\r\n{}",
    "malformed chunk": CHUNKED + b"zz\r\n",
    "length and chunks": CHUNKED[:-2] + b"Content-Length: 5\r\n\r\n0\r\n\r\n",
    "secret in a broken header": b"GET / HTTP/1.1\r\nHost: x\r\ns3cret-canary\x00: x\r\n\r\n",
}


@pytest.mark.parametrize("content", UNPARSABLE.values(), ids=UNPARSABLE)
def test_unparsable_request_returns_a_json_400(mock: Mock, content: bytes) -> None:
    """A malformed request is logged and gets a JSON 400 that repeats no part of the request."""
    with connected(mock.base_url) as connection:
        connection.sendall(empty_update(mock))
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200 ")
        connection.sendall(content)
        answer = receive_all(connection)
    assert b" 400 Bad Request\r\nContent-Type: application/json\r\n" in answer
    assert answer.count(b"X-Request-Id: ") == 1
    assert b"canary" not in answer
    reason = mock.requests[-1].reason
    assert reason.startswith("not a valid HTTP/1.1 request, or headers too large; use http://")
    assert reason.endswith("malformed, repeated or very long headers")
    assert len(mock.requests) == 2


def test_malformed_chunk_after_the_response_gets_no_second_response(mock: Mock) -> None:
    """A request gets only one response, even if a malformed chunk arrives after the response."""
    with connected(mock.base_url) as connection:
        connection.sendall(
            request_head(mock, "Transfer-Encoding: chunked") + b"40000\r\n" + b"x" * 0x40000
        )
        connection.sendall(b"\r\n1\r\nx\r\n")
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 413 ")
        connection.sendall(b"zz\r\n")
        assert b"HTTP/1." not in receive_all(connection)


@pytest.mark.parametrize("method", ["PUT", "GET", "CONNECT"])
def test_body_is_not_parsed_as_a_request(mock: Mock, method: str) -> None:
    """A body that looks like a request is not parsed as one, even with an `Upgrade` header."""
    inner = empty_update(mock)
    outer = request_head(mock, *UPGRADE, f"Content-Length: {len(inner)}", "Connection: close")
    outer = outer.replace(b"PUT", method.encode(), 1)
    for parts in ((outer + inner,), (outer[:20], outer[20:], inner)):
        with connected(mock.base_url) as connection, suppress(ConnectionError):
            for part in parts:
                connection.sendall(part)
                time.sleep(0.05)
            assert receive_all(connection).count(b"HTTP/1.1 200 ") == 0
    assert not any(entry.updated for entry in mock.requests)


def test_upgrade_header_closes_the_connection(mock: Mock) -> None:
    """The server closes the connection after a request with an `Upgrade` header."""
    inner = empty_update(mock).replace(b"{}", b'{"name": "smuggled"}')
    with connected(mock.base_url) as connection:
        connection.sendall(
            empty_update(mock, *UPGRADE) + request_head(mock, f"Content-Length: {len(inner)}")
        )
        time.sleep(0.05)
        with suppress(ConnectionError):
            connection.sendall(inner)
        answer = receive_all(connection)
    assert answer.count(b"HTTP/1.1 200 ") == 1
    assert b"Connection: close" in answer
    assert mock.configuration(mock.ids["main"])["name"] == "OpenAI in production"


@pytest.mark.parametrize("pause", [0, 0.05])
def test_trailers_do_not_become_headers_of_the_next_request(mock: Mock, pause: float) -> None:
    """The server closes connections after chunked requests, because they may have trailers."""
    chunked = request_head(mock, "Transfer-Encoding: chunked") + b"2\r\n{}\r\n0\r\n"
    with connected(mock.base_url) as connection:
        connection.sendall(chunked + b"Content-Encoding: gzip\r\n\r\n")
        time.sleep(pause)
        with suppress(ConnectionError):
            connection.sendall(empty_update(mock))
        answer = receive_all(connection)
    assert [entry.status for entry in mock.requests] == [200]
    assert b"\r\nConnection: close\r\n" in answer


def test_planned_delay_can_be_longer_than_any_timeout(mock: Mock) -> None:
    """A planned delay can exceed the time limits, even if the next request is already arriving."""
    mock.answer_next(delay=2.5 * TIME_LIMIT)
    with connected(mock.base_url) as connection:
        connection.sendall(empty_update(mock))
        time.sleep(TIME_LIMIT / 5)
        connection.sendall(b"PUT /ai/llm/x HTTP/1.1\r\nHo")
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200 ")


def send_until_closed(connection: socket.socket, begin: bytes, part: bytes) -> float:
    """Send data until the connection closes or 20 seconds have passed; return the duration."""
    start = time.monotonic()
    with suppress(ConnectionError):
        connection.sendall(begin)
        while time.monotonic() - start < 20:
            connection.sendall(part)
    return time.monotonic() - start


ENDLESS = {
    "header": (b"PUT / HTTP/1.1\r\nX: ", b"x" * 4096),
    "headers": (b"PUT / HTTP/1.1\r\nHost: x\r\n", b"X: y\r\n" * 1000),
    "trailer": (CHUNKED + b"2\r\n{}\r\n0\r\nX: ", b"x" * 4096),
    "trailers": (CHUNKED + b"2\r\n{}\r\n0\r\n", b"X: y\r\n" * 1000),
    "chunk extension": (CHUNKED + b"2;x=", b"x" * 4096),
    "tiny chunks": (CHUNKED, b"1\r\nx\r\n" * 1000),
}


@pytest.mark.parametrize("parts", ENDLESS.values(), ids=ENDLESS)
def test_endless_request_is_aborted(
    mock: Mock, http: httpx.Client, parts: tuple[bytes, bytes]
) -> None:
    """An endless request that reaches a size or time limit is aborted and not executed."""
    with connected(mock.base_url) as connection:
        assert send_until_closed(connection, *parts) < 10
        assert b" 200 " not in receive_all(connection)
    assert not any(entry.updated for entry in mock.requests)
    assert_responsive(http, mock)


def test_headers_are_limited(mock: Mock) -> None:
    """The server buffers at most 128 headers of 8,190 bytes for each connection."""
    too_many = [f"X-{number}: x" for number in range(128)]
    for headers in (too_many, [f"X-Long: {'x' * 8200}"]):
        answer = exchange(mock, empty_update(mock, *headers, "Connection: close"))
        assert answer.partition(b"\r\n")[0].endswith(b" 400 Bad Request")


def test_large_request_is_parsed_in_small_parts(mock: Mock) -> None:
    """The server never parses more than 64 KiB before it serves other connections."""
    method = Connection.data_received
    with (
        patch.object(Connection, "data_received", autospec=True, side_effect=method) as received,
        connected(mock.base_url) as connection,
    ):
        connection.sendall(CHUNKED + b"1\r\nx\r\n" * 200_000 + b"0\r\n\r\n")
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 401 ")
    assert max(len(call.args[1]) for call in received.call_args_list) <= 1 << 16


def test_client_that_sends_a_huge_body_gets_the_response(
    mock: Mock, http: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that reads only after sending a huge body gets the response, not a reset."""
    monkeypatch.setattr(server, "SECONDS", 15)
    headers = {"Content-Type": "application/json"}
    answer = http.put(mock.ids["main"], content=b"x" * (50 << 20), headers=headers)
    assert answer.status_code == 413


def test_expect_100_continue_is_supported(mock: Mock) -> None:
    """A request with `Expect: 100-continue` receives 100, or 413 if the body would be too large.

    The log shows when the head arrived, not when the body arrived.
    """
    with connected(mock.base_url) as connection:
        connection.sendall(request_head(mock, "Content-Length: 2", "Expect: 100-continue"))
        assert connection.recv(1 << 16) == b"HTTP/1.1 100 Continue\r\n\r\n"
        middle = datetime.now(UTC)
        connection.sendall(b"{}")
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200 ")
        assert mock.requests[-1].time < middle
        connection.sendall(request_head(mock, "Content-Length: 999999999", "Expect: 100-continue"))
        assert receive_all(connection).startswith(b"HTTP/1.1 413 ")


def test_client_that_never_reads_is_disconnected(mock: Mock, http: httpx.Client) -> None:
    """A client that never reads its responses is disconnected, and memory use stays bounded."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with connected(mock.base_url) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        assert send_until_closed(connection, PAGE, PAGE * 100) < 15
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # KiB
    assert_responsive(http, mock)


def test_disconnecting_clients_do_not_affect_others(mock: Mock, http: httpx.Client) -> None:
    """A client that disconnects during a request or response does not affect other clients."""
    for end in (1, 60, -3, None):
        for _ in range(20):
            with connected(mock.base_url) as connection:
                connection.sendall(empty_update(mock)[:end])
    assert_responsive(http, mock)


def test_pending_responses_are_sent_on_sigterm() -> None:
    """On SIGTERM, planned delays and timeouts end immediately, and pending responses are sent."""
    with command() as (process, _, url), ThreadPoolExecutor() as pool:
        plan = {"answerNext": [{"delay": 60_000}, {"fault": "timeout"}]}
        httpx.post(f"{url}/__admin/settings", json=plan, trust_env=False)
        answers: list[Future[httpx.Response]] = []
        for count in (1, 2):
            answers.append(pool.submit(put, url, MAIN, {}))
            waiting = {"count": count, "timeout": 30_000}
            httpx.post(f"{url}/__admin/requests/wait", json=waiting, trust_env=False, timeout=40)
        start = time.monotonic()
        process.terminate()
        assert answers[0].result().status_code == 200
        assert isinstance(answers[1].exception(), httpx.RemoteProtocolError)
        _, errors = process.communicate(timeout=15)
        assert time.monotonic() - start < 5
        assert process.returncode == 0
        assert "Traceback" not in errors


def test_unread_output_does_not_stop_the_mock() -> None:
    """If standard error is not read or is closed, the mock drops log lines and keeps running.

    The number of dropped lines is logged in the same format as other lines.
    """
    with command() as (process, _, url), httpx.Client(base_url=url, trust_env=False) as client:
        for _ in range(500):
            assert client.get("/ai/llm/x").status_code == 405
        assert process.stderr
        assert process.stdout
        pipe = process.stderr.fileno()
        unread = os.read(pipe, 1 << 20)
        assert unread.count(b"\n") < 500
        client.get("/ai/llm/x")
        notice, _ = os.read(pipe, 1 << 20).splitlines()
        assert "log lines dropped" in json.loads(notice)["message"]
        process.stdout.close()
        process.stderr.close()
        for _ in range(3):
            assert client.get("/ai/llm/x").status_code == 405
        process.terminate()
        assert process.wait(10) in (0, 120)  # Python exits with 120 if it cannot flush output


def test_unread_terminal_does_not_stop_the_mock() -> None:
    """If standard error is a terminal that nothing reads, the mock keeps running."""
    terminal, standard_error = pty.openpty()
    with command(stderr=standard_error) as (_, _, url), httpx.Client(trust_env=False) as client:
        for _ in range(500):
            assert client.get(f"{url}/ai/llm/x").status_code == 405
    os.close(standard_error)
    os.close(terminal)


def test_closed_standard_error_is_tolerated() -> None:
    """The mock works even if standard error is closed, as is common for daemons."""
    with command(stderr=None, preexec_fn=lambda: os.close(2)) as (_, _, url):
        assert put(url, "x", {}).status_code == 404

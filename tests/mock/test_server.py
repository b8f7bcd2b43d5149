"""The server: misbehaving clients do not affect others, and shutdown is quick."""

import http.client
import itertools
import os
import resource
import signal
import socket
import time
from contextlib import ExitStack, suppress
from urllib.parse import urlsplit

import httpx
import pytest

import flashback_mock
from flashback_mock import Mock
from flashback_mock.http import server
from tests.mock.wire import UPGRADE, command, connected, head, put, received, update

MAIN = "550e8400-e29b-41d4-a716-446655440000"
PATIENCE = 0.5  # seconds, shorter than the real limits
OFFERS: list[tuple[str, ...]] = [(), UPGRADE]
CHUNKED = b"PUT /ai/llm/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
either_offer = pytest.mark.parametrize("offer", OFFERS, ids=["plain", "upgrade"])


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SECONDS", "LINGER_SECONDS"):
        monkeypatch.setattr(server, name, PATIENCE)
    monkeypatch.setattr(server, "IDLE_SECONDS", 2 * PATIENCE)


def assert_others_are_answered(http: httpx.Client, mock: Mock) -> None:
    """Fail unless another client's update succeeds soon."""
    begin = time.monotonic()
    assert http.put(mock.ids["main"], json={}).status_code == 200
    assert time.monotonic() - begin < 5


INCOMPLETE = {
    "nothing": b"",
    "a line break": b"\r\n",
    "half a request line": b"PUT /ai/ll",
    "half a head": b"PUT /ai/llm/x HTTP/1.1\r\nHost: x\r\nX-Half: ",
    "half a second head": b"GET /x HTTP/1.1\r\nHost: x\r\n\r\nGET /x HTTP/1.1\r\nHo",
    "half a body": b"PUT /x HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n\r\n{",
    "half an offer": b"PUT /x HTTP/1.1\r\nUpgrade: h2c\r\nHost: x\r\nContent-Length: 9999\r\n\r\n{",
}


@pytest.mark.parametrize("drip", [b"", b"x"], ids=["silent", "drips"])
def test_incomplete_requests_time_out(mock: Mock, http: httpx.Client, drip: bytes) -> None:
    """Clients that stop or drip anywhere in a request are disconnected, and delay no others."""
    with ExitStack() as stack:
        wires = {name: stack.enter_context(connected(mock)) for name in INCOMPLETE}
        for name, wire in wires.items():
            wire.sendall(INCOMPLETE[name])
        assert_others_are_answered(http, mock)
        start = time.monotonic()
        while drip and time.monotonic() - start < 5 * PATIENCE:
            time.sleep(PATIENCE / 10)
            for name, wire in wires.items():
                with suppress(ConnectionError):
                    wire.sendall(drip if INCOMPLETE[name].strip() else b"")
        for wire in wires.values():
            received(wire)
        assert time.monotonic() - start < 20


def test_slow_body_answers_400(mock: Mock, http: httpx.Client) -> None:
    """A body that is not received in time gets a 400 and changes nothing."""
    with ExitStack() as stack:
        wires = [stack.enter_context(connected(mock)) for _ in range(4)]
        requests = itertools.product(OFFERS, (b"", b'{"name": "half'))
        for wire, (offer, begin) in zip(wires, requests, strict=True):
            wire.sendall(head(mock, *offer, "Content-Length: 99") + begin)
        for wire in wires:
            answer = received(wire)
            assert answer.startswith(b"HTTP/1.1 400 ")
            assert b"body: not received in time" in answer
    assert [(entry.status, entry.updated) for entry in mock.requests] == [(400, False)] * 4
    assert_others_are_answered(http, mock)


@either_offer
@pytest.mark.parametrize("delay", [0, PATIENCE / 5])
def test_half_closed_client_is_answered(mock: Mock, offer: tuple[str, ...], delay: float) -> None:
    """A client that half-closes its connection still gets all responses."""
    mock.delay = delay
    count = 1 if offer else 3
    with connected(mock) as wire:
        wire.sendall(update(mock, *offer) * count)
        wire.shutdown(socket.SHUT_WR)
        assert received(wire).count(b"HTTP/1.1 200 ") == count


def test_half_closed_client_without_a_response_is_disconnected(mock: Mock) -> None:
    """A half-closed client whose planned fault sends no response is disconnected."""
    mock.answer_next(fault="timeout")
    with connected(mock) as wire:
        wire.sendall(update(mock))
        wire.shutdown(socket.SHUT_WR)
        start = time.monotonic()
        assert received(wire) == b""
        assert time.monotonic() - start < 4 * PATIENCE


def test_malformed_chunks_get_one_400(mock: Mock) -> None:
    """A malformed chunked body gets exactly one response, a 400."""
    with connected(mock) as wire:
        wire.sendall(head(mock, "Transfer-Encoding: chunked") + b"zz\r\n")
        answer = received(wire)
    assert b" 400 Bad Request\r\nContent-Type: application/json\r\n" in answer
    assert answer.count(b"X-Request-Id: ") == 1


UNPARSABLE = {
    "no method": b"NONSENSE / HTTP/1.1\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "no Host": b"GET / HTTP/1.1\r\n\r\n",
    "two media types": CHUNKED[:-2] + b"Content-Type: a\r\nContent-Type: b\r\n\r\n0\r\n\r\n",
    "two Hosts": b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "two lengths": CHUNKED[:-2].replace(b"Transfer-Encoding: chunked", b"Content-Length: 2")
    + b"Content-Length: 3\r\n\r\n{}",
    "a folded header": b"GET / HTTP/1.1\r\nHost: x\r\nX: a\r\n b\r\n\r\n",
    "a line break without CR": b"GET / HTTP/1.1\nHost: x\n\n",
    "length and chunks": CHUNKED[:-2] + b"Content-Length: 5\r\n\r\n0\r\n\r\n",
    "secret in a broken header": b"GET / HTTP/1.1\r\nHost: x\r\ns3cret-canary\x00: x\r\n\r\n",
}


@pytest.mark.parametrize("content", UNPARSABLE.values(), ids=UNPARSABLE)
def test_unparsable_request_gets_a_400_in_json(mock: Mock, content: bytes) -> None:
    """A request that is not HTTP/1.1 is logged, and gets a JSON 400 that does not echo it."""
    with connected(mock) as wire:
        wire.sendall(update(mock))
        assert wire.recv(1 << 16).startswith(b"HTTP/1.1 200 ")
        wire.sendall(content)
        answer = received(wire)
    assert b" 400 Bad Request\r\nContent-Type: application/json\r\n" in answer
    assert b"canary" not in answer
    assert mock.requests[-1].reason.startswith("not a valid HTTP/1.1 request; use http://")
    assert mock.requests[-1].reason.endswith("malformed or repeated headers")
    assert len(mock.requests) == 2


def test_malformed_rest_of_a_body_ends_the_connection(mock: Mock) -> None:
    """A request gets one response, even if its body turns out to be malformed later."""
    with connected(mock) as wire:
        wire.sendall(head(mock, "Transfer-Encoding: chunked") + b"40000\r\n" + b"x" * 0x40000)
        wire.sendall(b"\r\n1\r\nx\r\n")
        assert wire.recv(1 << 16).startswith(b"HTTP/1.1 413 ")
        wire.sendall(b"zz\r\n")
        assert b"HTTP/1." not in received(wire)


@pytest.mark.parametrize("method", ["PUT", "GET", "CONNECT"])
@pytest.mark.parametrize("whole", [True, False], ids=["whole", "split"])
def test_body_is_not_read_as_a_request(mock: Mock, method: str, *, whole: bool) -> None:
    """A body that looks like a request is read as a body, even with an `Upgrade` header."""
    inner = update(mock)
    outer = head(mock, *UPGRADE, f"Content-Length: {len(inner)}", "Connection: close")
    outer = outer.replace(b"PUT", method.encode(), 1)
    with connected(mock) as wire, suppress(ConnectionError):
        for part in (outer + inner,) if whole else (outer[:20], outer[20:], inner):
            wire.sendall(part)
            time.sleep(0.05)
        assert received(wire).count(b"HTTP/1.1 200 ") == 0
    assert not any(entry.updated for entry in mock.requests)


def test_upgrade_header_closes_the_connection(mock: Mock) -> None:
    """After a request with an `Upgrade` header, nothing on its connection is executed."""
    inner = update(mock).replace(b"{}", b'{"name": "smuggled"}')
    with connected(mock) as wire:
        wire.sendall(update(mock, *UPGRADE) + head(mock, f"Content-Length: {len(inner)}"))
        time.sleep(0.05)
        with suppress(ConnectionError):
            wire.sendall(inner)
        answer = received(wire)
    assert answer.count(b"HTTP/1.1 200 ") == 1
    assert b"Connection: close" in answer
    assert mock.configuration(mock.ids["main"])["name"] == "OpenAI in production"


def test_pipelined_requests_are_answered_in_order(mock: Mock, http: httpx.Client) -> None:
    """A thousand pipelined requests are answered in order."""
    count = 1000
    last = update(mock, "Connection: close").replace(b"{}", b"{]")
    waiting = update(mock) * count + last
    content = b""
    with connected(mock) as wire:
        wire.settimeout(0)
        end = time.monotonic() + 60
        while time.monotonic() < end:
            with suppress(BlockingIOError):
                waiting = waiting[wire.send(waiting[: 1 << 18]) :]
            with suppress(BlockingIOError):
                if not (chunk := wire.recv(1 << 18)):
                    break
                content += chunk
    assert content.count(b"HTTP/1.1 200 ") == count
    assert content.rsplit(b"HTTP/1.1 ", 1)[1].startswith(b"400 ")
    assert_others_are_answered(http, mock)


def test_planned_reset_keeps_earlier_responses(mock: Mock) -> None:
    """Responses that are sent before a planned reset arrive."""
    mock.answer_sequence({"delay": PATIENCE / 10, "times": 2}, {"fault": "reset"})
    with connected(mock) as wire:
        wire.sendall(update(mock) * 3)
        assert received(wire).count(b"HTTP/1.1 200 ") == 2


def test_idle_connection_is_kept_for_some_time(mock: Mock) -> None:
    """An idle connection is kept longer than the time limit of a request."""
    with connected(mock) as wire:
        wire.sendall(update(mock))
        assert wire.recv(1 << 16).startswith(b"HTTP/1.1 200 ")
        time.sleep(1.3 * PATIENCE)
        wire.sendall(update(mock))
        assert wire.recv(1 << 16).startswith(b"HTTP/1.1 200 ")


def test_planned_delay_may_exceed_every_limit(mock: Mock) -> None:
    """A planned delay has no time limit, even if the client has begun another request."""
    mock.answer_next(delay=2.5 * PATIENCE)
    with connected(mock) as wire:
        wire.sendall(update(mock))
        time.sleep(PATIENCE / 5)
        wire.sendall(b"PUT /ai/llm/x HTTP/1.1\r\nHo")
        assert wire.recv(1 << 16).startswith(b"HTTP/1.1 200 ")


def send_forever(wire: socket.socket, begin: bytes, part: bytes) -> float:
    """Send until the connection ends, for at most 20 seconds; return how long it took."""
    start = time.monotonic()
    with suppress(ConnectionError):
        wire.sendall(begin)
        while time.monotonic() - start < 20:
            wire.sendall(part)
    return time.monotonic() - start


ENDLESS = {
    "request line": (b"PUT /", b"x" * 4096),
    "header": (b"PUT / HTTP/1.1\r\nX: ", b"x" * 4096),
    "headers": (b"PUT / HTTP/1.1\r\nHost: x\r\n", b"X: y\r\n" * 1000),
    "trailer": (CHUNKED + b"2\r\n{}\r\n0\r\nX: ", b"x" * 4096),
    "trailers": (CHUNKED + b"2\r\n{}\r\n0\r\n", b"X: y\r\n" * 1000),
    "chunk extension": (CHUNKED + b"2;x=", b"x" * 4096),
    "tiny chunks": (CHUNKED, b"1\r\nx\r\n" * 1000),
}


@pytest.mark.parametrize("parts", ENDLESS.values(), ids=ENDLESS)
def test_endless_request_is_cut_off(
    mock: Mock, http: httpx.Client, parts: tuple[bytes, bytes]
) -> None:
    """An endless request is cut off by a limit on size or time, and nothing is executed."""
    with connected(mock) as wire:
        assert send_forever(wire, *parts) < 10
        assert b" 200 " not in received(wire)
    assert not any(entry.updated for entry in mock.requests)
    assert_others_are_answered(http, mock)


def test_large_headers_are_accepted(mock: Mock) -> None:
    """A request with a hundred headers, or with a header of 60 kB, gets a 200."""
    for lines in ([f"X-{number}: y" for number in range(100)], ["X: " + "y" * 60_000]):
        with connected(mock) as wire:
            wire.sendall(update(mock, *lines))
            assert wire.recv(1 << 16).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("size", [5, 50])
def test_response_to_a_huge_body_arrives(
    mock: Mock, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """A client that sends a huge body before it reads gets the response, and no reset."""
    monkeypatch.setattr(server, "LINGER_SECONDS", 15)
    url = urlsplit(mock.base_url)
    connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=20)
    headers = {"Content-Type": "application/json", "Authorization": "Bearer owner-token"}
    connection.request("PUT", f"/ai/llm/{mock.ids['main']}", b"x" * (size << 20), headers)
    assert connection.getresponse().status == 413
    connection.close()


def test_expected_continue_is_sent_or_refused(mock: Mock) -> None:
    """`Expect: 100-continue` gets a 100, or a 413 for a body that would be too large."""
    with connected(mock) as wire:
        wire.sendall(head(mock, "Content-Length: 2", "Expect: 100-continue"))
        assert wire.recv(1 << 16) == b"HTTP/1.1 100 Continue\r\n\r\n"
        wire.sendall(b"{}")
        assert wire.recv(1 << 16).startswith(b"HTTP/1.1 200 ")
        wire.sendall(head(mock, "Content-Length: 999999999", "Expect: 100-continue"))
        assert received(wire).startswith(b"HTTP/1.1 413 ")
    with connected(mock) as wire:  # HTTP/1.0 has no interim responses
        old = head(mock, "Content-Length: 2", "Expect: 100-continue").replace(b"/1.1\r", b"/1.0\r")
        wire.sendall(old)
        time.sleep(0.1)
        wire.sendall(b"{}")
        assert received(wire).startswith(b"HTTP/1.0 200 ")


@either_offer
def test_client_that_never_reads_is_cut_off(
    mock: Mock, http: httpx.Client, offer: tuple[str, ...]
) -> None:
    """A client that sends requests without reading is cut off, and memory stays bounded."""
    page = ("GET /__admin/docs/swagger_bundle.js HTTP/1.1", "Host: 127.0.0.1", *offer, "", "")
    request = "\r\n".join(page).encode()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with connected(mock) as wire:
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        assert send_forever(wire, request, request * 100) < 15
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # KiB
    assert_others_are_answered(http, mock)


def test_two_thousand_connections(mock: Mock, http: httpx.Client) -> None:
    """With 2,000 open connections, of which many send a partial header, others are answered."""
    count = 2000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 3 * count:
        pytest.skip(f"needs {3 * count} open files: ulimit -Hn is {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 3 * count), hard))
    with ExitStack() as stack:
        wires = [stack.enter_context(connected(mock)) for _ in range(count)]
        assert_others_are_answered(http, mock)
        for wire in wires[::20]:
            with suppress(ConnectionError):
                wire.sendall(b"PUT /ai/llm/x HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        assert_others_are_answered(http, mock)
    assert_others_are_answered(http, mock)


def test_disconnecting_clients_do_not_affect_others(mock: Mock, http: httpx.Client) -> None:
    """Clients that disconnect during a request or response do not affect others."""
    for end in (1, 60, -3, None):
        for _ in range(20):
            with connected(mock) as wire:
                wire.sendall(update(mock)[:end])
    assert_others_are_answered(http, mock)


def test_sigterm_sends_pending_responses() -> None:
    """SIGTERM ends planned delays and timeouts at once, and sends pending responses."""
    with command() as (process, _, url), ExitStack() as stack:
        plan = {"answerNext": [{"delay": 60_000}, {"fault": "timeout"}]}
        httpx.post(f"{url}/__admin/settings", json=plan, trust_env=False)
        address = (urlsplit(url).hostname, urlsplit(url).port)
        wires: list[socket.socket] = []
        request = f"PUT /ai/llm/{MAIN} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        request += "Authorization: Bearer owner-token\r\nContent-Length: 2\r\n\r\n{}"
        for count in (1, 2):
            wires.append(stack.enter_context(socket.create_connection(address, 15)))
            wires[-1].sendall(request.encode())
            waiting = {"count": count, "timeout": 30_000}
            httpx.post(f"{url}/__admin/requests/wait", json=waiting, trust_env=False, timeout=40)
        start = time.monotonic()
        process.send_signal(signal.SIGTERM)
        answers = [received(wire) for wire in wires]
        output, errors = process.communicate(timeout=15)
        assert time.monotonic() - start < 5
        assert answers[0].startswith(b"HTTP/1.1 200 ")
        assert answers[1] == b""
        assert process.returncode == 0
        assert "Stopped" in output
        assert "Traceback" not in errors


def test_block_ends_soon_despite_pending_requests() -> None:
    """`running()` ends soon, even with unanswered requests."""
    with ExitStack() as stack:
        with flashback_mock.running() as mock:
            mock.answer_sequence({"delay": 60}, {"fault": "timeout"})
            for content in (update(mock), update(mock), head(mock, "Content-Length: 2")):
                stack.enter_context(connected(mock)).sendall(content)
            mock.wait_for(2, timeout=30)
            start = time.monotonic()
        assert time.monotonic() - start < 5


def test_unread_output_does_not_stop_the_mock() -> None:
    """If standard error is not read or is closed, the mock drops log lines and goes on serving."""
    with command() as (process, _, url), httpx.Client(base_url=url, trust_env=False) as client:
        for _ in range(500):
            assert client.get("/ai/llm/x").status_code == 405
        assert process.stderr
        assert process.stdout
        pipe = process.stderr.fileno()
        unread = os.read(pipe, 1 << 20)
        assert unread.count(b"\n") < 500
        client.get("/ai/llm/x")
        assert b"log lines dropped" in os.read(pipe, 1 << 20)
        process.stdout.close()
        process.stderr.close()
        for _ in range(3):
            assert client.get("/ai/llm/x").status_code == 405
        process.terminate()
        assert process.wait(10) in (0, 120)  # 120: Python could not flush what is printed


def test_closed_standard_streams_are_tolerated() -> None:
    """The mock serves although standard error is closed, as it is for daemons."""
    with command(stderr=None, preexec_fn=lambda: os.close(2)) as (_, _, url):
        assert put(url, "x", {}).status_code == 404

"""The mock as a server: whatever clients do to it, it answers others, and ends in order."""

import gc
import resource
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from urllib.parse import urlsplit

import flashback_mock
import httpx
import pytest
from flashback_mock.http import server

from tests.mock.wire import connected, head, url_in, welcome_of

PATIENCE = 0.5  # seconds, in the place of the ten that a client has
OFFERS: list[tuple[str, ...]] = [(), ("Connection: Upgrade", "Upgrade: h2c")]  # httptools, h11
OFFER = b"Connection: Upgrade\r\nUpgrade: h2c\r\n"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "SECONDS", PATIENCE); monkeypatch.setattr(server, "IDLE_SECONDS", PATIENCE); monkeypatch.setattr(server, "LINGER_SECONDS", PATIENCE)


def answers(wire: socket.socket) -> bytes:
    """All that comes until the connection ends, in whatever way."""
    received = b""
    with suppress(ConnectionError):
        while chunk := wire.recv(1 << 16):
            received += chunk
    return received


def others_are_answered(http: httpx.Client, mock: flashback_mock.Mock) -> None:
    """Somebody else's update succeeds, and soon."""
    begun = time.monotonic()
    assert http.put(mock.ids["main"], json={}).status_code == 200
    assert time.monotonic() - begun < 2


BEGUN = {
    "nothing": b"",
    "a line break": b"\r\n",
    "half a request line": b"PUT /ai/ll",
    "half a head": b"PUT /ai/llm/x HTTP/1.1\r\nHost: x\r\nX-Half: ",
    "half a head of an offer": b"PUT /x HTTP/1.1\r\nHost: x\r\n" + OFFER + b"X-Half: ",
    "half a second head": b"GET /x HTTP/1.1\r\nHost: x\r\n\r\nGET /x HTTP/1.1\r\nHo",
    "half a body that nobody reads": b"PUT /x HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{",
    "half a body on h11": b"PUT /x HTTP/1.1\r\n" + OFFER + b"Host: x\r\nContent-Length: 9\r\n\r\n{",
}


@pytest.mark.parametrize("begun", BEGUN.values(), ids=BEGUN)
def test_half_a_request_ends_in_time(mock: flashback_mock.Mock, begun: bytes) -> None:
    """A client that goes silent, or drips, anywhere in a request loses its connection in time."""
    for drip in (b"", b"x" if begun.strip() else b"\r\n"):
        with connected(mock) as wire:
            since = time.monotonic()
            wire.sendall(begun)
            with suppress(ConnectionError):
                while drip and time.monotonic() - since < 4 * PATIENCE:
                    time.sleep(PATIENCE / 10)
                    wire.sendall(drip)
            answers(wire)
            assert time.monotonic() - since < 4 * PATIENCE


@pytest.mark.parametrize("offer", OFFERS, ids=["httptools", "h11"])
def test_body_that_does_not_arrive_is_refused_in_time(
    mock: flashback_mock.Mock, http: httpx.Client, offer: tuple[str, ...]
) -> None:
    """A body that does not arrive is answered 400 in time, and changes nothing."""
    for begun in (b"", b'{"name": "half'):
        with connected(mock) as wire:
            wire.sendall(head(mock, *offer, "Content-Length: 99") + begun)
            received = answers(wire)
        assert received.startswith(b"HTTP/1.1 400 ")
        assert b"body: did not arrive in time" in received
    assert [(entry.status, entry.fields) for entry in mock.requests] == [(400, ())] * 2
    others_are_answered(http, mock)


@pytest.mark.parametrize("offer", OFFERS, ids=["httptools", "h11"])
@pytest.mark.parametrize("delay", [0, PATIENCE / 2])
def test_client_that_sends_no_more_is_answered(
    mock: flashback_mock.Mock, offer: tuple[str, ...], delay: float
) -> None:
    """A client that ends its side after a request gets its answer, then the end, at once."""
    for _ in range(20 if not delay else 1):
        mock.answer_next(delay=delay)
        with connected(mock) as wire:
            wire.sendall(head(mock, *offer, "Content-Length: 2") + b"{}")
            wire.shutdown(socket.SHUT_WR)
            assert answers(wire).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("offer", OFFERS, ids=["httptools", "h11"])
@pytest.mark.parametrize("behind", ["Content-Length: 5", ""])
def test_half_a_request_behind_another_ends_in_time(
    mock: flashback_mock.Mock, offer: tuple[str, ...], behind: str
) -> None:
    """What comes with a good request, and is none to its end, has no more time than any other."""
    half = head(mock, behind) if behind else head(mock)[:40]
    with connected(mock) as wire:
        since = time.monotonic()
        wire.sendall(head(mock, *offer, "Content-Length: 2") + b"{}" + half)
        received = answers(wire)
    assert received.startswith(b"HTTP/1.1 200 ")
    assert received.count(b"HTTP/1.1 400 ") == bool(behind)
    assert time.monotonic() - since < 4 * PATIENCE


def test_body_that_nobody_waited_for_keeps_no_connection(mock: flashback_mock.Mock) -> None:
    """A request that was answered ahead of its body is followed by another one, or by the end."""
    with connected(mock) as wire:
        wire.sendall(b"PUT /nope HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n")
        assert wire.recv(1 << 16).startswith(b"HTTP/1.1 404 ")
        wire.sendall(b"{}" + head(mock, "Content-Length: 2") + b"{}")
        assert wire.recv(1 << 16).startswith(b"HTTP/1.1 200 ")
    with connected(mock) as wire:
        wire.sendall(b"PUT /nope HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n")
        assert wire.recv(1 << 16).startswith(b"HTTP/1.1 404 ")
        wire.sendall(b"{}")
        since = time.monotonic()
        assert answers(wire) == b""
        assert time.monotonic() - since < 3 * PATIENCE


@pytest.mark.parametrize("offer", OFFERS, ids=["httptools", "h11"])
def test_broken_body_behind_an_answer_gets_no_second_one(
    mock: flashback_mock.Mock, caplog: pytest.LogCaptureFixture, offer: tuple[str, ...]
) -> None:
    """A body that turns out broken after its request was answered ends the connection."""
    chunked = "\r\n".join(["PUT /nope HTTP/1.1", "Host: x", *offer, "Transfer-Encoding: chunked"])
    with connected(mock) as wire:
        wire.sendall(chunked.encode() + b"\r\n\r\n")
        assert wire.recv(1 << 16).startswith(b"HTTP/1.1 404 ")
        wire.sendall(b"zz\r\n")
        assert answers(wire) == b""
    assert "Fatal" not in caplog.text


@pytest.mark.parametrize("offer", OFFERS, ids=["httptools", "h11"])
def test_client_that_is_gone_is_not_kept(mock: flashback_mock.Mock, offer: tuple[str, ...]) -> None:
    """Where an answer never comes, as planned, a client that sends no more is let go in time."""
    mock.answer_next(fault="timeout")
    with connected(mock) as wire:
        wire.sendall(head(mock, *offer, "Content-Length: 2") + b"{}")
        wire.shutdown(socket.SHUT_WR)
        since = time.monotonic()
        assert answers(wire) == b""
        assert time.monotonic() - since < 3 * PATIENCE


def test_broken_request_on_a_connection_that_was_used_is_refused(mock: flashback_mock.Mock) -> None:
    """What cannot be parsed, after a request that was answered, is answered 400."""
    with connected(mock) as wire:
        wire.sendall(head(mock, "Content-Length: 2") + b"{}")
        assert wire.recv(1 << 16).startswith(b"HTTP/1.1 200 ")
        wire.sendall(b"NONSENSE / HTTP/1.1\r\n\r\n")
        assert answers(wire).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("delay", [0, PATIENCE])
def test_broken_request_does_not_take_the_answer_of_another(
    mock: flashback_mock.Mock, delay: float
) -> None:
    """What cannot be parsed behind a request ends the connection after that one's answer."""
    mock.answer_next(delay=delay)
    with connected(mock) as wire:
        wire.sendall(head(mock, "Content-Length: 16") + b'{"name": "done"}garbage\r\n\r\n')
        received = answers(wire)
    assert received.startswith(b"HTTP/1.1 200 ")
    assert received.count(b"HTTP/1.1") == 1


def test_planned_reset_takes_no_other_answer(mock: flashback_mock.Mock) -> None:
    """What was answered before a connection is reset arrives."""
    request = head(mock, "Content-Length: 2") + b"{}"
    for offer in OFFERS:
        mock.answer_next(delay=PATIENCE / 10, times=2)
        mock.answer_next(fault="reset")
        with connected(mock) as wire:
            wire.sendall(head(mock, *offer, "Content-Length: 2") + b"{}" + request * 2)
            assert answers(wire).count(b"HTTP/1.1 200 ") == 2


def test_many_half_requests_cost_nobody_else(mock: flashback_mock.Mock, http: httpx.Client) -> None:
    """While a hundred clients drip their heads, others are answered."""
    with ExitStack() as stack:
        wires = [stack.enter_context(connected(mock)) for _ in range(100)]
        for wire in wires:
            wire.sendall(b"PUT /ai/llm/x HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        others_are_answered(http, mock)
        assert all(answers(wire) == b"" for wire in wires)


def test_idle_connection_is_kept(mock: flashback_mock.Mock) -> None:
    """A connection that has been answered is kept for longer than a request may take."""
    with connected(mock) as wire:
        for _ in range(2):
            wire.sendall(head(mock, "Content-Length: 2") + b"{}")
            assert wire.recv(1 << 16).startswith(b"HTTP/1.1 200 ")
            time.sleep(1.5 * PATIENCE)


def test_answer_may_take_longer_than_the_request(mock: flashback_mock.Mock) -> None:
    """A planned delay is no fault of the client, which may have begun another request."""
    for offer in OFFERS:
        mock.answer_next(delay=2.5 * PATIENCE)
        with connected(mock) as wire:
            wire.sendall(head(mock, *offer, "Content-Length: 2") + b"{}")
            time.sleep(PATIENCE / 5)
            wire.sendall(b"PUT /ai/llm/x HTTP/1.1\r\nHo")
            assert wire.recv(1 << 16).startswith(b"HTTP/1.1 200 ")


def test_who_is_kept_waiting_may_take_time(mock: flashback_mock.Mock) -> None:
    """While the mock reads no further, half a request behind those that wait is no fault."""
    mock.answer_next(delay=2.5 * PATIENCE)
    request = head(mock, "Content-Length: 2") + b"{}"
    with connected(mock) as wire:
        wire.sendall(request * 2 + request[:50])
        assert wire.recv(1 << 16).startswith(b"HTTP/1.1 200 ")
        wire.sendall(request[50:] + head(mock, "Content-Length: 0", "Connection: close"))
        assert b"HTTP/1.1 400 " in answers(wire)
    assert [entry.status for entry in mock.requests] == [200, 200, 200, 400]


def endless(begin: bytes, part: bytes, wire: socket.socket) -> int:
    """Send without end; how many bytes went out before the connection ended."""
    sent = wire.send(begin)
    with suppress(ConnectionError):
        while sent < 1 << 26:
            sent += wire.send(part)
    return sent


CHUNKED = b"PUT /ai/llm/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
BOMBS = {
    "endless request line": (b"PUT /", b"x" * 4096),
    "endless header": (b"PUT / HTTP/1.1\r\nX: ", b"x" * 4096),
    "endless headers": (b"PUT / HTTP/1.1\r\nHost: x\r\n", b"X: y\r\n" * 1000),
    "endless trailer": (CHUNKED + b"\r\n2\r\n{}\r\n0\r\nX: ", b"x" * 4096),
    "endless trailers": (CHUNKED + b"\r\n2\r\n{}\r\n0\r\n", b"X: y\r\n" * 1000),
    "endless chunk extension": (CHUNKED + b"\r\n2;x=", b"x" * 4096),
    "endless headers of an offer": (
        b"PUT / HTTP/1.1\r\nHost: x\r\n" + OFFER,
        b"X: y\r\n" * 1000,
    ),
    "endless trailers of an offer": (
        CHUNKED + OFFER + b"\r\n2\r\n{}\r\n0\r\n",
        b"X: y\r\n" * 1000,
    ),
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
def test_what_has_no_end_is_cut_off(
    mock: flashback_mock.Mock, http: httpx.Client, bomb: tuple[bytes, bytes]
) -> None:
    """Heads, trailers and chunk sizes are taken up to a bound, and nothing is carried out."""
    with connected(mock) as wire:
        assert endless(*bomb, wire) < 1 << 24
        assert b" 200 " not in answers(wire)
    assert not any(entry.updated for entry in mock.requests)
    others_are_answered(http, mock)


def test_large_head_is_no_bomb(mock: flashback_mock.Mock) -> None:
    """A head of a hundred headers, and sixty kilobytes, is answered as any other."""
    for lines in ([f"X-{number}: y" for number in range(100)], ["X: " + "y" * 60_000]):
        with connected(mock) as wire:
            wire.sendall(head(mock, *lines, "Content-Length: 2") + b"{}")
            assert wire.recv(1 << 16).startswith(b"HTTP/1.1 200 ")


def test_thousands_of_waiting_requests_are_all_answered(
    mock: flashback_mock.Mock, http: httpx.Client
) -> None:
    """Three thousand requests sent without waiting are answered in order, others in between."""
    count = 3000
    request = head(mock, "Content-Length: 2") + b"{}"
    last = head(mock, "Content-Length: 2", "Connection: close") + b"{]"
    with connected(mock) as wire:
        wire.settimeout(0)
        waiting, received = request * count + last, b""
        until = time.monotonic() + 30
        while time.monotonic() < until:
            with suppress(BlockingIOError):
                waiting = waiting[wire.send(waiting[: 1 << 18]) :]
            with suppress(BlockingIOError):
                if not (chunk := wire.recv(1 << 18)):
                    break
                received += chunk
        assert received.count(b"HTTP/1.1 200 ") == count
        assert received.rsplit(b"HTTP/1.1 ", 1)[1].startswith(b"400 ")
    others_are_answered(http, mock)


@pytest.mark.parametrize("offer", OFFERS)
def test_who_asks_again_but_does_not_read_is_cut_off(
    mock: flashback_mock.Mock, offer: tuple[str, ...]
) -> None:
    """Another request is no sign that the answer to the last is being read."""
    page = ("GET /__admin/docs/swagger_bundle.js HTTP/1.1", "Host: 127.0.0.1", *offer, "", "")
    with connected(mock) as wire:
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        asked = 0
        with suppress(ConnectionError):
            while asked < 8:
                wire.sendall("\r\n".join(page).encode())
                asked += 1
                time.sleep(PATIENCE / 2)
    assert asked < 8


@pytest.mark.parametrize("offer", OFFERS)
def test_client_that_never_reads_is_cut_off(
    mock: flashback_mock.Mock, http: httpx.Client, offer: tuple[str, ...]
) -> None:
    """Who sends and sends, and reads no answer, is stopped; what waits stays small."""
    page = ("GET /__admin/docs/swagger_bundle.js HTTP/1.1", "Host: 127.0.0.1", *offer, "", "")
    request = "\r\n".join(page).encode()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with connected(mock) as wire:
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        sent, until = 0, time.monotonic() + 20
        with suppress(ConnectionError):
            while sent < 1 << 26 and time.monotonic() < until:
                sent += wire.send(request * 100)
        assert sent < 1 << 26
        assert time.monotonic() < until
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # KiB
    others_are_answered(http, mock)


def test_two_thousand_connections(mock: flashback_mock.Mock, http: httpx.Client) -> None:
    """Two thousand connections are open at once, each is answered, and so are others."""
    count, (soft, hard) = 2000, resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 3 * count:
        if hard < 3 * count:
            pytest.skip(f"needs {3 * count} open files: ulimit -Hn says {hard}")
        resource.setrlimit(resource.RLIMIT_NOFILE, (3 * count, hard))
    with ExitStack() as stack:
        wires = [stack.enter_context(connected(mock)) for _ in range(count)]
        others_are_answered(http, mock)
        for wire in wires[::20]:
            with suppress(ConnectionError):
                wire.sendall(head(mock, "Content-Length: 2") + b"{}")
        others_are_answered(http, mock)
    others_are_answered(http, mock)


def test_those_who_vanish_leave_nothing(mock: flashback_mock.Mock, http: httpx.Client) -> None:
    """Clients that vanish in the middle of a request, or before its answer, cost nothing."""
    for end in (1, 60, -3, None):
        for _ in range(20):
            with connected(mock) as wire:
                wire.sendall((head(mock, "Content-Length: 2") + b"{}")[:end])
    others_are_answered(http, mock)


def test_sigterm_finishes_what_is_under_way() -> None:
    """SIGTERM lets a request that is being answered have its answer, then ends with status 0."""
    command = [sys.executable, "-m", "flashback_mock", "--port", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        url = urlsplit(url_in(welcome_of(process)))
        base = f"http://{url.netloc}"
        plan = {"answerNext": {"delay": 1000}}
        httpx.post(f"{base}/__admin/settings", json=plan, trust_env=False)
        with flashback_mock.running() as other:  # for its ids and tokens, which are the same
            request = head(other, "Content-Length: 2") + b"{}"
        with socket.create_connection((url.hostname or "", url.port or 0), timeout=15) as wire:
            wire.sendall(request)
            time.sleep(0.3)
            process.send_signal(signal.SIGTERM)
            received = answers(wire)
        said, complained = process.communicate(timeout=15)
    assert received.startswith(b"HTTP/1.1 200 ")
    assert process.returncode == 0
    assert "Stopped" in said
    assert "Traceback" not in complained


def test_a_block_ends_soon_whatever_is_under_way(caplog: pytest.LogCaptureFixture) -> None:
    """The end of `running()` waits for nobody for long, and logs no trace."""
    with flashback_mock.running() as mock, ExitStack() as stack:
        mock.answer_next(delay=60)
        mock.answer_next(fault="timeout")
        for body in (b"{}", b"{}", b""):
            wire = stack.enter_context(connected(mock))
            wire.sendall(head(mock, "Content-Length: 2") + body)
        time.sleep(0.2)
        ended = time.monotonic()
        stack.pop_all()  # they stay open
    assert time.monotonic() - ended < 3
    assert "Traceback" not in caplog.text

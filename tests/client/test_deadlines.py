"""Tests for deadlines: `timeout` limits a call, and `attempt_timeout` limits each attempt."""

import asyncio
import contextvars
import signal
import socket
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import pytest

from flashback_client import errors
from tests.client.support import ID, OK, TOKEN, Service, blocking, update_async
from tests.client.wire import Request, Responder, never_respond, serving


def drip(start: bytes) -> Responder:
    """Return a responder that sends `start` and then one space every 50 ms for 5 s."""

    def respond(connection: socket.socket, _request: Request) -> None:
        connection.sendall(start)
        for _ in range(100):
            connection.sendall(b" ")
            time.sleep(0.05)

    return respond


def flood(connection: socket.socket, _: Request) -> None:
    """Send 1xx responses for 8 s."""
    until = time.monotonic() + 8
    while time.monotonic() < until:
        connection.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" * 50)


DRIP_HEAD = drip(b"HTTP/1.1 200 OK\r\nX: ")
SLOW_SERVERS: dict[str, Responder] = {
    "head": DRIP_HEAD,
    "proxy": DRIP_HEAD,
    "body": drip(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"),
    "nothing": never_respond,
    "flood": flood,
}


@contextmanager
def at_most(seconds: float) -> Generator[None]:
    """Fail if the block takes longer than `seconds`; callers allow extra time for busy machines."""
    started = time.monotonic()
    yield
    assert time.monotonic() - started < seconds


@pytest.mark.parametrize("name", SLOW_SERVERS)
def test_slow_response_cannot_exceed_the_deadline(
    update: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each attempt times out even if the server or proxy sends only single bytes or 1xx heads."""
    with serving(SLOW_SERVERS[name]) as server:
        monkeypatch.setenv("https_proxy", server.url)
        url = "https://inside.test" if name == "proxy" else server.url
        with at_most(6), pytest.raises(errors.ApiTimeoutError, match="2 attempts, may have been"):
            update(url, attempt_timeout=0.3, max_retries=1)


@pytest.mark.parametrize("run", [contextvars.Context().run, lambda call, id_: call(id_)])
def test_interrupting_call_does_not_change_the_deadline(run: Any) -> None:
    """A call in a greenlet or a signal handler does not extend the first call's deadline."""

    def interrupt(*_: object) -> None:
        with blocking(quick.url) as client:
            run(client.update_ai_llm, ID)

    with serving(DRIP_HEAD) as slow, serving(OK) as quick, at_most(4):
        signal.signal(signal.SIGALRM, interrupt)
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with pytest.raises(errors.ApiTimeoutError):
            blocking(slow.url, timeout=0.5).update_ai_llm(ID)
    assert len(quick.requests) == 1


def test_calls_have_a_deadline_by_default() -> None:
    """By default, connecting times out after 5 s, and the entire call after 30 s."""
    service = Service()
    blocking(service).update_ai_llm(ID, name="new")
    limits = service.requests[0].extensions["timeout"]
    assert limits["connect"] == 5
    assert 29 < limits["read"] <= 30


def test_very_long_timeout_means_no_limit(update: Any) -> None:
    """A timeout that is too long for the socket module is treated as unlimited."""
    with serving(OK) as server:
        for timeout in (None, 1e300, float("inf"), 10**400):
            assert update(server.url, name="new", timeout=timeout).success is True


@pytest.mark.parametrize("limits", [{"timeout": 2}, {"attempt_timeout": 1}], ids=str)
def test_hung_attempt_leaves_time_for_a_retry(update: Any, limits: dict[str, float]) -> None:
    """The first attempt ends after half of `timeout`, or after `attempt_timeout` if that is set."""
    with serving(never_respond, OK) as server, at_most(8):
        started = time.monotonic()
        assert update(server.url, name="new", max_retries=1, **limits).success is True
        assert time.monotonic() - started > 0.9
        assert len(server.requests) == 2


def test_deadline_cancels_an_async_token_function() -> None:
    """An async token function that hangs is cancelled at the deadline, and no request is sent."""
    with at_most(8), pytest.raises(errors.ApiTimeoutError, match=r"\(0 attempts\)"):
        update_async(Service(), token=lambda: asyncio.sleep(10), timeout=0.2)


@pytest.mark.parametrize(("token", "timeout"), [(TOKEN, 0), (lambda: time.sleep(0.3), 0.1)])
def test_no_request_is_sent_after_the_deadline(token: Any, timeout: float) -> None:
    """No request is sent if `timeout` is 0 or if a blocking token function exceeds the deadline."""
    with pytest.raises(errors.ApiTimeoutError, match=r"before the request was sent \(0 attempts\)"):
        blocking(Service(), token=token, timeout=timeout).update_ai_llm(ID)


def test_maybe_applied_is_false_after_connect_timeout(update: Any) -> None:
    """After a connection timeout, `maybe_applied` is false because no request was sent."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener, ExitStack() as sockets:
        for _ in range(4):
            filler = sockets.enter_context(socket.socket())
            filler.settimeout(0)
            with suppress(BlockingIOError):
                filler.connect(listener.getsockname())
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with at_most(4), pytest.raises(errors.ApiTimeoutError) as caught:
            update(url, timeout=2, max_retries=0)  # connecting times out after 1.8 s
        assert caught.value.maybe_applied is False

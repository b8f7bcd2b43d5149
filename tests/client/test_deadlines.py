"""`timeout` bounds the whole call, and a limit per attempt leaves time for a retry."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from flashback_client import AsyncFlashbackClient, FlashbackClient, errors
from tests.client.support import ID, TOKEN, UPDATED, Service, blocking
from tests.client.wire import Request, answer, says, serving, waits_for_close

if TYPE_CHECKING:
    from collections.abc import Callable

SENT = {
    "head": b"HTTP/1.1 200 OK\r\nX-" + b"x" * 99,
    "body": answer(200, b" " * 99)[:-90] + b" " * 90,
    "nothing": b"",
}


def drips(part: str, stop: threading.Event) -> Callable[..., None]:
    """Send this part byte by byte."""

    def behave(connection: socket.socket, _: Request, __: int) -> None:
        for byte in SENT[part]:
            connection.sendall(bytes([byte]))
            if stop.wait(0.05):
                return
        stop.wait(5)

    return behave


def took(started: float) -> float:
    """Return the seconds since `started`."""
    return time.monotonic() - started


@pytest.mark.parametrize("part", SENT)
def test_dripping_server_cannot_outlast_the_deadline(update: Any, part: str) -> None:
    """Bytes that arrive one by one do not prolong a call."""
    stop = threading.Event()
    with serving(drips(part, stop)) as wire:
        started = time.monotonic()
        with pytest.raises(errors.ApiTimeoutError) as caught:
            update(None, options={"base_url": wire.url, "timeout": 0.4, "max_retries": 0})
        assert took(started) < 2
        assert caught.value.maybe_applied is True
        stop.set()


def test_call_is_limited_by_default() -> None:
    """Without any setting, connecting is limited to 5 s and reading to the call's 30 s."""
    service = Service()
    blocking(service).update_ai_llm(ID, name="n")
    limits = service.requests[0].extensions["timeout"]
    assert limits["connect"] == 5
    assert 29 < limits["read"] <= 30


@pytest.mark.parametrize("timeout", [None, 1e300, float("inf")])
def test_limit_may_be_longer_than_sockets_allow(update: Any, timeout: float | None) -> None:
    """A limit of more than 30 years means no limit, and raises no OverflowError."""
    with serving(says(answer(200, UPDATED))) as wire:
        options = {"base_url": wire.url, "timeout": timeout}
        assert update(None, name="n", options=options).success is True


def test_deadline_covers_retries(update: Any) -> None:
    """The call ends at the deadline, even if attempts are left."""
    service = Service(*[httpx.ConnectError("down") for _ in range(99)])
    started = time.monotonic()
    with pytest.raises(errors.ApiConnectionError):
        update(service, name="n", options={"timeout": 0.5, "max_retries": 99})
    assert took(started) < 2


def test_hung_backend_leaves_time_for_a_retry(update: Any) -> None:
    """The first attempt gets half of the time, so that the second one can succeed."""

    def behave(connection: socket.socket, _: Request, number: int) -> None:
        if number == 0:
            connection.recv(1)
        else:
            connection.sendall(answer(200, UPDATED))

    with serving(behave) as wire:
        started = time.monotonic()
        options = {"base_url": wire.url, "timeout": 2, "max_retries": 1}
        assert update(None, name="n", options=options).success is True
        assert 0.9 < took(started) < 2
        assert len(wire.requests) == 2


def test_limit_per_attempt_can_be_set(update: Any) -> None:
    """attempt_timeout= ends an attempt; the call continues until its retries are used up."""
    with serving(waits_for_close) as wire:
        started = time.monotonic()
        options = {"base_url": wire.url, "attempt_timeout": 0.2, "max_retries": 1}
        with pytest.raises(errors.ApiTimeoutError, match="2 attempts"):
            update(None, name="n", options=options)
        assert took(started) < 3
        assert len(wire.requests) == 2


@pytest.mark.parametrize("timeout", [0, -1, 0.0])
def test_deadline_that_is_over_is_a_timeout(update: Any, timeout: float) -> None:
    """A timeout of 0 or less raises ApiTimeoutError, not ArgumentError, and nothing is sent."""
    service = Service()
    with pytest.raises(errors.ApiTimeoutError, match="before the request was sent") as caught:
        update(service, name="n", options={"timeout": timeout})
    assert (caught.value.attempts, caught.value.maybe_applied) == (0, False)
    assert service.requests == []


def test_deadline_covers_an_awaited_token_function() -> None:
    """A token function that hangs is cancelled at the deadline, and nothing is sent."""
    cancelled: list[bool] = []

    async def token() -> str:
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            cancelled.append(True)
            raise
        return "late"

    async def call() -> None:
        async with AsyncFlashbackClient(token, transport=service, timeout=0.2) as client:
            await client.update_ai_llm(ID, name="n")

    service = Service()
    started = time.monotonic()
    with pytest.raises(errors.ApiTimeoutError) as caught:
        asyncio.run(call())
    assert took(started) < 2
    assert (cancelled, caught.value.maybe_applied, service.requests) == ([True], False, [])


def test_blocking_token_function_that_is_late_ends_the_call() -> None:
    """A blocking token function cannot be interrupted, but nothing is sent after the deadline."""

    def token() -> str:
        time.sleep(0.3)
        return TOKEN

    service = Service()
    with pytest.raises(errors.ApiTimeoutError) as caught:
        FlashbackClient(token, transport=service, timeout=0.1).update_ai_llm(ID, name="n")
    assert (caught.value.attempts, service.requests) == (0, [])


def test_deadline_covers_a_proxy_that_drips(update: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A CONNECT that is answered byte by byte times out at the deadline."""
    stop = threading.Event()
    with serving(drips("head", stop)) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url)
        started = time.monotonic()
        with pytest.raises(errors.ApiTimeoutError):
            update(None, options={"timeout": 0.5, "max_retries": 0})
        assert took(started) < 2
        assert [request.method for request in proxy.requests] == ["CONNECT"]
        stop.set()


def test_deadline_covers_the_wait_for_a_connection(update: Any) -> None:
    """A listener that never accepts causes a timeout error that says that nothing was sent."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.settimeout(0)
            with suppress(BlockingIOError):
                filler.connect(listener.getsockname())
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        started = time.monotonic()
        with pytest.raises(errors.ApiTimeoutError) as caught:
            update(None, options={"base_url": url, "timeout": 0.8, "max_retries": 0})
        assert took(started) < 2
        assert caught.value.maybe_applied is False
        for filler in fillers:
            filler.close()

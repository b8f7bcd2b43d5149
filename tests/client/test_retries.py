"""Tests for retries: retryable failures, backoff, token renewal and lost responses."""

import asyncio
import email.utils
import inspect
import socket
import threading
import time
import traceback
from functools import partial
from pathlib import Path
from typing import Any, NoReturn
from unittest import mock

import httpx
import pytest

from flashback_client import AsyncFlashbackClient, FlashbackClient, errors
from tests.client.support import (
    ID,
    OK,
    TOKEN,
    Service,
    alarm,
    blocking,
    interrupting,
    sent_headers,
    update_async,
    update_blocking,
)
from tests.client.wire import Request, disconnect, http_response, never_respond, serving


def rate_limited(*values: str) -> Service:
    """Return a service that sends one 429 for each of these Retry-After values, in order."""
    service = Service()
    for value in values:
        headers = [(b"Retry-After", value.encode())]
        service.outcomes.append(httpx.Response(429, headers=headers))
    return service


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 520, 599])
def test_transient_failures_are_retried(update: Any, waits: list[float], status: int) -> None:
    """After a lost connection or a 408, 429 or 5xx, the client retries with a random delay."""
    service = Service(httpx.Response(status), httpx.ConnectError("down"))
    assert update(service, name="new").success is True
    assert len(service.requests) == 3
    assert 0 <= waits[0] <= 0.5
    assert 0 <= waits[1] <= 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 415, 301, 418])
def test_permanent_failures_are_not_retried(status: int) -> None:
    """Permanent failures, such as 400, 401 and 404 responses, are not retried."""
    with pytest.raises(errors.ApiStatusError, match=r"\(1 attempt"):
        blocking(Service(httpx.Response(status)), max_retries=2).update_ai_llm(ID)


def test_retry_after_header_gives_the_minimum_wait(waits: list[float]) -> None:
    """Retry-After can give the minimum wait as an integer, a decimal fraction or a date in UTC."""
    now = time.time()
    dates = email.utils.formatdate(now + 20, usegmt=True), time.asctime(time.gmtime(now + 20))
    with mock.patch.dict("os.environ", TZ="JST-9"):
        time.tzset()  # an asctime date is in UTC, not in the local time zone (RFC 9110)
        blocking(rate_limited("3", "1.5", *dates), max_retries=4).update_ai_llm(ID)
    time.tzset()
    assert waits[0] == 3
    assert 1.5 <= waits[1] <= 2
    assert [15 < wait <= 20 for wait in waits[2:]] == [True, True]


def test_backoff_doubles_up_to_eight_seconds(
    waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a usable Retry-After, the maximum wait doubles with each retry, up to 8 s."""
    monkeypatch.setattr("random.uniform", lambda _, most: most)
    service = rate_limited("0", "Mon, 01 Jan 2024 00:00:00 GMT", "soon", "-1", "", "١")
    blocking(service, max_retries=6).update_ai_llm(ID)
    assert waits == [0.5, 1, 2, 4, 8, 8]


@pytest.mark.parametrize("after", ["31", "9" * 400, "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_retry_after_header_beyond_the_deadline_raises(waits: list[float], after: str) -> None:
    """If waiting for Retry-After would exceed the deadline, the call raises an error at once."""
    with pytest.raises(errors.RateLimitError) as caught:
        blocking(rate_limited(after), max_retries=2).update_ai_llm(ID)
    assert (caught.value.retry_after or 0) >= 31
    assert (caught.value.retry_after or 0) <= threading.TIMEOUT_MAX
    assert waits == []


@pytest.mark.parametrize("last", [httpx.Response(404), httpx.ConnectError("refused")], ids=str)
@pytest.mark.usefixtures("waits")
def test_later_failure_does_not_reset_maybe_applied(last: httpx.Response | Exception) -> None:
    """After a lost response, `maybe_applied` stays true even if a later attempt fails."""
    service = Service(httpx.ReadError("lost"), last)
    with pytest.raises(errors.FlashbackError, match="2 attempts, may have been applied"):
        blocking(service, max_retries=1).update_ai_llm(ID)


UNSENT = [httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError]
LOST = [httpx.ReadTimeout, httpx.WriteError, httpx.RemoteProtocolError]


@pytest.mark.parametrize("kind", UNSENT + LOST)
def test_maybe_applied_is_false_if_the_request_was_not_sent(kind: type[httpx.RequestError]) -> None:
    """`maybe_applied` is true after a lost connection, but false if the request was not sent."""
    with pytest.raises(errors.ApiConnectionError) as caught:
        blocking(Service(kind("lost"))).update_ai_llm(ID)
    assert caught.value.maybe_applied is (kind in LOST)


def test_token_is_renewed_once_after_a_401() -> None:
    """After a 401, the client calls the token function again and retries the request once."""
    service = Service(httpx.Response(401))
    client = blocking(service, token=mock.Mock(side_effect=["old", "new", "a", "b", "c"]))
    assert client.update_ai_llm(ID).success is True
    assert sent_headers(service.requests, "authorization") == ["Bearer old", "Bearer new"]
    service.outcomes = [httpx.Response(401)] * 2
    with pytest.raises(errors.AuthenticationError, match="2 attempts"):
        client.update_ai_llm(ID)


@pytest.mark.usefixtures("waits")
def test_invalid_renewed_token_does_not_reset_maybe_applied() -> None:
    """The error for an invalid renewed token says that the update may have been applied."""
    token = mock.Mock(side_effect=[TOKEN, "padded-token "])
    service = Service(httpx.ReadError("lost"), httpx.Response(401))
    with pytest.raises(errors.ArgumentError, match=r"visible ASCII.*2 attempts, may") as caught:
        blocking(service, token=token, max_retries=2).update_ai_llm(ID)
    assert (caught.value.field, caught.value.maybe_applied) == ("token", True)


def test_token_function_must_return_text() -> None:
    """The error for a token function that returns None states the required type."""
    problem = r"token must be of type str, not NoneType \(0 attempts"
    with pytest.raises(errors.ArgumentError, match=problem):
        update_blocking(Service(), token=lambda: None)


def test_token_function_can_be_async() -> None:
    """The async client awaits the token function on each call."""
    token = mock.AsyncMock(side_effect=["one", "two"])
    service = Service()
    update_async(service, token=token)
    update_async(service, token=token)
    assert sent_headers(service.requests, "authorization") == ["Bearer one", "Bearer two"]


@pytest.mark.parametrize("kind", [httpx.ReadTimeout, errors.ArgumentError])
@pytest.mark.parametrize("timeout", [30, 0])
def test_error_from_the_token_function_propagates(
    update: Any, timeout: float, kind: type[Exception]
) -> None:
    """If the token function raises an error, that error propagates unchanged."""
    token = mock.Mock(side_effect=kind("token service"))
    with pytest.raises(kind, match=r"^token service$"):
        update(Service(), token=token, timeout=timeout)


RAISE = httpx.Response.raise_for_status


@pytest.mark.parametrize(
    ("hooks", "message"), [([RAISE], "404"), ([httpx.Response.read, RAISE], "404 gone")]
)
def test_raise_for_status_hook_does_not_change_the_error(hooks: list[Any], message: str) -> None:
    """If a hook calls `raise_for_status`, the client raises its own error and does not retry."""
    with (
        serving(http_response(404, {"message": "gone"})) as server,
        httpx.Client(event_hooks={"response": hooks}) as http_client,
        pytest.raises(errors.NotFoundError, match=f"{message} .1 attempt"),
    ):
        FlashbackClient(TOKEN, base_url=server.url, http_client=http_client).update_ai_llm(ID)


def test_error_from_a_request_in_a_hook_propagates() -> None:
    """If a hook's own request fails, the error propagates unchanged and the call is not retried."""
    failed = httpx.Response(404, request=httpx.Request("POST", "https://audit.test"))
    hooks = {"response": [lambda _: failed.raise_for_status()]}
    service = Service()
    with pytest.raises(httpx.HTTPStatusError):
        blocking(http_client=httpx.Client(transport=service, event_hooks=hooks)).update_ai_llm(ID)
    assert len(service.requests) == 1


@pytest.mark.parametrize("length", [0, -5], ids=["nothing", "truncated"])
def test_lost_response_is_retried(update: Any, length: int) -> None:
    """The request is retried if the server disconnects before or during its response."""

    def send_part(connection: socket.socket, request: Request) -> None:
        connection.sendall(OK[:length])
        disconnect(connection, request)

    with serving(send_part, OK) as server:
        assert update(server.url, name="new").success is True
        assert len(server.requests) == 2


def test_connection_error_has_a_reason_and_a_cause(update: Any) -> None:
    """A connection error shows the URL and the reason, and its `__cause__` is the httpx error."""
    reason = r"Connection refused|Connect call failed"
    with pytest.raises(errors.ApiConnectionError, match=reason) as caught:
        update("http://127.0.0.1:1", name="new", max_retries=0)
    assert isinstance(caught.value.__cause__, httpx.ConnectError)
    assert "http://127.0.0.1:1" in str(caught.value)
    assert "None" not in str(caught.value)


def test_patched_socket_raises_connection_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """An OSError from a socket that a test tool has patched is retried like any other."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: tuple[str, int]) -> None:
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)
    with pytest.raises(errors.ApiConnectionError, match=r"Connection refused.*\(2 attempts\)"):
        blocking("http://127.0.0.1:1", max_retries=1).update_ai_llm(ID)


def test_custom_transport_can_time_out() -> None:
    """A timeout in a custom transport is not mistaken for an exception from a signal handler."""

    def read() -> httpx.Response:
        _caller = inspect.currentframe()  # a signal handler receives a frame, too
        raise TimeoutError("lost")

    def handle(_: httpx.Request) -> httpx.Response:
        try:
            return read()
        except TimeoutError as error:
            raise httpx.ReadTimeout("lost") from error

    with pytest.raises(errors.ApiTimeoutError, match="lost"):
        blocking(httpx.MockTransport(handle)).update_ai_llm(ID)


def test_error_that_httpx_does_not_wrap_is_a_connection_error() -> None:
    """ProtocolErrors from h2 or socksio, which httpx does not wrap, become ApiConnectionErrors."""
    kind = type("ProtocolError", (Exception,), {"__module__": "h2.exceptions"})
    transport = httpx.MockTransport(mock.Mock(side_effect=kind("invalid frame")))
    with pytest.raises(errors.ApiConnectionError, match=r"invalid frame.*may have"):
        blocking(transport).update_ai_llm(ID)


def test_error_does_not_mention_a_handled_exception(update: Any) -> None:
    """If a call in an `except` block fails, its error does not mention the handled exception."""
    lost = pytest.raises(errors.ApiConnectionError, match=r": ReadError: lost \(1 att")
    try:
        Path("/nonexistent/cache").read_text("utf-8")
    except OSError:
        with lost as caught:
            update(Service(httpx.ReadError("lost")), max_retries=0)
    handled = caught.value.__context__
    assert isinstance(handled, FileNotFoundError)
    assert "pathlib" in traceback.extract_tb(handled.__traceback__)[-1].filename


def test_transport_can_raise_the_exception_being_handled(update: Any) -> None:
    """A transport can raise the same exception that the caller is already handling."""
    lost = httpx.ReadError("lost")
    try:
        raise lost
    except httpx.ReadError:
        with pytest.raises(errors.ApiConnectionError, match="ReadError: lost"):
            update(Service(lost), max_retries=0)


@pytest.mark.parametrize("kind", [TimeoutError, InterruptedError])
def test_signal_handler_exception_propagates(kind: type[OSError]) -> None:
    """An OSError from the caller's SIGALRM handler propagates and is not retried."""
    with serving(never_respond) as server, blocking(server.url, max_retries=2) as client:
        with interrupting(kind("the alarm")), pytest.raises(kind, match="the alarm"):
            client.update_ai_llm(ID)
        assert len(server.requests) == 1


def raise_alarm(*_: object) -> NoReturn:
    """Handle a signal by raising an error."""
    raise TimeoutError("the alarm")


def raise_alarm_without_frame(number: int, frame: object) -> NoReturn:
    """Handle a signal by deleting the arguments and raising an error."""
    del number, frame
    raise TimeoutError("the alarm")


@pytest.mark.parametrize("handler", [raise_alarm, raise_alarm_without_frame, partial(raise_alarm)])
def test_every_kind_of_signal_handler_is_recognized(handler: Any) -> None:
    """A signal handler can take any arguments, delete them, or be a partial function."""
    with serving(never_respond) as server, blocking(server.url, max_retries=2) as client:
        with alarm(handler), pytest.raises(TimeoutError, match="the alarm"):
            client.update_ai_llm(ID)
        assert len(server.requests) == 1


def test_closing_the_client_during_a_call_raises_connection_error() -> None:
    """If another thread closes the client, a call in progress fails and is not retried."""

    def close() -> None:
        server.wait_for_request()
        time.sleep(0.2)  # wait until the main thread is reading the response
        client.close()

    with serving(never_respond) as server, blocking(server.url, max_retries=2) as client:
        threading.Thread(target=close).start()
        with pytest.raises(errors.ApiConnectionError, match=r"closed during the call.*may have"):
            client.update_ai_llm(ID)
        assert len(server.requests) == 1


def test_closing_the_client_during_an_async_call_raises_connection_error() -> None:
    """If another task closes the async client, a call in progress fails."""

    async def call_and_close() -> None:
        client = AsyncFlashbackClient(TOKEN, base_url=server.url)
        task = asyncio.create_task(client.update_ai_llm(ID))
        await asyncio.to_thread(server.wait_for_request)
        await client.aclose()
        await task

    closed = pytest.raises(errors.ApiConnectionError, match=r"closed during the call.*may have")
    with serving(never_respond) as server, closed:
        asyncio.run(call_and_close())


def test_closing_between_attempts_raises_connection_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the client is closed while a call waits to retry, the call raises ApiConnectionError."""
    client = blocking(Service(httpx.ReadError("lost")), max_retries=2)
    monkeypatch.setattr(time, "sleep", lambda _: client.close())
    with pytest.raises(errors.ApiConnectionError, match=r"closed during the call.*may have been"):
        client.update_ai_llm(ID)

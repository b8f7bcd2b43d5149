"""Tests for retries: retryable failures, backoff, token renewal and lost responses."""

from __future__ import annotations

import asyncio
import email.utils
import threading
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import httpx
import pytest

from flashback_client import AsyncFlashbackClient, FlashbackClient, errors
from tests.client.support import (
    ID,
    OK,
    TOKEN,
    Service,
    blocking,
    interrupting,
    sent_headers,
    update_async,
)
from tests.client.wire import Request, disconnect, http_response, never_respond, serving

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Generator


def rate_limited(*values: str) -> Service:
    """Return a service that sends one 429 for each of these Retry-After values, in order."""
    service = Service()
    for value in values:
        headers = [(b"Retry-After", value.encode())]
        service.outcomes.append(httpx.Response(429, headers=headers))
    return service


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 520, 599])
def test_transient_failures_are_retried(update: Any, waits: list[float], status: int) -> None:
    """After a lost connection or a 408, 429 or 5xx, the client waits a random time and retries."""
    service = Service(httpx.Response(status), httpx.ConnectError("down"))
    assert update(service, name="new").success is True
    assert len(service.requests) == 3
    assert 0 <= waits[0] <= 0.5
    assert 0 <= waits[1] <= 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 415, 301, 418])
def test_permanent_failures_are_not_retried(status: int) -> None:
    """Permanent failures, such as 400, 401 and 404 responses, are not retried."""
    service = Service(httpx.Response(status))
    with pytest.raises(errors.ApiStatusError, match="1 attempt"):
        blocking(service, max_retries=2).update_ai_llm(ID)
    assert len(service.requests) == 1


def test_retry_after_is_the_minimum_wait(waits: list[float]) -> None:
    """Retry-After sets the minimum wait and can be an integer, a decimal fraction or a date."""
    date = email.utils.formatdate(time.time() + 20, usegmt=True)
    blocking(rate_limited("3", "1.5", date), max_retries=3).update_ai_llm(ID)
    assert waits[0] == 3
    assert 1.5 <= waits[1] <= 2
    assert 15 < waits[2] <= 20


@pytest.fixture
def _tokyo() -> Generator[None]:
    with mock.patch.dict("os.environ", TZ="JST-9"):
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("_tokyo")
def test_retry_after_date_without_a_zone_is_in_utc(waits: list[float]) -> None:
    """An asctime date in Retry-After is in UTC, not in the local time zone (RFC 9110)."""
    date = time.asctime(time.gmtime(time.time() + 20))
    blocking(rate_limited(date), max_retries=1).update_ai_llm(ID)
    assert 15 < waits[0] <= 20


def test_backoff_doubles_up_to_eight_seconds(
    waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a usable Retry-After, the maximum wait doubles with each retry, up to 8 s."""
    monkeypatch.setattr("random.uniform", lambda _, most: most)
    service = rate_limited("0", "Mon, 01 Jan 2024 00:00:00 GMT", "soon", "-1", "", "١")
    blocking(service, max_retries=6).update_ai_llm(ID)
    assert waits == [0.5, 1, 2, 4, 8, 8]


@pytest.mark.parametrize("after", ["31", "9" * 400, "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_retry_after_beyond_the_deadline_raises(waits: list[float], after: str) -> None:
    """If waiting for Retry-After would exceed the deadline, the call raises an error at once."""
    with pytest.raises(errors.RateLimitError) as caught:
        blocking(rate_limited(after), max_retries=2).update_ai_llm(ID)
    assert caught.value.retry_after is not None
    assert caught.value.retry_after >= 31
    assert waits == []


@pytest.mark.parametrize("last", [httpx.Response(404), httpx.ConnectError("refused")], ids=str)
def test_lost_attempt_may_have_been_applied(
    waits: list[float], last: httpx.Response | Exception
) -> None:
    """After a lost response, `maybe_applied` stays true even if a later attempt fails."""
    service = Service(httpx.ReadError("lost"), last)
    with pytest.raises(errors.FlashbackError, match="may have been applied") as caught:
        blocking(service, max_retries=1).update_ai_llm(ID)
    assert caught.value.maybe_applied is True
    assert (caught.value.attempts, len(waits)) == (2, 1)


UNSENT = [httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError]
LOST = [httpx.ReadTimeout, httpx.WriteError, httpx.RemoteProtocolError]
REJECTED = [404, 418, 302, 500]
UNCLEAR = [200, 204, 502, 504]  # a 200 without a body is invalid


@pytest.mark.parametrize("outcome", [*UNSENT, *LOST, *REJECTED, *UNCLEAR], ids=str)
def test_error_states_whether_the_update_may_have_been_applied(outcome: Any) -> None:
    """`maybe_applied` is false if the request was not sent, or if a server or proxy rejected it."""
    first = httpx.Response(outcome) if isinstance(outcome, int) else outcome("lost")
    with pytest.raises(errors.FlashbackError) as caught:
        blocking(Service(first)).update_ai_llm(ID)
    assert caught.value.maybe_applied is (outcome in [*LOST, *UNCLEAR])


def test_token_is_renewed_once_after_a_401() -> None:
    """After a 401, the client calls the token function again and retries the request once."""
    tokens = iter(["old", "new", "a", "b", "c"])
    service = Service(httpx.Response(401))
    client = blocking(service, token=lambda: next(tokens))
    assert client.update_ai_llm(ID).success is True
    assert sent_headers(service.requests, "authorization") == ["Bearer old", "Bearer new"]
    service.outcomes = [httpx.Response(401), httpx.Response(401)]
    with pytest.raises(errors.AuthenticationError, match="2 attempts"):
        client.with_options(max_retries=2).update_ai_llm(ID)


def test_invalid_renewed_token_keeps_maybe_applied(waits: list[float]) -> None:
    """The error for an invalid renewed token says that the update may have been applied."""
    tokens = iter([TOKEN, "padded-token "])
    service = Service(httpx.ReadError("lost"), httpx.Response(401))
    with pytest.raises(errors.ArgumentError, match=r"visible ASCII.*2 attempts, may") as caught:
        blocking(service, token=lambda: next(tokens), max_retries=2).update_ai_llm(ID)
    assert (caught.value.field, caught.value.maybe_applied, len(waits)) == ("token", True, 1)
    assert "padded-token" not in str(caught.value)


def test_token_function_is_called_for_every_call() -> None:
    """Each call gets its token from the token function, which can be async in the async client."""
    tokens = iter(["one", "two", "three"])

    async def token() -> str:
        await asyncio.sleep(0)
        return next(tokens)

    service = Service()
    client = blocking(service, token=lambda: next(tokens))
    client.update_ai_llm(ID)
    client.update_ai_llm(ID)
    update_async(service, token=token)
    sent = sent_headers(service.requests, "authorization")
    assert sent == ["Bearer one", "Bearer two", "Bearer three"]


@pytest.mark.parametrize("timeout", [30, 0])
def test_error_from_the_token_function_propagates(update: Any, timeout: float) -> None:
    """If the token function raises a timeout error, that error propagates unchanged."""

    def token() -> str:
        raise httpx.ReadTimeout("token service")

    with pytest.raises(httpx.ReadTimeout, match="token service"):
        update(Service(), token=token, timeout=timeout)


def raise_for_status(response: httpx.Response) -> None:
    """Raise an error for an unsuccessful status, but do not read the body."""
    response.raise_for_status()


def read_and_raise_for_status(response: httpx.Response) -> None:
    """Read the body, and raise an error for an unsuccessful status."""
    response.read()
    response.raise_for_status()


@pytest.mark.parametrize(
    ("hook", "message"), [(raise_for_status, "404"), (read_and_raise_for_status, "404 gone")]
)
def test_raise_for_status_hook_does_not_change_the_error(
    hook: Callable[..., None], message: str
) -> None:
    """If a hook calls `raise_for_status`, the client raises its own error and does not retry."""
    with (
        serving(http_response(404, {"message": "gone"})) as server,
        httpx.Client(event_hooks={"response": [hook]}) as http_client,
        pytest.raises(errors.NotFoundError, match=f"{message} .1 attempt"),
    ):
        FlashbackClient(TOKEN, base_url=server.url, http_client=http_client).update_ai_llm(ID)


def audit_not_found(_: httpx.Response) -> None:
    """Simulate a hook whose own request receives a 404."""
    httpx.Response(404, request=httpx.Request("POST", "https://audit.test")).raise_for_status()


def test_error_from_a_request_in_a_hook_propagates() -> None:
    """If a hook's own request fails, the error propagates unchanged and the call is not retried."""
    service = Service()
    http_client = httpx.Client(transport=service, event_hooks={"response": [audit_not_found]})
    with http_client, pytest.raises(httpx.HTTPStatusError):
        FlashbackClient(TOKEN, http_client=http_client).update_ai_llm(ID)
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


def test_custom_transport_can_time_out() -> None:
    """A timeout in a custom transport is not mistaken for an exception from a signal handler."""

    def read() -> httpx.Response:
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

    def read_or_update() -> None:
        try:
            Path("/nonexistent/cache").read_text("utf-8")
        except OSError:
            update(Service(httpx.ReadError("lost")), max_retries=0)

    with pytest.raises(errors.ApiConnectionError, match=r": ReadError: lost \(1 att") as caught:
        read_or_update()
    handled = caught.value.__context__
    assert isinstance(handled, FileNotFoundError)
    assert "pathlib" in traceback.extract_tb(handled.__traceback__)[-1].filename


@pytest.mark.parametrize("kind", [TimeoutError, InterruptedError])
def test_signal_handler_exception_propagates(kind: type[OSError]) -> None:
    """An OSError from the caller's SIGALRM handler propagates and is not retried."""
    with serving(never_respond) as server, interrupting(kind("the caller's alarm")):
        with pytest.raises(kind, match="the caller's alarm"):
            blocking(server.url, max_retries=2).update_ai_llm(ID, name="new")
        assert len(server.requests) == 1


def test_closing_during_a_call_raises_connection_error() -> None:
    """If another thread or task closes the client, a running call fails without another retry."""

    async def call_and_close(url: str) -> None:
        client = AsyncFlashbackClient(TOKEN, base_url=url)
        task = asyncio.create_task(client.update_ai_llm(ID))
        await asyncio.to_thread(server.wait_for_request)
        await client.aclose()
        await task

    def close() -> None:
        server.wait_for_request()
        time.sleep(0.2)  # wait until the main thread is reading the response
        client.close()

    closed_during_call = pytest.raises(errors.ApiConnectionError, match="closed during the call")
    with serving(never_respond) as server:
        client = blocking(server.url, max_retries=2)
        closer = threading.Thread(target=close)
        closer.start()
        with closed_during_call as caught:
            client.update_ai_llm(ID)
        closer.join()
        with pytest.raises(errors.FlashbackError, match="this client is closed") as later:
            client.update_ai_llm(ID)
        assert len(server.requests) == 1
    assert (caught.value.maybe_applied, later.value.maybe_applied) == (True, False)
    with serving(never_respond) as server, closed_during_call as caught:
        asyncio.run(call_and_close(server.url))
    assert caught.value.maybe_applied is True


def test_closing_between_attempts_raises_connection_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the client is closed while a call waits to retry, the call raises ApiConnectionError."""
    client = blocking(Service(httpx.ReadError("lost")), max_retries=2)
    monkeypatch.setattr(time, "sleep", lambda _: client.close())
    with pytest.raises(errors.ApiConnectionError, match="closed during the call") as caught:
        client.update_ai_llm(ID, name="new")
    assert caught.value.maybe_applied is True

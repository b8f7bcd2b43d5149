"""Tests for retries: which failures are retried, backoff, token renewal and lost attempts."""

from __future__ import annotations

import asyncio
import email.utils
import errno
import signal
import threading
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from flashback_client import AsyncFlashbackClient, FlashbackClient, errors
from tests.client.support import ID, TOKEN, UPDATED, Service, blocking, update_async
from tests.client.wire import (
    Request,
    disconnect,
    http_response,
    in_turn,
    never_respond,
    respond_with,
    serving,
)

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from types import FrameType


def rate_limited(*values: str) -> Service:
    """Return a service that sends one 429 for each of these Retry-After values, in order."""
    headers = [[(b"Retry-After", value.encode())] for value in values]
    return Service(*[httpx.Response(429, headers=fields) for fields in headers])


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 520, 599])
def test_transient_failures_are_retried(update: Any, waits: list[float], status: int) -> None:
    """Connection errors and 408, 429 and 5xx responses are retried twice, after random waits."""
    service = Service(httpx.Response(status), httpx.ConnectError("down"))
    assert update(service, name="n").success is True
    assert len(service.requests) == 3
    assert 0 <= waits[0] <= 0.5
    assert 0 <= waits[1] <= 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 415, 301, 418])
def test_permanent_failures_are_not_retried(update: Any, status: int) -> None:
    """Permanent failures, such as 400, 401 and 404 responses, are not retried."""
    service = Service(httpx.Response(status))
    with pytest.raises(errors.ApiStatusError, match="1 attempt"):
        update(service, name="n")
    assert len(service.requests) == 1


def test_error_has_the_number_of_attempts(update: Any, waits: list[float]) -> None:
    """When no retries are left, the error for the last response includes the attempt count."""
    service = Service(*[httpx.Response(503) for _ in range(9)])
    with pytest.raises(errors.UnexpectedServerError, match="4 attempts") as caught:
        update(service, name="n", max_retries=3)
    assert caught.value.attempts == len(service.requests) == len(waits) + 1 == 4


def test_backoff_is_at_most_eight_seconds(waits: list[float]) -> None:
    """No wait exceeds eight seconds, regardless of the number of retries."""
    service = Service(*[httpx.Response(503) for _ in range(1100)])  # 2.0 ** 1024 overflows
    blocking(service, max_retries=1100, timeout=None).update_ai_llm(ID)
    assert len(waits) == 1100
    assert 7 < max(waits) <= 8


def test_retry_after_is_the_minimum_wait(update: Any, waits: list[float]) -> None:
    """Retry-After sets the minimum wait and can be an integer, a decimal fraction or a date."""
    date = email.utils.formatdate(time.time() + 20, usegmt=True)
    assert update(rate_limited("3", "1.5", date), name="n", max_retries=3).success is True
    assert waits[0] == 3
    assert 1.5 <= waits[1] <= 2
    assert 15 < waits[2] <= 20


def test_retry_after_in_the_past_still_backs_off(
    update: Any, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client still backs off if Retry-After is 0 or a date in the past."""
    monkeypatch.setattr("random.uniform", lambda _, most: most)
    assert update(rate_limited("0", "Mon, 01 Jan 2024 00:00:00 GMT"), name="n").success is True
    assert waits == [0.5, 1]


@pytest.mark.parametrize("after", ["31", "9" * 400, "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_retry_after_beyond_the_deadline_raises(
    update: Any, waits: list[float], after: str
) -> None:
    """If Retry-After exceeds the deadline, an error with `retry_after` is raised immediately."""
    with pytest.raises(errors.ApiStatusError, match="429") as caught:
        update(rate_limited(after), name="n")
    assert caught.value.retry_after is not None
    assert caught.value.retry_after >= 31
    assert waits == []


@pytest.mark.parametrize("after", ["soon", "-1", "", "١"])
def test_malformed_retry_after_is_ignored(update: Any, waits: list[float], after: str) -> None:
    """The client ignores a malformed Retry-After and uses its normal backoff."""
    assert update(rate_limited(after), name="n").success is True
    assert waits[0] <= 0.5


LAST_OUTCOMES = [
    *(httpx.Response(status) for status in (400, 401, 403, 404, 500)),
    httpx.ConnectError("refused"),
]


@pytest.mark.parametrize("last", LAST_OUTCOMES, ids=str)
def test_lost_attempt_may_have_been_applied(
    update: Any, waits: list[float], last: httpx.Response | Exception
) -> None:
    """If one attempt's response is lost, `maybe_applied` is true whatever happens next."""
    service = Service(httpx.ReadError("lost"), last)
    with pytest.raises(errors.FlashbackError, match="may have been applied") as caught:
        update(service, name="n", max_retries=1)
    assert caught.value.maybe_applied is True
    assert (caught.value.attempts, len(waits)) == (2, 1)


NOT_APPLIED = [
    *(httpx.ConnectError("refused"), httpx.ConnectTimeout("no handshake")),
    *(httpx.PoolTimeout("busy"), httpx.ProxyError("407")),
    *(httpx.Response(status) for status in (404, 418, 302, 500)),
]
MAYBE_APPLIED = [
    *(httpx.ReadTimeout("late"), httpx.WriteError("broken pipe")),
    *(httpx.RemoteProtocolError("cut off"), httpx.Response(200, content=b"{")),
    *(httpx.Response(status) for status in (204, 502, 504)),
]


@pytest.mark.parametrize("outcome", [*NOT_APPLIED, *MAYBE_APPLIED], ids=str)
def test_error_states_whether_the_update_may_be_applied(update: Any, outcome: Any) -> None:
    """`maybe_applied` is false if the request was not sent, or if a server or proxy rejected it."""
    with pytest.raises(errors.FlashbackError) as caught:
        update(Service(outcome), name="n", max_retries=0)
    assert caught.value.maybe_applied is (outcome in MAYBE_APPLIED)


def test_token_is_renewed_once_after_a_401() -> None:
    """After a 401, the client calls the token function again and retries the request once."""
    tokens = iter(["old", "new", "a", "b", "c"])
    service = Service(httpx.Response(401))
    client = blocking(service, token=lambda: next(tokens))
    assert client.update_ai_llm(ID).success is True
    sent = [request.headers["authorization"] for request in service.requests]
    assert sent == ["Bearer old", "Bearer new"]
    service.outcomes = [httpx.Response(401), httpx.Response(401)]
    with pytest.raises(errors.AuthenticationError, match="2 attempts"):
        client.with_options(max_retries=2).update_ai_llm(ID)


def test_token_function_is_called_for_every_call() -> None:
    """Each call uses the current token. The async client also accepts an async token function."""
    tokens = iter(["one", "two", "three"])

    async def token() -> str:
        await asyncio.sleep(0)
        return next(tokens)

    service = Service()
    client = blocking(service, token=lambda: next(tokens))
    client.update_ai_llm(ID)
    client.update_ai_llm(ID)
    update_async(service, token=token)
    sent = [request.headers["authorization"] for request in service.requests]
    assert sent == ["Bearer one", "Bearer two", "Bearer three"]


def test_invalid_token_from_a_function_raises_argument_error() -> None:
    """A value that a token function returns is validated like a token argument."""
    with pytest.raises(errors.ArgumentError, match="visible ASCII") as caught:
        blocking(Service(), token=lambda: "padded-token ").update_ai_llm(ID)
    assert "padded-token" not in str(caught.value)


def test_token_function_must_return_a_string() -> None:
    """A token function that does not return a string raises an ArgumentError."""
    with pytest.raises(errors.ArgumentError, match="token must be of type str, not function"):
        blocking(Service(), token=lambda: lambda: TOKEN).update_ai_llm(ID)


def test_failed_token_renewal_mentions_earlier_attempts(waits: list[float]) -> None:
    """If token renewal fails, the error says that the update may already have been applied."""

    def client_with_renewal(renewed_token: str | Exception) -> FlashbackClient:
        tokens: list[str | Exception] = [renewed_token, TOKEN]

        def token() -> str:
            token_or_error = tokens.pop()
            if isinstance(token_or_error, Exception):
                raise token_or_error
            return token_or_error

        service = Service(httpx.ReadError("lost"), httpx.Response(401))
        return blocking(service, token=token, max_retries=2)

    with pytest.raises(errors.ArgumentError, match=r"visible ASCII.*2 attempts, may have") as wrong:
        client_with_renewal("padded ").update_ai_llm(ID)
    assert (wrong.value.field, wrong.value.maybe_applied) == ("token", True)
    with pytest.raises(LookupError, match="provider") as foreign:
        client_with_renewal(LookupError("the identity provider is down")).update_ai_llm(ID)
    assert "2 attempts, may have been applied" in foreign.value.__notes__[0]
    assert len(waits) == 2


def test_token_function_error_propagates_unchanged() -> None:
    """An httpx error from a token function propagates and is not treated as a failed attempt."""

    def token() -> str:
        raise httpx.ConnectError("the identity provider is down")

    with pytest.raises(httpx.ConnectError, match="identity provider"):
        blocking(Service(), token=token).update_ai_llm(ID)


def raise_error_hook(response: httpx.Response) -> None:
    """Read the response body, and raise an error if the status does not indicate success."""
    response.read()
    response.raise_for_status()


async def async_raise_error_hook(response: httpx.Response) -> None:
    """Do the same as `raise_error_hook`, but asynchronously."""
    await response.aread()
    response.raise_for_status()


def test_raise_for_status_hook_does_not_change_the_error() -> None:
    """If a hook calls `raise_for_status`, the client raises its own error and does not retry."""
    service = Service(*[httpx.Response(404, json={"message": "gone"}) for _ in range(2)])
    with (
        httpx.Client(
            transport=service, event_hooks={"response": [raise_error_hook]}
        ) as http_client,
        pytest.raises(errors.NotFoundError, match=r"404 gone .1 attempt"),
    ):
        FlashbackClient(TOKEN, http_client=http_client).update_ai_llm(ID)
    async_http_client = httpx.AsyncClient(
        transport=service, event_hooks={"response": [async_raise_error_hook]}
    )
    with pytest.raises(errors.NotFoundError, match=r"404 gone .1 attempt"):
        update_async(None, http_client=async_http_client)
    assert len(service.requests) == 2


def test_raise_for_status_hook_can_leave_the_body_unread() -> None:
    """If a `raise_for_status` hook runs before the body is read, the error has no message."""
    hooks = {"response": [httpx.Response.raise_for_status]}
    with (
        serving(respond_with(http_response(404))) as server,
        httpx.Client(event_hooks=hooks) as http_client,
        pytest.raises(errors.NotFoundError, match=r"404 .1 attempt"),
    ):
        FlashbackClient(TOKEN, base_url=server.url, http_client=http_client).update_ai_llm(ID)


def audit_not_found(_: httpx.Response) -> None:
    """Simulate a hook whose own request receives a 404."""
    request = httpx.Request("POST", "https://audit.test")
    httpx.Response(404, request=request).raise_for_status()


def audit_refused(_: httpx.Response) -> None:
    """Simulate a hook whose own request cannot connect."""
    raise httpx.ConnectError("refused", request=httpx.Request("POST", "https://audit.test"))


@pytest.mark.parametrize("hook", [audit_not_found, audit_refused])
def test_error_from_a_request_in_a_hook_propagates(hook: Callable[..., None]) -> None:
    """If a hook's own request fails, the error propagates unchanged and the call is not retried."""

    async def async_hook(response: httpx.Response) -> None:
        hook(response)

    service = Service()
    with (
        httpx.Client(transport=service, event_hooks={"response": [hook]}) as http_client,
        pytest.raises(httpx.HTTPError),
    ):
        FlashbackClient(TOKEN, http_client=http_client).update_ai_llm(ID)
    async_http_client = httpx.AsyncClient(transport=service, event_hooks={"response": [async_hook]})
    with pytest.raises(httpx.HTTPError):
        update_async(None, http_client=async_http_client)
    assert len(service.requests) == 2


@pytest.mark.parametrize("length", [0, -5], ids=["nothing", "truncated"])
def test_lost_response_is_retried(update: Any, length: int) -> None:
    """The request is retried if the server disconnects before or during its response."""
    complete = http_response(200, UPDATED)

    def send_part(connection: socket.socket, request: Request, number: int) -> None:
        connection.sendall(complete[:length])
        disconnect(connection, request, number)

    with serving(in_turn(send_part, respond_with(complete))) as server:
        assert update(server.url, name="n").success is True
        assert len(server.requests) == 2


def test_connection_error_has_a_reason_and_a_cause(update: Any) -> None:
    """A connection error's message contains the URL and reason; its cause is the httpx error."""
    ended = r"RemoteProtocolError.*2 attempts"
    with (
        serving(disconnect) as server,
        pytest.raises(errors.ApiConnectionError, match=ended) as lost,
    ):
        update(server.url, name="n", max_retries=1)
    reason = r"Connection refused|Connect call failed"
    with pytest.raises(errors.ApiConnectionError, match=reason) as refused:
        update(server.url, name="n", max_retries=0)
    assert isinstance(lost.value.__cause__, httpx.RemoteProtocolError)
    assert isinstance(refused.value.__cause__, httpx.ConnectError)
    assert server.url in str(lost.value)
    assert server.url in str(refused.value)


@pytest.mark.parametrize(
    ("cause", "kind", "maybe_applied"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "lost"), httpx.ConnectError, False),
        (TimeoutError("lost"), httpx.ReadTimeout, True),
    ],
)
def test_custom_transport_error_becomes_a_connection_error(
    update: Any,
    cause: OSError,
    kind: type[httpx.RequestError],
    maybe_applied: bool,  # noqa: FBT001
) -> None:
    """An httpx error from a custom transport becomes an ApiConnectionError, whatever its cause."""

    def handle(_: httpx.Request) -> httpx.Response:
        try:
            raise cause
        except OSError as error:
            raise kind(str(error)) from error

    with pytest.raises(errors.ApiConnectionError, match="lost") as caught:
        update(httpx.MockTransport(handle), max_retries=0)
    assert caught.value.maybe_applied is maybe_applied


def test_error_does_not_mention_a_handled_exception(update: Any) -> None:
    """If a call in an `except` block fails, its error does not mention the handled exception."""

    def read_or_update() -> None:
        try:
            Path("/nonexistent/cache").read_text("utf-8")
        except OSError:
            update(Service(httpx.ReadError("lost")), max_retries=0)

    with pytest.raises(errors.ApiConnectionError, match=r": ReadError: lost \(1 att") as caught:
        read_or_update()
    assert caught.value.maybe_applied is True
    handled = caught.value.__context__
    assert isinstance(handled, FileNotFoundError)
    assert "pathlib" in traceback.extract_tb(handled.__traceback__)[-1].filename


def test_error_does_not_mention_outer_handled_exceptions() -> None:
    """If a call in nested `except` blocks fails, its error does not mention the outer exception."""

    async def update_after_another_error() -> None:
        client = AsyncFlashbackClient(TOKEN, base_url=server.url)
        try:
            int("not a number")
        except ValueError:
            await client.with_options(max_retries=0).update_ai_llm(ID)

    def read_or_update() -> None:
        try:
            Path("/nonexistent/cache").read_text("utf-8")
        except OSError:
            asyncio.run(update_after_another_error())

    with serving(disconnect) as server:
        pass  # stop the server so that its port refuses connections
    with pytest.raises(errors.ApiConnectionError) as caught:
        read_or_update()
    assert "No such file" not in str(caught.value)


def test_signal_handler_exception_propagates() -> None:
    """A TimeoutError from the caller's SIGALRM handler propagates and is not retried."""

    def raise_timeout(_: int, __: FrameType | None) -> None:
        raise TimeoutError("the caller's alarm")

    previous = signal.signal(signal.SIGALRM, raise_timeout)
    try:
        with serving(never_respond) as server, blocking(server.url, max_retries=2) as client:
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            with pytest.raises(TimeoutError, match="the caller's alarm"):
                client.update_ai_llm(ID, name="n")
            assert len(server.requests) == 1
    finally:
        signal.signal(signal.SIGALRM, previous)


def test_closing_during_a_call_raises_connection_error() -> None:
    """If another thread closes the client, a call in progress fails and is not retried.

    `maybe_applied` is true because the request was sent.
    """
    with serving(never_respond) as server:
        client = blocking(server.url, max_retries=2)

        def close() -> None:
            server.wait_for_request()
            time.sleep(0.2)  # wait until the main thread is reading the response
            client.close()

        closer = threading.Thread(target=close)
        closer.start()
        with pytest.raises(errors.ApiConnectionError, match="closed during the call") as caught:
            client.update_ai_llm(ID, name="n")
        closer.join()
        assert len(server.requests) == 1
    assert caught.value.maybe_applied is True


def test_closing_during_an_async_call_raises_connection_error() -> None:
    """If another task closes the async client, a call in progress raises an ApiConnectionError."""

    async def call(url: str) -> None:
        client = AsyncFlashbackClient(TOKEN, base_url=url)
        task = asyncio.create_task(client.update_ai_llm(ID, name="n"))
        await asyncio.to_thread(server.wait_for_request)
        await client.aclose()
        with pytest.raises(errors.ApiConnectionError, match="closed during the call") as caught:
            await task
        assert caught.value.maybe_applied is True

    with serving(never_respond) as server:
        asyncio.run(call(server.url))


def test_closing_between_attempts_raises_connection_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the client is closed while a call waits to retry, the call raises ApiConnectionError."""
    client = blocking(Service(httpx.ReadError("lost")), max_retries=2)
    monkeypatch.setattr(time, "sleep", lambda _: client.close())
    with pytest.raises(errors.ApiConnectionError, match="closed during the call") as caught:
        client.update_ai_llm(ID, name="n")
    assert caught.value.maybe_applied is True


def test_call_after_close_raises_an_error() -> None:
    """A call on a closed client raises an error, and no request is sent."""
    client = blocking(Service())
    client.close()
    with pytest.raises(errors.FlashbackError, match="this client is closed") as caught:
        client.update_ai_llm(ID)
    assert caught.value.maybe_applied is False

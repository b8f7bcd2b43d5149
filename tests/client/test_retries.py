"""Which failures are retried, when, and what errors say about earlier attempts."""

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
from tests.client.wire import Request, answer, hangs_up, in_turn, says, serving, waits_for_close

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from types import FrameType


def limited(*values: str) -> Service:
    """Return a service that answers 429 with these Retry-After headers, one after the other."""
    headers = [[(b"Retry-After", value.encode())] for value in values]
    return Service(*[httpx.Response(429, headers=fields) for fields in headers])


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 520, 599])
def test_transient_failures_are_retried(update: Any, waits: list[float], status: int) -> None:
    """By default, connection errors, 408, 429 and 5xx are retried twice, after random waits."""
    service = Service(httpx.Response(status), httpx.ConnectError("down"))
    assert update(service, name="n").success is True
    assert len(service.requests) == 3
    assert 0 <= waits[0] <= 0.5
    assert 0 <= waits[1] <= 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 415, 301, 418])
def test_permanent_failures_are_not_retried(update: Any, status: int) -> None:
    """Other statuses are final."""
    service = Service(httpx.Response(status))
    with pytest.raises(errors.ApiStatusError, match="1 attempt"):
        update(service, name="n")
    assert len(service.requests) == 1


def test_error_has_the_number_of_attempts(update: Any, waits: list[float]) -> None:
    """The last response is raised when no retries are left."""
    service = Service(*[httpx.Response(503) for _ in range(9)])
    with pytest.raises(errors.UnexpectedServerError, match="4 attempts") as caught:
        update(service, name="n", max_retries=3)
    assert caught.value.attempts == len(service.requests) == len(waits) + 1 == 4


def test_waits_grow_to_eight_seconds(waits: list[float]) -> None:
    """With any number of retries, one wait takes at most eight seconds."""
    service = Service(*[httpx.Response(503) for _ in range(1100)])  # 2.0 ** 1024 overflows
    blocking(service, max_retries=1100, timeout=None).update_ai_llm(ID)
    assert len(waits) == 1100
    assert 7 < max(waits) <= 8


def test_retry_after_is_the_minimum_wait(update: Any, waits: list[float]) -> None:
    """Retry-After may be seconds, a fraction or a date."""
    date = email.utils.formatdate(time.time() + 20, usegmt=True)
    assert update(limited("3", "1.5", date), name="n", max_retries=3).success is True
    assert waits[0] == 3
    assert 1.5 <= waits[1] <= 2
    assert 15 < waits[2] <= 20


def test_retry_after_in_the_past_still_backs_off(
    update: Any, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client backs off if Retry-After is 0 or a date in the past."""
    monkeypatch.setattr("random.uniform", lambda _, most: most)
    assert update(limited("0", "Mon, 01 Jan 2024 00:00:00 GMT"), name="n").success is True
    assert waits == [0.5, 1]


@pytest.mark.parametrize("after", ["31", "9" * 400, "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_retry_after_beyond_the_deadline(update: Any, waits: list[float], after: str) -> None:
    """The error is raised immediately and has the seconds to wait."""
    with pytest.raises(errors.ApiStatusError, match="429") as caught:
        update(limited(after), name="n")
    assert caught.value.retry_after is not None
    assert caught.value.retry_after >= 31
    assert waits == []


@pytest.mark.parametrize("after", ["soon", "-1", "", "١"])
def test_malformed_retry_after_is_ignored(update: Any, waits: list[float], after: str) -> None:
    """The request is retried after the usual wait."""
    assert update(limited(after), name="n").success is True
    assert waits[0] <= 0.5


LAST = [
    *(httpx.Response(status) for status in (400, 401, 403, 404, 500)),
    httpx.ConnectError("refused"),
]


@pytest.mark.parametrize("last", LAST, ids=str)
def test_lost_attempt_may_have_been_applied(
    update: Any, waits: list[float], last: httpx.Response | Exception
) -> None:
    """`maybe_applied` stays true for every outcome of the last attempt."""
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
def test_error_says_whether_the_update_may_be_applied(update: Any, outcome: Any) -> None:
    """It was not applied if nothing was sent, or if the service or a proxy rejected it."""
    with pytest.raises(errors.FlashbackError) as caught:
        update(Service(outcome), name="n", max_retries=0)
    assert caught.value.maybe_applied is (outcome in MAYBE_APPLIED)


def test_token_is_renewed_once_after_a_401() -> None:
    """A token function is called again, and the request is repeated with the new token."""
    tokens = iter(["old", "new", "a", "b", "c"])
    service = Service(httpx.Response(401))
    client = blocking(service, token=lambda: next(tokens))
    assert client.update_ai_llm(ID).success is True
    sent = [request.headers["authorization"] for request in service.requests]
    assert sent == ["Bearer old", "Bearer new"]
    service.answers = [httpx.Response(401), httpx.Response(401)]
    with pytest.raises(errors.AuthenticationError, match="2 attempts"):
        client.with_options(max_retries=2).update_ai_llm(ID)


def test_token_function_is_called_for_every_call() -> None:
    """Each call uses the current token. The token function of the async client may be async."""
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


def test_invalid_token_of_a_function_is_an_argument_error() -> None:
    """The token that a function returns is validated like an argument."""
    with pytest.raises(errors.ArgumentError, match="visible ASCII") as caught:
        blocking(Service(), token=lambda: "padded-token ").update_ai_llm(ID)
    assert "padded-token" not in str(caught.value)


def test_token_function_must_return_a_string() -> None:
    """Another type is an ArgumentError."""
    with pytest.raises(errors.ArgumentError, match="token must be of type str, not function"):
        blocking(Service(), token=lambda: lambda: TOKEN).update_ai_llm(ID)


def test_error_of_a_token_renewal_mentions_the_earlier_attempts(waits: list[float]) -> None:
    """After a lost attempt and a 401, the error says that the update may have been applied."""

    def failing(then: str | Exception) -> FlashbackClient:
        tokens: list[str | Exception] = [then, TOKEN]

        def token() -> str:
            given = tokens.pop()
            if isinstance(given, Exception):
                raise given
            return given

        service = Service(httpx.ReadError("lost"), httpx.Response(401))
        return blocking(service, token=token, max_retries=2)

    with pytest.raises(errors.ArgumentError, match=r"visible ASCII.*2 attempts, may have") as wrong:
        failing("padded ").update_ai_llm(ID)
    assert (wrong.value.field, wrong.value.maybe_applied) == ("token", True)
    with pytest.raises(LookupError, match="provider") as foreign:
        failing(LookupError("the identity provider is down")).update_ai_llm(ID)
    assert "2 attempts, may have been applied" in foreign.value.__notes__[0]
    assert len(waits) == 2


def test_error_of_a_token_function_propagates_unchanged() -> None:
    """Even an httpx error from a token function is not mistaken for a failed attempt."""

    def token() -> str:
        raise httpx.ConnectError("the identity provider is down")

    with pytest.raises(httpx.ConnectError, match="identity provider"):
        blocking(Service(), token=token).update_ai_llm(ID)


def check(response: httpx.Response) -> None:
    """Read the response and raise its error, as a hook."""
    response.read()
    response.raise_for_status()


async def check_async(response: httpx.Response) -> None:
    """Do the same as an async hook."""
    await response.aread()
    response.raise_for_status()


def test_raise_for_status_hook_does_not_change_the_error() -> None:
    """The error is the one of the response, and it is not retried."""
    service = Service(*[httpx.Response(404, json={"message": "gone"}) for _ in range(2)])
    with (
        httpx.Client(transport=service, event_hooks={"response": [check]}) as given,
        pytest.raises(errors.NotFoundError, match=r"404 gone .1 attempt"),
    ):
        FlashbackClient(TOKEN, http_client=given).update_ai_llm(ID)
    given_async = httpx.AsyncClient(transport=service, event_hooks={"response": [check_async]})
    with pytest.raises(errors.NotFoundError, match=r"404 gone .1 attempt"):
        update_async(None, http_client=given_async)
    assert len(service.requests) == 2


def test_raise_for_status_hook_may_leave_the_body_unread() -> None:
    """The error then has no message."""
    hooks = {"response": [httpx.Response.raise_for_status]}
    with (
        serving(says(answer(404))) as wire,
        httpx.Client(event_hooks=hooks) as given,
        pytest.raises(errors.NotFoundError, match=r"404 .1 attempt"),
    ):
        FlashbackClient(TOKEN, base_url=wire.url, http_client=given).update_ai_llm(ID)


def audit_not_found(_: httpx.Response) -> None:
    """Fail like a hook whose own request gets a 404."""
    request = httpx.Request("POST", "https://audit.test")
    httpx.Response(404, request=request).raise_for_status()


def audit_refused(_: httpx.Response) -> None:
    """Fail like a hook whose own request gets no response."""
    raise httpx.ConnectError("refused", request=httpx.Request("POST", "https://audit.test"))


@pytest.mark.parametrize("hook", [audit_not_found, audit_refused])
def test_error_of_a_request_of_a_hook_propagates_unchanged(hook: Callable[..., None]) -> None:
    """It is not mistaken for an error of the call, and the call is not repeated."""

    async def async_hook(response: httpx.Response) -> None:
        hook(response)

    service = Service()
    with (
        httpx.Client(transport=service, event_hooks={"response": [hook]}) as given,
        pytest.raises(httpx.HTTPError),
    ):
        FlashbackClient(TOKEN, http_client=given).update_ai_llm(ID)
    given_async = httpx.AsyncClient(transport=service, event_hooks={"response": [async_hook]})
    with pytest.raises(httpx.HTTPError):
        update_async(None, http_client=given_async)
    assert len(service.requests) == 2


@pytest.mark.parametrize("length", [0, -5], ids=["nothing", "truncated"])
def test_lost_response_is_retried(update: Any, length: int) -> None:
    """The request is repeated if the server disconnects before or during its response."""
    whole = answer(200, UPDATED)

    def send_part(connection: socket.socket, request: Request, number: int) -> None:
        connection.sendall(whole[:length])
        hangs_up(connection, request, number)

    with serving(in_turn(send_part, says(whole))) as wire:
        assert update(wire.url, name="n").success is True
        assert len(wire.requests) == 2


def test_connection_error_has_a_reason_and_a_cause(update: Any) -> None:
    """The text contains the URL and the reason, and `__cause__` is the error of httpx."""
    ended = r"RemoteProtocolError.*2 attempts"
    with serving(hangs_up) as wire, pytest.raises(errors.ApiConnectionError, match=ended) as lost:
        update(wire.url, name="n", max_retries=1)
    reason = r"Connection refused|Connect call failed"
    with pytest.raises(errors.ApiConnectionError, match=reason) as refused:
        update(wire.url, name="n", max_retries=0)
    assert isinstance(lost.value.__cause__, httpx.RemoteProtocolError)
    assert isinstance(refused.value.__cause__, httpx.ConnectError)
    assert wire.url in str(lost.value)
    assert wire.url in str(refused.value)


@pytest.mark.parametrize(
    ("cause", "kind", "maybe_applied"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "lost"), httpx.ConnectError, False),
        (TimeoutError("lost"), httpx.ReadTimeout, True),
    ],
)
def test_transport_of_the_caller_may_translate_system_errors(
    update: Any,
    cause: OSError,
    kind: type[httpx.RequestError],
    maybe_applied: bool,  # noqa: FBT001
) -> None:
    """An httpx error becomes an ApiConnectionError even if the caller's code raised its cause."""

    def handle(_: httpx.Request) -> httpx.Response:
        try:
            raise cause
        except OSError as error:
            raise kind(str(error)) from error

    with pytest.raises(errors.ApiConnectionError, match="lost") as caught:
        update(httpx.MockTransport(handle), max_retries=0)
    assert caught.value.maybe_applied is maybe_applied


def test_exception_that_the_caller_handles_is_left_alone(update: Any) -> None:
    """A call in an `except` block fails as usual, without the text of the handled exception."""

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


def test_earlier_handled_exceptions_are_left_alone() -> None:
    """An error does not mention an exception that was being handled before the last one."""

    async def update_after_another_error() -> None:
        client = AsyncFlashbackClient(TOKEN, base_url=wire.url)
        try:
            int("not a number")
        except ValueError:
            await client.with_options(max_retries=0).update_ai_llm(ID)

    def read_or_update() -> None:
        try:
            Path("/nonexistent/cache").read_text("utf-8")
        except OSError:
            asyncio.run(update_after_another_error())

    with serving(hangs_up) as wire:
        pass  # so that its port refuses connections
    with pytest.raises(errors.ApiConnectionError) as caught:
        read_or_update()
    assert "No such file" not in str(caught.value)


def test_exception_of_a_signal_handler_propagates() -> None:
    """A TimeoutError of the caller's own SIGALRM handler is not retried."""

    def ring(_: int, __: FrameType | None) -> None:
        raise TimeoutError("the caller's alarm")

    previous = signal.signal(signal.SIGALRM, ring)
    try:
        with serving(waits_for_close) as wire, blocking(wire.url, max_retries=2) as client:
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            with pytest.raises(TimeoutError, match="the caller's alarm"):
                client.update_ai_llm(ID, name="n")
            assert len(wire.requests) == 1
    finally:
        signal.signal(signal.SIGALRM, previous)


def test_closing_during_a_call_is_a_connection_error() -> None:
    """After close() in another thread, the call is not retried and may have been applied."""
    with serving(waits_for_close) as wire:
        client = blocking(wire.url, max_retries=2)

        def close() -> None:
            wire.wait_for_request()
            time.sleep(0.2)  # until the other thread reads
            client.close()

        closer = threading.Thread(target=close)
        closer.start()
        with pytest.raises(errors.ApiConnectionError, match="closed during the call") as caught:
            client.update_ai_llm(ID, name="n")
        closer.join()
        assert len(wire.requests) == 1
    assert caught.value.maybe_applied is True


def test_closing_during_an_async_call_is_a_connection_error() -> None:
    """The same is true after aclose() in another task."""

    async def call(url: str) -> None:
        client = AsyncFlashbackClient(TOKEN, base_url=url)
        task = asyncio.create_task(client.update_ai_llm(ID, name="n"))
        await asyncio.to_thread(wire.wait_for_request)
        await client.aclose()
        with pytest.raises(errors.ApiConnectionError, match="closed during the call") as caught:
            await task
        assert caught.value.maybe_applied is True

    with serving(waits_for_close) as wire:
        asyncio.run(call(wire.url))


def test_closing_between_attempts_is_a_connection_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that waits for its retry ends with an error about its first attempt."""
    client = blocking(Service(httpx.ReadError("lost")), max_retries=2)
    monkeypatch.setattr(time, "sleep", lambda _: client.close())
    with pytest.raises(errors.ApiConnectionError, match="closed during the call") as caught:
        client.update_ai_llm(ID, name="n")
    assert caught.value.maybe_applied is True


def test_call_after_close_is_an_error() -> None:
    """The error says that the client is closed, and nothing is sent."""
    client = blocking(Service())
    client.close()
    with pytest.raises(errors.FlashbackError, match="this client is closed") as caught:
        client.update_ai_llm(ID)
    assert caught.value.maybe_applied is False

"""Which failures are retried, when, and what the error says about earlier attempts."""

from __future__ import annotations

import asyncio
import email.utils
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from flashback_client import AsyncFlashbackClient, FlashbackClient, errors
from tests.client.support import ID, TOKEN, UPDATED, Service, blocking, update_blocking
from tests.client.wire import Request, answer, hangs_up, says, serving

if TYPE_CHECKING:
    import socket
    from types import FrameType


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 520, 599])
def test_passing_failures_are_retried(update: Any, waits: list[float], status: int) -> None:
    """408, 429 and every 5xx are retried twice, with growing random waits."""
    service = Service(httpx.Response(status), httpx.ConnectError("down"))
    assert update(service, name="n").success is True
    assert len(service.requests) == 3
    assert 0 <= waits[0] <= 0.5
    assert 0 <= waits[1] <= 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 415, 301, 418])
def test_lasting_failures_are_not_retried(update: Any, status: int) -> None:
    """A refusal is final: one attempt."""
    service = Service(httpx.Response(status))
    with pytest.raises(errors.ApiStatusError, match="1 attempt"):
        update(service, name="n")
    assert len(service.requests) == 1


def test_retries_end(update: Any, waits: list[float]) -> None:
    """After the last attempt the error says how many there were."""
    service = Service(*[httpx.Response(503) for _ in range(9)])
    with pytest.raises(errors.UnexpectedServerError, match="4 attempts") as caught:
        update(service, name="n", options={"max_retries": 3})
    assert caught.value.attempts == len(service.requests) == len(waits) + 1 == 4


def test_waits_grow_to_eight_seconds(waits: list[float]) -> None:
    """However many retries there are, one wait is at most eight seconds."""
    service = Service(*[httpx.Response(503) for _ in range(1100)])  # 2.0 ** 1024 is too much
    options = {"max_retries": 1100, "timeout": None}
    assert update_blocking(service, name="n", options=options).success is True
    assert len(waits) == 1100
    assert 7 < max(waits) <= 8


def test_retry_after_is_honored_in_every_form(update: Any, waits: list[float]) -> None:
    """Seconds, fractions of them and an HTTP date are waited for."""
    date = email.utils.formatdate(time.time() + 20, usegmt=True)
    service = Service(
        *(httpx.Response(429, headers={"Retry-After": after}) for after in ("3", "1.5", date))
    )
    assert update(service, name="n", options={"max_retries": 3}).success is True
    assert waits[0] == 3
    assert 1.5 <= waits[1] <= 2
    assert 15 < waits[2] <= 20


def test_retry_after_in_the_past_still_backs_off(
    update: Any, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """0 and a past date mean no minimum, not three requests in a millisecond."""
    monkeypatch.setattr("random.uniform", lambda _, most: most)
    past = "Mon, 01 Jan 2024 00:00:00 GMT"
    service = Service(
        *(httpx.Response(429, headers={"Retry-After": after}) for after in ("0", past))
    )
    assert update(service, name="n").success is True
    assert waits == [0.5, 1]


@pytest.mark.parametrize("after", ["31", "9" * 400, "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_wait_beyond_the_deadline_is_not_begun(update: Any, waits: list[float], after: str) -> None:
    """A Retry-After beyond the deadline raises immediately, and says how long to wait."""
    service = Service(httpx.Response(429, headers={"Retry-After": after}))
    with pytest.raises(errors.ApiStatusError, match="429") as caught:
        update(service, name="n")
    assert caught.value.retry_after is not None
    assert caught.value.retry_after >= 31
    assert waits == []


@pytest.mark.parametrize("after", ["soon", "-1", "", "١"])
def test_malformed_retry_after_is_ignored(update: Any, waits: list[float], after: str) -> None:
    """A malformed Retry-After does not prevent the retry."""
    service = Service(httpx.Response(429, headers=[(b"Retry-After", after.encode())]))
    assert update(service, name="n").success is True
    assert waits[0] <= 0.5


ANSWERS = [
    *(httpx.Response(status) for status in (400, 401, 403, 404, 500)),
    httpx.ConnectError("refused"),
]


@pytest.mark.parametrize("last", ANSWERS, ids=str)
def test_lost_attempt_may_have_been_applied(
    update: Any, waits: list[float], last: httpx.Response | Exception
) -> None:
    """`maybe_applied` stays true, regardless of later responses, and the text says so."""
    service = Service(httpx.ReadError("lost"), last)
    with pytest.raises(errors.FlashbackError, match="may have been applied") as caught:
        update(service, name="n", options={"max_retries": 1})
    assert caught.value.maybe_applied is True
    assert (caught.value.attempts, len(waits)) == (2, 1)


@pytest.mark.parametrize(
    ("outcome", "maybe_applied"),
    [
        (httpx.ConnectError("refused"), False),
        (httpx.ConnectTimeout("late"), False),
        (httpx.PoolTimeout("busy"), False),
        (httpx.ProxyError("407"), False),
        (httpx.ReadTimeout("late"), True),
        (httpx.WriteError("broken pipe"), True),
        (httpx.RemoteProtocolError("cut off"), True),
        (httpx.Response(404), False),
        (httpx.Response(418), False),
        (httpx.Response(302), False),
        (httpx.Response(500), False),
        (httpx.Response(204), True),
        (httpx.Response(502), True),
        (httpx.Response(504), True),
        (httpx.Response(200, content=b"{"), True),
    ],
    ids=str,
)
def test_error_says_whether_the_update_may_be_applied(
    update: Any,
    outcome: httpx.Response | Exception,
    maybe_applied: bool,  # noqa: FBT001 - a parameter
) -> None:
    """It is False only if the update was not sent, or was refused with a documented status."""
    with pytest.raises(errors.FlashbackError) as caught:
        update(Service(outcome), name="n", options={"max_retries": 0})
    assert caught.value.maybe_applied is maybe_applied


def test_another_token_is_asked_for_once_after_a_401() -> None:
    """A token function is called again when its first token is refused, and only then."""
    tokens = iter(["old", "new", "newer"])
    service = Service(httpx.Response(401))
    client = FlashbackClient(lambda: next(tokens), transport=service, max_retries=0)
    assert client.update_ai_llm(ID).success is True
    sent = [request.headers["authorization"] for request in service.requests]
    assert sent == ["Bearer old", "Bearer new"]
    service.answers = [httpx.Response(401), httpx.Response(401)]
    tokens = iter(["a", "b", "c"])
    with pytest.raises(errors.AuthenticationError, match="2 attempts"):
        client.with_options(max_retries=2).update_ai_llm(ID)


def test_token_function_is_called_for_every_call() -> None:
    """Each call uses the current token; the async client awaits an async function."""
    tokens = iter(["one", "two", "three"])

    async def token() -> str:
        await asyncio.sleep(0)
        return next(tokens)

    async def call() -> None:
        async with AsyncFlashbackClient(token, transport=service) as client:
            await client.update_ai_llm(ID)

    service = Service()
    with FlashbackClient(lambda: next(tokens), transport=service) as client:
        client.update_ai_llm(ID)
        client.update_ai_llm(ID)
    asyncio.run(call())
    sent = [request.headers["authorization"] for request in service.requests]
    assert sent == ["Bearer one", "Bearer two", "Bearer three"]


def test_unusable_token_of_a_function_is_an_argument_error() -> None:
    """The token that a function returns is checked like an argument."""
    padded = "padded-token "

    with pytest.raises(errors.ArgumentError, match="visible ASCII") as caught:
        FlashbackClient(lambda: padded, transport=Service()).update_ai_llm(ID)
    assert padded not in str(caught.value)


def test_failing_renewal_of_a_token_says_what_was_applied(waits: list[float]) -> None:
    """After a lost attempt and a 401, errors of the token function do not hide the first one."""

    def failing(then: str | Exception) -> FlashbackClient:
        tokens: list[str | Exception] = [then, TOKEN]

        def token() -> str:
            given = tokens.pop()
            if isinstance(given, Exception):
                raise given
            return given

        service = Service(httpx.ReadError("lost"), httpx.Response(401))
        return FlashbackClient(token, transport=service)

    with pytest.raises(errors.ArgumentError, match=r"visible ASCII.*2 attempts, may have") as wrong:
        failing("padded ").update_ai_llm(ID)
    assert (wrong.value.field, wrong.value.maybe_applied) == ("token", True)
    with pytest.raises(LookupError, match="provider") as foreign:
        failing(LookupError("the identity provider is down")).update_ai_llm(ID)
    assert "2 attempts, may have been applied" in foreign.value.__notes__[0]
    assert len(waits) == 2


def test_error_of_a_token_function_passes_unchanged() -> None:
    """Errors of the caller's own functions propagate unchanged, httpx errors included."""

    def token() -> str:
        raise httpx.ConnectError("the identity provider is down")

    with pytest.raises(httpx.ConnectError, match="identity provider"):
        FlashbackClient(token, transport=Service()).update_ai_llm(ID)


def test_raise_for_status_hook_is_judged_by_its_response() -> None:
    """The hook changes neither the class of an error nor what is retried."""

    def check(response: httpx.Response) -> None:
        response.read()
        response.raise_for_status()

    async def check_awaited(response: httpx.Response) -> None:
        await response.aread()
        response.raise_for_status()

    def check_unread(response: httpx.Response) -> None:
        response.raise_for_status()

    async def call(given: httpx.AsyncClient) -> None:
        await AsyncFlashbackClient(TOKEN, http_client=given).update_ai_llm(ID)

    body = {"success": False, "message": "gone"}
    service = Service(httpx.Response(404, json=body), httpx.Response(404, json=body))
    url = "https://backend.flashback.tech"
    with (
        httpx.Client(base_url=url, transport=service, event_hooks={"response": [check]}) as given,
        pytest.raises(errors.NotFoundError, match=r"404 gone .1 attempt"),
    ):
        FlashbackClient(TOKEN, http_client=given).update_ai_llm(ID)
    hooks: dict[str, list[Any]] = {"response": [check_awaited]}
    awaited = httpx.AsyncClient(base_url=url, transport=service, event_hooks=hooks)
    with pytest.raises(errors.NotFoundError, match=r"404 gone .1 attempt"):
        asyncio.run(call(awaited))
    assert len(service.requests) == 2
    with (
        serving(says(answer(404))) as wire,
        httpx.Client(event_hooks={"response": [check_unread]}) as unread,
        pytest.raises(errors.NotFoundError, match=r"404 .1 attempt"),
    ):
        FlashbackClient(TOKEN, base_url=wire.url, http_client=unread).update_ai_llm(ID)


@pytest.mark.parametrize("length", [0, -5], ids=["nothing", "truncated"])
def test_lost_response_is_retried(update: Any, length: int) -> None:
    """A call is retried if the server hangs up before or during its answer."""
    whole = answer(200, UPDATED)

    def behave(connection: socket.socket, request: Request, number: int) -> None:
        connection.sendall(whole[:length] if number == 0 else whole)
        if number == 0:
            hangs_up(connection, request, number)

    with serving(behave) as wire:
        assert update(None, name="n", options={"base_url": wire.url}).success is True
        assert len(wire.requests) == 2


def test_connection_error_has_reason_and_cause(update: Any) -> None:
    """Both clients name host and reason, and `__cause__` is there to branch on."""
    with serving(hangs_up) as wire:
        options = {"base_url": wire.url, "max_retries": 1}
        with pytest.raises(errors.ApiConnectionError, match=r"RemoteProtocolError.*2 att") as lost:
            update(None, name="n", options=options)
    assert isinstance(lost.value.__cause__, httpx.RemoteProtocolError)
    with pytest.raises(
        errors.ApiConnectionError, match=r"Connection refused|Connect call failed"
    ) as refused:
        update(None, name="n", options={**options, "max_retries": 0})
    assert isinstance(refused.value.__cause__, httpx.ConnectError)
    assert wire.url in str(lost.value)
    assert wire.url in str(refused.value)


def test_alarm_of_the_caller_is_the_callers() -> None:
    """A TimeoutError from a SIGALRM handler propagates immediately, without a retry."""

    def ring(_: int, __: FrameType | None) -> None:
        raise TimeoutError("the caller's alarm")

    def hang(_: socket.socket, __: Request, ___: int) -> None:
        stop.wait(5)

    stop = threading.Event()
    previous = signal.signal(signal.SIGALRM, ring)
    try:
        with (
            serving(hang) as wire,
            blocking(base_url=wire.url, max_retries=2) as client,
        ):
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            with pytest.raises(TimeoutError, match="the caller's alarm"):
                client.update_ai_llm(ID, name="n")
            stop.set()
            assert len(wire.requests) == 1
    finally:
        stop.set()
        signal.signal(signal.SIGALRM, previous)


def test_closing_during_a_call_is_a_connection_error() -> None:
    """close() by another thread ends the call without a retry; it may have been applied."""
    sent = threading.Event()

    def behave(connection: socket.socket, _: Request, __: int) -> None:
        sent.set()
        connection.recv(1)

    with serving(behave) as wire:
        client = blocking(base_url=wire.url, max_retries=2)

        def close() -> None:
            sent.wait(5)
            time.sleep(0.2)  # until the other thread reads
            client.close()

        started = time.monotonic()
        closer = threading.Thread(target=close)
        closer.start()
        with pytest.raises(errors.ApiConnectionError, match="closed during the call") as caught:
            client.update_ai_llm(ID, name="n")
        closer.join()
    assert caught.value.maybe_applied is True
    assert time.monotonic() - started < 8


def test_closing_during_an_awaited_call_is_a_connection_error() -> None:
    """aclose() by another task does the same."""

    def behave(connection: socket.socket, _: Request, __: int) -> None:
        connection.recv(1)

    async def call(url: str) -> None:
        client = AsyncFlashbackClient(TOKEN, base_url=url)
        task = asyncio.create_task(client.update_ai_llm(ID, name="n"))
        await asyncio.to_thread(wire.wait_for_request)
        await client.aclose()
        with pytest.raises(errors.ApiConnectionError, match="closed during the call") as caught:
            await task
        assert caught.value.maybe_applied is True

    with serving(behave) as wire:
        asyncio.run(call(wire.url))


def test_closing_between_attempts_is_a_connection_error() -> None:
    """A client closed while a call waits for its retry still says what may have happened."""
    client = FlashbackClient(TOKEN, transport=Service(httpx.ReadError("lost")))
    closer = threading.Timer(0.05, client.close)
    closer.start()
    patient = client.with_options(timeout=30)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("random.uniform", lambda _, __: 0.3)
        with pytest.raises(errors.ApiConnectionError, match="closed during the call") as caught:
            patient.update_ai_llm(ID, name="n")
    closer.join()
    assert caught.value.maybe_applied is True


def test_call_after_close_says_so() -> None:
    """Use after close() is an error that names the cause, and nothing is sent."""
    client = blocking(Service())
    client.close()
    with pytest.raises(errors.FlashbackError, match="this client is closed") as caught:
        client.update_ai_llm(ID)
    assert caught.value.maybe_applied is False

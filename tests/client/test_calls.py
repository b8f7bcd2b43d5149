"""What a caller of either client relies on: retries, deadlines, errors, options, logs."""

from __future__ import annotations

import asyncio
import email.utils
import gzip
import html
import json
import logging
import os
import pickle
import threading
import time
import traceback
import urllib.parse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import yaml
from flashback_client import (
    UNSET,
    AiType,
    AsyncFlashbackClient,
    FlashbackClient,
    FlashbackError,
    errors,
)
from flashback_client.api.ai_llm import update_ai_llm
from flashback_client.models import UpdateAiLlmRequest, UpdateAiLlmResponse

from tests.client.subject import ID, SECRET, TOKEN
from tests.client.wire import Request, answer, hangs_up, says, serving

if TYPE_CHECKING:
    from collections.abc import Callable

CONTRACT: Any = yaml.safe_load((Path(__file__).parents[2] / "openapi.yaml").read_text("utf-8"))
OPERATION = CONTRACT["paths"]["/ai/llm/{id}"]["put"]
FINE: dict[str, object] = {"success": True, "aiLlmId": ID, "message": "updated"}


class Service(httpx.MockTransport):
    """Answers in turn, and keeps what it was asked."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        """Answers these, then with success."""
        self.answers: list[httpx.Response | Exception] = list(answers)
        self.requests: list[httpx.Request] = []
        super().__init__(self._handle)

    def _handle(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        given = self.answers.pop(0) if self.answers else httpx.Response(200, json=FINE)
        if isinstance(given, Exception):
            raise given
        return given


def blocking(
    service: Service, *args: Any, options: dict[str, Any] | None = None, **fields: Any
) -> Any:
    """One call by the blocking client."""
    with FlashbackClient(TOKEN, transport=service, **(options or {})) as client:
        return client.update_ai_llm(*(args or (ID,)), **fields)


def awaited(
    service: Service, *args: Any, options: dict[str, Any] | None = None, **fields: Any
) -> Any:
    """One call by the awaited client."""

    async def call() -> UpdateAiLlmResponse:
        async with AsyncFlashbackClient(TOKEN, transport=service, **(options or {})) as client:
            return await client.update_ai_llm(*(args or (ID,)), **fields)

    return asyncio.run(call())


@pytest.fixture(params=[blocking, awaited])
def update(request: pytest.FixtureRequest) -> Any:
    """One call by either client."""
    return request.param


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Waiting between attempts takes no time, and is written down."""
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr(time, "sleep", waits.append)
    monkeypatch.setattr(asyncio, "sleep", sleep)
    return waits


@pytest.mark.parametrize(
    "name", list(OPERATION["requestBody"]["content"]["application/json"]["examples"])
)
def test_the_contracts_examples_are_sent_as_they_stand(update: Any, name: str) -> None:
    """Every example of a request body is what goes over the wire."""
    value = OPERATION["requestBody"]["content"]["application/json"]["examples"][name]["value"]
    service = Service()
    fields = {("ai_type" if key == "aiType" else key): given for key, given in value.items()}
    assert update(service, **fields) == UpdateAiLlmResponse.from_dict(FINE)
    (request,) = service.requests
    assert (request.method, str(request.url)) == (
        "PUT",
        f"https://backend.flashback.tech/ai/llm/{ID}",
    )
    assert json.loads(request.content) == value
    assert request.headers["authorization"] == f"Bearer {TOKEN}"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["user-agent"] == f"flashback-client/{CONTRACT['info']['version']}"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "BadRequestError"),
        (401, "AuthenticationError"),
        (403, "PermissionDeniedError"),
        (404, "NotFoundError"),
        (500, "InternalServerError"),
        (418, "UnexpectedStatusError"),
    ],
)
def test_every_status_has_its_error(update: Any, status: int, kind: str) -> None:
    """The error says method, path, status, the service's message, request id and attempts."""
    body = {"success": False, "message": "so it is"}
    service = Service(httpx.Response(status, json=body, headers={"X-Request-Id": "r-9"}))
    with pytest.raises(FlashbackError) as caught:
        update(service, options={"max_retries": 0})
    error = caught.value
    assert isinstance(error, errors.ApiStatusError)
    assert type(error).__name__ == kind
    assert (error.status_code, error.message, error.request_id) == (status, "so it is", "r-9")
    assert str(error).startswith(f"PUT https://backend.flashback.tech/ai/llm/{ID}: {status}")
    assert str(error).endswith("(1 attempt, request id r-9)")
    assert json.loads(error.body) == body


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 520, 599])
def test_passing_failures_are_tried_again(update: Any, at_once: list[float], status: int) -> None:
    """408, 429 and every 5xx are repeated twice, with growing random waits."""
    service = Service(httpx.Response(status), httpx.ConnectError("down"))
    assert update(service, name="n").success is True
    assert len(service.requests) == 3
    assert 0 <= at_once[0] <= 0.5
    assert 0 <= at_once[1] <= 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 301, 418])
def test_lasting_failures_are_not(update: Any, status: int) -> None:
    """A refusal is final: one attempt."""
    service = Service(httpx.Response(status))
    with pytest.raises(errors.ApiStatusError, match="1 attempt"):
        update(service, name="n")
    assert len(service.requests) == 1


def test_retries_end(update: Any, at_once: list[float]) -> None:
    """After the last attempt the error says how many there were."""
    service = Service(*[httpx.Response(503) for _ in range(9)])
    with pytest.raises(errors.UnexpectedStatusError, match="4 attempts") as caught:
        update(service, name="n", options={"max_retries": 3})
    assert caught.value.attempts == len(service.requests) == len(at_once) + 1 == 4


def test_retry_after_is_kept_in_both_forms(update: Any, at_once: list[float]) -> None:
    """Seconds and an HTTP date are waited for as asked."""
    date = email.utils.formatdate(time.time() + 20, usegmt=True)
    service = Service(
        httpx.Response(429, headers={"Retry-After": "7"}),
        httpx.Response(503, headers={"Retry-After": date}),
    )
    assert update(service, name="n").success is True
    assert at_once[0] == 7
    assert 15 < at_once[1] <= 20


@pytest.mark.parametrize("after", ["31", "9" * 400, "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_a_wait_beyond_the_deadline_is_not_begun(
    update: Any, at_once: list[float], after: str
) -> None:
    """A Retry-After that the deadline forbids raises at once."""
    service = Service(httpx.Response(429, headers={"Retry-After": after}))
    with pytest.raises(errors.UnexpectedStatusError, match="429"):
        update(service, name="n")
    assert at_once == []


@pytest.mark.parametrize("after", ["soon", "-1", "", "١"])
def test_a_garbled_retry_after_is_as_good_as_none(
    update: Any, at_once: list[float], after: str
) -> None:
    """What is no time at all does not break the retry."""
    service = Service(httpx.Response(429, headers=[(b"Retry-After", after.encode())]))
    assert update(service, name="n").success is True
    assert at_once[0] <= 0.5


@pytest.mark.parametrize("status", [400, 200])
@pytest.mark.parametrize(
    "written",
    [
        pytest.param(str, id="plain"),
        pytest.param(json.dumps, id="json"),
        pytest.param(
            lambda text: json.dumps(text, ensure_ascii=False).replace("/", "\\/"), id="php"
        ),
        pytest.param(html.escape, id="html"),
        pytest.param(urllib.parse.quote_plus, id="form"),
        pytest.param(urllib.parse.quote, id="url"),
        pytest.param(lambda text: urllib.parse.quote(text, safe=""), id="segment"),
    ],
)
def test_no_error_repeats_a_credential(
    update: Any, status: int, written: Callable[[str], str]
) -> None:
    """Whatever the service sends back, in text, body or headers, the secrets are masked."""
    secret = 's/cr&t "ü" +'
    said = f"{written(secret)} and {TOKEN}"
    service = Service(
        httpx.Response(status, content=said.encode(), headers=[(b"X-Echo", said.encode())])
    )
    with pytest.raises(FlashbackError) as caught:
        update(service, key=secret, options={"max_retries": 0})
    shown = f"{caught.value} {caught.value!r} {vars(caught.value)}"
    assert written(secret).strip('"') not in shown
    assert secret not in shown
    assert TOKEN not in shown
    assert "***" in shown


def test_a_service_cannot_fake_a_line_of_a_log(update: Any) -> None:
    """Line breaks and terminal codes in a message are spaces in the error's text."""
    service = Service(httpx.Response(400, json={"message": "no\n2026 ERROR \x1b[31m"}))
    with pytest.raises(errors.BadRequestError) as caught:
        update(service, name="n")
    assert str(caught.value).isprintable()


def test_another_token_is_asked_for_once_after_a_401() -> None:
    """A callable token is called again when the first one is refused, and only then."""
    tokens = iter(["old", "new", "newer"])
    service = Service(httpx.Response(401))
    client = FlashbackClient(lambda: next(tokens), transport=service, max_retries=0)
    assert client.update_ai_llm(ID).success is True
    sent = [request.headers["authorization"] for request in service.requests]
    assert sent == ["Bearer old", "Bearer new"]
    service.answers = [httpx.Response(401), httpx.Response(401)]
    same = client.with_options(max_retries=2)
    tokens = iter(["a", "b", "c"])
    with pytest.raises(errors.AuthenticationError, match="2 attempts"):
        same.update_ai_llm(ID)
    client.close()


def test_a_token_may_be_awaited() -> None:
    """The awaited client takes a coroutine function as well."""

    async def token() -> str:
        await asyncio.sleep(0)
        return "later"

    async def call() -> None:
        service = Service()
        async with AsyncFlashbackClient(token, transport=service) as client:
            await client.update_ai_llm(ID)
        assert service.requests[0].headers["authorization"] == "Bearer later"

    asyncio.run(call())


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """FLASHBACK_TOKEN and FLASHBACK_BASE_URL stand in for arguments, which win over them."""
    monkeypatch.setenv("FLASHBACK_TOKEN", "of-the-environment")
    monkeypatch.setenv("FLASHBACK_BASE_URL", "https://other.test/api/")
    service = Service()
    with FlashbackClient(transport=service) as client:
        client.update_ai_llm(ID)
    with FlashbackClient("given", base_url="https://given.test", transport=service) as client:
        client.update_ai_llm(ID)
    first, second = service.requests
    assert str(first.url) == f"https://other.test/api/ai/llm/{ID}"
    assert first.headers["authorization"] == "Bearer of-the-environment"
    assert str(second.url) == f"https://given.test/ai/llm/{ID}"
    assert second.headers["authorization"] == "Bearer given"


def test_http_is_allowed_by_name() -> None:
    """allow_http=True is for those who know that the token is in clear."""
    service = Service()
    with FlashbackClient(
        TOKEN, base_url="http://inside", allow_http=True, transport=service
    ) as client:
        assert client.update_ai_llm(ID).success is True


@pytest.mark.parametrize("id_", ["a/b", "%2e%2e", "?x", "#x", "ü", "\x00", "...", " "])
def test_any_other_id_is_one_segment(id_: str) -> None:
    """An opaque id reaches the service as it is, whatever is in it."""
    service = Service()
    blocking(service, id_)
    path = service.requests[0].url.raw_path.decode()
    assert urllib.parse.unquote(path.removeprefix("/ai/llm/")) == id_
    assert path.count("/") == 3


def test_options_are_refused_when_they_make_no_sense() -> None:
    """Wrong settings are told at construction."""
    wrong: list[dict[str, Any]] = [
        {"timeout": "30"},
        {"timeout": float("nan")},
        {"max_retries": -1},
        {"max_retries": 1.5},
        {"headers": {"Authorization": "Bearer x"}},
        {"headers": {"a b": "x"}},
        {"headers": {"a": "x\r\nb: y"}},
    ]
    client = FlashbackClient(TOKEN, transport=Service())
    for options in wrong:
        with pytest.raises(ValueError, match=r"timeout|max_retries|headers"):
            FlashbackClient(TOKEN, transport=Service(), **options)
        with pytest.raises(ValueError, match=r"timeout|max_retries|headers"):
            client.with_options(**options)
    client.close()


def test_with_options_is_cheap_and_shares_connections() -> None:
    """A derived client costs under 0.1 ms, uses the same connection, and closes none."""
    with (
        serving(says(answer(200, FINE))) as wire,
        FlashbackClient(TOKEN, base_url=wire.url) as client,
    ):
        client.update_ai_llm(ID)
        started = time.process_time()
        for _ in range(100):
            client.with_options(timeout=1, max_retries=0, headers={"X-A": "1"})
        assert (time.process_time() - started) / 100 < 0.0001
        with client.with_options(timeout=None) as derived:
            derived.update_ai_llm(ID)
        with pytest.raises(FlashbackError, match="closed"):
            derived.update_ai_llm(ID)
        client.update_ai_llm(ID)
        assert wire.connections == 1
    orphan = client.with_options(timeout=1)
    with pytest.raises(FlashbackError, match="closed"):
        orphan.update_ai_llm(ID)


def test_the_deadline_covers_retries(update: Any) -> None:
    """However many attempts are left, the call ends with the deadline."""
    service = Service(*[httpx.ConnectError("down") for _ in range(99)])
    started = time.monotonic()
    with pytest.raises(errors.ApiConnectionError):
        update(service, name="n", options={"timeout": 0.5, "max_retries": 99})
    assert time.monotonic() - started < 1.2


@pytest.mark.parametrize("part", ["head", "body", "nothing"])
def test_a_slow_service_cannot_hold_an_awaited_call(part: str) -> None:
    """Bytes that drip do not prolong the deadline of the awaited client either."""
    stop = threading.Event()
    sent = {
        "head": b"HTTP/1.1 200 OK\r\nX-" + b"x" * 99,
        "body": answer(200, b" " * 99)[:-90] + b" " * 90,
        "nothing": b"",
    }

    def behave(connection: Any, _: Request, __: int) -> None:
        for byte in sent[part]:
            connection.sendall(bytes([byte]))
            if stop.wait(0.05):
                return
        stop.wait(5)

    async def call(url: str) -> None:
        async with AsyncFlashbackClient(TOKEN, base_url=url, timeout=0.4) as client:
            await client.update_ai_llm(ID)

    with serving(behave) as wire:
        started = time.monotonic()
        with pytest.raises(errors.ApiTimeoutError):
            asyncio.run(call(wire.url))
        assert time.monotonic() - started < 1.3
        stop.set()


def test_a_truncated_answer_is_no_answer() -> None:
    """A body shorter than promised is tried again, not believed."""
    whole = answer(200, FINE)

    def behave(connection: Any, request: Request, number: int) -> None:
        connection.sendall(whole[:-5] if number == 0 else whole)
        if number == 0:
            hangs_up(connection, request, number)

    with serving(behave) as wire, FlashbackClient(TOKEN, base_url=wire.url) as client:
        assert client.update_ai_llm(ID).success is True
        assert len(wire.requests) == 2


def test_a_lost_connection_is_an_error_that_names_it() -> None:
    """When every attempt is lost, the error says so in the family's own class."""
    with (
        serving(hangs_up) as wire,
        FlashbackClient(TOKEN, base_url=wire.url, max_retries=1) as client,
        pytest.raises(errors.ApiConnectionError, match=r"RemoteProtocolError.*2 attempts"),
    ):
        client.update_ai_llm(ID)


def test_compressed_answers_are_read_all_the_same() -> None:
    """A proxy that compresses unasked is understood; an unknown coding is a clear error."""
    packed = gzip.compress(json.dumps(FINE).encode())
    with (
        serving(
            says(
                answer(200, packed, Content_Encoding="gzip"),
                answer(200, b"x", Content_Encoding="br"),
            )
        ) as wire,
        FlashbackClient(TOKEN, base_url=wire.url) as client,
    ):
        assert client.update_ai_llm(ID).message == "updated"
        with pytest.raises(errors.ResponseDecodeError, match="not asked for"):
            client.update_ai_llm(ID)


def test_logs_say_what_happened_and_no_secret(
    update: Any, at_once: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    """One line a call at DEBUG, a warning for each retry, nothing secret at any level."""
    caplog.set_level(1)
    service = Service(httpx.ConnectError(f"{TOKEN} {SECRET}"))
    update(service, secret=SECRET)
    ours = [each for each in caplog.records if each.name == "flashback_client"]
    assert [each.levelno for each in ours] == [logging.WARNING, logging.DEBUG]
    assert ours[1].getMessage().startswith(f"PUT https://backend.flashback.tech/ai/llm/{ID}: 200, ")
    assert ours[1].getMessage().endswith("attempts: 2")
    assert TOKEN not in caplog.text
    assert SECRET not in caplog.text
    assert len(at_once) == 1


def test_function_modules_parse_instead_of_raising() -> None:
    """The generator's own functions return errors as parsed bodies, on the same core."""
    body = UpdateAiLlmRequest(name="n")
    service = Service(
        httpx.Response(404, json={"success": False, "message": "gone"}), httpx.Response(418)
    )
    with FlashbackClient(TOKEN, transport=service) as client:
        parsed = update_ai_llm.sync(ID, client=client, body=body)
        assert parsed is not None
        assert parsed.message == "gone"
        assert update_ai_llm.sync(ID, client=client, body=body) is None
        detailed = update_ai_llm.sync_detailed(ID, client=client, body=body)
        assert (detailed.status_code, detailed.parsed) == (
            200,
            UpdateAiLlmResponse.from_dict(FINE),
        )


def test_function_modules_can_be_awaited() -> None:
    """The same by the awaited client."""

    async def call() -> None:
        service = Service(httpx.Response(500, json={"message": "no"}))
        async with AsyncFlashbackClient(TOKEN, transport=service, max_retries=0) as client:
            body = UpdateAiLlmRequest(ai_type=AiType.AWS)
            response = await update_ai_llm.asyncio_detailed(ID, client=client, body=body)
            assert response.status_code == 500
            assert response.parsed is not None
            assert response.parsed.message == "no"

    asyncio.run(call())


def test_a_handed_in_client_keeps_its_settings() -> None:
    """Its base URL, headers and limits are the caller's, and so is closing it."""
    service = Service()
    with httpx.Client(
        transport=service,
        base_url="https://theirs.test",
        headers={"X-Theirs": "1"},
        timeout=3,
    ) as given:
        with FlashbackClient(TOKEN, http_client=given) as client:
            client.update_ai_llm(ID)
        assert not given.is_closed
    (request,) = service.requests
    assert str(request.url) == f"https://theirs.test/ai/llm/{ID}"
    assert request.headers["x-theirs"] == "1"
    assert request.headers["authorization"] == f"Bearer {TOKEN}"
    assert request.extensions["timeout"]["read"] == 3


def test_a_handed_in_async_client_belongs_to_one_loop() -> None:
    """In another event loop it is a clear error, not somebody else's answer."""
    client = AsyncFlashbackClient(TOKEN, http_client=httpx.AsyncClient(transport=Service()))
    asyncio.run(_call(client))
    with pytest.raises(FlashbackError, match="another event loop"):
        asyncio.run(_call(client))


def _call(client: AsyncFlashbackClient) -> Any:
    return client.update_ai_llm(ID)


def test_many_tasks_share_one_client() -> None:
    """Fifty awaited calls at once each get their own answer."""

    def echo(connection: Any, request: Request, _: int) -> None:
        connection.sendall(answer(200, {"success": True, "aiLlmId": request.target[8:]}))

    async def call(url: str) -> list[Any]:
        async with AsyncFlashbackClient(TOKEN, base_url=url) as client:
            made = await asyncio.gather(*(client.update_ai_llm(str(each)) for each in range(50)))
            return [each.ai_llm_id for each in made]

    with serving(echo) as wire:
        assert asyncio.run(call(wire.url)) == [str(each) for each in range(50)]


def test_cancelling_an_awaited_call_shows_no_secret() -> None:
    """A cancelled call is cancelled, and its traceback holds no frame of the request."""

    def wait(connection: Any, _: Request, __: int) -> None:
        connection.recv(1)

    async def call(url: str) -> None:
        async with AsyncFlashbackClient(TOKEN, base_url=url) as client:
            task = asyncio.ensure_future(client.update_ai_llm(ID, secret=SECRET))
            await asyncio.sleep(0.1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError) as caught:
                await task
            assert all("httpx" not in str(frame.path) for frame in caught.traceback)

    with serving(wait) as wire:
        asyncio.run(call(wire.url))


def test_unset_is_one_and_reads_well() -> None:
    """UNSET is the only one of its kind, false, and prints its name."""
    assert type(UNSET)() is UNSET
    assert not UNSET
    assert repr(UpdateAiLlmRequest()) == (
        "UpdateAiLlmRequest(name=UNSET, ai_type=UNSET, endpoint=UNSET, key=UNSET, secret=UNSET)"
    )


def test_a_client_cannot_be_pickled() -> None:
    """It holds a token and connections: TypeError, with the advice to make it where it is used."""
    with (
        FlashbackClient(TOKEN, transport=Service()) as client,
        pytest.raises(TypeError, match="where it is used"),
    ):
        pickle.dumps(client)


def test_environment_proxies_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTP_PROXY is honoured by the blocking client's own transport, NO_PROXY excepted."""
    with serving(says(answer(200, FINE))) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        with FlashbackClient(TOKEN, base_url="http://inside.test", allow_http=True) as client:
            assert client.update_ai_llm(ID).success is True
        assert proxy.requests[0].target == f"http://inside.test/ai/llm/{ID}"
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        with (
            serving(says(answer(200, FINE))) as wire,
            FlashbackClient(TOKEN, base_url=wire.url) as client,
        ):
            assert client.update_ai_llm(ID).success is True
        assert len(proxy.requests) == 1


def test_cookies_of_one_call_are_not_sent_with_another() -> None:
    """What a service sets for one tenant stays out of another tenant's calls."""
    service = Service(httpx.Response(200, json=FINE, headers={"Set-Cookie": "tenant=one; Path=/"}))
    with FlashbackClient(TOKEN, transport=service) as client:
        client.update_ai_llm(ID)
        client.with_options(headers={"X-Tenant": "two"}).update_ai_llm(ID)
    assert [request.headers.get("cookie") for request in service.requests] == [None, None]


@pytest.mark.parametrize("location", ["https://[bad", "//\x00", "https://user:pw@ok.test/x", ""])
def test_a_redirect_to_nowhere_is_an_error_like_others(update: Any, location: str) -> None:
    """Whatever a Location holds, the error is the redirect's, not the URL parser's."""
    service = Service(httpx.Response(302, headers=[(b"Location", location.encode())]))
    with pytest.raises(errors.UnexpectedStatusError, match=r"302; redirects are not followed"):
        update(service, name="n")


def test_a_handed_in_transport_is_not_shared_with_a_forked_child() -> None:
    """In a child it is a clear error, not an answer to the parent."""
    with FlashbackClient(TOKEN, http_client=httpx.Client(transport=Service())) as client:
        client.update_ai_llm(ID)
        child = os.fork()
        if child == 0:
            try:
                client.update_ai_llm(ID)
            except FlashbackError as error:
                os._exit(0 if "after the fork" in str(error) else 2)
            os._exit(1)
        assert os.waitpid(child, 0)[1] == 0


def test_only_one_of_client_and_transport_can_be_handed_in() -> None:
    """Both at once is refused: one of them would not be used."""
    with httpx.Client() as given, pytest.raises(ValueError, match="not both"):
        FlashbackClient(TOKEN, http_client=given, transport=Service())


def test_closing_ends_the_connections() -> None:
    """After close() or aclose() no connection is left open."""

    async def call(url: str) -> None:
        async with AsyncFlashbackClient(TOKEN, base_url=url) as client:
            await client.update_ai_llm(ID)
        await asyncio.sleep(0)
        assert await asyncio.to_thread(wire.all_end)

    with serving(says(answer(200, FINE))) as wire:
        with FlashbackClient(TOKEN, base_url=wire.url) as client:
            client.update_ai_llm(ID)
        assert wire.all_end()
        asyncio.run(call(wire.url))
        assert wire.connections == 2


def test_an_endless_answer_is_cut_off() -> None:
    """A body without end is read to the cap and no further, long before the deadline."""

    def behave(connection: Any, _: Request, __: int) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(b" " * 65536)

    async def call(url: str) -> None:
        async with AsyncFlashbackClient(TOKEN, base_url=url) as client:
            await client.update_ai_llm(ID)

    started = time.monotonic()
    with serving(behave) as wire:
        with (
            FlashbackClient(TOKEN, base_url=wire.url) as client,
            pytest.raises(errors.ResponseDecodeError, match="larger than 1048576"),
        ):
            client.update_ai_llm(ID)
        with pytest.raises(errors.ResponseDecodeError, match="larger than 1048576"):
            asyncio.run(call(wire.url))
    assert time.monotonic() - started < 5


def test_a_token_function_that_gives_no_token_is_told_without_showing_it() -> None:
    """What a callable returns is judged like an argument, and captured locals do not show it."""
    given = "padded-token "
    clients: list[tuple[Any, Callable[[Any], Any]]] = [
        (FlashbackClient(lambda: given, transport=Service()), lambda it: it.update_ai_llm(ID)),
        (
            AsyncFlashbackClient(lambda: given, transport=Service()),
            lambda it: asyncio.run(it.update_ai_llm(ID)),
        ),
    ]
    for client, call in clients:
        with pytest.raises(ValueError, match="visible ASCII") as caught:
            call(client)
        told = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
        ours = [frame for frame in told.stack if "flashback_client" in frame.filename]
        assert ours
        assert "padded-token" not in str([frame.locals for frame in ours])


def test_a_header_given_replaces_the_clients_own_in_any_case() -> None:
    """`user-agent` is User-Agent: sent once, as given."""
    service = Service()
    with FlashbackClient(TOKEN, transport=service, headers={"uSER-aGENT": "mine"}) as client:
        client.update_ai_llm(ID)
        assert "mine" not in str(vars(client))
    assert service.requests[0].headers.get_list("user-agent") == ["mine"]


def test_what_a_transport_says_is_masked_and_short(update: Any) -> None:
    """A credential in the text of a lost connection, or a message of any length, stays out."""
    service = Service(
        httpx.ConnectError(f"{TOKEN} {SECRET}"),
        httpx.Response(400, json={"message": "m" * 100_000}),
    )
    with pytest.raises(errors.ApiConnectionError) as lost:
        update(service, secret=SECRET, options={"max_retries": 0})
    assert str(lost.value) == (
        f"PUT https://backend.flashback.tech/ai/llm/{ID}: ConnectError: *** *** (1 attempt)"
    )
    with pytest.raises(errors.BadRequestError) as refused:
        update(service, name="n")
    assert len(str(refused.value)) < 700


def test_waits_grow_to_eight_seconds_and_no_further(update: Any, at_once: list[float]) -> None:
    """However many retries are asked for, one wait is at most eight seconds."""
    service = Service(*[httpx.Response(503) for _ in range(1500)])
    options = {"max_retries": 1500, "timeout": None}
    assert update(service, name="n", options=options).success is True
    assert len(at_once) == 1500
    assert 7 < max(at_once) <= 8


def test_what_is_handed_in_must_be_of_the_clients_kind() -> None:
    """An async httpx client cannot block, nor the other way round: told at construction."""
    wrong: Any = object()
    for kind in (FlashbackClient, AsyncFlashbackClient):
        for options in ({"http_client": wrong}, {"transport": wrong}):
            with pytest.raises(TypeError, match="must be an httpx"):
                kind(TOKEN, **options)

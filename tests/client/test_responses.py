"""A success is returned, and every other response raises the error of its status."""

from __future__ import annotations

import asyncio
import copy
import gzip
import http
import json
import tracemalloc
from typing import Any

import httpx
import pytest

from flashback_client import AiType, AsyncFlashbackClient, FlashbackError, errors
from flashback_client.api.ai_llm import update_ai_llm
from flashback_client.models import UpdateAiLlmRequest, UpdateAiLlmResponse
from tests.client.support import (
    CONTRACT,
    ID,
    OPERATION,
    TOKEN,
    UPDATED,
    URL,
    Service,
    blocking,
    pickled,
)
from tests.client.wire import answer, says, serving

EXAMPLES = OPERATION["requestBody"]["content"]["application/json"]["examples"]
DOCUMENTED = sorted(int(status) for status in OPERATION["responses"] if status != "200")
NAMES = {
    401: "AuthenticationError",
    403: "PermissionDeniedError",
    413: "ContentTooLargeError",
    429: "RateLimitError",
    500: "InternalServerError",
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_of_the_contract_can_be_sent(update: Any, name: str) -> None:
    """Each example of a request body is sent unchanged, with the client's headers."""
    value = EXAMPLES[name]["value"]
    service = Service()
    fields = {("ai_type" if field == "aiType" else field): value[field] for field in value}
    assert update(service, **fields) == UpdateAiLlmResponse.from_dict(UPDATED)
    (request,) = service.requests
    assert (request.method, str(request.url)) == ("PUT", URL)
    assert json.loads(request.content) == value
    assert request.headers["authorization"] == f"Bearer {TOKEN}"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["user-agent"] == f"flashback-client/{CONTRACT['info']['version']}"


@pytest.mark.parametrize("status", DOCUMENTED)
def test_every_documented_status_has_its_class(update: Any, status: int) -> None:
    """The class is named after the HTTP phrase, and the error has the facts of the response."""
    phrase = http.HTTPStatus(status).phrase.title().replace(" ", "")
    body = {"success": False, "message": "so it is"}
    headers = {"X-Request-Id": "r-9", "Retry-After": "7"}
    service = Service(httpx.Response(status, json=body, headers=headers))
    with pytest.raises(errors.ApiStatusError) as caught:
        update(service, max_retries=0)
    error = caught.value
    assert type(error).__name__ == NAMES.get(status, f"{phrase}Error")
    assert isinstance(error, errors.ServerError) == (status >= 500)
    assert (error.status_code, error.message, error.request_id) == (status, "so it is", "r-9")
    assert (error.method, error.url, error.path) == ("PUT", URL, f"/ai/llm/{ID}")
    assert (error.attempts, error.retry_after, error.maybe_applied) == (1, 7, False)
    assert error.headers["X-Request-Id"] == error.headers.get("x-request-id") == "r-9"
    assert str(error) == f"PUT {URL}: {status} so it is (1 attempt, request id r-9)"
    assert json.loads(error.body) == body


@pytest.mark.parametrize("status", [204, 302, 418, 499, 502, 520, 527, 530, 599])
def test_undocumented_status_is_unexpected(update: Any, status: int) -> None:
    """Statuses that IANA does not know raise, too, and every 5xx is a ServerError."""
    with pytest.raises(errors.UnexpectedStatusError, match=str(status)) as caught:
        update(Service(httpx.Response(status)), name="n", max_retries=0)
    assert caught.value.status_code == status
    assert isinstance(caught.value, errors.ServerError) == (status >= 500)


BROKEN = [
    *(b"null", b"[" * 100000, b"\xff", b"[]", b"[[1,2]]", b"", b"<html>", b'"text"'),
    *(b'{"success":"yes"}', b'{"success":1}', b'{"success":false}'),
    b'{"success":true,"aiLlmId":7}',
]


@pytest.mark.parametrize("content", BROKEN)
def test_success_with_an_undocumented_body_is_a_decode_error(update: Any, content: bytes) -> None:
    """The error has the status and the body, and says that the update may have been applied."""
    with pytest.raises(errors.ResponseDecodeError) as caught:
        update(Service(httpx.Response(200, content=content)), name="n")
    assert (caught.value.status_code, caught.value.maybe_applied) == (200, True)
    assert caught.value.body == content[: 1 << 16]


@pytest.mark.parametrize("status", [200, 404])
def test_byte_order_mark_is_ignored(update: Any, status: int) -> None:
    """The JSON of a success or an error may start with a byte order mark."""
    content = b"\xef\xbb\xbf" + json.dumps({**UPDATED, "success": status == 200}).encode()
    service = Service(httpx.Response(status, content=content))
    if status == 200:
        assert update(service, name="n").message == "updated"
    else:
        with pytest.raises(errors.NotFoundError, match="404 updated"):
            update(service, name="n")


def test_text_is_decoded_with_the_charset_of_the_response() -> None:
    """`Response.text` raises no error for a charset that Python does not know."""
    odd = ("zz", "hex", "rot13", "zlib", "idna", "punycode", "undefined")
    answers = [(charset, b"\xff", "\ufffd") for charset in odd]
    answers.append(("latin-1", b"\xe9", "é"))
    call = update_ai_llm.prepare(ID, body=UpdateAiLlmRequest())
    for charset, content, text in answers:
        page = {"content-type": f"text/html; charset={charset}"}
        with blocking(Service(httpx.Response(418, content=content, headers=page))) as client:
            assert client.send(call).text == text


@pytest.mark.parametrize("packed", [True, False], ids=["gzip", "plain"])
def test_large_response_is_truncated(update: Any, packed: bool) -> None:  # noqa: FBT001
    """A response of 20 MB, or of 20 kB that decompress to 20 MB, is not kept in memory."""
    content = b" " * 20_000_000
    sent = answer(200, content)
    if packed:
        sent = answer(200, gzip.compress(content), Content_Encoding="gzip")
    with serving(says(sent)) as wire:
        tracemalloc.start()
        with pytest.raises(errors.ResponseDecodeError, match="larger than 1048576"):
            update(wire.url, name="n")
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert most < 10_000_000


def test_compressed_response_is_decoded(update: Any) -> None:
    """A response may use gzip; another Content-Encoding is a ResponseDecodeError."""
    packed = gzip.compress(json.dumps(UPDATED).encode())
    gzipped = answer(200, packed, Content_Encoding="gzip")
    unknown = answer(200, b"x", Content_Encoding="br")
    with serving(says(gzipped, unknown)) as wire:
        assert update(wire.url, name="n").message == "updated"
        with pytest.raises(errors.ResponseDecodeError, match="Content-Encoding"):
            update(wire.url, name="n")


@pytest.mark.parametrize("location", ["https://[bad", "//\x00", "https://user:pw@ok.test/x", ""])
def test_redirect_is_an_unexpected_status(update: Any, location: str) -> None:
    """A redirect is not followed, even if its Location is invalid."""
    service = Service(httpx.Response(302, headers=[(b"Location", location.encode())]))
    with pytest.raises(errors.UnexpectedStatusError, match=r"302; redirects are not followed"):
        update(service, name="n")


@pytest.mark.parametrize("status", [303, 307])
def test_given_httpx_client_does_not_follow_redirects(status: int) -> None:
    """Even with follow_redirects=True, the body is not sent to another host."""
    with serving(says(answer(200, UPDATED))) as other:
        redirect = answer(status, Location=f"{other.url}/x?y")
        with (
            serving(says(redirect)) as wire,
            httpx.Client(follow_redirects=True) as given,
            pytest.raises(errors.UnexpectedStatusError, match="not followed") as caught,
        ):
            blocking(wire.url, http_client=given).update_ai_llm(ID, secret="s")
        assert other.url in str(caught.value)
        assert other.requests == []


def errors_to_keep() -> list[FlashbackError]:
    """Return one error of each kind, with all facts."""
    facts = {"method": "PUT", "url": URL, "attempts": 2, "maybe_applied": True}
    headers = {"x-request-id": "r-1"}
    return [
        errors.ApiTimeoutError("late", facts),
        errors.ArgumentError.about("name", "must be short"),
        errors.NotFoundError("gone", {**facts, "headers": headers, "body": "\xff{}"}),
        errors.UnexpectedServerError("bad gateway", {**facts, "status_code": 502}),
    ]


def remade(error: FlashbackError) -> FlashbackError:
    """Return a copy made from class and args, like Celery's JSON result backend."""
    return type(error)(*json.loads(json.dumps(error.args)))


@pytest.mark.parametrize("again", [pickled, copy.copy, copy.deepcopy, remade])
@pytest.mark.parametrize("error", errors_to_keep(), ids=lambda error: type(error).__name__)
def test_copied_error_has_the_same_facts(error: FlashbackError, again: Any) -> None:
    """Errors can be pickled, copied, and made again from their args."""
    same = again(error)
    assert (type(same), str(same), vars(same)) == (type(error), str(error), vars(error))


def test_error_without_facts_has_the_status_of_its_class() -> None:
    """A test can raise `NotFoundError("gone")`."""
    error = errors.NotFoundError("gone")
    assert (str(error), error.status_code) == ("gone", 404)
    assert (error.body, dict(error.headers)) == (b"", {})


def test_error_of_a_large_response_is_small(update: Any) -> None:
    """The error has the first 64 KiB of the body, and its text is short."""
    service = Service(httpx.Response(404, content=b"x" * 5_000_000))
    with pytest.raises(errors.NotFoundError) as caught:
        update(service, name="n")
    assert len(str(caught.value)) < 1000
    assert len(caught.value.body) == 1 << 16
    message = Service(httpx.Response(400, json={"message": "m" * 100_000}))
    with pytest.raises(errors.BadRequestError) as caught_long:
        update(message, name="n")
    assert len(str(caught_long.value)) < 700


def test_function_modules_return_any_status() -> None:
    """They return the parsed body, the request ID and the number of attempts, and do not raise."""
    body = UpdateAiLlmRequest(name="n")
    failed = {"success": False, "message": "gone"}
    service = Service(
        httpx.Response(404, json=failed),
        httpx.Response(418),
        httpx.Response(404, json=failed, headers={"x-request-id": "r-1"}),
        httpx.Response(200, json=UPDATED, headers={"x-request-id": "r-2"}),
    )
    with blocking(service) as client:
        parsed = update_ai_llm.sync(ID, client=client, body=body)
        assert parsed is not None
        assert parsed.message == "gone"
        assert update_ai_llm.sync(ID, client=client, body=body) is None
        refused = update_ai_llm.sync_detailed(ID, client=client, body=body)
        assert (refused.status_code, refused.request_id, refused.attempts) == (404, "r-1", 1)
        with pytest.raises(errors.NotFoundError, match=r"404 gone .*request id r-1"):
            refused.raise_for_status()
        updated = update_ai_llm.sync_detailed(ID, client=client, body=body)
        assert updated.raise_for_status() is updated
        assert (updated.request_id, updated.headers["X-Request-Id"]) == ("r-2", "r-2")
        assert updated.parsed == UpdateAiLlmResponse.from_dict(UPDATED)


def test_function_modules_have_async_functions() -> None:
    """The async functions return the same."""

    async def call() -> None:
        service = Service(httpx.Response(500, json={"message": "no"}))
        async with AsyncFlashbackClient(TOKEN, transport=service, max_retries=0) as client:
            body = UpdateAiLlmRequest(ai_type=AiType.OPENAI)
            response = await update_ai_llm.asyncio_detailed(ID, client=client, body=body)
        assert response.status_code == 500
        assert response.parsed is not None
        assert response.parsed.message == "no"

    asyncio.run(call())


def test_unknown_field_of_a_response_is_kept(update: Any) -> None:
    """A later version of the contract may add a field."""
    service = Service(httpx.Response(200, json={**UPDATED, "zzField": [1]}))
    assert update(service, name="n").additional_properties == {"zzField": [1]}

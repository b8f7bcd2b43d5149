"""The client returns successful responses and raises errors for all other statuses."""

import asyncio
import copy
import gzip
import json
import pickle
import time
import tracemalloc
from typing import Any

import httpx
import pytest

from flashback_client import AsyncFlashbackClient, FlashbackError, errors
from flashback_client.api.ai_llm import update_ai_llm
from flashback_client.models import UpdateAiLlmRequest, UpdateAiLlmResponse
from tests.client.support import (
    CONTRACT,
    ID,
    OK,
    OPERATION,
    SECRET,
    TOKEN,
    UPDATED,
    URL,
    Service,
    blocking,
    pickled,
)
from tests.client.wire import http_response, serving

EXAMPLES = OPERATION["requestBody"]["content"]["application/json"]["examples"]
DOCUMENTED = sorted(map(int, OPERATION["responses"].keys() - {"200"}))


@pytest.mark.parametrize("name", EXAMPLES)
def test_contract_examples_can_be_sent(name: str) -> None:
    """The client sends each request example in the contract unchanged, with the correct headers."""
    value = EXAMPLES[name]["value"]
    service = Service()
    update_ai_llm.sync(ID, client=blocking(service), body=UpdateAiLlmRequest.from_dict(value))
    (request,) = service.requests
    assert (request.method, str(request.url)) == ("PUT", URL)
    assert json.loads(request.content) == value
    assert request.headers["authorization"] == f"Bearer {TOKEN}"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["user-agent"] == f"flashback-client/{CONTRACT['info']['version']}"


@pytest.mark.parametrize("status", DOCUMENTED)
def test_every_documented_status_has_an_error_class(update: Any, status: int) -> None:
    """Each documented error status has its own error class, such as NotFoundError for 404."""
    body = {"success": False, "message": "so it is"}
    headers = {"X-Request-Id": "r-9", "Retry-After": "7"}
    service = Service(httpx.Response(status, json=body, headers=headers))
    with pytest.raises(errors.STATUS_ERRORS[status]) as caught:
        update(service, max_retries=0)
    error = caught.value
    assert isinstance(error, errors.ServerError) == (status >= 500)
    assert (error.status_code, error.message, error.request_id) == (status, "so it is", "r-9")
    assert (error.method, error.url, error.path) == ("PUT", URL, f"/ai/llm/{ID}")
    assert (error.attempts, error.retry_after, error.maybe_applied) == (1, 7, False)
    assert error.headers["X-Request-Id"] == error.headers.get("x-request-id") == "r-9"
    assert str(error) == f"PUT {URL}: {status} so it is (1 attempt, request id r-9)"
    assert json.loads(error.body) == body


@pytest.mark.parametrize("status", [204, 304, 418, 499, 502, 520, 527, 530, 599])
def test_undocumented_status_raises_unexpected_status_error(update: Any, status: int) -> None:
    """Undocumented statuses raise UnexpectedStatusError, which is also a ServerError for a 5xx.

    `maybe_applied` is false for a 3xx or 4xx, because a server or proxy rejected the request.
    """
    with pytest.raises(errors.UnexpectedStatusError, match=f"{status} .1 attempt") as caught:
        update(Service(httpx.Response(status)), max_retries=0)
    assert caught.value.status_code == status
    assert caught.value.maybe_applied is (not 300 <= status < 500)
    assert isinstance(caught.value, errors.ServerError) == (status >= 500)


INVALID_BODIES = [
    *(b"null", b"[" * 100000, b"\xff", b"[]", b"[[1,2]]", b"", b"<html>", b'"text"'),
    *(b'{"success":"yes"}', b'{"success":1}', b'{"success":false}', b'{"success":null}'),
    b'{"success":true,"aiLlmId":7}',
]


@pytest.mark.parametrize("content", INVALID_BODIES)
def test_invalid_success_body_raises_decode_error(update: Any, content: bytes) -> None:
    """A 200 with an invalid body raises a ResponseDecodeError whose `maybe_applied` is true."""
    with pytest.raises(errors.ResponseDecodeError) as caught:
        update(Service(httpx.Response(200, content=content)), name="new")
    assert (caught.value.status_code, caught.value.maybe_applied) == (200, True)
    assert caught.value.body == content[: 1 << 16]


@pytest.mark.parametrize("charset", ["latin-1", "utf-8"])
def test_text_is_utf_8_or_latin_1(charset: str) -> None:
    """`Response.text` decodes the body as UTF-8 or, if that fails, as Latin-1."""
    client = blocking(Service(httpx.Response(418, content="é".encode(charset))))
    response = update_ai_llm.sync_detailed(ID, client=client, body=UpdateAiLlmRequest())
    assert response.text == "é"


def test_large_response_is_decoded_quickly() -> None:
    """A large response with long character references is decoded quickly."""
    content = b"&#" + b"9" * 5000 + b" &amp;#" + b"9" * 5000 + b"a-" + b"z9" * 50_000
    started = time.process_time()
    with pytest.raises(errors.BadRequestError):
        blocking(Service(httpx.Response(400, content=content))).update_ai_llm(ID)
    assert time.process_time() - started < 1


@pytest.mark.parametrize(("encode", "encoding"), [(bytes, ""), (gzip.compress, "gzip")])
def test_large_response_is_truncated(update: Any, encode: Any, encoding: str) -> None:
    """The client never holds a whole 20 MB response in memory, even if it arrives compressed."""
    sent = http_response(200, encode(b" " * 20_000_000), Content_Encoding=encoding)
    with serving(sent) as server:
        tracemalloc.start()
        with pytest.raises(errors.ResponseDecodeError, match="larger than 1048576"):
            update(server.url, name="new")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 10_000_000


COMPRESSED = gzip.compress(b"\xef\xbb\xbf" + json.dumps(UPDATED).encode())


@pytest.mark.parametrize(("encoding", "body"), [("gzip", COMPRESSED), ("", UPDATED)])
def test_compressed_response_is_decoded(update: Any, encoding: str, body: Any) -> None:
    """The client decodes gzip and ignores an empty Content-Encoding header."""
    with serving(http_response(200, body, Content_Encoding=encoding)) as server:
        assert update(server.url).message == "updated"


@pytest.mark.parametrize("encoding", ["br", "deflate", "gzip, gzip"])
def test_unusable_encoding_raises_decode_error(update: Any, encoding: str) -> None:
    """If a body cannot be decoded, the error names the encoding and omits the body."""
    unusable = pytest.raises(errors.ResponseDecodeError, match=f"Encoding: {encoding}")
    with serving(http_response(200, COMPRESSED[2:], Content_Encoding=encoding)) as server:
        with unusable as caught:
            update(server.url)
        assert caught.value.body == b""


def test_redirect_raises_unexpected_status_error(update: Any) -> None:
    """A redirect raises UnexpectedStatusError, even if its Location header is invalid."""
    headers = [(b"Location", "https://[später".encode())]
    with pytest.raises(errors.UnexpectedStatusError, match=r"302; redirects are not .*später"):
        update(Service(httpx.Response(302, headers=headers)), name="new")


def test_custom_http_client_does_not_follow_redirects() -> None:
    """The client never sends the body to another host, even if httpx is set to follow redirects."""
    with serving(OK) as other, serving(http_response(307, Location=other.url)) as server:
        redirected = pytest.raises(errors.UnexpectedStatusError, match=f"not followed.*{other.url}")
        with httpx.Client(follow_redirects=True) as http_client, redirected:
            blocking(server.url, http_client=http_client).update_ai_llm(ID, secret="s")
        assert other.requests == []


def sample_errors() -> list[FlashbackError]:
    """Return errors of several classes, with their attributes set."""
    facts = {"method": "PUT", "url": URL, "attempts": 2, "maybe_applied": True}
    return [
        errors.ApiTimeoutError("late", facts),
        errors.ArgumentError.about("name", "must be short"),
        errors.NotFoundError("gone", {**facts, "headers": {"x": "später"}, "body": "\xff{}"}),
        errors.UnexpectedServerError("bad gateway", {**facts, "status_code": 502}),
    ]


def rebuilt(error: FlashbackError) -> FlashbackError:
    """Rebuild an error from its class and its args, as Celery's JSON result backend does."""
    return type(error)(*json.loads(json.dumps(error.args)))


@pytest.mark.parametrize("copy_error", [pickled, copy.copy, copy.deepcopy, rebuilt])
@pytest.mark.parametrize("error", sample_errors(), ids=lambda error: type(error).__name__)
def test_copied_error_keeps_its_attributes(error: FlashbackError, copy_error: Any) -> None:
    """Errors keep their attributes when they are pickled, copied or rebuilt from their args.

    Tracebacks and pickles name the module from which callers import the errors.
    """
    copied = copy_error(error)
    assert type(error).__module__ == "flashback_client.errors"
    assert (type(copied), str(copied), vars(copied)) == (type(error), str(error), vars(error))


def test_error_for_a_large_response_is_small(update: Any) -> None:
    """An error contains at most 64 KiB of the body. Its message is one short, printable line."""
    message = "no\n2026 ERROR \x1b[31m" + "m" * 100_000
    with pytest.raises(errors.BadRequestError) as caught:
        update(Service(httpx.Response(400, json={"message": message})))
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 700
    assert len(caught.value.body) == 1 << 16


def test_generated_modules_return_responses_with_any_status() -> None:
    """The generated modules return a response for any status instead of raising an error.

    A pickled response contains no credentials and can still raise the error for its status.
    """
    body = UpdateAiLlmRequest(secret=SECRET)
    failed = httpx.Response(404, json={"message": "gone"}, headers={"x-request-id": "r-1"})
    client = blocking(Service(failed, httpx.Response(418), failed))
    rejected = update_ai_llm.sync_detailed(ID, client=client, body=body)
    assert (rejected.status_code, rejected.request_id, rejected.attempts) == (404, "r-1", 1)
    with pytest.raises(errors.NotFoundError, match=r"404 gone .*request id r-1"):
        pickled(rejected).raise_for_status()
    with pytest.raises(errors.NotFoundError):
        rejected.raise_for_status()
    assert rejected.error
    assert rejected.error.__traceback__ is None  # the raised error was a copy
    assert SECRET.encode() not in pickle.dumps(rejected)
    assert TOKEN.encode() not in pickle.dumps(rejected)
    assert update_ai_llm.sync(ID, client=client, body=body) is None
    assert update_ai_llm.sync(ID, client=client, body=body) == rejected.parsed
    updated = update_ai_llm.sync_detailed(ID, client=client, body=body)
    assert updated.raise_for_status() is updated
    assert updated.parsed == UpdateAiLlmResponse.from_dict(UPDATED)
    async_client = AsyncFlashbackClient(TOKEN, transport=Service(failed))
    parsed = asyncio.run(update_ai_llm.asyncio(ID, client=async_client, body=body))
    assert parsed == rejected.parsed


def test_unknown_response_field_is_kept(update: Any) -> None:
    """Unknown response fields are kept, because a later contract version might define them."""
    service = Service(httpx.Response(200, json={**UPDATED, "zzField": [1]}))
    assert update(service, name="new").additional_properties == {"zzField": [1]}

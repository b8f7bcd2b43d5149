"""Credentials do not appear in output, log messages, errors, tracebacks or pickled responses."""

import asyncio
import copy
import errno
import gc
import html
import json
import logging
import pickle
import re
import urllib.parse
import weakref
from collections.abc import Callable
from typing import Any

import attrs
import httpx
import pytest

from flashback_client import AsyncFlashbackClient, FlashbackClient, Secret, errors
from flashback_client.api.ai_llm import update_ai_llm
from flashback_client.models import UpdateAiLlmRequest
from tests.client.support import (
    ID,
    SECRET,
    TOKEN,
    URL,
    Service,
    blocking,
    format_traceback,
    pickled,
)


def test_secrets_are_opaque() -> None:
    """Credentials are not strings, and the `str` and `repr` of a body or client hide them."""
    body = UpdateAiLlmRequest(key=SECRET, secret=SECRET)
    client = blocking(Service(), headers={"X-Key": SECRET})
    client.update_ai_llm(ID, secret=SECRET)
    shown = f"{body!r} {body} {body.secret} {attrs.asdict(body)} {client!r} {vars(client)}"
    shown += f"{body.secret:>40}"
    assert SECRET not in shown
    assert TOKEN not in shown
    assert str not in type(body.secret).__mro__
    attributes = [getattr(body.secret, name) for name in Secret.__slots__]
    assert SECRET not in str(attributes)  # Datadog's Exception Replay records attributes
    wrapped_twice = Secret(Secret(SECRET))
    assert UpdateAiLlmRequest(secret=wrapped_twice).to_dict() == {"secret": SECRET}


@pytest.mark.parametrize("copy_body", [copy.deepcopy, copy.copy, pickled])
def test_copied_body_equals_the_original(copy_body: Any) -> None:
    """A copied or unpickled body equals the original and can be sent."""
    body = UpdateAiLlmRequest(secret=SECRET)
    assert copy_body(body) == body
    assert copy_body(body).to_dict() == {"secret": SECRET}


UPDATE = update_ai_llm.prepare(ID, body=UpdateAiLlmRequest())
INVALID = "s3cret\ud800"
WRONG_TYPE: Any = (("X", "s3cret"),)
MISSPELLED = {"secrt": "s3cret", "name": 5}
NO_MODEL: Any = {"secret": "s3cret"}
OTHER_CLASS: Any = attrs.make_class("UpdateAiLlmRequest", ["secret"])("s3cret")
INVALID_CALLS: dict[str, Callable[[], object]] = {
    "body": lambda: UpdateAiLlmRequest(secret=INVALID),
    "from_dict": lambda: UpdateAiLlmRequest.from_dict({"secret": INVALID}),
    "tuple": lambda: UpdateAiLlmRequest.from_dict(WRONG_TYPE),
    "misspelled": lambda: UpdateAiLlmRequest.from_dict(MISSPELLED),
    "headers": lambda: FlashbackClient(TOKEN, headers=WRONG_TYPE),
    "key": lambda: blocking(Service()).update_ai_llm(ID, key=INVALID),
    "secret": lambda: blocking(Service()).update_ai_llm(ID, secret=WRONG_TYPE),
    "dict": lambda: update_ai_llm.sync(ID, client=blocking(Service()), body=NO_MODEL),
    "other class": lambda: update_ai_llm.sync(ID, client=blocking(Service()), body=OTHER_CLASS),
    "async dict": lambda: asyncio.run(
        update_ai_llm.asyncio(ID, client=AsyncFlashbackClient(TOKEN), body=NO_MODEL)
    ),
    "token": lambda: FlashbackClient(INVALID),
    "function": lambda: blocking(Service(), token=lambda: INVALID).update_ai_llm(ID),
    "nested": lambda: blocking(Service()).send(UPDATE._replace(body=[object()])),
}


@pytest.mark.parametrize("name", INVALID_CALLS)
def test_traceback_of_an_invalid_argument_shows_no_credential(name: str) -> None:
    """Credentials are wrapped in `Secret` before validation, so no traceback shows them."""
    with pytest.raises((errors.ArgumentError, TypeError)) as caught:
        INVALID_CALLS[name]()
    shown = format_traceback(caught.value)
    assert "s3cret" not in shown
    assert TOKEN not in shown


@pytest.mark.parametrize(
    "token", ["", " ", None, "a hush", " hush", "hush\n", "Bearer hush", "hüsh-hush", b"hush", 7]
)
def test_error_for_an_invalid_token_does_not_contain_the_token(token: Any) -> None:
    """An invalid token raises an ArgumentError that does not contain the token."""
    with pytest.raises(errors.ArgumentError, match=r"^token ") as caught:
        FlashbackClient(token)
    assert caught.value.field == "token"
    assert "hush" not in str(caught.value)


ENCODINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "json": json.dumps,
    "php": lambda text: json.dumps(text, ensure_ascii=False).replace("/", "\\/"),
    "html": html.escape,
    "decimal html": lambda text: "".join(f"&#{ord(char)};" for char in text),
    "escaped json": lambda text: re.sub(
        "....", r"\\u\g<0>", text.encode("utf-16-be").hex().upper()
    ),
    "form": urllib.parse.quote_plus,
    "url": urllib.parse.quote,
    "segment": lambda text: urllib.parse.quote(text, safe=""),
    "lower-case url": lambda text: urllib.parse.quote(text, safe="").lower(),
    "python": repr,
    "bytes": lambda text: repr(text.encode())[2:-1],
    "json in json": lambda text: json.dumps(json.dumps(text)).replace("+", "\\u002B"),
    "url in url": lambda text: urllib.parse.quote(urllib.parse.quote(text, safe="")),
}


@pytest.mark.parametrize("status", [400, 200])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_echoed_credentials_are_redacted(update: Any, status: int, encoding: str) -> None:
    """If the service echoes a credential in any common encoding, errors do not show it."""
    encode = ENCODINGS[encoding]
    secret = "s/cr&t 'ü\" <+\n\\b\\x41\U0001f600z"
    echo = f"{encode(secret)} and {TOKEN}".encode()
    service = Service(httpx.Response(status, content=echo, headers=[(b"X-Echo", echo)]))
    with pytest.raises(errors.ResponseError) as caught:
        update(service, key=secret, max_retries=0)
    shown = f"{caught.value} {vars(caught.value)} {caught.value.args} {caught.value.body.decode()}"
    assert encode(secret).strip("\"'") not in shown
    assert secret not in shown
    assert TOKEN not in shown
    assert "***" in shown


@pytest.mark.parametrize("secret", ["s3cret\n", " s3cret", "\ts3cret\r\n"])
def test_credential_that_is_echoed_without_its_outer_spaces_is_redacted(secret: str) -> None:
    """A credential from a file often ends with a line break, which a service might remove."""
    service = Service(httpx.Response(400, json={"message": "invalid key: s3cret"}))
    with pytest.raises(errors.BadRequestError, match=r"invalid key: \*\*\* ") as caught:
        blocking(service).update_ai_llm(ID, key=secret)
    assert b"s3cret" not in caught.value.body


@pytest.mark.parametrize("echo", ["schlüssel", r"s\u0063hlüssel"])
@pytest.mark.parametrize("charset", ["utf-8", "utf-16", "utf-16-le", "utf-32-le", "latin-1"])
def test_echoed_credentials_are_redacted_in_common_charsets(charset: str, echo: str) -> None:
    """Credentials echoed in common charsets are redacted, even if the body has JSON escapes."""
    headers = [(b"X-UTF-8", "schlüssel".encode()), (b"X", b"\xfc")]
    start = "" if charset == "latin-1" else "€"
    content = f"{start}{TOKEN} {echo}".encode(charset)
    service = Service(httpx.Response(400, content=content, headers=headers))
    with pytest.raises(errors.BadRequestError) as caught:
        blocking(service).update_ai_llm(ID, secret="schlüssel")
    assert "ssel" not in caught.value.body.decode()
    assert caught.value.headers["x-utf-8"] == "***"


def test_connection_error_and_log_are_redacted(
    update: Any, waits: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    """A connection error, its cause and the log lines for each attempt contain no credential."""
    caplog.set_level(logging.DEBUG, "flashback_client")
    request = httpx.Request("PUT", URL, headers={"Authorization": TOKEN})
    lost = httpx.ConnectError(f"{TOKEN} {SECRET}", request=request)
    lost.__cause__ = OSError(errno.EIO, TOKEN)
    lost.__cause__.__cause__ = ValueError(TOKEN.encode(), {"Authorization": TOKEN})
    with pytest.raises(errors.ApiConnectionError) as caught:
        update(Service(lost, lost), secret=SECRET, max_retries=1)
    text = "ConnectError: *** *** ((\"b'***'\", \"{'Authorization': '***'}\"))"
    assert str(caught.value) == f"PUT {URL}: {text} (2 attempts)"
    cause: Any = caught.value.__cause__
    assert repr(cause) == "ConnectError('*** ***')"
    assert f"{cause.__cause__} {cause.__cause__!r}" == "[Errno 5] *** OSError(5, '***')"
    assert TOKEN not in repr(cause.__cause__.__cause__)
    assert "authorization" not in cause.request.headers
    retried, ended = caplog.records
    assert (retried.levelno, ended.levelno) == (logging.WARNING, logging.DEBUG)
    assert retried.getMessage().endswith(f"{text} (1 attempt), retrying in {waits[0]:.2f} s")
    assert ended.getMessage().endswith("attempts: 2")
    assert TOKEN not in caplog.text
    assert SECRET not in caplog.text


def test_client_cannot_be_pickled() -> None:
    """Pickling a client raises a TypeError that explains what to do instead."""
    with pytest.raises(TypeError, match="process that uses it"):
        pickle.dumps(blocking(Service()))


def test_errors_are_freed_immediately() -> None:
    """An error and its credentials are freed when the last reference to the error is deleted.

    If the error were part of a reference cycle, both would stay in memory until the next garbage
    collection.
    """
    client = blocking(Service(httpx.ReadError("lost")))
    gc.disable()
    try:
        with pytest.raises(errors.ApiConnectionError) as caught:
            client.update_ai_llm(ID, secret=SECRET)
        error = weakref.ref(caught.value)
        del caught
        assert error() is None
    finally:
        gc.enable()

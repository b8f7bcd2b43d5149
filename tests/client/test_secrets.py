"""Credentials do not appear in anything that is printed, logged, raised or dumped."""

from __future__ import annotations

import copy
import html
import json
import logging
import pickle
import re
import traceback
import urllib.parse
from typing import TYPE_CHECKING, Any

import attrs
import httpx
import pytest

from flashback_client import FlashbackClient, FlashbackError, Secret, errors
from flashback_client.api.ai_llm import update_ai_llm
from flashback_client.models import UpdateAiLlmRequest
from tests.client.support import ID, SECRET, TOKEN, URL, Service, blocking, pickled

if TYPE_CHECKING:
    from collections.abc import Callable


def test_body_and_client_do_not_show_credentials() -> None:
    """Neither `repr`, `str`, `format`, `vars` nor `attrs.asdict` shows a credential."""
    body = UpdateAiLlmRequest(key=SECRET, secret=SECRET)
    client = blocking(Service(), headers={"X-Key": SECRET})
    client.update_ai_llm(ID, secret=SECRET)
    shown = f"{body!r} {body} {body.secret} {attrs.asdict(body)} {client!r} {vars(client)}"
    assert SECRET not in shown
    assert TOKEN not in shown


def test_secret_is_not_a_string() -> None:
    """Only reveal() and to_dict() return the text of a Secret."""
    box = UpdateAiLlmRequest(secret=SECRET).secret
    assert isinstance(box, Secret)
    assert str not in type(box).__mro__
    assert box.reveal() == SECRET
    assert UpdateAiLlmRequest(secret=box).to_dict() == {"secret": SECRET}
    assert {box, Secret(SECRET)} == {box}


@pytest.mark.parametrize("again", [copy.deepcopy, copy.copy, pickled])
def test_copied_body_is_equal(again: Any) -> None:
    """A copied or unpickled body can be sent."""
    body = UpdateAiLlmRequest(secret=SECRET)
    assert again(body) == body
    assert json.loads(json.dumps(again(body).to_dict())) == {"secret": SECRET}
    assert repr(again(body).name) == "UNSET"


def locals_of_runtime(error: BaseException) -> str:
    """Return the local variables of all frames outside this file, in the whole chain."""
    captured = traceback.TracebackException.from_exception(error, capture_locals=True)
    linked = [captured, captured.__cause__, captured.__context__]
    stacks = [member.stack for member in linked if member is not None]
    frames = [frame for stack in stacks for frame in stack if frame.filename != __file__]
    assert frames
    return "\n".join(str(frame.locals) for frame in frames)


@pytest.mark.parametrize(
    "make", [lambda fields: UpdateAiLlmRequest(**fields), UpdateAiLlmRequest.from_dict]
)
def test_traceback_of_an_invalid_body_shows_no_credential(make: Any) -> None:
    """The constructor and from_dict put credentials into boxes before they validate them."""
    with pytest.raises(errors.ArgumentError, match="surrogate") as caught:
        make({"secret": SECRET + "\ud800"})
    assert "s3cret" not in locals_of_runtime(caught.value)


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: UpdateAiLlmRequest.from_dict(Credentials.wrong), id="from_dict"),
        pytest.param(lambda: FlashbackClient(TOKEN, headers=Credentials.wrong), id="headers"),
    ],
)
def test_traceback_of_a_wrong_type_shows_no_credential(make: Any) -> None:
    """A list where a mapping is expected may contain a credential, too."""
    with pytest.raises(TypeError) as caught:
        make()
    assert "s3cret" not in locals_of_runtime(caught.value)


class Credentials:
    """A list of credentials that is not a local variable."""

    wrong: Any = (("X-Key", SECRET),)


@pytest.mark.parametrize(
    "token", ["", " ", None, "a b", " abc", "abc\n", "Bearer abc", "bearer x", "tökén", b"abc", 7]
)
def test_error_of_an_invalid_token_does_not_show_it(token: Any) -> None:
    """The constructor raises an ArgumentError about the token."""
    with pytest.raises(errors.ArgumentError, match="token") as caught:
        FlashbackClient(token, base_url="http://127.0.0.1")
    assert caught.value.field == "token"
    if isinstance(token, str) and token.strip():
        assert token not in str(caught.value).replace("Bearer", "")
        assert repr(token) not in locals_of_runtime(caught.value)


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
    "upper-case json": lambda text: re.sub(
        r"\\u....", lambda escape: "\\u" + escape[0][2:].upper(), json.dumps(text)
    ),
    "json in json": lambda text: json.dumps(json.dumps(text)).replace("+", "\\u002B"),
    "url in url": lambda text: urllib.parse.quote(urllib.parse.quote(text, safe="")),
}


@pytest.mark.parametrize("status", [400, 200])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_echoed_credentials_are_redacted(update: Any, status: int, encoding: str) -> None:
    """Errors do not contain a credential that the service echoes, in any common encoding."""
    encode = ENCODINGS[encoding]
    secret = "s/cr&t 'ü\" <+\n\U0001f600z"
    echo = f"{encode(secret)} and {TOKEN}".encode()
    service = Service(httpx.Response(status, content=echo, headers=[(b"X-Echo", echo)]))
    with pytest.raises(FlashbackError) as caught:
        update(service, key=secret, max_retries=0)
    shown = f"{caught.value} {caught.value!r} {vars(caught.value)} {caught.value.args}"
    shown += getattr(caught.value, "body", b"").decode("utf-8", "replace")
    assert encode(secret).strip("\"'") not in shown
    assert secret not in shown
    assert TOKEN not in shown
    assert "***" in shown


@pytest.mark.parametrize("charset", ["utf-8", "utf-16", "utf-32-le", "latin-1"])
def test_echoed_credentials_are_redacted_in_any_charset(charset: str) -> None:
    """JSON may have escapes, UTF-16 or UTF-32; other bodies have the charset of their header."""
    content = json.dumps({"message": "schlüssel"}, ensure_ascii=False).encode(charset)
    content = content.replace(b"schl", b"s\\u0063hl")
    headers = {"Content-Type": f"text/html; charset={charset}"}
    service = Service(httpx.Response(400, content=content, headers=headers))
    with pytest.raises(errors.BadRequestError) as caught:
        blocking(service).update_ai_llm(ID, secret="schlüssel")
    assert "schl" not in str(caught.value)
    assert "schlüssel" not in caught.value.body.decode(charset, "replace")


def test_response_can_be_pickled_without_credentials() -> None:
    """A pickled response can still raise the error of its status."""
    body = UpdateAiLlmRequest(secret=SECRET)
    with blocking(Service(httpx.Response(404))) as client:
        response = update_ai_llm.sync_detailed(ID, client=client, body=body)
    assert SECRET.encode() not in pickle.dumps(response)
    assert TOKEN.encode() not in pickle.dumps(response)
    with pytest.raises(errors.NotFoundError, match=r"404 .1 attempt"):
        pickled(response).raise_for_status()


def test_connection_error_is_redacted(update: Any) -> None:
    """A credential in the text of a connection error is redacted there and in its cause."""
    service = Service(httpx.ConnectError(f"{TOKEN} {SECRET}"))
    with pytest.raises(errors.ApiConnectionError) as caught:
        update(service, secret=SECRET, max_retries=0)
    assert str(caught.value) == f"PUT {URL}: ConnectError: *** *** (1 attempt)"
    cause = caught.value.__cause__
    assert isinstance(cause, httpx.ConnectError)
    assert str(cause) == "*** ***"
    assert "authorization" not in cause.request.headers


def test_log_shows_each_attempt_and_no_credential(
    update: Any, waits: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    """The logger writes a warning for each retry and a DEBUG line for each call."""
    caplog.set_level(1)
    service = Service(httpx.ConnectError(f"{TOKEN} {SECRET}"))
    update(service, secret=SECRET)
    records = [record for record in caplog.records if record.name == "flashback_client"]
    assert [record.levelno for record in records] == [logging.WARNING, logging.DEBUG]
    assert records[0].getMessage().startswith(f"PUT {URL}: ConnectError: *** ***, retrying in ")
    assert records[1].getMessage().startswith(f"PUT {URL}: 200, ")
    assert records[1].getMessage().endswith("attempts: 2")
    assert TOKEN not in caplog.text
    assert SECRET not in caplog.text
    assert len(waits) == 1


def test_message_of_the_service_cannot_forge_a_log_line(update: Any) -> None:
    """Line breaks and control characters are replaced with spaces."""
    service = Service(httpx.Response(400, json={"message": "no\n2026 ERROR \x1b[31m"}))
    with pytest.raises(errors.BadRequestError) as caught:
        update(service, name="n")
    assert str(caught.value).isprintable()


def test_client_cannot_be_pickled() -> None:
    """Pickling a client raises a TypeError that explains what to do instead."""
    with blocking(Service()) as client, pytest.raises(TypeError, match="process that uses it"):
        pickle.dumps(client)

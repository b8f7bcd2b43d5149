"""Credentials stay out of everything that is printed, logged, raised or dumped."""

from __future__ import annotations

import copy
import html
import json
import logging
import pickle
import traceback
import urllib.parse
from typing import TYPE_CHECKING, Any

import attrs
import httpx
import pytest

from flashback_client import FlashbackClient, FlashbackError, Secret, errors
from flashback_client.models import UpdateAiLlmRequest
from tests.client.support import ID, SECRET, TOKEN, URL, Service, blocking, pickled

if TYPE_CHECKING:
    from collections.abc import Callable


def test_body_and_client_do_not_show_credentials() -> None:
    """Neither repr, str, format, vars nor attrs.asdict shows a credential."""
    body = UpdateAiLlmRequest(key=SECRET, secret=SECRET)
    client = blocking(Service(), headers={"X-Key": SECRET})
    client.update_ai_llm(ID, secret=SECRET)
    shown = f"{body!r} {body} {body.secret} {attrs.asdict(body)} {client!r} {vars(client)}"
    assert SECRET not in shown
    assert TOKEN not in shown


def test_secret_is_only_revealed_explicitly() -> None:
    """A box is not a str; reveal() and to_dict() return the text."""
    box = UpdateAiLlmRequest(secret=SECRET).secret
    assert isinstance(box, Secret)
    assert str not in type(box).__mro__
    assert box.reveal() == SECRET
    assert UpdateAiLlmRequest(secret=box).to_dict() == {"secret": SECRET}
    assert {box, Secret(SECRET)} == {box}
    assert f"{box:>12}" == f"{box}".rjust(12) == "  **********"


@pytest.mark.parametrize("again", [copy.deepcopy, copy.copy, pickled])
def test_copied_body_is_equal(again: Any) -> None:
    """UNSET stays UNSET and boxes stay boxes, so that a copy can be sent."""
    body = UpdateAiLlmRequest(secret=SECRET)
    assert again(body) == body
    assert json.loads(json.dumps(again(body).to_dict())) == {"secret": SECRET}
    assert repr(again(body).name) == "UNSET"


def locals_of_runtime(error: BaseException) -> str:
    """Return the locals of all frames outside this file, for the whole exception chain."""
    captured = traceback.TracebackException.from_exception(error, capture_locals=True)
    linked = [captured, captured.__cause__, captured.__context__]
    frames = [
        frame
        for member in linked
        if member is not None
        for frame in member.stack
        if frame.filename != __file__
    ]
    assert frames
    return "\n".join(str(frame.locals) for frame in frames)


@pytest.mark.parametrize(
    "make", [lambda fields: UpdateAiLlmRequest(**fields), UpdateAiLlmRequest.from_dict]
)
def test_refused_body_is_not_shown(make: Any) -> None:
    """The constructor and from_dict box a credential before they look at it."""
    with pytest.raises(errors.ArgumentError, match="surrogate") as caught:
        make({"secret": SECRET + "\ud800"})
    assert "s3cret" not in locals_of_runtime(caught.value)


@pytest.mark.parametrize(
    "token", ["", " ", None, "a b", " abc", "abc\n", "Bearer abc", "bearer x", "tökén", b"abc", 7]
)
def test_unusable_token_is_refused_and_not_shown(token: Any) -> None:
    """A wrong token is an ArgumentError of the constructor that does not show it."""
    with pytest.raises(errors.ArgumentError, match="token") as caught:
        FlashbackClient(token, base_url="http://127.0.0.1")
    assert caught.value.field == "token"
    if isinstance(token, str) and token.strip():
        assert token not in str(caught.value).replace("Bearer", "")
        assert repr(token) not in locals_of_runtime(caught.value)


WAYS_TO_WRITE: dict[str, Callable[[str], str]] = {
    "plain": str,
    "json": json.dumps,
    "php": lambda text: json.dumps(text, ensure_ascii=False).replace("/", "\\/"),
    "html": html.escape,
    "form": urllib.parse.quote_plus,
    "url": urllib.parse.quote,
    "segment": lambda text: urllib.parse.quote(text, safe=""),
    "python": repr,
}


@pytest.mark.parametrize("status", [400, 200])
@pytest.mark.parametrize("way", WAYS_TO_WRITE)
def test_echoed_credentials_are_masked(update: Any, status: int, way: str) -> None:
    """An error repeats no credential that the service sent back, in text, body or headers."""
    write = WAYS_TO_WRITE[way]
    secret = "s/cr&t 'ü\" <+"
    echo = f"{write(secret)} and {TOKEN}".encode()
    service = Service(httpx.Response(status, content=echo, headers=[(b"X-Echo", echo)]))
    with pytest.raises(FlashbackError) as caught:
        update(service, key=secret, options={"max_retries": 0})
    shown = f"{caught.value} {caught.value!r} {vars(caught.value)} {caught.value.args}"
    assert write(secret).strip("\"'") not in shown
    assert secret not in shown
    assert TOKEN not in shown
    assert "***" in shown


def test_what_a_transport_says_is_masked(update: Any) -> None:
    """A credential in the text of a connection error is redacted, in its cause as well."""
    service = Service(httpx.ConnectError(f"{TOKEN} {SECRET}"))
    with pytest.raises(errors.ApiConnectionError) as caught:
        update(service, secret=SECRET, options={"max_retries": 0})
    assert str(caught.value) == f"PUT {URL}: ConnectError: *** *** (1 attempt)"
    cause = caught.value.__cause__
    assert isinstance(cause, httpx.ConnectError)
    assert str(cause) == "*** ***"
    assert "authorization" not in cause.request.headers


def test_logs_show_each_attempt_and_no_credential(
    update: Any, waits: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    """A warning for each retry and a DEBUG line for each call name the host, and no secret."""
    caplog.set_level(1)
    service = Service(httpx.ConnectError(f"{TOKEN} {SECRET}"))
    update(service, secret=SECRET)
    records = [record for record in caplog.records if record.name == "flashback_client"]
    assert [record.levelno for record in records] == [logging.WARNING, logging.DEBUG]
    assert records[0].getMessage().startswith(f"PUT {URL}: ConnectError: *** ***, again in ")
    assert records[1].getMessage().startswith(f"PUT {URL}: 200, ")
    assert records[1].getMessage().endswith("attempts: 2")
    assert TOKEN not in caplog.text
    assert SECRET not in caplog.text
    assert len(waits) == 1


def test_service_cannot_fake_a_line_of_a_log(update: Any) -> None:
    """Line breaks and terminal codes in a message are spaces in the error's text."""
    service = Service(httpx.Response(400, json={"message": "no\n2026 ERROR \x1b[31m"}))
    with pytest.raises(errors.BadRequestError) as caught:
        update(service, name="n")
    assert str(caught.value).isprintable()


def test_client_cannot_be_pickled() -> None:
    """Pickling raises a TypeError that says to create the client where it is used."""
    with blocking(Service()) as client, pytest.raises(TypeError, match="where it is used"):
        pickle.dumps(client)

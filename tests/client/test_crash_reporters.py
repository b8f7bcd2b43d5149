"""Crash reporters with default settings send no credential, for every kind of failure.

They send their reports, which include the local variables of all frames, to a loopback server.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
import traceback
import zlib
from typing import TYPE_CHECKING, Any

import elasticapm
import httpx
import pytest
import rollbar
import sentry_sdk
from sentry_sdk.utils import event_from_exception

from flashback_client import AsyncFlashbackClient, FlashbackClient, FlashbackError
from tests.client.support import ID
from tests.client.wire import (
    Behaviour,
    Wire,
    answer,
    hangs_up,
    says,
    serving,
    waits_for_close,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

TOKEN = "the-token-that-nobody-may-see"
KEY = "the-key-that-nobody-may-see"
SECRET = 'the-secret "that" nobody/may-see'
FORMS = (TOKEN, KEY, "that nobody", "nobody/may-see", "nobody\\/may-see", 'secret \\"that')


INTAKE = says(answer(200, {}))


def reports(wire: Wire) -> str:
    """Return the decompressed reports that arrived."""
    bodies = [request.body for request in wire.requests]
    return "".join(decompressed(body).decode("utf-8", "replace") for body in bodies)


def decompressed(body: bytes) -> bytes:
    """Return the body without gzip or deflate."""
    is_compressed = body[:2] in {b"\x1f\x8b", b"\x78\x9c", b"\x78\xda"}
    return zlib.decompress(body, wbits=47) if is_compressed else body


def by_rollbar(error: BaseException) -> str:
    """Return the report that Rollbar sends."""
    with serving(INTAKE) as found:
        rollbar.init("access-token", endpoint=f"{found.url}/api/1/", handler="blocking")
        rollbar.report_exc_info((type(error), error, error.__traceback__))
    setattr(rollbar, "_initialized", False)  # noqa: B010 - allows another rollbar.init()
    return reports(found)


def by_elastic_apm(error: BaseException) -> str:
    """Return the report that Elastic APM sends."""
    logging.getLogger("elasticapm").setLevel(logging.CRITICAL)
    with serving(INTAKE) as found:
        client = elasticapm.Client(
            service_name="test",
            server_url=found.url,
            cloud_provider="none",
            central_config=False,
            metrics_interval="0s",
        )
        exc_info = (type(error), error, error.__traceback__)
        client.capture_exception(exc_info)  # type: ignore[no-untyped-call]
        client.close()
    return reports(found)


def by_sentry(error: BaseException) -> str:
    """Return the report that Sentry sends."""
    with serving(INTAKE) as found:
        dsn = found.url.replace("//", "//key@") + "/1"
        client = sentry_sdk.Client(dsn, default_integrations=False)  # they would patch httpx
        event, hint = event_from_exception(error, client_options=client.options)
        client.capture_event(event, hint)
        client.close(10)
    return reports(found)


def by_traceback(error: BaseException) -> str:
    """Return the traceback with local variables."""
    captured = traceback.TracebackException.from_exception(error, capture_locals=True)
    return "".join(captured.format())


REPORTERS = [by_rollbar, by_elastic_apm, by_sentry, by_traceback]


class Credentials:
    """Credentials that are not local variables of the caller's frame."""

    secret: Any = SECRET
    key: Any = KEY


def hook_that_fails(request: httpx.Request) -> None:
    """Raise KeyError, as a hook with a bug."""
    del request
    missing: dict[str, str] = {}
    missing["missing"]


def failing_blocking(url: str, **options: Any) -> BaseException:
    """Return the exception of a blocking call."""
    hooks = options.pop("hooks", None)
    given = httpx.Client(event_hooks={"request": [hooks]}) if hooks else None
    try:
        with FlashbackClient(TOKEN, base_url=url, http_client=given, **options) as client:
            client.update_ai_llm(ID, key=Credentials.key, secret=Credentials.secret)
    except Exception as error:  # noqa: BLE001 - of any kind
        return error
    raise AssertionError("the call succeeded")


def failing_async(url: str, **options: Any) -> BaseException:
    """Return the exception of an async call."""
    hooks = options.pop("hooks", None)

    async def hook(request: httpx.Request) -> None:
        hooks(request)

    async def call() -> None:
        given = httpx.AsyncClient(event_hooks={"request": [hook]}) if hooks else None
        async with AsyncFlashbackClient(
            TOKEN, base_url=url, http_client=given, **options
        ) as client:
            await client.update_ai_llm(ID, key=Credentials.key, secret=Credentials.secret)

    try:
        asyncio.run(call())
    except Exception as error:  # noqa: BLE001 - of any kind
        return error
    raise AssertionError("the call succeeded")


ECHO = f"{TOKEN} {KEY} {SECRET}".encode()
FAILURES: dict[str, tuple[Behaviour, dict[str, Any]]] = {
    "refused": (says(answer(400, ECHO, X_Echo=TOKEN)), {}),
    "lost": (hangs_up, {}),
    "late": (waits_for_close, {"timeout": 0.2}),
    "not JSON": (says(answer(200, ECHO)), {}),
    "bug in a hook": (says(answer(200)), {"hooks": hook_that_fails}),
}


@pytest.mark.parametrize("failing", [failing_blocking, failing_async])
@pytest.mark.parametrize("failure", FAILURES)
def test_report_contains_no_credential(failing: Callable[..., BaseException], failure: str) -> None:
    """The report from each reporter shows where the call failed, but no credential."""
    behave, options = FAILURES[failure]
    with serving(behave) as wire:
        error = failing(wire.url, max_retries=0, **options)
    assert isinstance(error, KeyError if failure == "bug in a hook" else FlashbackError)
    for reporter in REPORTERS:
        report = reporter(error)
        assert "update_ai_llm" in report
        assert [form for form in FORMS if form in report] == []


class SoftTimeLimitExceeded(Exception):  # noqa: N818 - Celery's name
    """The exception that Celery raises in a signal handler."""


def test_report_of_an_interrupted_call_contains_no_credential() -> None:
    """The exception of a signal handler propagates without the frames that hold the request."""

    def interrupt(_: int, __: object) -> None:
        raise SoftTimeLimitExceeded

    previous = signal.signal(signal.SIGALRM, interrupt)
    try:
        with serving(waits_for_close) as wire:
            signal.setitimer(signal.ITIMER_REAL, 0.3)
            error = failing_blocking(wire.url)
    finally:
        signal.signal(signal.SIGALRM, previous)
    assert isinstance(error, SoftTimeLimitExceeded)
    for reporter in REPORTERS:
        report = reporter(error)
        assert "interrupt" in report
        assert [form for form in FORMS if form in report] == []


def test_report_of_an_interrupted_redaction_contains_no_credential() -> None:
    """A signal may also arrive after the response, while an error is being redacted."""

    def interrupt(frame: FrameType, event: str, _: object) -> None:
        if event == "c_call" and frame.f_code.co_name == "redact" and "known" in frame.f_locals:
            sys.setprofile(None)
            raise SoftTimeLimitExceeded

    with serving(says(answer(400, ECHO))) as wire:
        sys.setprofile(interrupt)
        try:
            error = failing_blocking(wire.url)
        finally:
            sys.setprofile(None)
    assert isinstance(error, SoftTimeLimitExceeded)
    assert [form for form in FORMS if form in by_traceback(error)] == []


@pytest.mark.parametrize("failing", [failing_blocking, failing_async])
def test_report_of_an_instrumented_call_contains_no_credential(
    failing: Callable[..., BaseException],
) -> None:
    """Elastic APM, which wraps httpx in Flask and Django applications, holds the headers."""
    logging.getLogger("elasticapm").setLevel(logging.CRITICAL)
    with serving(INTAKE) as found, serving(hangs_up) as wire:
        apm = elasticapm.Client(server_url=found.url, cloud_provider="none", central_config=False)
        elasticapm.instrument()
        apm.begin_transaction("test")
        try:
            error = failing(wire.url, max_retries=0)
        finally:
            apm.end_transaction("test", "failed")  # type: ignore[no-untyped-call]
            elasticapm.uninstrument()
            apm.close()
    assert [form for form in FORMS if form in by_traceback(error)] == []


@pytest.mark.parametrize("field", ["key", "secret"])
@pytest.mark.parametrize("wrong", ["", SECRET + "\ud800", SECRET.encode(), [SECRET]])
def test_report_of_an_invalid_argument_contains_no_credential(
    monkeypatch: pytest.MonkeyPatch, field: str, wrong: object
) -> None:
    """A credential that breaks the contract is not reported either."""
    monkeypatch.setattr(Credentials, field, wrong)
    error = failing_blocking("http://127.0.0.1:1")
    for reporter in (by_rollbar, by_elastic_apm, by_traceback):
        report = reporter(error)
        assert field in report
        assert [form for form in FORMS if form in report] == []


def test_traceback_shows_the_line_of_a_failing_hook() -> None:
    """Only the frames of httpx are removed from the traceback."""
    with serving(says(answer(200))) as wire:
        for failing in (failing_blocking, failing_async):
            error = failing(wire.url, hooks=hook_that_fails)
            frames = traceback.extract_tb(error.__traceback__)
            assert frames[-1].name == "hook_that_fails"
            assert [frame for frame in frames if "httpx" in frame.filename] == []

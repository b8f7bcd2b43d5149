"""Crash reporters, which send the local variables of all stack frames, receive no credentials."""

import logging
import traceback
import zlib
from collections.abc import Iterator
from typing import Any

import elasticapm
import httpx
import pytest
import rollbar
import sentry_sdk
from sentry_sdk.utils import event_from_exception

from flashback_client import FlashbackError, Secret
from tests.client.support import check_no_frames, format_traceback, interrupting, update_blocking
from tests.client.wire import Responder, disconnect, http_response, never_respond, serving

TOKEN = "the-token-that-nobody-may-see"
KEY = "the-key-that-nobody-may-see"
SECRET = 'the-secret "that" nobody/may-see'
PARTS = ("that nobody", "nobody/may-see", "nobody\\/may-see", 'secret \\"that')

ACCEPT_REPORT = http_response(200, {})


def report_to_rollbar(error: BaseException, url: str) -> None:
    """Report the error to a Rollbar server at this URL."""
    rollbar.init("access-token", endpoint=f"{url}/api/1/", handler="blocking")
    rollbar.report_exc_info((type(error), error, error.__traceback__))
    setattr(rollbar, "_initialized", False)  # noqa: B010 - allows another rollbar.init()


def elastic_apm_client(url: str) -> elasticapm.Client:
    """Return an Elastic APM client that sends its reports to this URL."""
    logging.getLogger("elasticapm").setLevel(logging.CRITICAL)
    return elasticapm.Client(server_url=url, cloud_provider="none", central_config=False)


def report_to_elastic_apm(error: BaseException, url: str) -> None:
    """Report the error to an Elastic APM server at this URL."""
    client = elastic_apm_client(url)
    exc_info = (type(error), error, error.__traceback__)
    client.capture_exception(exc_info)  # type: ignore[no-untyped-call]
    client.close()


def report_to_sentry(error: BaseException, url: str) -> None:
    """Report the error to a Sentry server at this URL."""
    dsn = url.replace("//", "//key@") + "/1"
    # The default integrations would patch httpx.
    client = sentry_sdk.Client(dsn, default_integrations=False)
    event, hint = event_from_exception(error, client_options=client.options)
    client.capture_event(event, hint)
    client.close(10)


def reports_of(error: BaseException) -> Iterator[str]:
    """Yield the text that each crash reporter sends about the error, and then the traceback."""
    for reporter in (report_to_rollbar, report_to_elastic_apm, report_to_sentry):
        with serving(ACCEPT_REPORT) as intake:
            reporter(error, intake.url)
        report = b""
        for request in intake.requests:
            is_compressed = "content-encoding" in request.headers
            report += zlib.decompress(request.body, 47) if is_compressed else request.body
        yield report.decode("utf-8", "replace")
    yield format_traceback(error)


def failing_service(request: httpx.Request) -> httpx.Response:
    """Raise a KeyError to simulate a custom transport with a bug."""
    raise KeyError(request.method)


def failure_of(update: Any, target: Any, **options: Any) -> BaseException:
    """Make a call that fails, and return the exception.

    The credentials are Secret objects so that they do not appear in the tests' stack frames.
    """
    with pytest.raises(BaseException) as caught:  # noqa: PT011 - any exception
        update(target, token=Secret(TOKEN), key=Secret(KEY), secret=Secret(SECRET), **options)
    return caught.value


ECHO = f"{TOKEN} {KEY} {SECRET}".encode()
FAILURES: dict[str, tuple[Responder | bytes, dict[str, Any]]] = {
    "refused": (http_response(400, ECHO, X_Echo=TOKEN), {}),
    "lost": (disconnect, {}),
    "late": (never_respond, {"timeout": 0.2}),
    "not JSON": (http_response(200, ECHO), {}),
}


def check_report(report: str) -> None:
    """Check that the report contains no credential, not even a part of one."""
    for text in (TOKEN, KEY, *PARTS):
        assert text not in report


def check_reports(error: BaseException, frame: str) -> None:
    """Check that every report of the error shows this frame and contains no credentials."""
    for report in reports_of(error):
        assert frame in report
        check_report(report)


@pytest.mark.parametrize("failure", FAILURES)
def test_report_contains_no_credential(update: Any, failure: str) -> None:
    """Every report shows where the call failed but contains no credential."""
    respond, options = FAILURES[failure]
    with serving(respond) as server:
        error = failure_of(update, server.url, max_retries=0, **options)
    assert isinstance(error, FlashbackError)
    check_reports(error, "update_ai_llm")


@pytest.mark.parametrize("kind", [RuntimeError, KeyboardInterrupt])
def test_report_for_an_interrupted_call_contains_no_credential(kind: type[BaseException]) -> None:
    """If a signal handler interrupts a call, the report contains no credential."""
    with serving(never_respond) as server, interrupting(kind("time limit exceeded")):
        error = failure_of(update_blocking, server.url)
    assert isinstance(error, kind)
    check_no_frames(error, "httpcore")
    check_reports(error, "interrupt")


def test_traceback_with_elastic_apm_contains_no_credential(update: Any) -> None:
    """A traceback contains no credential, even if Elastic APM has instrumented httpx.

    In Flask and Django applications, Elastic APM wraps httpx, and the wrapper's frames contain the
    request headers.
    """
    with serving(ACCEPT_REPORT) as intake, serving(disconnect) as server:
        apm = elastic_apm_client(intake.url)
        elasticapm.instrument()
        apm.begin_transaction("test")
        try:
            error = failure_of(update, server.url, max_retries=0)
        finally:
            apm.end_transaction("test", "failed")  # type: ignore[no-untyped-call]
            elasticapm.uninstrument()
            apm.close()
    check_report(format_traceback(error))


def test_traceback_of_a_failing_transport_ends_in_the_transport(update: Any) -> None:
    """If a custom transport fails, the traceback ends in the transport and omits httpx frames."""
    error = failure_of(update, httpx.MockTransport(failing_service))
    assert traceback.extract_tb(error.__traceback__)[-1].name == "failing_service"
    check_no_frames(error, "httpx")
    check_reports(error, "update_ai_llm")


@pytest.mark.parametrize("package", ["aws_xray_sdk", "ddtrace", "newrelic"])
def test_traceback_omits_tracing_tools(update: Any, package: str) -> None:
    """Frames of tools that wrap httpx's methods are removed, because they hold the request."""
    tool: dict[str, Any] = {"__name__": f"{package}.httpx", "wrapped": failing_service}
    exec("def wrapper(request): return wrapped(request)", tool)  # noqa: S102
    error = failure_of(update, httpx.MockTransport(tool["wrapper"]))
    names = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
    assert "wrapper" not in names
    assert names[-1] == "failing_service"

"""Check that a run without a verdict states the problem and the remedy."""

import socketserver
import time
from contextlib import suppress
from pathlib import Path

import pytest

from scripts.contract import environment
from support.options import KEPT, NO_VERDICT
from tests.backends.serving import serving, serving_tcp
from tests.backends.store import IDS, TOKENS, Store
from tests.certificates import self_signed
from tests.faults.changes import reply, when
from tests.faults.messages import Answer, page, rejected
from tests.faults.runner import RunResult, run_with_changes, run_with_url

VARIABLES = environment(TOKENS, IDS)
ENCODED = Answer(200, b"{}", **{"Content-Encoding": "gzip"})
WELCOME_PAGE = "<!DOCTYPE html><title>Welcome</title>"
RETRY_NOW = {"Retry-After": "0"}


def assert_no_verdict(result: RunResult, hint: str) -> None:
    """Assert that the run has no verdict and that its output contains the hint but no token."""
    assert result.status == NO_VERDICT, result.output
    assert hint in result.output
    for token in TOKENS.values():
        assert token not in result.output


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (rejected(500), "500"),
        (page(500, WELCOME_PAGE), "500"),
        (rejected(405, Allow="GET"), "405"),
        (Answer(302, b"", Location="/login"), "/login"),
        (page(200, WELCOME_PAGE), "a page"),
        (rejected(401), "FLASHBACK_TOKEN"),
        (rejected(401), "a proxy removes the header `Authorization`"),
        (ENCODED, "its header `Content-Encoding`"),
        (rejected(403), "WRITE"),
        (rejected(404), "--id"),
        (rejected(429, **RETRY_NOW), "--rate-limit"),
    ],
)
def test_constant_response_prevents_a_verdict(answer: Answer, hint: str) -> None:
    """If a backend returns the same response to every request, the run has no verdict."""
    assert_no_verdict(run_with_changes([lambda: answer]), hint)


@pytest.mark.parametrize(
    ("status", "hint"), [(401, "token"), (404, "404"), (429, "--rate-limit"), (500, "500")]
)
def test_outage_during_the_run_prevents_a_verdict(
    monkeypatch: pytest.MonkeyPatch, status: int, hint: str
) -> None:
    """A run has no verdict if a token expires, a configuration disappears or the backend fails."""
    monkeypatch.setattr("time.sleep", lambda _: None)
    outage = reply(status, lambda count: count("any") > 150)
    assert_no_verdict(run_with_changes([outage]), hint)


def test_frequent_outages_prevent_a_verdict() -> None:
    """A run soon ends if one of two replicas is down, because repeating requests takes long."""
    unavailable = page(503, WELCOME_PAGE, **RETRY_NOW)
    outage = when(lambda count: count("any") % 2, lambda: unavailable)
    result = run_with_changes([outage])
    assert_no_verdict(result, "51 of 102 requests got 502, 503 or 504 until they were repeated")
    assert "whether each of the backend's replicas is running" in result.output


def test_closed_port_prevents_a_verdict() -> None:
    """If no server listens on the port, the run has no verdict."""
    url = "http://127.0.0.1:1/certificate"
    result = run_with_url(url, VARIABLES)
    assert_no_verdict(result, f"{url} does not respond")
    assert "check the host and port" in result.output


@pytest.mark.parametrize("length", [b"Content-Length: 1000\r\n", b""])
def test_response_that_arrives_byte_by_byte_times_out(length: bytes) -> None:
    """A response times out after `--timeout` seconds even if bytes keep arriving."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.rfile.readline()
            with suppress(OSError):  # the client disconnects
                self.wfile.write(b"HTTP/1.1 200 OK\r\n" + length + b"\r\n")
                for _ in range(600):  # for a minute
                    self.wfile.write(b" ")
                    time.sleep(0.1)

    with serving_tcp(Handler) as url:
        started = time.monotonic()
        result = run_with_url(url, VARIABLES, "--timeout", "0.5", promises="test_member")
        seconds = time.monotonic() - started
    assert_no_verdict(result, "no complete response before the timeout")
    assert seconds < 30


def test_https_url_for_an_http_server_prevents_a_verdict() -> None:
    """If a TLS handshake fails for a reason other than the certificate, --ca is not suggested."""
    with serving("flask_fixed", Store()) as url:
        result = run_with_url(url.replace("http:", "https:"), VARIABLES)
    assert_no_verdict(result, "use http:// in --backend-url")
    assert "--ca" not in result.output


def test_https_backend_requires_an_https_url_and_its_ca_certificate(tmp_path: Path) -> None:
    """If a backend uses TLS, a run needs an https URL and the CA that issued the certificate."""
    certificate = self_signed(tmp_path / "server.pem", "127.0.0.1")
    with serving("fastapi_fixed", Store(), certificate) as url:
        without_tls = run_with_url(url.replace("https:", "http:"), VARIABLES)
        without_ca = run_with_url(url, VARIABLES)
        with_ca = run_with_url(url, VARIABLES, "--ca", str(certificate), promises="test_member")
    assert_no_verdict(without_tls, "https")
    assert_no_verdict(without_ca, "--ca")
    assert with_ca.status == KEPT, with_ca.output

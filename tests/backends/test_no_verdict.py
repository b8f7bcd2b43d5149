"""A backend that cannot be judged gets no verdict; the message says what to do."""

import socket
from pathlib import Path

import pytest

from tests.backends.certificates import self_signed
from tests.backends.serving import serving
from tests.backends.store import IDS, TOKENS, Store
from tests.faults.backend import environment
from tests.faults.judge import KEPT, NO_VERDICT, Judgement, judge, judge_url
from tests.faults.unusable import UNUSABLE

VARIABLES = environment(TOKENS, IDS)

# What the message must name, so that the reader can fix it.
CURES = {
    "always_500": "500",
    "always_500_page": "500",
    "always_405": "405",
    "always_302": "/login",
    "always_a_page": "a page",
    "always_401": "FLASHBACK_TOKEN",
    "always_403": "WRITE",
    "always_404": "--id",
    "always_429": "--rate-limit",
    "token_expires": "token",
    "configuration_is_deleted": "404",
    "too_many_requests_from_then_on": "--rate-limit",
    "backend_fails_from_then_on": "500",
}


def assert_no_verdict(judgement: Judgement, cure: str) -> None:
    """Check the exit status, and that the message says what to do."""
    assert judgement.status == NO_VERDICT, judgement.output
    assert cure in judgement.output
    assert "Traceback" not in judgement.output
    assert not any(token in judgement.output for token in TOKENS.values())


@pytest.mark.parametrize("name", CURES)
def test_unusable_backend(name: str) -> None:
    """A wrong address, a wrong token, and a backend that goes away get no verdict."""
    assert_no_verdict(judge(UNUSABLE[name]), CURES[name])


def test_closed_port() -> None:
    """A port that nothing listens on gets no verdict."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    judgement = judge_url(f"http://127.0.0.1:{port}", VARIABLES)
    assert_no_verdict(judgement, f"http://127.0.0.1:{port}")


def test_tls_to_a_plain_port() -> None:
    """An https URL of a server without TLS gets no verdict."""
    with serving("flask_fixed", Store()) as url:
        judgement = judge_url(url.replace("http:", "https:"), VARIABLES)
    assert_no_verdict(judgement, "http:")


def test_plain_http_to_a_tls_port(tmp_path: Path) -> None:
    """An http URL of a server with TLS gets no verdict."""
    with serving("fastapi_fixed", Store(), self_signed(tmp_path / "server.pem")) as url:
        judgement = judge_url(url.replace("https:", "http:"), VARIABLES)
    assert_no_verdict(judgement, "https")


def test_unknown_certificate_authority(tmp_path: Path) -> None:
    """A self-signed certificate gets no verdict, and works with `--ca`."""
    certificate = self_signed(tmp_path / "server.pem")
    with serving("fastapi_fixed", Store(), certificate) as url:
        unknown = judge_url(url, VARIABLES)
        known = judge_url(url, VARIABLES, "--ca", str(certificate), promises="test_member")
    assert_no_verdict(unknown, "--ca")
    assert known.status == KEPT, known.output

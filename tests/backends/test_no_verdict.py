"""A backend that cannot be judged gets no verdict, and the message says what to do."""

import socket
from pathlib import Path

import pytest

from scripts.contract import environment
from tests.backends.serving import serving
from tests.backends.store import IDS, TOKENS, Store
from tests.certificates import self_signed
from tests.faults.judge import KEPT, NO_VERDICT, Judgement, judge, judge_url
from tests.faults.unusable import UNUSABLE

VARIABLES = environment(TOKENS, IDS)

# The text of the message that tells the reader what to fix, by backend
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


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file with a self-signed certificate for 127.0.0.1 and its key, as PEM."""
    return self_signed(tmp_path_factory.mktemp("certificate") / "server.pem", "127.0.0.1")


@pytest.mark.parametrize("name", CURES)
def test_unusable_backend(name: str) -> None:
    """A wrong address, a wrong token and an outage during the run get no verdict."""
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


def test_plain_http_to_a_tls_port(certificate: Path) -> None:
    """An http URL of a server with TLS gets no verdict."""
    with serving("fastapi_fixed", Store(), certificate) as url:
        judgement = judge_url(url.replace("https:", "http:"), VARIABLES)
    assert_no_verdict(judgement, "https")


def test_unknown_certificate_authority(certificate: Path) -> None:
    """A self-signed certificate gets no verdict, and works with `--ca`."""
    with serving("fastapi_fixed", Store(), certificate) as url:
        unknown = judge_url(url, VARIABLES)
        known = judge_url(url, VARIABLES, "--ca", str(certificate), promises="test_member")
    assert_no_verdict(unknown, "--ca")
    assert known.status == KEPT, known.output

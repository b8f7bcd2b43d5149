"""Tests for the curl commands that users copy from a verdict into a shell."""

import base64
import os
import re
import subprocess
from pathlib import Path

import pytest

from scripts.contract import environment
from support.curl import Redactor
from tests.faults.backend import Change, serving
from tests.faults.changes import as_user, reply
from tests.faults.messages import Answer, Request
from tests.faults.runner import RunResult, run_on, run_with_changes, run_with_url

pytestmark = pytest.mark.usefixtures("curl")


def assert_reproduces(result: RunResult, variables: dict[str, str]) -> None:
    """Assert that each curl command in the verdict receives the status that the verdict shows."""
    for finding in result.findings:
        for example in finding["examples"]:
            status = run_in_shell(example["curl"], variables)
            assert status == str(example["response"]["status"]), example["curl"]


def run_in_shell(curl_command: str, variables: dict[str, str]) -> str:
    """Run curl commands in bash, and return the status of the last response, or curl's error."""
    completed = subprocess.run(
        ["/bin/bash", "-c", curl_command],
        env={**os.environ, **variables},
        capture_output=True,
        timeout=60,
        check=False,
    )
    statuses = re.findall(r"HTTP/[\d.]+ (\d{3})", completed.stdout.decode(errors="replace"))
    return statuses[-1] if statuses else completed.stderr.decode()


def test_curl_commands_reproduce_unusual_requests(reports: Path) -> None:
    """A curl command repeats the method, path, body, transfer encoding and token of its request."""
    received: set[tuple[object, ...]] = set()

    def record_and_reject(request: Request, answer: Answer) -> None:
        parts = (request.method, request.path, request.body, request.authorization)
        received.add((*parts, request.is_chunked))
        answer.set_status(418 if answer.status != 200 or request.key else 200)

    promises = ("test_other_method", "test_rewritten", "test_missing_body", "test_similar_token")
    with serving(record_and_reject) as mock:
        result = run_on(mock, "--report-dir", str(reports), promises=promises)
        received_in_run = {*received}
        assert result.findings
        assert_reproduces(result, environment(mock.tokens, mock.ids))
    assert received == received_in_run


JWT = "header.claims.signature"
UNSIGNED = "eyJhbGciOiJub25lIn0.claims."


@pytest.mark.parametrize(
    ("change", "token"),
    [
        (reply(500, lambda authorization: "\udcf6" in authorization), "owner-token"),
        (as_user(lambda token: token in (JWT, UNSIGNED)), JWT),
    ],
    ids=["in Latin-1", "without a signature"],
)
def test_curl_command_sends_an_unusual_token(change: Change, token: str) -> None:
    """Curl commands encode tokens and derive unsigned JSON Web Tokens exactly as the tests do."""
    with serving(change) as mock:
        variables = environment(mock.tokens, mock.ids) | {"FLASHBACK_TOKEN": token}
        result = run_with_url(mock.base_url, variables, promises="test_similar_token")
        assert len(result.findings) == 1
        assert_reproduces(result, variables)


def test_curl_commands_include_only_one_earlier_request() -> None:
    """If a response depends on one earlier request, curl first sends that request and no others."""

    def reject_after_missing_token(request: Request, answer: Answer) -> None:
        before = request.previous("authorization", request.authorization, "none")
        if not before and answer.status == 200:
            answer.reject(400)

    result = run_with_changes([reject_after_missing_token], promises="test_valid_request_works")
    [finding] = result.findings
    commands = finding["examples"][0]["curl"].splitlines()
    assert ["Authorization" in command for command in commands] == [False, True]


def test_curl_command_first_sends_the_request_that_causes_the_failure() -> None:
    """If a request fails only after another one on its connection, the curl command sends both."""
    fail = reply(500, lambda previous, connection, body: previous(connection, body, b"") == b"{")
    with serving(fail) as mock:
        result = run_on(mock, promises="test_unreadable_body")
        assert_reproduces(result, environment(mock.tokens, mock.ids))
    # The failing requests test rules from the source `ours` and from other sources.
    assert result.ids == ["alone/intermittent/500", "update/intermittent/500"]


@pytest.mark.parametrize("prefix", [b"", b"u:", b"Bearer "], ids=repr)
def test_token_in_base64_is_redacted_completely(prefix: bytes) -> None:
    """After redaction, only the Base64 characters that do not depend on the token remain."""
    text = base64.b64encode(prefix + b"canary/Token+x9.Y").decode()
    redacted = Redactor({"FLASHBACK_TOKEN": "canary/Token+x9.Y"}).redact(text)
    assert redacted == text[: len(prefix) * 8 // 6] + "${FLASHBACK_TOKEN}"


def test_shell_variables_that_hold_tokens_are_not_redacted() -> None:
    """The expression `${FLASHBACK_ADMIN_TOKEN}` is not redacted, even if a token is `admin`."""
    tokens = {"FLASHBACK_TOKEN": "token", "FLASHBACK_ADMIN_TOKEN": "admin"}
    redactor = Redactor(tokens)
    redactor.learn("ADMIN", "${FLASHBACK_ADMIN_TOKEN^^}")
    assert redactor.redact('"${FLASHBACK_ADMIN_TOKEN^^}"') == '"${FLASHBACK_ADMIN_TOKEN^^}"'
    command = redactor.quote("Bearer admin")
    assert redactor.redact(command) == command == "'Bearer '\"${FLASHBACK_ADMIN_TOKEN}\""
    assert redactor.redact("TOKEN") == "${FLASHBACK_TOKEN}"


@pytest.mark.parametrize("text", ["${FLASHBACK_TOKEN c4nary}", "${FLASHBACK_TOKENc4nary}"])
def test_token_in_text_that_resembles_an_expression_is_redacted(text: str) -> None:
    """A token is redacted even inside text that resembles one of the shell expressions."""
    assert "c4nary" not in Redactor({"FLASHBACK_TOKEN": "c4nary"}).redact(text)

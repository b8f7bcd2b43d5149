"""Tests for the curl commands that users copy from a verdict into a shell."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from scripts.contract import environment
from support.curl import Redactor
from tests.backends.serving import serving
from tests.backends.store import IDS, TOKENS, Store
from tests.contract_command.conftest import Backend, Contract
from tests.faults.changes import as_owner, reply
from tests.faults.messages import Answer, Request


def run_in_shell(curl_command: str, variables: dict[str, str], folder: Path) -> str:
    """Run curl commands in bash, and return the status of the last response, or curl's error."""
    completed = subprocess.run(
        ["/bin/bash", "-c", curl_command],
        env={**os.environ, **variables},
        cwd=folder,
        capture_output=True,
        timeout=60,
        check=False,
    )
    statuses = re.findall(r"HTTP/[\d.]+ (\d{3})", completed.stdout.decode(errors="replace"))
    return statuses[-1] if statuses else completed.stderr.decode()


pytestmark = pytest.mark.usefixtures("curl")


def test_curl_commands_reproduce_the_status(contract: Contract, tmp_path: Path) -> None:
    """Each curl command in the verdict receives the status that the verdict shows for it."""
    variables = environment(TOKENS, IDS)
    with serving("fastapi_naive", Store(unique_names=False)) as url:
        result = contract("-k", "not generated and not alone", url=url, **variables)
        findings = result.verdict["findings"]
        assert len(findings) >= 15
        for finding in findings:
            for example in finding["examples"]:
                status = run_in_shell(example["curl"], variables, tmp_path)
                assert status == str(example["response"]["status"]), example["curl"]


def test_curl_commands_reproduce_unusual_requests(
    contract: Contract, backend: Backend, tmp_path: Path
) -> None:
    """A curl command repeats the method, path, body, transfer encoding and token of its request."""
    received: list[tuple[str, str, bytes, str, str]] = []

    def record_and_refuse(request: Request, answer: Answer) -> None:
        transfer_encoding = request.headers.get("transfer-encoding", "")
        authorization = request.headers.get("authorization", "none")
        body = request.body
        received.append((request.method, request.path, body, transfer_encoding, authorization))
        answer.set_status(418 if answer.status != 200 or request.key else 200)

    promises = "test_other_method or test_rewritten or test_missing_body or test_near_token"
    with backend(record_and_refuse) as arguments:
        result = contract("-k", promises, **arguments)
        received_in_run = {*received}
        assert result.verdict["findings"]
        for finding in result.verdict["findings"]:
            for example in finding["examples"]:
                received.clear()
                assert run_in_shell(example["curl"], arguments, tmp_path) == "418"
                assert received_in_run.issuperset(received), example["curl"]


def test_curl_command_sends_headers_in_latin_1(
    contract: Contract, backend: Backend, tmp_path: Path
) -> None:
    """A curl command sends a non-ASCII token in the same encoding as the tests."""
    change = reply(500, lambda authorization: "\udcf6" in authorization)
    with backend(change) as arguments:
        result = contract("-k", "test_near_token", **arguments)
        [finding] = result.findings
        assert run_in_shell(finding["examples"][0]["curl"], arguments, tmp_path) == "500"


def test_curl_command_derives_an_unsigned_token(
    contract: Contract, backend: Backend, tmp_path: Path
) -> None:
    """A curl command makes an unsigned JSON Web Token from the claims of the given token."""
    accepted = ("header.claims.signature", "eyJhbGciOiJub25lIn0.claims.")
    with backend(as_owner(lambda token: token in accepted)) as arguments:
        arguments["FLASHBACK_TOKEN"] = accepted[0]
        result = contract("-k", "test_near_token", **arguments)
        [finding] = result.findings
        assert run_in_shell(finding["examples"][0]["curl"], arguments, tmp_path) == "200"


def test_curl_commands_include_only_the_latest_request(
    contract: Contract, backend: Backend
) -> None:
    """If a response depends on an earlier request, the curl commands send that request first."""

    def refuse_after_missing_token(request: Request, answer: Answer) -> None:
        before = request.previous("authorization", request.authorization, "none")
        if not before and answer.status == 200:
            answer.refuse(400)

    with backend(refuse_after_missing_token) as arguments:
        result = contract("-k", "test_valid_request_works", **arguments)
    [finding] = result.findings
    commands = finding["examples"][0]["curl"].splitlines()
    assert ["Authorization" in command for command in commands] == [False, True]


def test_expressions_for_tokens_are_not_redacted() -> None:
    """A token that is part of a variable's name changes neither expressions nor other variables."""
    tokens = {"FLASHBACK_TOKEN": "token", "FLASHBACK_ADMIN_TOKEN": "admin"}
    redactor = Redactor(tokens)
    command = redactor.quote("Bearer admin")
    assert redactor.redact(command) == command == "'Bearer '\"${FLASHBACK_ADMIN_TOKEN}\""
    assert redactor.redact("TOKEN") == "${FLASHBACK_TOKEN}"

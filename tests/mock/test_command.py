"""Tests for the mock command: banner, log, shutdown and startup errors."""

import copy
import json
import logging
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock
from urllib.parse import urlsplit

import httpx
import pytest
import yaml

import flashback_mock
from flashback_mock import Contract, Fixtures, Mock, banner
from flashback_mock.__main__ import main
from flashback_mock.fixtures import DEFAULT, Token
from flashback_mock.stores.errors import StoreError
from flashback_mock.stores.memory import MemoryStore
from tests.mock.wire import MAIN, command, connected, put

StartupError = Callable[..., str]


@pytest.fixture
def startup_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> StartupError:
    """Return a function that runs the command in this process and returns its one-line error."""
    monkeypatch.setenv("FLASHBACK_MOCK_ADMIN_TOKEN", "two words")

    def run(*options: object) -> str:
        monkeypatch.setattr(sys, "argv", ["flashback_mock", *map(str, options)])
        assert main() == 1
        printed = capsys.readouterr()
        assert printed.out == ""
        assert len(printed.err.splitlines()) == 1
        return printed.err.strip().removeprefix("flashback_mock: cannot start: ")

    return run


@pytest.mark.usefixtures("curl")
def test_printed_curl_command_works(root: Path, document: dict[str, Any]) -> None:
    """The curl command that `scripts/mock` prints returns the contract's example response."""
    with command(program=[str(root / "scripts" / "mock")], stderr=None) as (_, banner, _):
        pasted = next(line for line in banner.splitlines() if line.startswith("  curl "))
        done = subprocess.run(["/bin/sh", "-c", pasted], capture_output=True, check=True)
    examples = document["components"]["responses"]["Updated"]["content"]["application/json"]
    assert json.loads(done.stdout) == {**examples["examples"]["updated"]["value"], "aiLlmId": MAIN}


def test_mock_prints_a_banner_and_stops_on_a_signal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The banner shows how to use the mock. After Ctrl-C, the mock exits with status 0.

    The store and its key file have mode 0600.
    """
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    store = ["--store", str(tmp_path / "in memory störe"), "--keys", "keys/file"]
    with command("--log-level", "warning", *store, cwd=tmp_path) as (process, banner, url):
        for shown in (
            "owner-token     WRITE in acme",
            "stranger-token  ADMIN in globex",
            "expired-token   WRITE in acme, expired",
            f"{MAIN}  acme, OpenAI in production",
            f"Web page with the request log and planned responses\n  {url}\n",
            f"master keys in {tmp_path}/keys/file\n",
            "put the store and the keys on separate volumes.",
            "in memory st\\xf6re",
        ):
            assert shown in banner
        for file in (tmp_path / "in memory störe", tmp_path / "keys" / "file"):
            assert file.stat().st_mode & 0o777 == 0o600
        assert put(url, MAIN, {}).status_code == 200
        with connected(url) as waiting:
            waiting.sendall(b"PUT /ai/llm/x HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n")
            process.send_signal(signal.SIGINT)
            output, errors = process.communicate(timeout=30)
        assert (process.returncode, output, errors) == (0, "", "")


NOT_AN_ADDRESS = "listen on an address of this machine, such as 127.0.0.1"
NOT_AN_ORIGIN = "must be an origin such as http://localhost:3000"
MISTAKES: list[tuple[str, str]] = [
    ("--host nope.invalid", NOT_AN_ADDRESS),
    (f"--host {'a' * 64}.example", NOT_AN_ADDRESS),
    ("--host=", NOT_AN_ADDRESS),
    ("--port {port}", "Address already in use; listen on an address of this machine"),
    ("--port 99999", "host 127.0.0.1, port 99999: not a valid address or port; listen on"),
    ("--cors-origin http://localhost:3000/", NOT_AN_ORIGIN),
    ("--cors-origin *", NOT_AN_ORIGIN),
    ("--store {folder}/store.db --keys {folder}/keys", "the key file is in the store's folder"),
    ("--keys {folder}/keys", "--keys requires --store"),
    ("rotate-keys", "cannot rotate the key: rotate-keys requires --store; specify the store to"),
    ("--admin-token", "$FLASHBACK_MOCK_ADMIN_TOKEN: must be a bearer token"),
]


@pytest.mark.parametrize(("options", "message"), MISTAKES)
def test_invalid_option_gives_a_clear_error(
    startup_error: StartupError, mock: Mock, tmp_path: Path, options: str, message: str
) -> None:
    """The error for an unusable option is one line that states the remedy and reveals no token."""
    given = options.format(folder=tmp_path, port=urlsplit(mock.base_url).port)
    error = startup_error("--port=0", *given.split())
    assert message in error
    assert "two" not in error


def test_error_names_the_wrong_option_but_no_value(
    startup_error: StartupError, capsys: pytest.CaptureFixture[str]
) -> None:
    """The error for a wrong option names the option, but not its value, which could be secret."""
    for options, message in (
        ("--prot 1", "arguments: --prot\n"),
        ("--sotre=postgresql://me:abc@host/db", "arguments: --sotre\n"),
        ("--l=abc", "arguments: --l\n"),
        ("rotate", "is rotate-keys"),
        ("rotate-keys postgresql://me:abc@host/db", "a store needs --store\n"),
        ("--admin-token abc", "takes no value; set the token in $FLASHBACK_MOCK_ADMIN_TOKEN\n"),
        ("--admin-token -abc", "takes no value; set the token in $FLASHBACK_MOCK_ADMIN_TOKEN\n"),
        ("--admin-token=abc", "argument --admin-token: ignored explicit argument\n"),
        ("--admin-token=abc'd", "argument --admin-token: ignored explicit argument\n"),
        ("--port abc", "argument --port: invalid int value\n"),
    ):
        with pytest.raises(SystemExit):
            startup_error(*options.split())
        error = capsys.readouterr().err
        assert message in error
        assert "abc" not in error


CONTRACTS: list[tuple[str, str, str]] = [
    ("paths:", "{", "could not find expected ':'"),
    ("paths:", "path:", "got KeyError: 'paths'"),
    ("        x-max-bytes:", "        x-least-bytes:", "got KeyError: 'x-max-bytes'"),
    ("        '500':", "        '501':", "got ValueError: no example for status 500"),
    ("message: Failed", "text: Failed", "got KeyError: 'message'"),
    ("  /ai/llm/{id}:", "  /{workspace}/{id}:", "a PUT operation with one path parameter"),
]


@pytest.mark.parametrize("case", CONTRACTS, ids=str)
def test_unusable_contract_gives_a_clear_error(
    startup_error: StartupError, root: Path, tmp_path: Path, case: tuple[str, str, str]
) -> None:
    """The error for an unusable contract is a single line that names the file and the problem."""
    old, new, message = case
    text = (root / "openapi.yaml").read_text("utf-8")
    assert old in text
    file = tmp_path / "contract.yaml"
    file.write_text(text.replace(old, new))
    error = startup_error("--contract", file)
    assert error.startswith(f"{file}: ")
    assert message in error


def test_different_contract_can_be_served(document: dict[str, Any], tmp_path: Path) -> None:
    """The mock can serve a contract with a different path, rules, statuses and structure."""
    changed = copy.deepcopy(document)
    item = changed["paths"]["/llm/{llm-id}"] = changed["paths"].pop("/ai/llm/{id}")
    operation = item["put"]
    item["parameters"] = operation.pop("parameters")
    body = operation["requestBody"]
    body["content"]["application/json"]["examples"] = {"a": {"$ref": "#/components/examples/a"}}
    changed["components"]["examples"] = {"a": {"value": {"name": "a"}}}
    changed["components"]["requestBodies"] = {"Update": body}
    operation["requestBody"] = {"$ref": "#/components/requestBodies/Update"}
    responses = {int(status): response for status, response in operation["responses"].items()}
    del responses[415]
    operation["responses"] = {**responses, 503: {"description": "Down."}}
    changed["components"]["schemas"]["UpdateAiLlmRequest"]["required"] = ["name"]
    file = tmp_path / "contract.yaml"
    file.write_text(yaml.safe_dump(changed))
    fixtures = tmp_path / "fixtures.yaml"
    fixtures.write_text(DEFAULT.read_text("utf-8").replace(MAIN, "a/b"))
    with flashback_mock.running(file, fixtures=fixtures) as mock:
        shown = banner.text(mock, None, is_local=True)
        assert f"{mock.base_url}/llm/a%2Fb " in shown
        headers = {"Authorization": "Bearer owner-token"}
        with httpx.Client(base_url=mock.base_url, headers=headers, trust_env=False) as client:
            answer = client.put("/llm/a%2Fb", json={})
            assert answer.json()["message"] == "body: missing required field name"
            assert client.put("/llm/a%2Fb", content=b"{}").status_code == 400  # not 415
            mock.answer_next(503)
            assert client.put("/llm/a%2Fb", json={}).status_code == 503


def test_long_banner_is_shortened() -> None:
    """The banner lists at most 20 items of each kind, so it fits in a pipe buffer."""
    tokens = tuple(Token(f"long-test-token-{number}", f"user {number}") for number in range(25))
    mock = Mock(Contract(), Fixtures(tokens), MemoryStore(()))
    shown = banner.text(mock, None, is_local=True)
    assert "token-19  no workspace\n" in shown
    assert "token-20" not in shown
    assert "Tokens (20 of 25)" in shown


def collect_log(*options: str) -> str:
    """Run a mock, send several kinds of requests, and return its log lines."""
    with command(*options) as (process, _, url):
        headers = {"Authorization": "Bearer owner-token"}
        with httpx.Client(base_url=url, headers=headers, trust_env=False) as client:
            client.put(f"/ai/llm/{MAIN}", json={"name": "new", "secret": "sec-ret"})
            client.put(f"/ai/llm/{MAIN}", json={}, headers={"Authorization": "Bearer bad-token"})
            plan = {"answerNext": {"fault": "malformed", "delay": 5}}
            client.post("/__admin/settings", json=plan)
            client.put(f"/ai/llm/{MAIN}", json={"key": "sec-ret"})
            client.post("/__admin/configurations", json={"id": "\nx\x1b[2J", "name": "odd"})
            client.put("/ai/llm/%0Ax%1b[2J?token=sec-ret", json={})
        process.terminate()
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "sec-ret" not in errors
    assert "-token" not in errors
    return errors


def test_log_is_json_unless_stderr_is_a_terminal() -> None:
    """If standard error is not a terminal, each log line is a JSON object."""
    entries: list[dict[str, Any]] = [json.loads(line) for line in collect_log().splitlines()]
    updated, rejected, broken, odd = entries
    assert updated["time"].endswith("+00:00")
    assert updated.pop("time") < rejected["time"] < broken["time"]
    assert len(updated.pop("request_id")) == 32
    assert updated == {
        "level": "info",
        "method": "PUT",
        "status": 200,
        "user": "owner",
        "configuration": MAIN,
        "fields": ["name", "secret"],
        "updated": True,
        "fault": "",
        "reason": "",
    }
    assert (rejected["status"], rejected["user"]) == (401, "")
    assert (broken["status"], broken["fault"], broken["fields"]) == (200, "malformed", ["key"])
    assert odd["configuration"] == "\nx\x1b[2J"


def test_log_can_be_plain_text() -> None:
    """With `--log-format text`, log lines are plain text, with control characters escaped."""
    updated, rejected, broken, odd = collect_log("--log-format", "text").splitlines()
    assert f" PUT 200 as owner (name, secret) (id {MAIN}, request " in updated
    assert " PUT 401 as nobody: Authorization: the token is unknown or expired (id" in rejected
    assert " PUT 200 malformed as owner (key) (id" in broken
    assert r"(id \nx\x1b[2J, request " in odd


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (StoreError("the disk is full"), "the disk is full"),
        (RuntimeError("sec-ret of owner-token"), r"RuntimeError in \w+:\d+"),
    ],
)
def test_cause_of_a_500_is_logged(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    mock: Mock,
    error: Exception,
    cause: str,
) -> None:
    """The log shows the cause of a 500, but not the text of an unexpected exception."""
    monkeypatch.setattr(MemoryStore, "update", AsyncMock(side_effect=error))
    answer = put(mock.base_url, mock.ids["main"], {"secret": "sec-ret"})
    assert answer.status_code == 500
    assert answer.json()["message"] == mock.contract.message(500)
    assert re.fullmatch(f"failed: {cause}", mock.requests[0].reason)
    (record,) = [record for record in caplog.records if record.name == "flashback_mock"]
    assert (record.levelname, record.getMessage()) == ("ERROR", str(mock.requests[0]))


class Redaction(logging.Filter):
    """A filter like those of services that keep credentials out of their logs."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Remove a credential from the message."""
        record.msg = record.msg.replace("sec-ret", "***")
        return True


def test_log_messages_are_text(mock: Mock, caplog: pytest.LogCaptureFixture) -> None:
    """A service's own logging filters can process the mock's log messages."""
    with caplog.at_level("INFO"), caplog.filtering(Redaction()):
        assert put(mock.base_url, mock.ids["main"], {}).status_code == 200
    assert "PUT 200 as owner" in caplog.text

"""The mock as a command: banner, log, shutdown and startup errors."""

import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

import flashback_mock
from flashback_mock.stores import StoreError
from flashback_mock.stores.memory import MemoryStore
from tests.mock.wire import command, put, welcome_of

MAIN = "550e8400-e29b-41d4-a716-446655440000"
SCHEMA = "$ref: '#/components/schemas/UpdateAiLlmRequest'"
LOOP = "$ref: '#/paths/~1ai~1llm~1{id}/put/requestBody/content/application~1json/schema'"


def refused(*options: str) -> str:
    """Return what the command prints when it does not start."""
    line = [sys.executable, "-m", "flashback_mock", *options]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    return done.stderr.removeprefix("flashback_mock: cannot start: ")


@pytest.mark.usefixtures("curl")
def test_printed_curl_line_works_when_pasted(root: Path, document: dict[str, Any]) -> None:
    """`scripts/mock` prints a curl line that gets the contract's 200 answer."""
    line = [str(root / "scripts" / "mock"), "--port", "0"]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as process:
        banner = welcome_of(process)
        pasted = next(line for line in banner.splitlines() if line.startswith("  curl "))
        done = subprocess.run(["/bin/sh", "-c", pasted], capture_output=True, check=True)
        process.kill()
    examples = document["components"]["responses"]["Updated"]["content"]["application/json"]
    assert json.loads(done.stdout) == examples["examples"]["updated"]["value"]


def test_sample_of_the_services_page_works(curl: str) -> None:
    """The page's curl sample, with its body parameter as --data, gets the page's response."""
    body = """{
      "name": "Updated OpenAI Config",
      "aiType": "OPENAI",
      "endpoint": "https://api.openai.com/v2",
      "key": "new-access-key",
      "secret": "new-secret-key"
    }"""
    with command() as (_, _, url):
        sample = [curl, "-s", "-X", "PUT", f"{url}/ai/llm/{MAIN}"]
        sample += ["-H", "Content-Type: application/json", "-H", "Accept: application/json"]
        sample += ["-H", "Authorization: Bearer owner-token", "--data", body]
        done = subprocess.run(sample, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == {
        "success": True,
        "aiLlmId": MAIN,
        "message": "AI LLM configuration updated successfully",
    }


def test_banner_shows_tokens_ids_and_address() -> None:
    """The banner shows every token with its access, every id, and where the page is."""
    with command() as (_, banner, url):
        for shown in (
            "owner-token     WRITE in acme",
            "stranger-token  ADMIN in globex",
            "expired-token   WRITE in acme, expired",
            f"{MAIN}  acme, OpenAI in production",
            f"Page, request log and planned answers in a browser\n  {url}\n",
        ):
            assert shown in banner


def test_banner_and_warning_say_where_keys_belong(tmp_path: Path) -> None:
    """A store's keys belong on another volume: the banner says so, and a warning."""
    options = ["--store", str(tmp_path / "store.db"), "--keys", str(tmp_path / "keys")]
    with command(*options) as (process, banner, _):
        process.terminate()
        _, errors = process.communicate(timeout=10)
    assert "In a container, store and keys each need a volume." in banner
    assert "warning: --keys is in the store's folder" in errors


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    "begin", [b"", b"PUT /ai/llm/x HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"]
)
def test_signal_ends_it_cleanly(stop: signal.Signals, begin: bytes) -> None:
    """Ctrl-C and SIGTERM end it with status 0 and without a traceback."""
    with command("--log-level", "warning") as (process, _, url):
        with socket.create_connection(("127.0.0.1", urlsplit(url).port or 0)) as waiting:
            waiting.sendall(begin)
            process.send_signal(stop)
            output, errors = process.communicate(timeout=10)
        assert (process.returncode, errors) == (0, "")
        assert "Stopped" in output


def test_port_in_use_is_one_line() -> None:
    """A port in use is one line that names the port and the remedy."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = refused("--port", str(port))
    assert said == (
        f"127.0.0.1, port {port}: Address already in use; --port 0 chooses a free port\n"
    )


@pytest.mark.parametrize("host", ["nope.invalid", "[::1]", "127.0.0.1:80", "192.0.2.1"])
def test_unusable_host_is_one_line(host: str) -> None:
    """A host that cannot be listened on is one line with the remedy."""
    assert "not an address of this machine; --host takes one" in refused("--host", host)


@pytest.mark.parametrize("origin", ["localhost:3000", "http://localhost:3000/", "*"])
def test_unusable_origin_is_refused(origin: str) -> None:
    """--cors-origin accepts only origins."""
    line = [sys.executable, "-m", "flashback_mock", "--cors-origin", origin]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "must be an origin such as http://localhost:3000" in done.stderr


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "--admin-token: the token is empty, or not a bearer token"),
        ("two words", "--admin-token: the token is empty, or not a bearer token"),
        (None, "--admin-token takes a file that contains the token"),
    ],
)
def test_unusable_admin_token_is_one_line(
    tmp_path: Path, content: str | None, message: str
) -> None:
    """The mock does not start with an admin token that is empty, invalid or on the command line."""
    file = tmp_path / "token"
    if content is not None:
        file.write_text(content)
    said = refused("--port", "0", "--admin-token", str(file))
    assert said.startswith(message)
    assert not content or content not in said


CONTRACTS: list[tuple[str | None, str | None, str]] = [
    (None, None, "cannot be read: No such file or directory"),
    (None, "{", "cannot be read: it is not YAML"),
    (None, "[" * 2000, "cannot be read: it is not YAML"),
    (None, "a: 2026-13-45", "cannot be read: it is not YAML"),
    (None, "- 1", "is not an OpenAPI document"),
    (None, "paths: {}", "the mock needs one PUT"),
    (None, "paths: {/a: {put: {}}}", "got KeyError: 'requestBody'"),
    ("        x-max-bytes: 262144\n", "", "got KeyError: 'x-max-bytes'"),
    ("            nameTaken:", "            taken:", "got KeyError: 'nameTaken'"),
    ("        '500':", "        '501':", "got KeyError: 500"),
    (SCHEMA, LOOP, "got ValueError: a $ref refers to itself"),
    ("maxLength: 8192", "maxLength: many", "the mock needs one PUT"),
]


@pytest.mark.parametrize(("old", "new", "message"), CONTRACTS)
def test_unusable_contract_is_one_line(
    root: Path, tmp_path: Path, old: str | None, new: str | None, message: str
) -> None:
    """A contract that cannot be served is one line that names the file and what is wrong."""
    file = tmp_path / "contract.yaml"
    text = (root / "openapi.yaml").read_text("utf-8")
    if new is not None:
        assert old is None or old in text
        file.write_text(text.replace(old, new) if old else new)
    said = refused("--contract", str(file))
    assert said.startswith(f"{file}: ")
    assert message in said


def test_other_contract_is_served(root: Path, tmp_path: Path) -> None:
    """--contract serves another contract: its path, rules and statuses."""
    text = (root / "openapi.yaml").read_text("utf-8")
    other = tmp_path / "other.yaml"
    text = text.replace("/ai/llm/{id}:", "/v2/llm/{id}:").replace("[OPENAI,", "[NEW,")
    other.write_text(text.replace("        '415':", "        x-415:"))
    with command("--contract", str(other)) as (_, _, url), httpx.Client(trust_env=False) as client:
        headers = {"Authorization": "Bearer owner-token"}
        for kind, status in (("NEW", 200), ("OPENAI", 400)):
            body = {"aiType": kind}
            answer = client.put(f"{url}/v2/llm/{MAIN}", json=body, headers=headers)
            assert answer.status_code == status
        undocumented = client.put(f"{url}/v2/llm/{MAIN}", content=b"{}", headers=headers)
        assert undocumented.status_code == 400


def logged(*options: str, stderr: int = subprocess.PIPE) -> str:
    """Return what the command logs of an update, a refusal, a fault and an unknown method."""
    with command(*options, stderr=stderr) as (process, _, url):
        headers = {"Authorization": "Bearer owner-token", "X-Request-Id": "r-1"}
        with httpx.Client(base_url=url, headers=headers, trust_env=False) as client:
            client.put(f"/ai/llm/{MAIN}", json={"name": "x", "secret": "sec-ret"})
            client.put(f"/ai/llm/{MAIN}", json={}, headers={"Authorization": "Bearer bad-token"})
            plan = {"answerNext": {"fault": "malformed", "delay": 5}}
            client.post("/__admin/settings", json=plan)
            client.put(f"/ai/llm/{MAIN}", json={"key": "sec-ret"})
            client.put("/ai/llm/%0Ax%1b[2J?token=sec-ret", json={})
        process.terminate()
        _, errors = process.communicate(timeout=10)
    assert process.returncode == 0
    return errors or ""


def test_log_lines_are_json_off_a_terminal() -> None:
    """Without a terminal, each line is a JSON object."""
    lines = logged()
    entries: list[dict[str, Any]] = [json.loads(line) for line in lines.splitlines()]
    updated, refused, broken = entries[:3]
    assert updated["time"].endswith("+00:00")
    assert updated.pop("time") < refused.pop("time") < broken.pop("time")
    assert 0 < updated.pop("milliseconds") < 1000
    assert updated == {
        "level": "info",
        "request_id": "r-1",
        "method": "PUT",
        "status": 200,
        "user": "owner",
        "configuration": MAIN,
        "fields": ["name", "secret"],
        "updated": True,
        "fault": "",
        "reason": "",
    }
    assert (refused["status"], refused["user"]) == (401, "")
    assert refused["reason"] == "Authorization: the token is unknown or expired"
    assert (broken["status"], broken["fault"], broken["fields"]) == (200, "malformed", ["key"])
    assert "sec-ret" not in lines
    assert "-token" not in lines


def test_log_lines_are_columns_on_a_terminal() -> None:
    """On a terminal a line is columns that people read, without control characters."""
    ours, theirs = pty.openpty()
    try:
        logged(stderr=theirs)
        shown = os.read(ours, 65536).decode()
    finally:
        os.close(ours)
        os.close(theirs)
    first, second, third = shown.splitlines()[:3]
    assert f"  PUT  200  owner  {MAIN} (name, secret)  " in first
    assert first.endswith(" ms  r-1")
    assert f"  PUT  401  -  {MAIN} (nothing)  " in second
    assert f"  PUT  200 malformed  owner  {MAIN} (key)  " in third
    assert "\x1b" not in shown
    assert "sec-ret" not in shown


def test_log_level_and_format_are_chosen() -> None:
    """--log-level warning logs no requests; --log-format text needs no terminal."""
    assert logged("--log-level", "warning") == ""
    assert "  PUT  200  owner  " in logged("--log-format", "text")


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (StoreError("the disk is full"), "the disk is full"),
        (RuntimeError("sec-ret of owner-token"), r"RuntimeError in fail:\d+"),
    ],
)
def test_cause_of_a_500_is_logged(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
    cause: str,
) -> None:
    """A failure is logged with request id and cause, but not with an error's text."""

    async def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(MemoryStore, "update", fail)
    with flashback_mock.running() as mock:
        answer = put(mock.base_url, mock.ids["main"], {"secret": "sec-ret"})
        assert answer.status_code == 500
        assert answer.json()["message"] == mock.contract.message(500)
        assert re.fullmatch(f"failed: {cause}", mock.requests[0].reason)
    (record,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert re.fullmatch(rf"request [0-9a-f]{{32}} failed: {cause}", record.getMessage())
    assert "sec-ret" not in caplog.text


def test_servers_own_log_shows_no_request(caplog: pytest.LogCaptureFixture) -> None:
    """At every log level, the server's lines contain nothing from a request."""
    with caplog.at_level(1), flashback_mock.running() as mock:
        mock.answer_next(fault="truncated")
        with pytest.raises(httpx.RemoteProtocolError):
            put(mock.base_url, f"{mock.ids['main']}?token=sec-ret", {"secret": "sec-ret"})
    lines = [record.getMessage() for record in caplog.records if not record.name.startswith("http")]
    assert "sec-ret" not in "".join(lines)

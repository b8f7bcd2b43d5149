"""What the mock logs: one line a request, for people or for programs, and never a secret."""

import json
import os
import pty
import re
import subprocess
import sys
from typing import Any

import flashback_mock
import httpx
import pytest
from flashback_mock.stores.memory import MemoryStore
from flashback_mock.stores.store import StoreError

from tests.mock.wire import url_in, welcome_of

MAIN = "550e8400-e29b-41d4-a716-446655440000"


def logged(*options: str, stderr: int = subprocess.PIPE) -> tuple[str, str]:
    """What the command logs of a few requests; its whole standard output."""
    command = [sys.executable, "-m", "flashback_mock", "--port", "0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True) as process:
        welcome = welcome_of(process)
        try:
            ask(url_in(welcome))
        finally:
            process.terminate()
        said, complained = process.communicate()
    assert process.returncode == 0
    return complained or "", welcome + said


def ask(url: str) -> None:
    """One request that is granted, one that is refused, one with a fault, and what is no HTTP."""
    headers = {"Authorization": "Bearer owner-token", "X-Request-Id": "r-1"}
    with httpx.Client(base_url=url, headers=headers, trust_env=False) as http:
        http.put(f"/ai/llm/{MAIN}", json={"name": "x", "secret": "sec-ret"})
        http.put(f"/ai/llm/{MAIN}", json={}, headers={"Authorization": "Bearer bad-token"})
        http.post("/__admin/settings", json={"answerNext": {"fault": "malformed", "delay": 5}})
        http.put(f"/ai/llm/{MAIN}", json={"key": "sec-ret"})
        http.request("NONSENSE", f"/ai/llm/{MAIN}")


def test_json_lines_are_objects() -> None:
    """Off a terminal each line is an object with what a program wants to know."""
    lines, _ = logged()
    entries: list[dict[str, Any]] = [json.loads(line) for line in lines.splitlines()]
    granted, refused, broken = entries[:3]
    assert granted["time"][:2] == "20"
    assert granted["time"].endswith("+00:00")
    assert granted.pop("time") < refused.pop("time") < broken.pop("time")
    assert 0 < granted.pop("milliseconds") < 1000
    assert granted == {
        "level": "info",
        "request_id": "r-1",
        "method": "PUT",
        "status": 200,
        "user": "owner",
        "configuration": MAIN,
        "fields": ["name", "secret"],
        "updated": True,
        "fault": "",
    }
    assert (refused["status"], refused["user"], refused["configuration"]) == (401, "", "")
    assert (broken["status"], broken["fault"], broken["fields"]) == (200, "malformed", ["key"])
    assert "sec-ret" not in lines
    assert "-token" not in lines


def test_terminal_shows_columns() -> None:
    """On a terminal a line is columns that people read."""
    ours, theirs = pty.openpty()
    try:
        _, said = logged(stderr=theirs)
        shown = os.read(ours, 65536).decode()
    finally:
        os.close(ours)
        os.close(theirs)
    first, second, third = shown.splitlines()[:3]
    assert first[2:3] == first[5:6] == ":"
    assert f"  PUT  200  owner  {MAIN} (name, secret)  " in first
    assert first.endswith(" ms  r-1")
    assert "  PUT  401  -  - (nothing)  " in second
    assert f"  PUT  200 malformed  owner  {MAIN} (key)  " in third
    assert "Stopped" in said
    assert "sec-ret" not in shown
    assert "-token" not in shown


def test_level_and_format_are_chosen() -> None:
    """--log-level warning says nothing of requests; --log-format text needs no terminal."""
    assert logged("--log-level", "warning")[0] == ""
    assert "  PUT  200  owner  " in logged("--log-format", "text")[0]


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (StoreError("the disk is full"), "the disk is full"),
        (RuntimeError("sec-ret of owner-token"), r"RuntimeError in fail:\d+"),
    ],
)
def test_a_500_logs_why(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
    why: str,
) -> None:
    """A failure is logged with the request's id and its reason, but not with an error's text."""

    async def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(MemoryStore, "update", fail)
    with flashback_mock.running() as mock:
        headers = {"Authorization": f"Bearer {mock.tokens['owner']}", "X-Request-Id": "r-7"}
        url = f"{mock.base_url}/ai/llm/{mock.ids['main']}"
        answer = httpx.put(url, json={"secret": "sec-ret"}, headers=headers, trust_env=False)
    assert answer.status_code == 500
    assert answer.json()["message"] == mock.contract.message(500)
    (record,) = [each for each in caplog.records if each.levelname == "ERROR"]
    assert record.name == "flashback_mock"
    assert re.fullmatch(rf"request [0-9a-f]{{32}} failed: {why}", record.getMessage())
    assert "sec-ret" not in caplog.text
    assert "owner-token" not in caplog.text


def test_the_servers_own_log_shows_no_request(caplog: pytest.LogCaptureFixture) -> None:
    """However much a test logs, the server's own lines hold nothing of a request."""
    with caplog.at_level(1), flashback_mock.running() as mock:
        url = f"{mock.base_url}/ai/llm/{mock.ids['main']}?token=sec-ret"
        mock.answer_next(fault="truncated")
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.put(url, json={"secret": "sec-ret"}, trust_env=False)
    lines = [each.getMessage() for each in caplog.records if not each.name.startswith("http")]
    assert lines
    assert "sec-ret" not in "".join(lines)

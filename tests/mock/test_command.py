"""The mock as a command: what it says, how it ends, and how it refuses to start."""

import json
import signal
import socket
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.mock.wire import url_in, welcome_of

SCHEMA = "$ref: '#/components/schemas/UpdateAiLlmRequest'"
LOOP = "$ref: '#/paths/~1ai~1llm~1{id}/put/requestBody/content/application~1json/schema'"


@contextmanager
def started(root: Path, *options: str) -> Generator[tuple[subprocess.Popen[str], str]]:
    """`scripts/mock` on a free port, and all that it said by then."""
    process = subprocess.Popen(
        [root / "scripts" / "mock", "--port", "0", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process, welcome_of(process)
        finally:
            process.kill()


def refused(root: Path, *options: str) -> str:
    """What `scripts/mock` says when it does not start."""
    done = subprocess.run(
        [root / "scripts" / "mock", *options], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stdout == ""
    return done.stderr


@pytest.mark.usefixtures("curl")
def test_curl_line_works_when_pasted(root: Path, document: dict[str, Any]) -> None:
    """The curl line that the mock prints gets the contract's 200 answer."""
    with started(root) as (_, welcome):
        line = next(line for line in welcome.splitlines() if line.startswith("  curl "))
        done = subprocess.run(["/bin/sh", "-c", line], capture_output=True, text=True, check=True)
    examples = document["components"]["responses"]["Updated"]["content"]["application/json"]
    assert json.loads(done.stdout) == examples["examples"]["updated"]["value"]


def test_sample_of_the_services_page_works(root: Path, curl: str) -> None:
    """The page's curl sample, with its body parameter as --data, gets the page's answer."""
    body = """{
      "name": "Updated OpenAI Config",
      "aiType": "OPENAI",
      "endpoint": "https://api.openai.com/v2",
      "key": "new-access-key",
      "secret": "new-secret-key"
    }"""
    with started(root) as (_, welcome):
        url = url_in(welcome)
        sample = [curl, "-s", "-X", "PUT", f"{url}/ai/llm/550e8400-e29b-41d4-a716-446655440000"]
        sample += ["-H", "Content-Type: application/json", "-H", "Accept: application/json"]
        sample += ["-H", "Authorization: Bearer owner-token", "--data", body]
        done = subprocess.run(sample, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == {
        "success": True,
        "aiLlmId": "550e8400-e29b-41d4-a716-446655440000",
        "message": "AI LLM configuration updated successfully",
    }


def test_every_token_and_id_is_shown(root: Path) -> None:
    """The welcome shows every token with its access, every id, and the address."""
    with started(root) as (_, welcome):
        for shown in (
            "owner-token     WRITE in acme",
            "admin-token     ADMIN in acme",
            "reader-token    READ in acme",
            "stranger-token  ADMIN in globex",
            "expired-token   WRITE in acme, expired",
            "550e8400-e29b-41d4-a716-446655440000  acme",
            "http://127.0.0.1:",
        ):
            assert shown in welcome


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_it_cleanly(root: Path, stop: signal.Signals) -> None:
    """Ctrl-C and SIGTERM end it without a trace, a body that is awaited not later than it may."""
    for begun in (b"", b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"):
        with started(root, "--log-level", "warning") as (process, welcome):
            port = urlsplit(url_in(welcome)).port
            with socket.create_connection(("127.0.0.1", port)) as waiting:
                waiting.sendall(begun.replace(b"/ ", b"/ai/llm/x ", 1))
                process.send_signal(stop)
                said, complained = process.communicate(timeout=10)
        assert process.returncode == 0
        assert complained == ""
        assert "Stopped" in said


def test_port_in_use_is_one_line(root: Path) -> None:
    """A port in use is one line that names the port and the cure."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = refused(root, "--port", str(port))
    assert said == (
        f"flashback_mock: cannot start: 127.0.0.1, port {port}: Address already in use; "
        "--port 0 picks a free port\n"
    )


@pytest.mark.parametrize("host", ["nope.invalid", "[::1]", "127.0.0.1:80", "192.0.2.1"])
def test_host_that_is_none_is_one_line(root: Path, host: str) -> None:
    """A host that cannot be listened on is one line with the cure."""
    said = refused(root, "--host", host)
    assert "not an address of this machine; --host takes one" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (None, None, "cannot be read: No such file or directory"),
        (None, "{", "cannot be read: it is not YAML"),
        (None, "[" * 2000, "cannot be read: it is not YAML"),
        (None, "a: 2026-13-45", "cannot be read: it is not YAML"),
        (None, "- 1", "is no OpenAPI document"),
        (None, "paths: {}", "the mock serves one PUT"),
        (None, "paths: [x]", "the mock serves one PUT"),
        (None, "paths: {/a: {put: {}}}", "here: KeyError: 'requestBody'"),
        ("        x-max-bytes: 262144\n", "", "here: KeyError: 'x-max-bytes'"),
        ("x-max-bytes: 262144", "x-max-bytes: abc", "here: ValueError"),
        ("            nameTaken:", "            taken:", "here: KeyError: 'nameTaken'"),
        ("        '500':", "        '501':", "here: KeyError: '500'"),
        (SCHEMA, LOOP, "here: ValueError: a $ref leads to itself"),
        ("maxLength: 8192", "maxLength: many", "the mock serves one PUT"),
    ],
)  # fmt: skip
def test_unusable_contract_is_one_line(
    root: Path, tmp_path: Path, old: str | None, new: str | None, why: str
) -> None:
    """A contract that cannot be served is one line that names the file and what is wrong."""
    file = tmp_path / "contract.yaml"
    text = (root / "openapi.yaml").read_text("utf-8")
    if new is not None:
        assert old is None or old in text
        file.write_text(text.replace(old, new) if old else new)
    said = refused(root, "--contract", str(file))
    assert said.startswith(f"flashback_mock: cannot start: {file}: ")
    assert why in said
    assert said.count("\n") == 1


def test_other_contract_is_served(root: Path, tmp_path: Path) -> None:
    """--contract serves another contract: its path, limits and messages, not the own ones."""
    import httpx

    text = (root / "openapi.yaml").read_text("utf-8")
    other = tmp_path / "other.yaml"
    other.write_text(text.replace("/ai/llm/{id}:", "/v2/llm/{id}:").replace("[OPENAI,", "[NEW,"))
    with started(root, "--contract", str(other)) as (_, welcome):
        url = url_in(welcome)
        path = f"{url}/v2/llm/550e8400-e29b-41d4-a716-446655440000"
        headers = {"Authorization": "Bearer owner-token"}
        for kind, status in (("NEW", 200), ("OPENAI", 400)):
            answer = httpx.put(path, json={"aiType": kind}, headers=headers, trust_env=False)
            assert answer.status_code == status

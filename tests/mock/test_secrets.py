"""Credentials and tokens stay where they belong."""

import subprocess
import sys

import flashback_mock
import httpx
import pytest

CANARY = "canary-3f9c1e77"
BAD_TOKEN = "token-5d2b8a90"


def test_nothing_prints_a_token_or_a_credential(mock: flashback_mock.Mock) -> None:
    """The reprs of a running mock and of its fixtures show neither."""
    printed = repr(mock) + repr(mock.fixtures) + repr(mock.store)
    for secret in (*mock.tokens.values(), "made-up"):
        assert secret not in printed


@pytest.mark.parametrize("level", ["debug", "info"])
def test_no_answer_and_no_log_line_shows_a_secret(level: str) -> None:
    """Canaries sent along every path come back in no answer, and stand in no log line."""
    command = [sys.executable, "-m", "flashback_mock", "--port", "0", "--log-level", level]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout
        welcome = ""
        while "backend on http://" not in welcome:
            welcome += process.stdout.readline()
        url = welcome.split("backend on ")[1].split()[0]
        answers = send_canaries(url)
        process.terminate()
        logged = process.stdout.read()
    assert "PUT" in logged
    assert "400" in logged
    for secret in (CANARY, BAD_TOKEN, "owner-token", "reader-token"):
        assert secret not in logged
        assert secret not in answers


def send_canaries(url: str) -> str:
    """All that comes back, heads included, for canaries in bodies, tokens, ids and queries."""
    id = flashback_mock.Fixtures.read(flashback_mock.Contract()).configurations[0].id
    good = {"key": CANARY, "secret": CANARY}
    requests: list[tuple[str, str, str, object]] = [
        ("PUT", id, "owner-token", good),
        ("PUT", id, "owner-token", {**good, CANARY: CANARY}),
        ("PUT", id, "owner-token", {"name": [CANARY], "aiType": CANARY, "endpoint": CANARY}),
        ("PUT", id, "owner-token", [CANARY]),
        ("PUT", id, "owner-token", {"key": CANARY * 50_000}),
        ("PUT", id, BAD_TOKEN, good),
        ("PUT", id, "reader-token", good),
        ("PUT", CANARY, "owner-token", good),
        ("PUT", f"{id}?token=owner-token&key={CANARY}", "owner-token", good),
        ("POST", f"{id}?key={CANARY}", "owner-token", good),
        ("PUT", f"{id}/{CANARY}", "owner-token", good),
    ]
    answers = ""
    with httpx.Client(base_url=f"{url}/ai/llm/", trust_env=False) as http:
        for method, path, token, body in requests:
            headers = {"Authorization": f"Bearer {token}"}
            answer = http.request(method, path, json=body, headers=headers)
            answers += f"{answer.status_code} {answer.headers} {answer.text}\n"
    return answers

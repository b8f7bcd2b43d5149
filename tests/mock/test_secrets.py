"""Credentials and tokens stay where they belong."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import flashback_mock
import httpx
import pytest
from cryptography.exceptions import InvalidTag
from flashback_mock.store import Store
from flashback_mock.vault import Vault

CANARY = "canary-3f9c1e77"
BAD_TOKEN = "token-5d2b8a90"


def test_sealed_credential_opens_at_its_place_only() -> None:
    """A sealed credential moved to another workspace, configuration or field does not open."""
    vault = Vault()
    sealed = vault.seal(CANARY, "workspace", "configuration", "key")
    assert vault.open(sealed, "workspace", "configuration", "key") == CANARY
    for place in (("other", "configuration", "key"), ("workspace", "configuration", "secret")):
        with pytest.raises(InvalidTag):
            vault.open(sealed, *place)
    with pytest.raises(InvalidTag):
        Vault().open(sealed, "workspace", "configuration", "key")


def test_same_credential_is_sealed_differently_each_time() -> None:
    """Two sealed values do not tell that the credential is the same."""
    vault = Vault()
    assert vault.seal(CANARY, "a", "b", "c") != vault.seal(CANARY, "a", "b", "c")


def test_database_holds_no_credential_and_no_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Written to a file, the database shows no credential and no token."""
    file, connect = tmp_path / "store.db", sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda _memory, **options: connect(file, **options))
    fixtures = flashback_mock.Fixtures.default()
    store = Store(fixtures, flashback_mock.Contract().credentials)
    main = fixtures.configurations[0]
    store.update("owner", main.id, {"name": "to be found", "key": CANARY, "secret": CANARY})
    store.close()
    stored = file.read_bytes()
    assert b"to be found" in stored
    for secret in (CANARY, main.fields["key"], *(token.value for token in fixtures.tokens)):
        assert secret.encode() not in stored


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
    id = flashback_mock.Fixtures.default().configurations[0].id
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

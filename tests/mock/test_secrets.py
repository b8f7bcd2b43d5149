"""Credentials and tokens stay where they belong."""

import base64
import resource
import subprocess
import sys
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import flashback_mock
import httpx
import pytest

from tests.mock.wire import url_in, welcome_of

CANARY = "canary-3f9c1e77"
BAD_TOKEN = "token-5d2b8a90"


def test_nothing_prints_a_token_or_a_credential(mock: flashback_mock.Mock) -> None:
    """The reprs of a running mock and of its fixtures show neither."""
    printed = repr(mock) + repr(mock.fixtures) + repr(mock.store)
    for secret in (*mock.tokens.values(), "made-up"):
        assert secret not in printed


@pytest.mark.parametrize("form", ["text", "json"])
def test_thief_of_files_logs_and_answers_finds_no_secret(tmp_path: Path, form: str) -> None:
    """Canaries sent along every path are in no answer, log line, file or process list."""
    store = ["--store", str(tmp_path / "store.db"), "--keys", str(tmp_path / "keys")]
    with started(*store, "--log-level", "debug", "--log-format", form) as (process, url):
        seen = send_canaries(url)
        limit = resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
        seen += send_canaries(url)  # 500 where it was 200
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, limit)
        with ThreadPoolExecutor(4) as threads:
            seen += "".join(threads.map(send_canaries, [url] * 4))
        seen += httpx.get(f"{url}/__admin/requests", trust_env=False).text
        seen += (Path("/proc") / str(process.pid) / "cmdline").read_text()
        process.kill()
        seen += process.communicate()[0]
    rotation = [sys.executable, "-m", "flashback_mock", "rotate-keys", *store]
    seen += subprocess.run(rotation, capture_output=True, text=True, check=True).stdout
    assert all(f" {status} " in seen for status in (200, 400, 401, 403, 404, 405, 500))
    stolen = seen.encode() + b"".join(file.read_bytes() for file in tmp_path.iterdir())
    for secret in (CANARY, BAD_TOKEN, "owner-token", "reader-token", "made-up-access-key"):
        assert not any(spelt in stolen for spelt in spellings(secret)), secret


@contextmanager
def started(*options: str) -> Generator[tuple[subprocess.Popen[str], str]]:
    """A mock in a process of its own, and its address."""
    command = [sys.executable, "-m", "flashback_mock", "--port", "0", *options]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        yield process, url_in(welcome_of(process))
        process.kill()


def spellings(secret: str) -> list[bytes]:
    """A secret whole, in hex, and in Base64 wherever in a longer text it begins."""
    octets = secret.encode()
    shifted = (base64.b64encode(bytes(at) + octets)[4:-4] for at in range(3))
    return [octets, octets.hex().encode(), *shifted]


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
            answers += f" {answer.status_code} {answer.headers} {answer.text}\n"
    return answers


@pytest.mark.parametrize(
    ("id", "body"),
    [
        (CANARY, {"secret": CANARY}),
        (CANARY, {"secret": CANARY, "unknown": 1}),
        (f"x-{CANARY}", {"secret": CANARY}),
        (f"x-{CANARY}", {"secret": CANARY, "aiType": "BAD"}),
        (f"x-{CANARY}", {"secret": CANARY, "name": "x" * (1 << 18)}),
        ("owner-token", {}),
        ("x-owner-token", {}),
    ],
)
def test_request_id_that_holds_a_secret_is_not_told(
    http: httpx.Client, mock: flashback_mock.Mock, id: str, body: dict[str, object]
) -> None:
    """A request id that is, or holds, a credential or the token is neither returned nor kept."""
    answer = http.put(mock.ids["main"], json=body, headers={"X-Request-Id": id})
    assert id not in answer.headers["X-Request-Id"]
    assert id not in mock.requests[-1].request_id

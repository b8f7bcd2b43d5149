"""Secrets never appear in responses, logs, process lists or files."""

import base64
import resource
import socket
import subprocess
import sys
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from scripts.maintenance.postgresql import Cluster
from tests.mock.wire import url_in, welcome_of

MAIN = "550e8400-e29b-41d4-a716-446655440000"
CANARY = "canary-3f9c1e77"
BAD_TOKEN = "token-5d2b8a90"


def test_thief_of_a_file_finds_no_secret(tmp_path: Path) -> None:
    """Secrets sent anywhere in a request appear in no answer, log line, file or process list."""
    store = ["--store", str(tmp_path / "store.db"), "--keys", str(tmp_path / "keys" / "file")]
    with started(*store, "--log-format", "text") as (process, url):
        seen = sent_while(url, full_disk(process))
        assert "the disk fails" in finished(process, seen)
    assert_no_secret(store, seen, tmp_path)


def test_thief_of_a_server_finds_no_secret(cluster: Cluster, tmp_path: Path) -> None:
    """Secrets are in no file of a PostgreSQL server either, including its log and its WAL."""
    store = ["--store", cluster.schema(), "--keys", str(tmp_path / "keys")]
    with started(*store, "--log-format", "json") as (process, url):
        seen = sent_while(url, cluster.stopped("immediate"))
        assert "is it running?" in finished(process, seen)
    assert_no_secret(store, seen, tmp_path, cluster.folder)


@contextmanager
def full_disk(process: subprocess.Popen[str]) -> Generator[None]:
    """Simulate a full disk for this process until the block ends."""
    limit = resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
    yield
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, limit)


def sent_while(url: str, failing: AbstractContextManager[None]) -> list[str]:
    """Return all answers: while the store works, while it fails, and to concurrent requests."""
    seen = [send_canaries(url), send_broken_canaries(url)]
    with failing:
        seen.append(send_canaries(url))  # 500 where it was 200
    with ThreadPoolExecutor(4) as threads:
        seen += threads.map(send_canaries, [url] * 4)
    seen.append(httpx.get(f"{url}/__admin/requests", trust_env=False).text)
    return seen


def finished(process: subprocess.Popen[str], seen: list[str]) -> str:
    """Kill the mock and return its log; add log and process list to the collected output."""
    seen += (Path(f"/proc/{process.pid}/{name}").read_text() for name in ("cmdline", "environ"))
    process.kill()
    seen.append(process.communicate()[0])
    return seen[-1]


def assert_no_secret(store: list[str], seen: list[str], *folders: Path) -> None:
    """Rotate the keys, and assert that no secret is in the collected output or in a file."""
    rotation = [sys.executable, "-m", "flashback_mock", "rotate-keys", *store]
    seen.append(subprocess.run(rotation, capture_output=True, text=True, check=True).stdout)
    assert all(f" {status} " in "".join(seen) for status in (200, 400, 401, 403, 404, 405, 500))
    files = [file for folder in folders for file in folder.rglob("*") if file.is_file()]
    stolen = "".join(seen).encode() + b"".join(file.read_bytes() for file in files)
    for secret in (CANARY, BAD_TOKEN, "owner-token", "reader-token", "made-up-access-key"):
        assert not any(form in stolen for form in encodings(secret)), secret


@contextmanager
def started(*options: str) -> Generator[tuple[subprocess.Popen[str], str]]:
    """A mock in its own process, and its address."""
    command = [
        sys.executable,
        "-m",
        "flashback_mock",
        "--port",
        "0",
        "--log-level",
        "debug",
        *options,
    ]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        yield process, url_in(welcome_of(process))
        process.kill()


def encodings(secret: str) -> list[bytes]:
    """Return a secret as it is, in hex, and in Base64 at each offset in a longer text."""
    plain = secret.encode()
    shifted = (base64.b64encode(bytes(at) + plain)[4:-4] for at in range(3))
    return [plain, plain.hex().encode(), *shifted]


def send_broken_canaries(url: str) -> str:
    """Return all answers to malformed requests that contain secrets."""
    start = f"PUT /ai/llm/{MAIN} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer owner-token\r\n"
    length = "Content-Type: application/json\r\nContent-Length: "
    chunked = "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    broken = [
        f'{start}{length}30\r\n\r\n{{"secret": "{CANARY}",,,,',
        f'{start}{chunked}5\r\n{{"secret": "{CANARY}"}}',
        f"{start}X-{CANARY}: x\r\n{CANARY} : x\r\n\r\n",
        f"{start}Content-Type: {CANARY}\r\nPrefer: code={CANARY}\r\nContent-Length: 0\r\n\r\n",
        f"{start}Content-Encoding: {CANARY}\r\nX-Request-Id: {CANARY}\r\nContent-Length: 0\r\n\r\n",
        f"{CANARY} /{CANARY} HTTP/1.1\r\nHost: {CANARY}\r\n\r\n",
        f"{CANARY}\r\n\r\n",
        f"PUT /{CANARY} HTTP/{CANARY}\r\n\r\n",
    ]
    unfinished = f'{start}{length}40\r\n\r\n{{"secret": "{CANARY}"'
    answers = ""
    address = urlsplit(url)
    for request in (unfinished, *broken):
        with socket.create_connection((address.hostname or "", address.port or 0), 20) as wire:
            wire.sendall(request.encode())
            if request != unfinished:  # whose answer takes ten seconds
                wire.shutdown(socket.SHUT_WR)
                answers += wire.makefile("rb").read().decode()
    given = {"key": CANARY, "secret": CANARY}
    for path, body in (("configurations", given), ("settings", {CANARY: 1}), ("requests", given)):
        answers += httpx.post(f"{url}/__admin/{path}", json=body, trust_env=False).text
    return answers


def send_canaries(url: str) -> str:
    """Return all answers, heads included, to secrets in bodies, tokens, ids and queries."""
    id = MAIN
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

"""Secrets never appear in responses, logs, process lists or files."""

import base64
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from scripts.maintenance.postgresql import Cluster
from tests.mock.stores.places import MAIN
from tests.mock.stores.processes import full_disk
from tests.mock.wire import command

CANARY = "canary-3f9c1e77"
BAD_TOKEN = "token-5d2b8a90"
# A mock in its own process, whose log is in its output.
logging = partial(command, "--log-level", "debug", stderr=subprocess.STDOUT)


def test_thief_of_a_file_finds_no_secret(tmp_path: Path) -> None:
    """No response, log line, file or process list contains a secret from any part of a request."""
    store = ["--store", str(tmp_path / "store.db"), "--keys", str(tmp_path / "keys" / "file")]
    with logging(*store, "--log-format", "text") as (process, _, url):
        seen = sent_while(url, full_disk(process.pid))
        assert "reading or writing the file failed" in finished(process, seen)
    assert_no_secret(store, seen, tmp_path)


def test_thief_of_a_server_finds_no_secret(cluster: Cluster, tmp_path: Path) -> None:
    """No file of a PostgreSQL server contains a secret, its log and write-ahead log included."""
    store = ["--store", cluster.schema(), "--keys", str(tmp_path / "keys")]
    with logging(*store, "--log-format", "json") as (process, _, url):
        seen = sent_while(url, cluster.stopped("immediate"))
        assert "is the server running?" in finished(process, seen)
    assert_no_secret(store, seen, tmp_path, cluster.folder)


def sent_while(url: str, failing: AbstractContextManager[None]) -> list[str]:
    """Return all responses: while the store works, while it fails, and under concurrent load."""
    seen = [send_canaries(url), send_broken_canaries(url)]
    with failing:
        seen.append(send_canaries(url))  # these get a 500 instead of a 200
    with ThreadPoolExecutor(4) as threads:
        seen += threads.map(send_canaries, [url] * 4)
    seen.append(httpx.get(f"{url}/__admin/requests", trust_env=False).text)
    return seen


def finished(process: subprocess.Popen[str], seen: list[str]) -> str:
    """Kill the mock and return its log; add the log and the process list to the output."""
    seen += (Path(f"/proc/{process.pid}/{name}").read_text() for name in ("cmdline", "environ"))
    process.kill()
    seen.append(process.communicate()[0])
    return seen[-1]


def assert_no_secret(store: list[str], seen: list[str], *folders: Path) -> None:
    """Rotate the keys, and assert that neither the output nor a file contains a secret."""
    rotation = [sys.executable, "-m", "flashback_mock", "rotate-keys", *store]
    seen.append(subprocess.run(rotation, capture_output=True, text=True, check=True).stdout)
    assert all(f" {status} " in "".join(seen) for status in (200, 400, 401, 403, 404, 405, 500))
    files = [file for folder in folders for file in folder.rglob("*") if file.is_file()]
    stolen = "".join(seen).encode() + b"".join(file.read_bytes() for file in files)
    for secret in (CANARY, BAD_TOKEN, "owner-token", "reader-token", "made-up-access-key"):
        assert not any(form in stolen for form in encodings(secret)), secret


def encodings(secret: str) -> list[bytes]:
    """Return a secret as it is, in hex, and in Base64 at each offset in a longer text."""
    plain = secret.encode()
    shifted = (base64.b64encode(bytes(at) + plain)[4:-4] for at in range(3))
    return [plain, plain.hex().encode(), *shifted]


def send_broken_canaries(url: str) -> str:
    """Return all responses to malformed requests that contain secrets."""
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
            if request != unfinished:  # its response takes ten seconds
                wire.shutdown(socket.SHUT_WR)
                answers += wire.makefile("rb").read().decode()
    given = {"key": CANARY, "secret": CANARY}
    for path, body in (("configurations", given), ("settings", {CANARY: 1}), ("requests", given)):
        answers += httpx.post(f"{url}/__admin/{path}", json=body, trust_env=False).text
    return answers


def send_canaries(url: str) -> str:
    """Return all responses, with headers, to secrets in bodies, tokens, ids and queries."""
    good = {"key": CANARY, "secret": CANARY}
    requests: list[tuple[str, str, str, object]] = [
        ("PUT", MAIN, "owner-token", good),
        ("PUT", MAIN, "owner-token", {**good, CANARY: CANARY}),
        ("PUT", MAIN, "owner-token", {"name": [CANARY], "aiType": CANARY, "endpoint": CANARY}),
        ("PUT", MAIN, "owner-token", [CANARY]),
        ("PUT", MAIN, "owner-token", {"key": CANARY * 50_000}),
        ("PUT", MAIN, BAD_TOKEN, good),
        ("PUT", MAIN, "reader-token", good),
        ("PUT", CANARY, "owner-token", good),
        ("PUT", f"{MAIN}?token=owner-token&key={CANARY}", "owner-token", good),
        ("POST", f"{MAIN}?key={CANARY}", "owner-token", good),
        ("PUT", f"{MAIN}/{CANARY}", "owner-token", good),
    ]
    answers = ""
    with httpx.Client(base_url=f"{url}/ai/llm/", trust_env=False) as http:
        for method, path, token, body in requests:
            headers = {"Authorization": f"Bearer {token}"}
            answer = http.request(method, path, json=body, headers=headers)
            answers += f" {answer.status_code} {answer.headers} {answer.text}\n"
    return answers

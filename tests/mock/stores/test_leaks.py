"""Tests that secrets never appear in responses, logs, process lists or files."""

import base64
import socket
import subprocess
import sys
from contextlib import AbstractContextManager
from functools import partial
from itertools import product
from pathlib import Path

import httpx

from tests.mock.stores.cluster import Cluster
from tests.mock.stores.locations import MAIN
from tests.mock.stores.processes import full_disk
from tests.mock.wire import command, connected, receive_all

SECRET = "s3cret-3f9c1e77"
BAD_TOKEN = "token-5d2b8a90"
# Run a mock at the most verbose log level, and write the log to standard output.
command_with_log = partial(command, "--log-level", "debug", stderr=subprocess.STDOUT)


def test_file_store_leaks_no_secret(tmp_path: Path) -> None:
    """No response, log line, file or process list contains a secret from any part of a request."""
    store = ["--store", str(tmp_path / "store.db"), "--keys", str(tmp_path / "keys" / "file")]
    with command_with_log(*store, "--log-format", "text") as (process, _, url):
        output = send_requests_while(url, full_disk(process.pid))
        assert "reading or writing the file failed" in kill_and_read_log(process, output)
    assert_no_secret(store, output, tmp_path)


def test_postgresql_store_leaks_no_secrets(cluster: Cluster, tmp_path: Path) -> None:
    """No secret appears in the mock's output or in PostgreSQL's data files and logs."""
    store = ["--store", cluster.schema(), "--keys", str(tmp_path / "keys")]
    with command_with_log(*store, "--log-format", "json") as (process, _, url):
        output = send_requests_while(url, cluster.stopped("immediate"))
        assert "is the server running" in kill_and_read_log(process, output)
    assert_no_secret(store, output, tmp_path, cluster.folder)


def send_requests_while(url: str, failing: AbstractContextManager[None]) -> list[str]:
    """Send requests before, during and after a failure, and return all responses."""
    output = [
        send_requests(url),
        send_malformed_requests(url),
        send_malformed_control_requests(url),
    ]
    with failing:
        output.append(send_requests(url))  # updates return 500 instead of 200
    output.append(send_requests(url))
    output.append(httpx.get(f"{url}/__admin/requests", trust_env=False).text)
    return output


def kill_and_read_log(process: subprocess.Popen[str], output: list[str]) -> str:
    """Kill the mock, and return its log.

    Add the log and the process's command line and environment to `output`.
    """
    output += (Path(f"/proc/{process.pid}/{name}").read_text() for name in ("cmdline", "environ"))
    process.kill()
    output.append(process.communicate()[0])
    return output[-1]


def assert_no_secret(store: list[str], output: list[str], *folders: Path) -> None:
    """Rotate the keys, and assert that neither the output nor any file contains a secret."""
    rotation = [sys.executable, "-m", "flashback_mock", "rotate-keys", *store]
    output.append(subprocess.run(rotation, capture_output=True, text=True, check=True).stdout)
    assert all(f" {status} " in "".join(output) for status in (200, 400, 401, 403, 404, 405, 500))
    files = [file for folder in folders for file in folder.rglob("*") if file.is_file()]
    stolen = "".join(output).encode() + b"".join(file.read_bytes() for file in files)
    for secret in (SECRET, BAD_TOKEN, "owner-token", "reader-token", "made-up-access-key"):
        assert not any(form in stolen for form in encodings(secret)), secret


def encodings(secret: str) -> list[bytes]:
    """Return a secret as text, in hex, and in the three ways it can appear in Base64 data."""
    plain = secret.encode()
    shifted = (base64.b64encode(bytes(at) + plain)[4:-4] for at in range(3))
    return [plain, plain.hex().encode(), *shifted]


def send_malformed_requests(url: str) -> str:
    """Send malformed requests that contain secrets, and return all responses."""
    start = f"PUT /ai/llm/{MAIN} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer owner-token\r\n"
    length = "Content-Type: application/json\r\nContent-Length: "
    chunked = "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    malformed = [
        f'{start}{length}30\r\n\r\n{{"secret": "{SECRET}",,,,',
        f'{start}{chunked}5\r\n{{"secret": "{SECRET}"}}',
        f"{start}X-{SECRET}: x\r\n{SECRET} : x\r\n\r\n",
        f"{start}Content-Type: {SECRET}\r\nContent-Length: 0\r\n\r\n",
        f"{start}Content-Encoding: {SECRET}\r\nX-Request-Id: {SECRET}\r\nContent-Length: 0\r\n\r\n",
        f"{SECRET} /{SECRET} HTTP/1.1\r\nHost: {SECRET}\r\n\r\n",
        f"{SECRET}\r\n\r\n",
        f"PUT /{SECRET} HTTP/{SECRET}\r\n\r\n",
    ]
    unfinished = f'{start}{length}40\r\n\r\n{{"secret": "{SECRET}"'
    answers = ""
    truncated = {"answerNext": {"fault": "truncated", "id": MAIN}}
    httpx.post(f"{url}/__admin/settings", json=truncated, trust_env=False)
    for request in (unfinished, *malformed):
        with connected(url) as connection:
            connection.sendall(request.encode())
            if request != unfinished:  # the unfinished request times out after ten seconds
                connection.shutdown(socket.SHUT_WR)
                answers += receive_all(connection).decode()
    return answers


def send_malformed_control_requests(url: str) -> str:
    """Send malformed /__admin requests that contain secrets, and return all responses."""
    answers = ""
    bodies: list[object] = [
        {"key": SECRET, "secret": SECRET},
        {SECRET: 1},
        [SECRET],
        {"id": [SECRET]},
        {"token": SECRET, "user": 1},
        {"answerNext": {"fault": SECRET}},
        {"answerNext": {"headers": {f"{SECRET} ": "x"}}},
    ]
    main = f"configurations/{MAIN}"
    paths = ["configurations", f"{main}/reveals", f"{main}/updated", "members", "tokens/expire"]
    for path, body in product([*paths, "settings", "requests", "requests/wait"], bodies):
        answers += httpx.post(f"{url}/__admin/{path}", json=body, trust_env=False).text
    return answers + httpx.get(f"{url}/__admin/{main}", trust_env=False).text


def send_requests(url: str) -> str:
    """Send secrets in bodies, tokens, ids and query strings, and return all responses."""
    good = {"key": SECRET, "secret": SECRET}
    requests: list[tuple[str, str, str, object]] = [
        ("PUT", MAIN, "owner-token", good),
        ("PUT", MAIN, "owner-token", {**good, SECRET: SECRET}),
        ("PUT", MAIN, "owner-token", {"name": [SECRET], "aiType": SECRET, "endpoint": SECRET}),
        ("PUT", MAIN, "owner-token", [SECRET]),
        ("PUT", MAIN, "owner-token", {"key": SECRET * 50_000}),
        ("PUT", MAIN, BAD_TOKEN, good),
        ("PUT", MAIN, "reader-token", good),
        ("PUT", SECRET, "owner-token", good),
        ("PUT", f"{MAIN}?token=owner-token&key={SECRET}", "owner-token", good),
        ("POST", f"{MAIN}?key={SECRET}", "owner-token", good),
        ("PUT", f"{MAIN}/{SECRET}", "owner-token", good),
    ]
    answers = ""
    with httpx.Client(base_url=f"{url}/ai/llm/", trust_env=False) as http:
        for method, path, token, body in requests:
            headers = {"Authorization": f"Bearer {token}"}
            answer = http.request(method, path, json=body, headers=headers)
            answers += f" {answer.status_code} {answer.headers} {answer.text}\n"
    return answers

"""Tests for the control API at `/__admin`: functions, errors and access control."""

import json
import socket
from collections.abc import Generator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from flashback_mock import Mock
from tests.mock.wire import MAIN, OWNER, command, connected, put
from tests.programs import run

ADMIN_TOKEN = "admin-api.token"
BROWSER = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Accept": "text/html"}


@pytest.fixture
def admin(mock: Mock) -> Generator[httpx.Client]:
    """Yield an HTTP client for the mock's control API."""
    with httpx.Client(base_url=f"{mock.base_url}/__admin/", trust_env=False, timeout=15) as admin:
        yield admin


OK: dict[str, object] = {"status": "ok"}
ADDED = "configurations/a%2Fb%20%C3%BC"
UPDATE = "/ai/llm/a%2Fb%20%C3%BC"
PLANS: list[dict[str, object]] = [
    {"status": 403, "delay": 20, "afterUpdate": True},
    {"status": 429, "headers": {"Retry-After": "1"}, "id": "a/b ü", "times": 2},
]
# Each step consists of a method, path, body, expected status and part of the expected response.
STEPS: list[tuple[str, str, object, int, dict[str, object]]] = [
    ("POST", "configurations", {"id": "a/b ü", "workspace": "globex"}, 201, {"id": "a/b ü"}),
    ("POST", "configurations", {"id": "two", "ai_type": "AWS"}, 201, {"id": "two"}),
    ("GET", ADDED, None, 200, {"workspace": "globex"}),
    ("POST", "members", {"user": "dave", "workspace": "globex"}, 201, OK),
    ("PUT", UPDATE, {"name": "by dave", "secret": "s"}, 200, {"success": True}),
    ("POST", f"{ADDED}/reveals", {"secret": "s"}, 200, {"reveals": True}),
    ("POST", f"{ADDED}/reveals", {"secret": "x"}, 200, {"reveals": False}),
    ("POST", f"{ADDED}/updated", {"name": "by dave"}, 200, {"updated": True, "message": ""}),
    ("POST", f"{ADDED}/updated", {"name": "other"}, 200, {"updated": False}),
    ("PUT", UPDATE, {"nme": "x"}, 400, {"success": False}),
    ("POST", "requests/wait", {"count": 2, "timeout": 5000}, 200, {"total": 2}),
    ("POST", "requests/wait", {"fields": ["secret", "name"], "status": 200}, 200, {"total": 1}),
    ("POST", "requests/wait", {"status": 500, "timeout": 50}, 504, {"success": False}),
    ("GET", "requests?last=0", None, 400, {"success": False}),
    ("DELETE", "requests", None, 200, OK),
    ("GET", "requests", None, 200, {"requests": [], "total": 0}),
    ("POST", "settings", {"fixedDelay": 9, "answerNext": PLANS}, 200, {"planned": PLANS}),
    ("PUT", UPDATE, {"name": "stored"}, 403, {"success": False}),
    ("GET", ADDED, None, 200, {"name": "stored"}),
    ("PUT", UPDATE, {}, 429, {"success": False}),
    ("GET", "settings", None, 200, {"fixedDelay": 9, "planned": [{**PLANS[1], "times": 1}]}),
    ("DELETE", "settings", None, 200, OK),
    ("POST", "settings", {"answerNext": {"example": "nameTaken"}}, 200, {"fixedDelay": 0}),
    ("POST", "reset", None, 200, OK),
    ("GET", "settings", None, 200, {"fixedDelay": 0, "planned": []}),
    ("GET", ADDED, None, 404, {"success": False}),
    ("POST", "tokens/expire", {"token": "reader-token"}, 200, OK),
    ("POST", "tokens/revoke", {"token": "owner-token"}, 200, OK),
    ("DELETE", f"configurations/{MAIN}", None, 200, OK),
]


def test_mock_can_be_controlled_over_http(admin: httpx.Client, mock: Mock) -> None:
    """The control API can change and show the state, the request log and the planned responses."""
    admin.headers["Authorization"] = "Bearer dave-token"  # /__admin needs no token
    for method, path, body, status, expected in STEPS:
        url = mock.base_url + path if path == UPDATE else path
        answer = admin.request(method, url, json=body)
        assert (answer.status_code, answer.json()) == (status, answer.json() | expected)
    assert admin.head("health").status_code == 200
    assert admin.get("health").json() == {**OK, "version": mock.contract.version}
    fixtures = admin.get("fixtures").json()
    assert (fixtures["tokens"], fixtures["ids"]) == (mock.tokens, mock.ids)
    assert fixtures["access"]["owner"] == "WRITE in acme"
    sibling = mock.ids["sibling"]
    for token in (OWNER, mock.tokens["reader"]):
        assert put(mock.base_url, sibling, {}, token).status_code == 401
    assert len(admin.get("requests?last=1").json()["requests"]) == 1


REJECTED: list[tuple[str, object, int, str]] = [
    ("requests/wait", {"self": 1, "mock": 1}, 400, "unknown field; the known fields are count, "),
    ("requests/wait", [], 400, "body: must be a JSON object"),
    ("requests/wait", b'{"status": 1, "status": 2}', 400, "body: contains a duplicate key"),
    ("requests/wait", b" " * (1 << 19), 413, "body: must be at most "),
    ("requests/wait", {"timeout": -(10**400)}, 400, "timeout: must be between 0 and"),
    ("settings", {"delay": 1}, 400, "delay: unknown field; the known fields are fixedDelay, "),
    ("settings", {"answerNext": [5]}, 400, "answerNext: must be a JSON object"),
    ("settings", {"answerNext": {"afterUpdate": 1}}, 400, "afterUpdate: must be a boolean"),
    ("settings", {"fixedDelay": 9, "answerNext": [{"status": 500}, {"status": 1}]}, 400, "status"),
    ("configurations/unknown/reveals", {"key": "x"}, 404, "id: no configuration has this id"),
    (f"configurations/{MAIN}/reveals", {"id": "x"}, 400, "argument; expected id: str, "),
    ("reset", {"control": 1}, 400, "expected no arguments"),
]


@pytest.mark.parametrize("case", REJECTED, ids=lambda case: f"{case[0]}-{str(case[1])[:30]}")
def test_invalid_request_has_no_effect(
    admin: httpx.Client, case: tuple[str, object, int, str]
) -> None:
    """An invalid request changes nothing and returns an error that describes the mistake."""
    path, given, status, message = case
    before = admin.get("settings").json()
    content = given if isinstance(given, bytes) else json.dumps(given).encode()
    answer = admin.post(path, content=content)
    assert (answer.status_code, message in answer.json()["message"]) == (status, True), answer.text
    assert admin.get("settings").json() == before


def send_raw(mock: Mock, request: str) -> str:
    """Send exactly these lines, and return the response."""
    port = urlsplit(mock.base_url).port
    with connected(mock.base_url) as connection:
        connection.sendall(request.format(port=port).replace("\n", "\r\n").encode() + b"\r\n\r\n")
        return connection.recv(65536).decode()


LIST = "GET /__admin/requests HTTP/1.1\nHost: "
POST = "POST /__admin/reset HTTP/1.1\nContent-Length: 0\nHost: 127.0.0.1:{port}\n"
LINK = "\nSec-Fetch-Site: cross-site\nSec-Fetch-Mode: navigate\nSec-Fetch-Dest: document"
CROSS_ORIGIN = {
    "another name for this machine": LIST + "rebound.example:{port}",
    "a name that starts with an address": LIST + "127.0.0.1.evil.example",
    "a user before the host": LIST + "evil.example@127.0.0.1:{port}",
    "an empty host": LIST,
    "a page on another site": POST + "Origin: https://evil.example",
    "a page on another port": POST + "Origin: http://127.0.0.1:1",
    "a page without an origin": POST + "Origin: null",
    "a form on another site": POST + "Sec-Fetch-Site: cross-site",
    "a form in a new tab": POST + LINK[1:],
    "an image on another port": LIST + "127.0.0.1:{port}\nSec-Fetch-Site: same-site",
    "a link to the API": LIST + "127.0.0.1:{port}" + LINK,
    "a frame that contains the page": "GET /__admin/docs HTTP/1.1\nHost: localhost\n"
    "Sec-Fetch-Site: cross-site\nSec-Fetch-Mode: navigate\nSec-Fetch-Dest: iframe",
}
ALLOWED = {
    "a program": LIST + "127.0.0.1:{port}",
    "localhost in capitals": LIST + "LOCALHOST:{port}",
    "IPv6": LIST + "[::1]:{port}",
    "the mock's own page": LIST
    + "127.0.0.1:{port}\nOrigin: http://127.0.0.1:{port}\nSec-Fetch-Site: same-origin",
    "the address bar": LIST + "localhost:{port}\nSec-Fetch-Site: none",
    "a link to the page": "GET /__admin/docs HTTP/1.1\nHost: localhost" + LINK,
    "health, with any host name": "GET /__admin/health HTTP/1.1\nHost: mock.example",
}


@pytest.mark.parametrize("sender", [*CROSS_ORIGIN, *ALLOWED])
def test_cross_origin_requests_are_rejected(mock: Mock, sender: str) -> None:
    """The mock rejects cross-origin requests from web pages."""
    mock.answer_next(500)
    if sender in ALLOWED:
        assert send_raw(mock, ALLOWED[sender]).startswith("HTTP/1.1 200")
    else:
        assert send_raw(mock, CROSS_ORIGIN[sender]).split()[1] in ("400", "403")
    assert put(mock.base_url, MAIN, {}).status_code == 500


PATH_VARIANTS = [
    "/ai/llm/..%2f..%2f__admin/requests",
    "/ai/llm/%2f__admin%2frequests",
    "/%5f%5fadmin/requests",
    "/__admin%2frequests",
    "//__admin/requests",
    "/__ADMIN/requests",
    "/__admin/../ai/llm/550e8400-e29b-41d4-a716-446655440000",
]


@pytest.mark.parametrize("path", PATH_VARIANTS)
@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_path_variants_do_not_reach_the_control_api(mock: Mock, method: str, path: str) -> None:
    """No misspelled or encoded `/__admin` path reaches the control API or updates anything."""
    lines = f"{method} {path} HTTP/1.1\nHost: 127.0.0.1\nContent-Type: application/json\n"
    answer = send_raw(
        mock, f"{lines}Authorization: Bearer owner-token\nContent-Length: 2\n\n{{{{}}}}"
    )
    assert answer.split()[1] in ("400", "404", "405")
    assert '"total"' not in answer


def test_only_health_is_served_on_non_loopback_addresses() -> None:
    """If no admin token is set, a non-loopback address serves no admin path except `health`."""
    with command("--host", "0.0.0.0") as (_, banner, url):  # noqa: S104 - the address under test
        for path in ("/__admin/health", "/__admin/requests", "/__admin/docs", "/"):
            answer = httpx.get(url + path, headers=BROWSER, trust_env=False)
            assert answer.status_code == (200 if path == "/__admin/health" else 404)
    for text in (
        "Disabled on this address: the web page, and all of /__admin except /__admin/health",
        f"http://{socket.gethostname()}:{urlsplit(url).port}",
        "FLASHBACK_ALLOW_HTTP=1",
    ):
        assert text in banner


AUTHORIZATIONS = {
    f"Bearer {ADMIN_TOKEN}": 200,
    f"bearer  {ADMIN_TOKEN}": 200,
    f"Bearer {ADMIN_TOKEN}x": 401,
    "Bearer admin-token": 401,
    "": 401,
}


def test_admin_token_gives_programs_and_browsers_access(monkeypatch: pytest.MonkeyPatch) -> None:
    """With `--admin-token`, access requires the token or a login through the printed link."""
    monkeypatch.setenv("FLASHBACK_MOCK_ADMIN_TOKEN", ADMIN_TOKEN)
    options = ("--host", "0.0.0.0", "--admin-token")  # noqa: S104 - the address under test
    with (
        command(*options) as (_, banner, url),
        httpx.Client(base_url=f"{url}/__admin/", trust_env=False) as client,
    ):
        other = {"Host": "mock.example", "Origin": "https://page.example"}
        for given, status in AUTHORIZATIONS.items():
            headers = httpx.Headers({**other, "Authorization": given}, "utf-8")
            answer = client.get("requests", headers=headers)
            assert answer.status_code == status
            assert ADMIN_TOKEN not in answer.text
        assert client.get("docs").status_code == 401
        assert client.get("login/wrong").status_code == 401
        link = next(line.strip() for line in banner.splitlines() if "/__admin/login/" in line)
        assert ADMIN_TOKEN not in banner
        opened = client.get(link, headers=BROWSER)
        assert opened.headers["Location"] == "/__admin/docs"
        assert opened.headers["Cache-Control"] == "no-store"
        assert "HttpOnly; SameSite=Lax" in opened.headers["Set-Cookie"]
        cookie = opened.headers["Set-Cookie"].partition(";")[0]
        client.cookies.clear()
        for cookies, status in ((f'bad"=[]@; {cookie}; a=b', 200), (f"{cookie}\xff", 401)):
            sent = httpx.Headers({**BROWSER, "Cookie": cookies}, "latin-1")
            assert client.get("docs", headers=sent).status_code == status
        for origin, status in ((url, 200), ("http://evil.example", 403)):
            headers = httpx.Headers({"Cookie": cookie, "Origin": origin})
            assert client.post("reset", headers=headers).status_code == status


def test_javascript_example_passes(root: Path, mock: Mock, node: str) -> None:
    """The JavaScript example's tests, which control the mock over HTTP, pass."""
    example = root / "examples" / "javascript" / "rotate.test.js"
    variables = {"FLASHBACK_BASE_URL": mock.base_url, "FLASHBACK_TOKEN": OWNER}
    assert "pass 5" in run(node, "--test", example, variables=variables)


def test_javascript_example_fails_without_a_mock(root: Path, node: str) -> None:
    """If no mock is running, the JavaScript example's tests fail instead of waiting forever."""
    example = root / "examples" / "javascript" / "rotate.test.js"
    assert "pass 0" in run(node, "--test", example, status=1)

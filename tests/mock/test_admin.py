"""Tests for the control API at `/__admin`: functions, errors and access control."""

import json
import socket
import subprocess
from collections.abc import Generator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from flashback_mock import Mock
from tests.mock.wire import command, connected, put

ADMIN_TOKEN = "admin-api.token"
BROWSER = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Accept": "text/html"}


@pytest.fixture
def admin(mock: Mock) -> Generator[httpx.Client]:
    """Yield an HTTP client for the mock's control API."""
    with httpx.Client(base_url=f"{mock.base_url}/__admin/", trust_env=False, timeout=15) as admin:
        yield admin


def test_health_and_redirects(admin: httpx.Client, mock: Mock) -> None:
    """`health` returns the contract's version and supports HEAD. `/` and `/__admin` redirect."""
    assert admin.head("health").status_code == 200
    answer = admin.get("health")
    assert answer.json() == {"status": "ok", "version": mock.contract.version}
    assert answer.headers["Cache-Control"] == "no-store"
    for path in ("/", "/__admin"):
        assert admin.get(f"{mock.base_url}{path}").headers["Location"] == "/__admin/docs"


def test_log_can_be_read_searched_and_cleared(
    admin: httpx.Client, http: httpx.Client, mock: Mock
) -> None:
    """The control API can show, search and clear the log, and wait for requests."""
    main = mock.ids["main"]
    answer = http.put(main, json={"name": "new", "secret": "y"})
    http.put(main, json={"nme": "x"})
    http.get(main)
    log = admin.get("requests").json()
    assert log["total"] == 3
    first = log["requests"][0]
    assert first["request_id"] == answer.headers["X-Request-Id"]
    assert (first["method"], first["status"], first["user"]) == ("PUT", 200, "owner")
    assert (first["configuration"], first["fields"]) == (main, ["name", "secret"])
    assert admin.get("requests?last=1").json()["requests"] == log["requests"][2:]
    assert "last: must be" in admin.get("requests?last=0").json()["message"]
    for criteria, count in (
        ({}, 3),
        ({"method": "PUT", "status": 400, "user": "owner"}, 1),
        ({"fields": ["name", "secret"]}, 1),
        ({"updated": False, "timeout": 5000}, 2),
    ):
        found = admin.post("requests/wait", json={**criteria, "count": count}).json()
        assert (len(found["requests"]), found["total"]) == (count, count)
    missing = admin.post("requests/wait", json={"status": 500, "timeout": 50})
    assert missing.status_code == 504
    assert missing.json()["message"].startswith("expected 1 request(s) with status=500 within 0.05")
    assert admin.delete("requests").json() == {"status": "ok"}
    assert mock.requests == []


def test_settings_plan_answers_until_they_are_cleared(
    admin: httpx.Client, http: httpx.Client, mock: Mock
) -> None:
    """Requests to `settings` can set a delay or planned answers, and show or clear the settings."""
    main = mock.ids["main"]
    steps = [
        {"status": 403, "delay": 20, "afterUpdate": True},
        {"status": 429, "headers": {"Retry-After": "1"}, "id": main, "times": 2},
    ]
    answer = admin.post("settings", json={"fixedDelay": 100, "answerNext": steps})
    assert answer.json() == {"fixedDelay": 100, "planned": steps}
    assert mock.delay == 0.1
    refused = http.put(main, json={"name": "stored"})
    assert refused.status_code == 403
    assert refused.elapsed.total_seconds() >= 0.12
    mock.assert_updated(main, name="stored")
    assert http.put(main, json={}).headers["Retry-After"] == "1"
    assert admin.get("settings").json()["planned"][0]["times"] == 1
    admin.post("settings", json={"answerNext": {"example": "nameTaken"}})
    nothing = {"fixedDelay": 0, "planned": []}
    assert admin.delete("settings").json() == {"status": "ok"}
    assert admin.get("settings").json() == nothing
    admin.post("settings", json={"fixedDelay": 50, "answerNext": {"status": 500}})
    assert admin.post("reset").json() == {"status": "ok"}
    assert admin.get("settings").json() == nothing
    assert mock.requests == []
    assert mock.configuration(main)["name"] == "OpenAI in production"


def test_state_can_be_changed_and_compared(admin: httpx.Client, mock: Mock) -> None:
    """The control API can change configurations, members and tokens, and compare credentials."""
    fixtures = admin.get("fixtures").json()
    assert (fixtures["tokens"], fixtures["ids"]) == (mock.tokens, mock.ids)
    assert fixtures["access"]["owner"] == "WRITE in acme"
    given = {"id": "a/b ü", "name": "added", "secret": "hidden-in-there", "workspace": "globex"}
    added = admin.post("configurations", json=given)
    assert (added.status_code, added.json()["workspace"]) == (201, "globex")
    path = "configurations/a%2Fb%20%C3%BC"
    assert admin.get(path).json() == added.json()
    assert (added.json()["id"], added.json()["secret"]["set"]) == ("a/b ü", True)
    assert "hidden-in-there" not in added.text
    assert admin.get("configurations").json()["configurations"]["a/b ü"] == "globex"
    assert admin.post(f"{path}/reveals", json={"secret": "hidden-in-there"}).json()["reveals"]
    assert not admin.post(f"{path}/reveals", json={"secret": "x"}).json()["reveals"]
    member = {"user": "dave", "workspace": "globex", "access": "WRITE", "token": "daves"}
    assert admin.post("members", json=member).status_code == 201
    assert put(mock.base_url, "a%2Fb%20%C3%BC", {"name": "by dave"}, "daves").status_code == 200
    updated = admin.post(f"{path}/updated", json={"name": "by dave"}).json()
    assert updated == {"updated": True, "message": ""}
    differs = admin.post(f"{path}/updated", json={"name": "other", "aiType": "AWS"}).json()
    assert differs["updated"] is False
    assert "name: expected 'other', got 'by dave'" in differs["message"]
    assert "aiType: expected 'AWS', got None" in differs["message"]
    assert admin.post("tokens/expire", json={"token": "daves"}).json() == {"status": "ok"}
    assert put(mock.base_url, "a%2Fb%20%C3%BC", {}, "daves").status_code == 401
    assert admin.post("tokens/revoke", json={"token": mock.tokens["admin"]}).status_code == 200
    assert put(mock.base_url, mock.ids["main"], {}, mock.tokens["admin"]).status_code == 401
    assert admin.delete(path).json() == {"status": "ok"}
    assert admin.get(path).status_code == 404


REFUSED: list[tuple[str, object, int, str]] = [
    ("requests/wait", {"secret": "x"}, 400, "unknown field; expected one of count"),
    ("requests/wait", {"self": 1, "mock": 1}, 400, "unknown field; expected one of count"),
    ("requests/wait", {"status": "200"}, 400, "status: must be of type int"),
    ("requests/wait", {"fields": "name"}, 400, "fields: must be of type list"),
    ("requests/wait", [], 400, "body: must be a JSON object"),
    ("requests/wait", b'{"status": 1, "status": 2}', 400, "body: contains a duplicate key"),
    ("requests/wait", b" " * (1 << 19), 413, "body: must be at most "),
    ("requests/wait", {"timeout": -(10**400)}, 400, "timeout: must not be negative"),
    ("requests/wait", {"count": 0}, 400, "count: must be at least 1"),
    ("settings", {"delay": 1}, 400, "unknown field; expected one of fixedDelay, answerNext"),
    ("settings", {"answerNext": [5]}, 400, "answerNext: must be a JSON object"),
    ("settings", {"answerNext": {"afterUpdate": 1}}, 400, "afterUpdate: must be of type bool"),
    ("settings", {"answerNext": {"times": True, "status": 500}}, 400, "times: must be of type int"),
    ("settings", {"fixedDelay": 9, "answerNext": [{"status": 500}, {"status": 1}]}, 400, "status"),
    ("configurations/unknown/reveals", {"key": "x"}, 404, "id: no configuration has this id"),
    ("configurations/{main}/reveals", {"id": "x"}, 400, "expected id, credentials"),
    ("members", {"access": "WRITE"}, 400, "expected user, workspace, access, token"),
    ("members", {"user": ""}, 400, "user: is required"),
    ("tokens/expire", {"token": "€"}, 400, "token: unknown or expired"),
    ("reset", {"x": 1}, 400, "expected no arguments"),
    ("reset", {"control": 1}, 400, "expected no arguments"),
]


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: f"{case[0]}-{str(case[1])[:30]}")
def test_invalid_request_has_no_effect(
    admin: httpx.Client, mock: Mock, case: tuple[str, object, int, str]
) -> None:
    """An invalid request changes nothing and returns an error that describes the mistake."""
    path, given, status, message = case
    before = (admin.get("settings").json(), admin.get("configurations").json())
    content = given if isinstance(given, bytes) else json.dumps(given).encode()
    answer = admin.post(path.format(main=mock.ids["main"]), content=content)
    assert (answer.status_code, message in answer.json()["message"]) == (status, True), answer.text
    assert (admin.get("settings").json(), admin.get("configurations").json()) == before


def send_raw(mock: Mock, request: str) -> str:
    """Send exactly these lines, and return the response."""
    port = urlsplit(mock.base_url).port
    with connected(mock) as connection:
        connection.sendall(request.format(port=port).replace("\n", "\r\n").encode() + b"\r\n\r\n")
        return connection.recv(65536).decode()


LIST = "GET /__admin/requests HTTP/1.1\nHost: "
POST = "POST /__admin/reset HTTP/1.1\nContent-Length: 0\nHost: 127.0.0.1:{port}\n"
LINK = "\nSec-Fetch-Site: cross-site\nSec-Fetch-Mode: navigate\nSec-Fetch-Dest: document"
CROSS_ORIGIN = {
    "another name for this machine": LIST + "rebound.example:{port}",
    "a name that begins like an address": LIST + "127.0.0.1.evil.example",
    "a name that begins like localhost": LIST + "localhost.evil.example:{port}",
    "a user before the host": LIST + "evil.example@127.0.0.1:{port}",
    "an empty host": LIST,
    "a page on another site": POST + "Origin: https://evil.example",
    "a page on another port": POST + "Origin: http://127.0.0.1:1",
    "a page without an origin": POST + "Origin: null",
    "a form on another site": POST + "Sec-Fetch-Site: cross-site",
    "a form in a new tab": POST + LINK[1:],
    "an image on another port": LIST + "127.0.0.1:{port}\nSec-Fetch-Site: same-site",
    "a link to the API": LIST + "127.0.0.1:{port}" + LINK,
    "a frame with the page": "GET /__admin/docs HTTP/1.1\nHost: localhost\n"
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
    "health, by any name": "GET /__admin/health HTTP/1.1\nHost: mock.example",
}


@pytest.mark.parametrize("sender", [*CROSS_ORIGIN, *ALLOWED])
def test_cross_origin_requests_are_rejected(mock: Mock, sender: str) -> None:
    """The mock rejects cross-origin requests from web pages."""
    mock.answer_next(500)
    if sender in ALLOWED:
        assert send_raw(mock, ALLOWED[sender]).startswith("HTTP/1.1 200")
    else:
        for upgrade in ("", "\nConnection: Upgrade\nUpgrade: h2c"):
            assert send_raw(mock, CROSS_ORIGIN[sender] + upgrade).split()[1] in ("400", "403")
    assert put(mock.base_url, mock.ids["main"], {}).status_code == 500


@pytest.mark.parametrize("path", ["/", "/__admin", "/__admin/"])
def test_link_is_redirected_to_the_page(mock: Mock, path: str) -> None:
    """A link on another site to the mock or to `/__admin` opens the page."""
    answer = send_raw(mock, f"GET {path} HTTP/1.1\nHost: localhost{LINK}")
    assert answer.startswith("HTTP/1.1 303")
    assert "\r\nLocation: /__admin/docs\r\n" in answer


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


def test_non_loopback_addresses_serve_only_health() -> None:
    """If no admin token is set, a non-loopback address serves no admin path except `health`."""
    with command("--host", "0.0.0.0") as (_, banner, url):  # noqa: S104 - the address under test
        assert httpx.get(f"{url}/__admin/health", trust_env=False).status_code == 200
        for path in ("/__admin/requests", "/__admin/docs", "/"):
            answer = httpx.get(url + path, headers=BROWSER, trust_env=False)
            assert answer.status_code == 404
    assert (
        "Disabled on this address: the web page and /__admin, except for /__admin/health" in banner
    )
    assert f"http://{socket.gethostname()}:{urlsplit(url).port}" in banner
    assert "FLASHBACK_ALLOW_HTTP=1" in banner


AUTHORIZATIONS = {
    f"Bearer {ADMIN_TOKEN}": 200,
    f"bearer  {ADMIN_TOKEN}": 200,
    f"Bearer {ADMIN_TOKEN}x": 401,
    "Bearer admin-token": 401,
    "Bearer ÿ": 401,
    "Bearer \u212a": 401,  # the Kelvin sign, which matches a k if case is ignored
    "": 401,
}


def test_admin_token_admits_programs_and_browsers(tmp_path: Path) -> None:
    """With `--admin-token`, access requires the token or a login through the printed link."""
    file = tmp_path / "token"
    file.write_text(f"{ADMIN_TOKEN}\n")
    options = ("--host", "0.0.0.0", "--admin-token", str(file))  # noqa: S104 - the address under test
    with command(*options) as (_, banner, url), httpx.Client(trust_env=False) as client:
        for given, status in AUTHORIZATIONS.items():
            headers = httpx.Headers(
                {"Host": "mock.example", "Origin": "https://page.example", "Authorization": given},
                "utf-8",
            )
            answer = client.get(f"{url}/__admin/requests", headers=headers)
            assert answer.status_code == status
            assert ADMIN_TOKEN not in answer.text
        assert client.get(f"{url}/__admin/docs").status_code == 401
        assert client.get(f"{url}/__admin/login/wrong").status_code == 401
        link = next(line.strip() for line in banner.splitlines() if "/__admin/login/" in line)
        assert ADMIN_TOKEN not in banner
        opened = client.get(link, headers=BROWSER)
        assert opened.headers["Location"] == "/__admin/docs"
        assert opened.headers["Cache-Control"] == "no-store"
        assert "HttpOnly; SameSite=Lax" in opened.headers["Set-Cookie"]
        cookie = opened.headers["Set-Cookie"].partition(";")[0]
        client.cookies.clear()
        for cookies, status in (
            (f"{cookie}; a=b", 200),
            (f'bad"=[]@; {cookie}', 200),
            (f"{cookie.partition('=')[0]}=\xff", 401),
        ):
            sent = httpx.Headers({**BROWSER, "Cookie": cookies}, "latin-1")
            assert client.get(f"{url}/__admin/docs", headers=sent).status_code == status
        client.headers["Cookie"] = cookie
        assert client.post(f"{url}/__admin/reset", headers={"Origin": url}).status_code == 200
        elsewhere = client.post(f"{url}/__admin/reset", headers={"Origin": "http://evil.example"})
        assert elsewhere.status_code == 403


def test_javascript_example_passes(root: Path, mock: Mock, node: str) -> None:
    """The JavaScript example's tests, which control the mock over HTTP, pass."""
    example = root / "examples" / "javascript" / "rotate.test.js"
    done = subprocess.run(
        [node, "--test", str(example)],
        env={"FLASHBACK_BASE_URL": mock.base_url, "FLASHBACK_TOKEN": mock.tokens["owner"]},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "pass 4" in done.stdout

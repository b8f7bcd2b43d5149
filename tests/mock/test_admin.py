"""`/__admin`: what it does, what it refuses, and who does not get in."""

import json
import socket
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import flashback_mock
import httpx
import pytest
from flashback_mock import server

ADMIN_TOKEN = "admin-door.token"


@pytest.fixture
def admin(mock: flashback_mock.Mock) -> Generator[httpx.Client]:
    """Plain HTTP to the mock's `/__admin/`."""
    with httpx.Client(base_url=f"{mock.base_url}/__admin/", trust_env=False, timeout=15) as admin:
        yield admin


def test_health_says_version(admin: httpx.Client, document: dict[str, Any]) -> None:
    """`health` says that the mock is well, and which version of the contract it serves."""
    answer = admin.get("health")
    assert answer.json() == {"status": "ok", "version": document["info"]["version"]}
    assert answer.headers["Cache-Control"] == "no-store"


def test_index_names_every_path(admin: httpx.Client) -> None:
    """`/__admin` itself says what there is."""
    paths = admin.get("", follow_redirects=True).json()["paths"]
    assert "/__admin/health" in paths
    assert "/__admin/requests/count" in paths


def test_requests_are_listed_counted_and_cleared(
    admin: httpx.Client, http: httpx.Client, mock: flashback_mock.Mock
) -> None:
    """The journal says of each request who asked what, and how it was answered."""
    http.put(mock.ids["main"], json={"name": "x", "secret": "y"}, headers={"X-Request-Id": "r-1"})
    http.put(mock.ids["main"], json={"nme": "x"})
    http.get(mock.ids["main"])
    listed = admin.get("requests").json()
    assert listed["total"] == 3
    milliseconds = listed["requests"][0].pop("milliseconds")
    assert milliseconds > 0
    assert listed["requests"][0] == {
        "request_id": "r-1",
        "method": "PUT",
        "status": 200,
        "user": "owner",
        "configuration": mock.ids["main"],
        "fields": ["name", "secret"],
        "updated": True,
        "fault": "",
    }
    for criteria, count in (
        ({}, 3),
        ({"status": 200}, 1),
        ({"method": "PUT"}, 2),
        ({"method": "PUT", "status": 400, "user": "owner"}, 1),
        ({"fields": ["name", "secret"]}, 1),
        ({"fields": ["name"]}, 0),
        ({"updated": False}, 2),
    ):
        assert admin.post("requests/count", json=criteria).json() == {"count": count}
    assert admin.delete("requests").json() == {"requests": [], "total": 0}
    assert admin.post("requests/count", json={}).json() == {"count": 0}


def test_reset_is_as_at_the_start(
    admin: httpx.Client, http: httpx.Client, mock: flashback_mock.Mock
) -> None:
    """`reset` brings back the fixtures, and forgets plans, delay and journal."""
    http.put(mock.ids["main"], json={"name": "changed"})
    admin.post("settings", json={"fixedDelay": 50, "answerNext": {"status": 500}})
    assert admin.post("reset").json() == {"status": "ok"}
    assert admin.get("settings").json() == {"fixedDelay": 0, "planned": 0}
    assert admin.get("requests").json()["total"] == 0
    assert mock.configuration(mock.ids["main"])["name"] == "OpenAI in production"


def test_settings_delay_and_plan_answers(
    admin: httpx.Client, http: httpx.Client, mock: flashback_mock.Mock
) -> None:
    """`settings` has every answer come late, and the next ones fail."""
    plan = {"status": 403, "times": 2, "delay": 20, "afterUpdate": True}
    given = {"fixedDelay": 100, "answerNext": plan}
    assert admin.post("settings", json=given).json() == {"fixedDelay": 100, "planned": 2}
    answer = http.put(mock.ids["main"], json={"name": "stored"})
    assert answer.status_code == 403
    assert answer.elapsed.total_seconds() >= 0.12
    mock.assert_updated(mock.ids["main"], name="stored")
    assert admin.post("settings", json={"fixedDelay": 0.5}).json() == {
        "fixedDelay": 0.5,
        "planned": 1,
    }
    admin.post("settings", json={"answerNext": {"fault": "truncated"}})
    assert http.put(mock.ids["main"], json={}).status_code == 403
    with pytest.raises(httpx.RemoteProtocolError):
        http.put(mock.ids["main"], json={})


def test_configurations_are_added_listed_and_shown(
    admin: httpx.Client, http: httpx.Client, mock: flashback_mock.Mock
) -> None:
    """A configuration that is added can be updated, listed and shown, its credentials not."""
    given = {"id": "a/b ü", "name": "added", "secret": "hidden-in-there", "workspace": "globex"}
    added = admin.post("configurations", json=given)
    assert (added.status_code, added.json()["workspace"]) == (201, "globex")
    other = admin.post("configurations", json={"name": "with an id that is made"}).json()
    assert http.put(other["id"], json={"endpoint": "https://a.example"}).status_code == 200
    listed = admin.get("configurations").json()["configurations"]
    assert (listed["a/b ü"], listed[other["id"]], len(listed)) == ("globex", "acme", 5)
    shown = admin.get("configurations/a%2Fb%20%C3%BC")
    assert shown.json() == added.json()
    assert shown.json()["secret"]["set"] is True
    assert "hidden-in-there" not in added.text + shown.text
    assert mock.reveals("a/b ü", secret="hidden-in-there")


NESTED = "[" * 100_000
REFUSED: list[tuple[str, object, int, str]] = [
    ("requests/count", {"secret": "x"}, 400, "nothing but request_id, method"),
    ("requests/count", {"status": "200"}, 400, "status: must be of type int"),
    ("requests/count", {"fields": "name"}, 400, "fields: must be of type list"),
    ("requests/count", [], 400, "body: must be a JSON object"),
    ("requests/count", b"", 400, "body: is empty"),
    ("requests/count", b"{", 400, "body: is not JSON at line 1"),
    ("requests/count", b'{"status": 1, "status": 2}', 400, "body: has the same key twice"),
    ("requests/count", b"\xff", 400, "body: is not UTF-8"),
    ("requests/count", NESTED.encode(), 400, "body: is nested too deeply"),
    ("requests/count", b" " * (1 << 19), 400, "body: must have at most 262144 bytes"),
    ("settings", {"delay": 1}, 400, "nothing but fixedDelay, answerNext"),
    ("settings", {"fixedDelay": "1"}, 400, "fixedDelay: must be a number of milliseconds"),
    ("settings", {"fixedDelay": True}, 400, "fixedDelay: must be a number of milliseconds"),
    ("settings", {"fixedDelay": -1}, 400, "fixedDelay: must be from 0 to 3600000 milliseconds"),
    ("settings", {"answerNext": 500}, 400, "answerNext: must be an object with nothing but status"),
    (
        "settings",
        {"answerNext": {"code": 1}},
        400,
        "answerNext: must be an object with nothing but",
    ),
    ("settings", {"answerNext": {"status": "500"}}, 400, "answerNext: status: must be of type int"),
    ("settings", {"answerNext": {"times": True}}, 400, "answerNext: times: must be of type int"),
    ("settings", {"answerNext": {"delay": "1"}}, 400, "delay: must be a number of milliseconds"),
    ("settings", {"answerNext": {"status": 418}}, 400, "status: must be one of 200, 400"),
    ("settings", {"answerNext": {"fault": "smoke"}}, 400, "fault: must be one of reset"),
    ("configurations", {"nme": "x"}, 400, "nothing but workspace, id, name"),
    ("configurations", {"name": 1}, 400, "name: must be of type string"),
    ("configurations", {"id": 1}, 400, "workspace, id: must be strings"),
    ("configurations", {"endpoint": "x"}, 400, "endpoint: must be an absolute"),
    ("configurations", {"name": "OpenAI in production"}, 409, "another configuration has"),
]


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: f"{case[0]}-{str(case[1])[:30]}")
def test_mistake_is_told(admin: httpx.Client, case: tuple[str, object, int, str]) -> None:
    """What cannot be done is answered with what is wrong, and nothing of it is done."""
    path, given, status, why = case
    before = admin.get("settings").json(), admin.get("configurations").json()
    content = given if isinstance(given, bytes) else json.dumps(given).encode()
    answer = admin.post(path, content=content)
    assert (answer.status_code, why in answer.json()["message"]) == (status, True), answer.text
    assert (admin.get("settings").json(), admin.get("configurations").json()) == before


def test_half_of_a_mistake_is_not_done(admin: httpx.Client) -> None:
    """Settings of which one is wrong are not set at all."""
    for wrong in (
        {"fixedDelay": -1, "answerNext": {"status": 500}},
        {"fixedDelay": 9, "answerNext": {"status": 1}},
    ):
        assert admin.post("settings", json=wrong).status_code == 400
        assert admin.get("settings").json() == {"fixedDelay": 0, "planned": 0}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "nothing", 404),
        ("GET", "configurations/unknown", 404),
        ("POST", "health", 405),
        ("PUT", "requests", 405),
        ("GET", "requests/count", 405),
        ("GET", "reset", 405),
        ("DELETE", "configurations", 405),
    ],
)
def test_other_path_or_method_is_refused(
    admin: httpx.Client, method: str, path: str, status: int
) -> None:
    """What is not there answers 404, another method 405 with those that there are."""
    answer = admin.request(method, path)
    assert (answer.status_code, bool(answer.json()["message"])) == (status, True)
    assert ("Allow" in answer.headers) == (status == 405)


def raw(mock: flashback_mock.Mock, head: str) -> str:
    """What comes back for these very lines."""
    url = urlsplit(mock.base_url)
    with socket.create_connection((url.hostname or "", url.port or 0), timeout=20) as wire:
        wire.sendall(head.format(port=url.port).replace("\n", "\r\n").encode() + b"\r\n\r\n")
        wire.settimeout(5)
        return wire.recv(65536).decode()


HEALTH = "GET /__admin/health HTTP/1.1\nHost: "
POST = "POST /__admin/reset HTTP/1.1\nContent-Length: 0\nHost: 127.0.0.1:{port}\n"
FOREIGN = {
    "another name for this machine": HEALTH + "rebound.example:{port}",
    "a name that begins like an address": HEALTH + "127.0.0.1.evil.example",
    "a name that begins like localhost": HEALTH + "localhost.evil.example:{port}",
    "a user before the host": HEALTH + "evil.example@127.0.0.1:{port}",
    "a host behind a fragment": HEALTH + "evil.example#127.0.0.1",
    "no host": "GET /__admin/health HTTP/1.0",
    "empty host": HEALTH,
    "an address of another machine": HEALTH + "192.168.0.1:{port}",
    "a page of another origin": POST + "Origin: https://evil.example",
    "a page of another port": POST + "Origin: http://127.0.0.1:1",
    "a page over https": POST + "Origin: https://127.0.0.1:{port}",
    "a page without an origin": POST + "Origin: null",
    "a form of another site": POST + "Sec-Fetch-Site: cross-site",
    "a page of another port, by an image": HEALTH + "127.0.0.1:{port}\nSec-Fetch-Site: same-site",
}


@pytest.mark.parametrize("head", FOREIGN.values(), ids=FOREIGN)
def test_page_elsewhere_does_not_get_in(mock: flashback_mock.Mock, head: str) -> None:
    """What a page of another site can send is refused, and changes nothing."""
    mock.answer_next(500)
    for offer in ("", "\nConnection: Upgrade\nUpgrade: h2c"):
        status = raw(mock, head + offer).split("\r\n")[0]
        if "Host" not in head.replace("Host: \n", "") or head == HEALTH:
            assert status in ("HTTP/1.1 403 Forbidden", "HTTP/1.1 400 Bad Request")
        else:
            assert status.startswith("HTTP/1.1 403")
    assert len(mock.control.planned) == 1


@pytest.mark.parametrize(
    "head",
    [
        HEALTH + "127.0.0.1:{port}",
        HEALTH + "LOCALHOST:{port}",
        HEALTH + "[::1]:{port}",
        HEALTH + "127.0.0.1:{port}\nOrigin: http://127.0.0.1:{port}\nSec-Fetch-Site: same-origin",
        HEALTH + "localhost:{port}\nSec-Fetch-Site: none",
    ],
)
def test_own_page_gets_in(mock: flashback_mock.Mock, head: str) -> None:
    """Programs, the address bar and the mock's own page get in."""
    assert raw(mock, head).startswith("HTTP/1.1 200")


@pytest.mark.parametrize(
    "path",
    [
        "/ai/llm/..%2f..%2f__admin/health",
        "/ai/llm/..%2f..%2f__admin%2fhealth",
        "/ai/llm/%2f__admin%2fhealth",
        "/ai/llm/../../__admin/health",
        "/%5f%5fadmin/health",
        "/__admin%2fhealth",
        "/__adminx/health",
        "//__admin/health",
        "/__ADMIN/health",
        "/__admin/../ai/llm/550e8400-e29b-41d4-a716-446655440000",
        "/__admin/%2e%2e/ai/llm/550e8400-e29b-41d4-a716-446655440000",
    ],
)
@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_no_id_and_no_spelling_crosses_the_border(
    mock: flashback_mock.Mock, method: str, path: str
) -> None:
    """No path but `/__admin` itself leads there, and none from there to the operation."""
    lines = f"{method} {path} HTTP/1.1\nHost: 127.0.0.1\nContent-Type: application/json\n"
    owner = f"Authorization: Bearer {mock.tokens['owner']}\nContent-Length: 0"
    said = raw(mock, lines + owner)
    assert said.split()[1] in ("400", "404", "405")
    assert '"version"' not in said


@contextmanager
def open_to_all(token: str | None) -> Generator[flashback_mock.Mock]:
    """A mock that listens on every address of this machine."""
    listener = server.listen("0.0.0.0", 0)  # noqa: S104 - that is what is tested
    with listener:
        mock = server.mock_at(listener, flashback_mock.Contract())
        with server.in_thread(server.Server(listener, mock, token), listener):
            yield mock


def test_off_loopback_there_is_no_admin() -> None:
    """On other addresses `/__admin` is a path like any other, on which there is nothing."""
    with open_to_all(None) as mock:
        for method, path in (("GET", "/__admin/health"), ("POST", "/__admin/reset"), ("GET", "/")):
            answer = httpx.request(
                method, mock.base_url + path, headers={"Accept": "text/html"}, trust_env=False
            )
            assert answer.status_code == 404
            assert answer.json()["message"] == "There is nothing at this path"


def test_off_loopback_the_token_opens_it() -> None:
    """With --admin-token it is there for who has the token, by whatever name."""
    with open_to_all(ADMIN_TOKEN) as mock:
        for given, status in (
            (f"Bearer {ADMIN_TOKEN}", 200),
            (f"bearer  {ADMIN_TOKEN}", 200),
            (f"Bearer {ADMIN_TOKEN}x", 401),
            (f"Bearer {mock.tokens['admin']}", 401),
            ("Bearer", 401),
            ("Basic x", 401),
            ("Bearer ÿ", 401),
            (None, 401),
        ):
            headers = {"Host": "mock.example", "Origin": "https://page.example"}
            headers |= {"Authorization": given} if given else {}
            encoded = httpx.Headers(headers, "latin-1")
            answer = httpx.get(f"{mock.base_url}/__admin/health", headers=encoded, trust_env=False)
            assert answer.status_code == status
            assert ADMIN_TOKEN not in answer.text
            if status == 401:
                assert answer.headers["WWW-Authenticate"] == "Bearer"
                assert (
                    answer.json()["message"]
                    == "Authorization: needs the bearer token of --admin-token"
                )


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "--admin-token: what was given is empty, or no bearer token"),
        ("two words", "--admin-token: what was given is empty, or no bearer token"),
        (None, "--admin-token takes a file that holds the token"),
    ],
)
def test_token_that_is_none_opens_nothing(tmp_path: Path, content: str | None, why: str) -> None:
    """The mock does not start with a token that is empty, is none, or is on the command line."""
    file = tmp_path / "token"
    if content is not None:
        file.write_text(content)
    command = [sys.executable, "-m", "flashback_mock", "--port", "0", "--admin-token", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"flashback_mock: cannot start: {why}")
    assert done.stderr.count("\n") == 1
    assert str(content) not in done.stderr or not content


def test_no_answer_shows_a_credential_or_a_token(
    admin: httpx.Client, http: httpx.Client, mock: flashback_mock.Mock
) -> None:
    """Whatever is sent at the wrong place comes back from no door of `/__admin`."""
    canary = "canary-1c5e9a"
    token = mock.add_member("dave", token=f"token-{canary}")
    headers = {"Authorization": f"Bearer {token}", "X-Request-Id": token}
    http.put(mock.ids["main"], json={"key": canary, "secret": canary}, headers=headers)
    http.put(canary, json={canary: canary}, headers=headers)
    http.put(f"{mock.ids['main']}?key={canary}", json={"name": [canary]})
    http.request(canary.upper().replace("-", ""), mock.ids["main"], headers={"Upgrade": "h2c"})
    raw(mock, f"{canary} /ai/llm/x HTTP/1.1\nHost: x\nConnection: Upgrade\nUpgrade: h2c")
    said = [admin.post("configurations", json={"name": "more", "secret": canary}).text]
    for wrong in (
        {canary: 1},
        [canary],
        {"id": [canary]},
        {"key": [canary]},
        {"name": canary * 99},
    ):
        said += [admin.post(path, json=wrong).text for path in ("configurations", "settings")]
    said += [admin.post("settings", json={"answerNext": {"fault": canary}}).text]
    said += [admin.get("requests").text, admin.get("configurations").text, repr(mock.requests)]
    said += [admin.get(f"configurations/{id}").text for id in mock.ids.values()]
    said += [admin.get("settings").text, admin.get("health").text, admin.get("").text]
    said += [admin.post("requests/count", json={"method": [canary]}).text]
    assert canary not in "".join(said).lower()
    assert canary.replace("-", "") not in "".join(said).lower()
    assert len(mock.requests) == 5

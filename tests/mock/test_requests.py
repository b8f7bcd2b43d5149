"""Every request gets a documented answer, and a refusal says why without quoting."""

import threading
from collections.abc import Generator, Iterator
from urllib.parse import quote

import httpx
import pytest

import flashback_mock
from flashback_mock import Mock
from tests.mock.wire import JSON, connected, head, received


@pytest.fixture(scope="module")
def mock() -> Generator[Mock]:
    """Yield one mock for all tests here: none needs a fresh one."""
    with flashback_mock.running() as mock:
        yield mock


REFUSED_BODIES = {
    "empty": b"",
    "not JSON": b"name=x",
    "cut off": b'{"name": "x"',
    "comment": b'{} // {"name": "x"}',
    "duplicate key": b'{"name": "a", "name": "b"}',
    "duplicate key below": b'{"name": {"a": 1, "a": 2}}',
    "NaN": b'{"name": NaN}',
    "Infinity": b'{"name": -Infinity}',
    "number of 200,000 digits": b'{"name": ' + b"9" * 200_000 + b"}",
    "nested 100,000 deep": b"[" * 100_000 + b"]" * 100_000,
    "nested 500 deep": b'{"name": ' + b"[" * 500 + b"]" * 500 + b"}",
    "bad UTF-8": b'{"name": "\xff"}',
    "byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": "{}".encode("utf-16"),
    "lone surrogate": b'{"name": "\\ud800"}',
    "lone surrogate as a key": b'{"\\udfff": "x"}',
    "unknown field": b'{"secrt": "x"}',
    "left open: apiKeyUuid": b'{"apiKeyUuid": "x"}',
    "control character in a name": b'{"name": "a\\u0085b"}',
    "line break at the end of a name": b'{"name": "a\\n"}',
    "credentials in the endpoint": b'{"endpoint": "https://user:pass@example.com"}',
    "line break at the end of the endpoint": b'{"endpoint": "https://example.com\\n"}',
    "letters beyond ASCII in the endpoint": '{"endpoint": "https://é.example"}'.encode(),
    "port out of range": b'{"endpoint": "https://example.com:65536"}',
}


@pytest.mark.parametrize("body", REFUSED_BODIES.values(), ids=REFUSED_BODIES)
def test_invalid_body_answers_400(http: httpx.Client, mock: Mock, body: bytes) -> None:
    """An invalid body gets a 400 with a message, and changes nothing."""
    before = mock.configuration(mock.ids["main"])
    answer = http.put(mock.ids["main"], content=body, headers=JSON)
    assert answer.status_code == 400
    assert answer.json()["success"] is False
    assert answer.json()["message"] == mock.requests[-1].reason
    assert mock.configuration(mock.ids["main"]) == before


ACCEPTED_BODIES = {
    "white space around": b' \r\n\t{"name": "x"} \n',
    "the longest name": ('{"name": "' + "\U0001f600" * 255 + '"}').encode(),
    "escaped surrogate pair": b'{"name": "\\ud83d\\ude00"}',
    "any character in a secret": b'{"secret": "\\u0000\\n\\u0085"}',
    "the longest secret": b'{"secret": "' + b"s" * 8192 + b'"}',
    "scheme in upper case": b'{"endpoint": "HTTPS://EXAMPLE.COM"}',
    "IPv6, port, query, fragment": b'{"endpoint": "http://[::1]:8080/a?b=c/d#e"}',
    "the longest endpoint": b'{"endpoint": "https://a.example/' + b"a" * 2030 + b'"}',
}


@pytest.mark.parametrize("body", ACCEPTED_BODIES.values(), ids=ACCEPTED_BODIES)
def test_valid_body_answers_200(http: httpx.Client, mock: Mock, body: bytes) -> None:
    """Every valid body gets a 200."""
    assert http.put(mock.ids["main"], content=body, headers=JSON).status_code == 200


MEDIA_TYPES = {
    "application/json": 200,
    "Application/JSON": 200,
    "application/json; charset=utf-8": 200,
    'application/json;charset="UTF-8"': 200,
    "application/json; charset=latin-1": 415,
    "application/json; version=1": 415,
    "application/problem+json": 415,
    "text/plain": 415,
    "application/json, text/plain": 415,
    "": 415,
}


@pytest.mark.parametrize("media_type", MEDIA_TYPES)
def test_media_type_must_be_json(http: httpx.Client, mock: Mock, media_type: str) -> None:
    """Only application/json is accepted, with no charset or charset=utf-8, in any case."""
    headers = {"Content-Type": media_type}
    answer = http.put(mock.ids["main"], content=b"{}", headers=headers)
    assert answer.status_code == MEDIA_TYPES[media_type]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 415),
        ({**JSON, "Content-Encoding": "gzip"}, 415),
        ({**JSON, "Content-Encoding": "identity"}, 415),
    ],
)
def test_body_must_be_declared(
    http: httpx.Client, mock: Mock, headers: dict[str, str], status: int
) -> None:
    """A body without a media type, or with a content coding, gets a 415."""
    answer = http.put(mock.ids["main"], content=b"{}", headers=headers)
    assert answer.status_code == status


def test_message_names_field_and_rule_but_no_value(http: httpx.Client, mock: Mock) -> None:
    """400 names every invalid field and its rule, and quotes nothing of the request."""
    canary = "canary-7f3a"
    body = {
        "name": canary + "\n",
        "aiType": canary,
        "endpoint": canary,
        "key": [canary],
        "secret": canary * 1000,
        canary: canary,
    }
    message = http.put(mock.ids["main"], json=body).json()["message"]
    assert canary not in message
    for part in (
        "name: must have no control characters",
        "aiType: must be one of OPENAI, GOOGLE, ANTHROPIC, AWS, OTHER",
        "endpoint: must be an absolute http or https URL",
        "key: must be of type string",
        "secret: must have at most 8192 characters",
        "body: has an unknown field; the fields are name, aiType",
    ):
        assert part in message


def chunks(count: int, size: int) -> Iterator[bytes]:
    """Yield a body in parts."""
    yield b'{"name": "'
    for _ in range(count):
        yield b"x" * size


@pytest.mark.parametrize(("token", "status"), [("owner", 413), ("wrong", 401)])
def test_oversized_body_is_refused(http: httpx.Client, mock: Mock, token: str, status: int) -> None:
    """A body over the limit is answered before its end, whether its length is declared or not."""
    headers = {**JSON, "Authorization": f"Bearer {mock.tokens.get(token, token)}"}
    for content in (b"x" * (mock.contract.max_body_bytes + 1), chunks(64, 65536)):
        answer = http.put(mock.ids["main"], content=content, headers=headers)
        assert answer.status_code == status
    assert http.put(mock.ids["main"], json={}).status_code == 200


def test_largest_body_is_read(http: httpx.Client, mock: Mock) -> None:
    """A body of exactly the maximum size is read, whole or in chunks."""
    body = b"{}".ljust(mock.contract.max_body_bytes)
    assert http.put(mock.ids["main"], content=body, headers=JSON).status_code == 200
    assert http.put(mock.ids["main"], content=iter([body]), headers=JSON).status_code == 200
    assert http.put(mock.ids["main"], content=body + b" ", headers=JSON).status_code == 413


@pytest.mark.parametrize("token", ["wrong", "owner-token,", "owner-token extra", "bearer", "ÿ"])
def test_invalid_token_answers_401_first(http: httpx.Client, mock: Mock, token: str) -> None:
    """An invalid token gets a 401 with a challenge, even if more is wrong."""
    headers = httpx.Headers({"Authorization": f"Bearer {token}", "Content-Type": "x/y"}, "latin-1")
    for id in (mock.ids["main"], "unknown", "x" * 300):
        answer = http.put(id, content=b"{", headers=headers)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_reason_of_a_401_is_logged(http: httpx.Client, mock: Mock) -> None:
    """The log says what is wrong with a token; the answer does not."""
    given: list[tuple[list[tuple[str, str]], str]] = [
        ([], "is missing"),
        ([("Authorization", "Basic x")], "is not a bearer token"),
        ([("Authorization", f"Bearer {mock.tokens['owner']}")] * 2, "appears more than once"),
        (
            [("Authorization", f"Bearer {mock.tokens['expired']}")],
            "the token is unknown or expired",
        ),
    ]
    url = f"{mock.base_url}/ai/llm/{mock.ids['main']}"
    for headers, reason in given:
        request = httpx.Request("PUT", url, headers=[*headers, *JSON.items()], content=b"{}")
        answer = http.send(request)
        assert answer.status_code == 401
        assert answer.json()["message"] == mock.contract.message(401)
        entry = mock.requests[-1]
        assert (entry.reason, entry.configuration) == (f"Authorization: {reason}", mock.ids["main"])


def test_percent_encoded_id_is_the_same_id(http: httpx.Client, mock: Mock) -> None:
    """Any octet of the id may be percent-encoded; the answer contains the decoded id."""
    id = mock.ids["main"]
    for spelling in (id.replace("-", "%2D"), "".join(f"%{ord(c):02x}" for c in id)):
        answer = http.put(spelling, json={})
        assert answer.status_code == 200
        assert answer.json()["aiLlmId"] == id


@pytest.mark.parametrize("form", ["{path}?a=b", "{path}#fragment", "{url}"])
def test_target_may_have_any_form(mock: Mock, form: str) -> None:
    """A query, a fragment and the absolute form lead to the same configuration."""
    path = f"/ai/llm/{mock.ids['main']}"
    target = form.format(path=path, url=mock.base_url + path)
    request = head(mock, "Content-Length: 2", "Connection: close").decode().replace(path, target, 1)
    with connected(mock) as wire:
        wire.sendall(f"{request}{{}}".encode())
        assert received(wire).startswith(b"HTTP/1.1 200 ")


UNKNOWN_IDS = [
    *("unknown", "%00", "%FF", "a%2Fb", "%2e%2e", "'", "%0d%0a", "%25", "%zz", "x" * 255),
    *(quote("ü" * 255), "550E8400-E29B-41D4-A716-446655440000", "{id}", "%F0%9F%98%80"),
]


@pytest.mark.parametrize("id", UNKNOWN_IDS)
def test_unknown_id_answers_404(http: httpx.Client, id: str) -> None:
    """An unknown id gets a 404, even with unusual octets."""
    assert http.put(id, json={}).status_code == 404


@pytest.mark.parametrize("id", ["x" * 256, quote("ü" * 256), "", "x" * 20_000])
def test_invalid_id_answers_400(http: httpx.Client, id: str) -> None:
    """An id that the contract does not allow gets a 400."""
    answer = http.put(id, json={})
    assert answer.status_code == 400
    assert answer.json()["message"].startswith("id: must have at")


@pytest.mark.parametrize("path", ["/", "/ai/llm", "/ai/llm/a/b", "//ai/llm/a", "/AI/llm/a"])
def test_other_path_answers_404(http: httpx.Client, mock: Mock, path: str) -> None:
    """Any other path gets a 404."""
    for method in ("GET", "PUT"):
        answer = http.request(method, mock.base_url + path)
        assert answer.status_code in (404, 405) if path == "/" else answer.status_code == 404
        assert answer.json()["success"] is False


METHODS = ["GET", "HEAD", "POST", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"]


@pytest.mark.parametrize("method", METHODS)
def test_other_method_answers_405(http: httpx.Client, mock: Mock, method: str) -> None:
    """Every other method gets a 405 and allows PUT, with or without a body."""
    for content in (b"", b'{"name": "x"}'):
        answer = http.request(method, mock.ids["main"], content=content, headers=JSON)
        assert answer.status_code == 405
        assert answer.headers["Allow"] == "PUT"
        assert bool(answer.content) == (method != "HEAD")


def test_trailer_is_not_a_header(mock: Mock) -> None:
    """A token in the trailer of a chunked body is ignored."""
    token = f"Authorization: Bearer {mock.tokens['owner']}\r\n"
    request = head(mock, "Transfer-Encoding: chunked", "Connection: close").decode()
    with connected(mock) as wire:
        wire.sendall((request.replace(token, "") + f"2\r\n{{}}\r\n0\r\n{token}\r\n").encode())
        assert received(wire).startswith(b"HTTP/1.1 401 ")


def test_concurrent_updates_are_all_answered(mock: Mock, http: httpx.Client) -> None:
    """Of twenty updates at the same time all are answered, and one is stored whole."""
    statuses: list[int] = []

    def update(number: int) -> None:
        body = {"name": f"name {number}", "endpoint": f"https://{number}.example"}
        statuses.append(http.put(mock.ids["main"], json=body).status_code)

    threads = [threading.Thread(target=update, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 20
    stored = mock.configuration(mock.ids["main"])
    assert stored["endpoint"] == f"https://{stored['name'].split()[1]}.example"


def test_request_id_is_adopted_or_made(http: httpx.Client, mock: Mock) -> None:
    """A well-formed X-Request-Id without a credential is returned and logged; else one is made."""
    main, secret = mock.ids["main"], "s3cret-9f1c"
    for given in ("abc-123._", "x" * 64):
        answer = http.put(main, json={}, headers={"X-Request-Id": given})
        assert answer.headers["X-Request-Id"] == given == mock.requests[-1].request_id
    tokens = mock.tokens
    credentials = (tokens["owner"], tokens["reader"], f"x-{tokens['owner']}", secret, f"x-{secret}")
    for given in ("", "x" * 65, "a b", *credentials):
        for body in ({"secret": secret}, {"secret": secret, "aiType": "BAD"}):
            answer = http.put(main, json=body, headers={"X-Request-Id": given})
            assert len(answer.headers["X-Request-Id"]) == 32
            assert mock.requests[-1].request_id == answer.headers["X-Request-Id"]
    wrong = {"Authorization": "Bearer wrong", "X-Request-Id": "abc"}
    assert len(http.put(main, json={}, headers=wrong).headers["X-Request-Id"]) == 32
    assert http.put(main + "/x").headers["X-Request-Id"]


ORIGIN = "http://localhost:3000"


def test_cors_is_off_by_default(http: httpx.Client, mock: Mock) -> None:
    """Without --cors-origin no page of another origin may send an update."""
    headers = {"Origin": ORIGIN, "Access-Control-Request-Method": "PUT"}
    assert http.options(mock.ids["main"], headers=headers).status_code == 405
    answer = http.put(mock.ids["main"], json={}, headers={"Origin": ORIGIN})
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_cors_lets_pages_of_the_origin_send_updates() -> None:
    """With --cors-origin preflights of this origin are answered, and answers are readable."""
    with flashback_mock.running(cors_origins=[ORIGIN]) as mock:
        url = f"{mock.base_url}/ai/llm/{mock.ids['main']}"
        asked = "authorization,content-type"
        preflight = {
            "Origin": ORIGIN,
            "Access-Control-Request-Method": "PUT",
            "Access-Control-Request-Headers": asked,
        }
        with httpx.Client(trust_env=False) as client:
            answer = client.options(url, headers=preflight)
            assert answer.status_code == 204
            assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
            assert answer.headers["Access-Control-Allow-Methods"] == "PUT"
            assert answer.headers["Access-Control-Allow-Headers"] == asked
            for path in (url, f"{mock.base_url}/x"):
                answer = client.put(path, json={}, headers={"Origin": ORIGIN})
                assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
                assert answer.headers["Vary"] == "Origin"
            elsewhere = {**preflight, "Origin": "http://localhost:3001"}
            refused = client.options(url, headers=elsewhere)
            assert refused.status_code == 405
            assert "Access-Control-Allow-Origin" not in refused.headers

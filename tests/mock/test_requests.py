"""Tests for behavior beyond the contract: messages, the log, the order of checks, and CORS.

CI runs tests/contract against the mock to test the behavior that the contract specifies.
"""

import httpx
import pytest

import flashback_mock
from flashback_mock import Mock
from tests.mock.wire import JSON, empty_update, exchange

UNREADABLE = "body: is not UTF-8 or contains a lone surrogate"
REJECTED_BODIES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "body: is empty; send {} to change nothing"),
    "not JSON": (b'{\n "name" = "x"}', "body: invalid JSON at line 2, column 9"),
    "duplicate key": (b'{"name": {"a": 1, "a": 2}}', "body: contains a duplicate key"),
    "NaN": (b'{"name": NaN}', "body: NaN and Infinity are not valid JSON"),
    "30,000 digits": (b"[" + b"9" * 30_000 + b"]", "or contains too large a number"),
    "nested 30,000 deep": (b"[" * 30_000 + b"]" * 30_000, "body: is nested too deeply"),
    "nested 500 deep": (b"[" * 500 + b"]" * 500, "body: is nested too deeply"),
    "byte order mark": (b"\xef\xbb\xbf{}", "body: invalid JSON at line 1, column 1"),
    "UTF-16": ("{}".encode("utf-16"), UNREADABLE),
    "lone surrogate": (b'{"name": "\\ud800"}', UNREADABLE),
    "lone surrogate as a key": (b'{"\\udfff": "x"}', UNREADABLE),
    "unknown field": (b'{"apiKeyUuid": "x"}', "body: has an unknown field"),
}


@pytest.mark.parametrize("case", REJECTED_BODIES)
def test_message_states_the_problem_with_a_body(http: httpx.Client, mock: Mock, case: str) -> None:
    """The message in a 400 response describes the problem with the body and is also logged."""
    body, message = REJECTED_BODIES[case]
    answer = http.put(mock.ids["main"], content=body, headers=JSON)
    assert answer.status_code == 400
    assert message in answer.json()["message"]
    entry = mock.requests[-1]
    assert answer.json()["message"] == entry.reason
    assert answer.headers["X-Request-Id"] == entry.request_id


def test_message_lists_fields_and_rules_but_no_value(http: httpx.Client, mock: Mock) -> None:
    """The message in a 400 response lists all invalid fields and violated rules, but no values."""
    secret_value = "s3cret-7f3a"
    body = {
        "name": secret_value + "\n",
        "aiType": secret_value,
        "endpoint": secret_value,
        "key": [secret_value],
        "secret": secret_value * 1000,
        secret_value: secret_value,
    }
    message = http.put(mock.ids["main"], json=body).json()["message"]
    assert secret_value not in message
    for part in (
        "name: must not contain control characters",
        "aiType: must be one of OPENAI, ",
        "endpoint: must be an absolute http or https URL",
        "key: must be of type string",
        f"secret: must have at most {mock.contract.fields['secret']['maxLength']} characters",
        "body: has an unknown field; the known fields are name, aiType",
    ):
        assert part in message


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Type": 'application/json;charset="UTF-8"'}, 200),
        ({"Content-Type": "application/json; charset=latin-1"}, 415),
        ({"Content-Type": "application/json, text/plain"}, 415),
        ({}, 415),
        ({**JSON, "Content-Encoding": "gzip"}, 415),
    ],
)
def test_only_plain_json_is_accepted(
    http: httpx.Client, mock: Mock, headers: dict[str, str], status: int
) -> None:
    """The mock returns 415 for a charset or content coding that the contract does not allow."""
    answer = http.put(mock.ids["main"], content=b"{}", headers=headers)
    assert answer.status_code == status


MALFORMED = "is not a single bearer token"
UNKNOWN = "the token is unknown or expired"
AUTHORIZATIONS: list[tuple[list[str], str]] = [
    ([], "is missing"),
    (["Basic x"], MALFORMED),
    (["Bearer owner-token extra"], MALFORMED),
    (["Bearer ÿ"], MALFORMED),
    (["Bearer ſ"], MALFORMED),  # a long s, which matches an s if case is ignored
    (["Bearer owner-token"] * 2, MALFORMED),
    (["Bearer wrong"], UNKNOWN),
    (["Bearer expired-token"], UNKNOWN),
]


@pytest.mark.parametrize("case", AUTHORIZATIONS, ids=str)
def test_reason_for_a_401_is_logged(
    http: httpx.Client, mock: Mock, case: tuple[list[str], str]
) -> None:
    """A 401 takes precedence over other errors; its reason is logged but not sent to the client."""
    given, reason = case
    authorization = [(b"Authorization", value.encode()) for value in given]
    oversized = b"x" * (mock.contract.max_body_bytes + 1)
    for id, content in ((mock.ids["main"], oversized), ("x" * 300, b"{")):
        url = f"{mock.base_url}/ai/llm/{id}"
        request = httpx.Request("PUT", url, headers=authorization, content=content)
        answer = http.send(request)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert answer.json()["message"] == mock.contract.message(401)
        entry = mock.requests[-1]
        assert entry.reason == f"Authorization: {reason}"
        assert entry.configuration == (id if id == mock.ids["main"] else "")


@pytest.mark.parametrize("form", [b"%b?a=b", b"%b#fragment", b"http://x:1%b"])
def test_request_target_can_have_any_form(mock: Mock, form: bytes) -> None:
    """The request target can contain a query or a fragment, or be an absolute URL."""
    path = f"/ai/llm/{mock.ids['main']}".encode()
    request = empty_update(mock, "Connection: close").replace(path, form % path, 1)
    assert exchange(mock, request).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("PUT", "/", 405),
        ("PUT", "/ai/llm/a/b", 404),
        ("PUT", "//ai/llm/a", 404),
        ("PUT", "/AI/llm/a", 404),
        ("PUT", "/ai/llm/%FF", 404),
        ("GET", "/ai/llm/a", 405),
        ("HEAD", "/ai/llm/a", 405),
    ],
)
def test_unknown_path_or_method_is_rejected(
    http: httpx.Client, mock: Mock, method: str, path: str, status: int
) -> None:
    """An unknown path returns 404; an unsupported method returns 405 with the allowed methods."""
    answer = http.request(method, mock.base_url + path, content=b"{}", headers=JSON)
    assert answer.status_code == status
    assert ("Allow" in answer.headers) == (status == 405)
    assert bool(answer.content) == (method != "HEAD")


ORIGIN = "http://localhost:3000"


def test_cors_allows_pages_from_the_specified_origin(http: httpx.Client) -> None:
    """With `--cors-origin`, pages from that origin can send updates and read the responses."""
    preflight = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    rejected = http.options("x", headers=preflight)
    assert rejected.status_code == 405
    assert "--cors-origin" in rejected.json()["message"]
    with flashback_mock.running(cors_origins=[ORIGIN]) as mock:
        url = f"{mock.base_url}/ai/llm/{mock.ids['main']}"
        answer = http.options(url, headers=preflight)
        assert answer.status_code == 204
        assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
        assert answer.headers["Access-Control-Allow-Methods"] == "PUT"
        assert answer.headers["Access-Control-Allow-Headers"] == "authorization,content-type"
        mock.answer_next(headers={"Vary": "Accept"})
        for path, vary in ((url, ["Accept", "Origin"]), (f"{mock.base_url}/x", ["Origin"])):
            answer = http.put(path, json={}, headers={"Origin": ORIGIN})
            assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
            assert answer.headers.get_list("Vary") == vary
        rejected = http.options(url, headers={**preflight, "Origin": "http://localhost:3001"})
        assert rejected.status_code == 405
        assert "Access-Control-Allow-Origin" not in rejected.headers
    with (
        pytest.raises(ValueError, match="cors_origins must be a list of origins"),
        flashback_mock.running(cors_origins=ORIGIN),
    ):
        pass

"""Whatever arrives gets one of the documented answers, and 400 says why without quoting."""

import http.client as http_client
import socket
import threading
import time
from collections.abc import Generator, Iterator
from urllib.parse import quote, urlsplit

import flashback_mock
import httpx
import pytest

from tests.mock.wire import connected, head


@pytest.fixture(scope="module")
def mock() -> Generator[flashback_mock.Mock]:
    """One mock for all of them: none needs it to be fresh."""
    with flashback_mock.running() as mock:
        yield mock


JSON = {"Content-Type": "application/json"}

REFUSED_BODIES = {
    "empty": b"",
    "not JSON": b"name=x",
    "cut off": b'{"name": "x"',
    "trailing comma": b'{"name": "x",}',
    "single quotes": b"{'name': 'x'}",
    "comment": b'{} // {"name": "x"}',
    "two values": b"{} {}",
    "array": b'[{"name": "x"}]',
    "string": b'"name"',
    "null": b"null",
    "number": b"1",
    "duplicate key": b'{"name": "a", "name": "b"}',
    "duplicate key below": b'{"name": {"a": 1, "a": 2}}',
    "NaN": b'{"name": NaN}',
    "Infinity": b'{"name": -Infinity}',
    "huge exponent": b'{"name": 1e999999}',
    "a number of 200,000 digits": b'{"name": ' + b"9" * 200_000 + b"}",
    "nested 100,000 deep": b"[" * 100_000 + b"]" * 100_000,
    "objects nested 30,000 deep": b'{"a":' * 30_000 + b"1" + b"}" * 30_000,
    "nested 200 deep": b'{"name": ' + b"[" * 200 + b"]" * 200 + b"}",
    "nested 500 deep": b'{"name": ' + b"[" * 500 + b"]" * 500 + b"}",
    "bad UTF-8": b'{"name": "\xff"}',
    "Latin-1": '{"name": "é"}'.encode("latin-1"),
    "byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": "{}".encode("utf-16"),
    "UTF-32": "{}".encode("utf-32"),
    "lone surrogate": b'{"name": "\\ud800"}',
    "lone surrogate as a key": b'{"\\udfff": "x"}',
    "lone surrogate below": b'{"name": ["\\ud800"]}',
    "control character as it is": b'{"key": "a\x00b"}',
    "NUL": b"\x00",
    "null for a field": b'{"name": null}',
    "number for a field": b'{"name": 1}',
    "unknown field": b'{"secrt": "x"}',
    "field in another case": b'{"Name": "x"}',
    "empty name": b'{"name": ""}',
    "control character in a name": b'{"name": "a\\u0085b"}',
    "line break at the end of a name": b'{"name": "a\\n"}',
    "empty secret": b'{"secret": ""}',
    "lower-case type": b'{"aiType": "openai"}',
    "relative endpoint": b'{"endpoint": "/v1"}',
    "endpoint without host": b'{"endpoint": "https:///v1"}',
    "other scheme": b'{"endpoint": "ftp://example.com"}',
    "credentials in the endpoint": b'{"endpoint": "https://user:pass@example.com"}',
    "line break at the end of the endpoint": b'{"endpoint": "https://example.com\\n"}',
    "space in the endpoint": b'{"endpoint": "https://example.com/a b"}',
    "letters beyond ASCII in the endpoint": '{"endpoint": "https://é.example"}'.encode(),
    "port out of range": b'{"endpoint": "https://example.com:65536"}',
}


@pytest.mark.parametrize("body", REFUSED_BODIES.values(), ids=REFUSED_BODIES)
def test_refused_body_answers_400(
    http: httpx.Client, mock: flashback_mock.Mock, body: bytes
) -> None:
    """What is no valid body answers 400 with a message, changes nothing, and costs nobody else."""
    before = mock.configuration(mock.ids["main"])
    answer = http.put(mock.ids["main"], content=body, headers=JSON)
    assert answer.status_code == 400
    assert answer.json()["success"] is False
    assert answer.json()["message"]
    assert mock.configuration(mock.ids["main"]) == before
    assert http.put(mock.ids["main"], json={}).status_code == 200


ACCEPTED_BODIES = {
    "white space around": b' \r\n\t{"name": "x"} \n',
    "the longest name": ('{"name": "' + "\U0001f600" * 255 + '"}').encode(),
    "escaped surrogate pair": b'{"name": "\\ud83d\\ude00"}',
    "any character in a secret": b'{"secret": "\\u0000\\n\\u0085"}',
    "the longest secret": b'{"secret": "' + b"s" * 8192 + b'"}',
    "scheme in upper case": b'{"endpoint": "HTTPS://EXAMPLE.COM"}',
    "IPv6, port, query, fragment": b'{"endpoint": "http://[::1]:8080/a?b=c/d#e"}',
    "A-label": b'{"endpoint": "https://xn--bcher-kva.example/"}',
    "the longest endpoint": b'{"endpoint": "https://a.example/' + b"a" * 2030 + b'"}',
    "at sign in the path": b'{"endpoint": "https://a.example/@b:c@d"}',
    "single label host": b'{"endpoint": "http://my_service:11434"}',
}


@pytest.mark.parametrize("body", ACCEPTED_BODIES.values(), ids=ACCEPTED_BODIES)
def test_accepted_body_answers_200(
    http: httpx.Client, mock: flashback_mock.Mock, body: bytes
) -> None:
    """What an honest caller may send answers 200."""
    assert http.put(mock.ids["main"], content=body, headers=JSON).status_code == 200


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ("application/json", 200),
        ("Application/JSON", 200),
        ("application/json; charset=utf-8", 200),
        ('application/json;charset="UTF-8"', 200),
        ("application/json; charset=latin-1", 400),
        ("application/json; version=1", 400),
        ("application/problem+json", 400),
        ("text/json", 400),
        ("text/plain", 400),
        ("application/json, text/plain", 400),
        ("", 400),
    ],
)
def test_media_type_is_json(
    http: httpx.Client, mock: flashback_mock.Mock, given: str, status: int
) -> None:
    """Only application/json is read, with no charset or charset=utf-8, in any case."""
    headers = {"Content-Type": given}
    assert http.put(mock.ids["main"], content=b"{}", headers=headers).status_code == status


def test_missing_media_type_answers_400(http: httpx.Client, mock: flashback_mock.Mock) -> None:
    """A body without a Content-Type answers 400."""
    answer = http.put(mock.ids["main"], content=b"{}")
    assert answer.status_code == 400
    assert answer.json()["message"].startswith("Content-Type: must be application/json")


@pytest.mark.parametrize("encoding", ["gzip", "identity", "br"])
def test_content_encoding_answers_400(
    http: httpx.Client, mock: flashback_mock.Mock, encoding: str
) -> None:
    """Any Content-Encoding answers 400."""
    headers = {**JSON, "Content-Encoding": encoding}
    assert http.put(mock.ids["main"], content=b"{}", headers=headers).status_code == 400


def test_message_names_field_and_rule_but_no_value(
    http: httpx.Client, mock: flashback_mock.Mock
) -> None:
    """400 names every field that is wrong and its rule, and quotes nothing of the request."""
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
    assert "name: must have no control characters" in message
    assert "aiType: must be one of OPENAI, GOOGLE, ANTHROPIC, AWS, OTHER" in message
    assert "endpoint: must be an absolute http or https URL" in message
    assert "key: must be of type string" in message
    assert "secret: must have at most 8192 characters" in message
    assert "body: has an unknown field; the fields are name, aiType" in message


def parts(count: int, size: int) -> Iterator[bytes]:
    """A chunked body."""
    yield b'{"name": "'
    for _ in range(count):
        yield b"x" * size


def test_chunked_body_is_read(http: httpx.Client, mock: flashback_mock.Mock) -> None:
    """A body in chunks is a body."""
    answer = http.put(mock.ids["main"], content=iter([b'{"name"', b': "chunks"}']), headers=JSON)
    assert answer.status_code == 200
    assert mock.configuration(mock.ids["main"])["name"] == "chunks"


@pytest.mark.parametrize("token", ["owner", "wrong"])
def test_oversized_body_is_refused_without_being_read(
    http: httpx.Client, mock: flashback_mock.Mock, token: str
) -> None:
    """A body over the limit is answered before its end, whether its length is announced or not."""
    status = 400 if token == "owner" else 401
    headers = {**JSON, "Authorization": f"Bearer {mock.tokens.get(token, token)}"}
    for content in (b"x" * (mock.contract.max_body_bytes + 1), parts(64, 65536)):
        answer = http.put(mock.ids["main"], content=content, headers=headers)
        assert answer.status_code == status
        assert answer.headers["Connection"] == "close"
    assert http.put(mock.ids["main"], json={}).status_code == 200


def test_largest_body_is_read(http: httpx.Client, mock: flashback_mock.Mock) -> None:
    """A body of exactly the limit is judged by what it says."""
    body = b"{}".ljust(mock.contract.max_body_bytes)
    assert http.put(mock.ids["main"], content=body, headers=JSON).status_code == 200
    assert http.put(mock.ids["main"], content=body + b" ", headers=JSON).status_code == 400


@pytest.mark.parametrize(
    "token", ["wrong", "owner-token,", "owner-token extra", "bearer", "ÿ", "a,b"]
)
def test_token_that_is_none_answers_401_first(
    http: httpx.Client, mock: flashback_mock.Mock, token: str
) -> None:
    """A bad token answers 401 with a challenge, whatever else is wrong."""
    headers = httpx.Headers({"Authorization": f"Bearer {token}", "Content-Type": "x/y"}, "latin-1")
    for id in (mock.ids["main"], "unknown", "x" * 300):
        answer = http.put(id, content=b"{", headers=headers)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "bEARER", "Bearer "])
def test_scheme_counts_in_any_case(
    http: httpx.Client, mock: flashback_mock.Mock, scheme: str
) -> None:
    """The bearer scheme counts in any case, with more than one space too."""
    headers = {"Authorization": f"{scheme} {mock.tokens['owner']}"}
    assert http.put(mock.ids["main"], json={}, headers=headers).status_code == 200


def test_two_authorization_headers_answer_401(
    http: httpx.Client, mock: flashback_mock.Mock
) -> None:
    """Two Authorization headers say nothing, even if both are good."""
    headers = [("Authorization", f"Bearer {mock.tokens['owner']}")] * 2
    request = httpx.Request("PUT", f"{mock.base_url}/ai/llm/{mock.ids['main']}", headers=headers)
    assert http.send(request).status_code == 401


def test_percent_encoded_id_is_the_same_id(http: httpx.Client, mock: flashback_mock.Mock) -> None:
    """Any octet of the id may be percent-encoded; the answer names the decoded id."""
    id = mock.ids["main"]
    for spelling in (id.replace("-", "%2D"), "".join(f"%{ord(c):02x}" for c in id)):
        answer = http.put(spelling, json={})
        assert answer.status_code == 200
        assert answer.json()["aiLlmId"] == id


@pytest.mark.parametrize(
    "id",
    [
        "unknown", "%00", "%FF", "%C3%28", "a%2Fb", "%2e%2e", "'", '"', "%0d%0a", "%25", "%zz",
        "x" * 255, quote("ü" * 255), "550E8400-E29B-41D4-A716-446655440000",
        "550e8400-e29b-41d4-a716-446655440000%20", "{id}", "*", "~", "%F0%9F%98%80",
    ],
)  # fmt: skip
def test_id_that_nothing_has_answers_404(http: httpx.Client, id: str) -> None:
    """An id that no configuration has answers 404, whatever octets it is made of."""
    assert http.put(id, json={}).status_code == 404


@pytest.mark.parametrize("id", ["x" * 256, quote("ü" * 256), "", "x" * 20_000])
def test_id_that_cannot_be_one_answers_400(http: httpx.Client, id: str) -> None:
    """What the contract says cannot be an id answers 400, naming the id."""
    answer = http.put(id, json={})
    assert answer.status_code == 400
    assert answer.json()["message"].startswith("id: must have at")


@pytest.mark.parametrize(
    "path", ["/", "/ai/llm", "/ai/llm/a/b", "/ai/llm/a/", "//ai/llm/a", "/AI/llm/a"]
)
def test_other_path_answers_404(http: httpx.Client, mock: flashback_mock.Mock, path: str) -> None:
    """There is nothing at any other path."""
    for method in ("GET", "PUT"):
        answer = http.request(method, mock.base_url + path)
        assert answer.status_code == 404
        assert answer.json()["success"] is False


@pytest.mark.parametrize(
    "method", ["GET", "HEAD", "POST", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "QUERY"]
)
def test_other_method_answers_405(
    http: httpx.Client, mock: flashback_mock.Mock, method: str
) -> None:
    """Every other method answers 405 and says that PUT is allowed, with or without a body."""
    for content in (b"", b'{"name": "x"}'):
        answer = http.request(method, mock.ids["main"], content=content, headers=JSON)
        assert answer.status_code == 405
        assert answer.headers["Allow"] == "PUT"
        assert bool(answer.content) == (method != "HEAD")


@pytest.fixture
def wire(mock: flashback_mock.Mock) -> Generator[socket.socket]:
    """A bare connection to the mock."""
    with connected(mock) as wire:
        yield wire


def answers(wire: socket.socket) -> bytes:
    """All that comes until the server closes the connection."""
    received = b""
    while chunk := wire.recv(65536):
        received += chunk
    return received


def test_announced_length_is_enough_to_refuse(
    mock: flashback_mock.Mock, wire: socket.socket
) -> None:
    """A body that announces to be too large is refused before a byte of it is sent."""
    wire.sendall(head(mock, "Content-Length: 999999999", "Expect: 100-continue"))
    received = answers(wire)
    assert received.startswith(b"HTTP/1.1 400 ")
    assert b"must have at most 262144 bytes" in received


def test_pipelined_requests_are_answered_in_order(
    mock: flashback_mock.Mock, wire: socket.socket
) -> None:
    """Requests sent without waiting get their own answers, in their order."""
    good, bad = b"{}", b"{]"
    wire.sendall((head(mock, "Content-Length: 2") + good) + (head(mock, "Content-Length: 2") + bad))
    wire.sendall(head(mock, "Content-Length: 2", "Connection: close") + good)
    statuses = [part[:3] for part in answers(wire).split(b"HTTP/1.1 ")[1:]]
    assert statuses == [b"200", b"400", b"200"]


OFFER = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAEAAEAA")


def test_offer_to_upgrade_is_ignored(mock: flashback_mock.Mock, wire: socket.socket) -> None:
    """An offer to upgrade, as Java's client makes it with every request, changes nothing."""
    for _ in range(3):
        wire.sendall(head(mock, *OFFER, "Content-Length: 2") + b"{}")
        assert wire.recv(65536).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("first", ["PUT", "GET", "CONNECT"])
def test_body_is_never_taken_for_a_request(
    mock: flashback_mock.Mock, wire: socket.socket, first: str
) -> None:
    """A body that looks like a request is not one, whatever its head offers."""
    inner = head(mock, "Content-Length: 2") + b"{}"
    outer = head(mock, *OFFER, f"Content-Length: {len(inner)}", "Connection: close")
    outer = outer.replace(b"PUT", first.encode(), 1)
    for part in (outer[:20], outer[20:], inner):
        wire.sendall(part)
        time.sleep(0.05)
    assert answers(wire).count(b"HTTP/1.1 ") == 1


def test_trailer_is_no_header(mock: flashback_mock.Mock, wire: socket.socket) -> None:
    """A token in the trailer of a chunked body opens nothing."""
    token = f"Authorization: Bearer {mock.tokens['owner']}\r\n"
    first = head(mock, "Transfer-Encoding: chunked", "Connection: close").decode()
    wire.sendall((first.replace(token, "") + f"2\r\n{{}}\r\n0\r\n{token}\r\n").encode())
    assert answers(wire).startswith(b"HTTP/1.1 401 ")


def test_length_of_any_number_of_digits_is_read(
    mock: flashback_mock.Mock, wire: socket.socket
) -> None:
    """A Content-Length with thousands of zeros before it is a length."""
    wire.sendall(head(mock, f"Content-Length: {'0' * 5000}2") + b"{}")
    assert wire.recv(65536).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("size", [5, 50])
def test_answer_to_a_huge_body_arrives(mock: flashback_mock.Mock, size: int) -> None:
    """Who sends a huge body without looking up still gets the answer, and no reset."""
    url = urlsplit(mock.base_url)
    connection = http_client.HTTPConnection(url.hostname or "", url.port)
    headers = {**JSON, "Authorization": f"Bearer {mock.tokens['owner']}"}
    connection.request("PUT", f"/ai/llm/{mock.ids['main']}", b"x" * (size << 20), headers)
    assert connection.getresponse().status == 400
    connection.close()


def test_twenty_at_once(mock: flashback_mock.Mock, http: httpx.Client) -> None:
    """Twenty updates at the same time are all answered, and one of them is what is stored."""
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

"""The clause and the statuses that the contract tests expect for a body."""

import json

import pytest

from support.backend import USERS, WRITER
from support.exchange import Place, Request
from support.expectation import expectation_of


@pytest.mark.parametrize(
    ("body", "clause", "kind", "statuses"),
    [
        ({}, "update", "no-fields", {200}),
        ({"name": "x"}, "update", "name-plain", {200}),
        ({"key": "k" * 8192}, "lengths", "key-long", {200}),
        ({"key": "k" * 8193}, "lengths", "key-maxLength", {400}),
        ({"name": ""}, "lengths", "name-minLength", {400}),
        ({"name": "a\tb"}, "name-characters", "name-pattern", {400}),
        ({"name": 5}, "types", "name-type", {400}),
        ({"name": None}, "types", "name-null", {400}),
        ({"key": None}, "null-open", "key", {200, 400}),
        ({"apiKeyUuid": "x"}, "null-open", "apiKeyUuid", {200, 400}),
        ({"aiType": "openai"}, "ai-type", "aiType-enum", {400}),
        ({"secrt": "x"}, "unknown-fields", "other", {400}),
        ({"ai_type": "AWS"}, "unknown-fields", "resembling", {400}),
        ({"endpoint": "https://a.example/"}, "endpoint-url", "endpoint-path", {200}),
        ({"endpoint": "http://10.0.0.1"}, "endpoint-open", "host", {200, 400}),
        ({"endpoint": "http://127.1"}, "endpoint-open", "host", {200, 400}),
        ({"endpoint": "http://256.256"}, "endpoint-open", "host", {200, 400}),
        ({"endpoint": "http://a..example"}, "endpoint-open", "host", {200, 400}),
        ({"endpoint": "https://a.example*"}, "endpoint-open", "one-standard", {200, 400}),
        ({"endpoint": "https://u:p@a.example"}, "endpoint-unsafe", "userinfo", {400}),
        ({"endpoint": "https://a.example\n"}, "endpoint-unsafe", "control-character", {400}),
        ({"endpoint": "ftp://a.example"}, "endpoint-url", "other-scheme", {400}),
        ([], "body", "not-an-object", {400}),
        (b"", "body", "empty", {400, 413, 415}),
        (b"{", "unreadable-body", "not-json", {400, 413, 415}),
        (b'{"key": NaN}', "unreadable-body", "constant", {400, 413, 415}),
        (b'{"key": "\xff"}', "unreadable-body", "not-utf-8", {400, 413, 415}),
        (b"[" * 100_000, "unreadable-body", "nested", {400, 413, 415}),
        (b'{"key": "a", "key": "b"}', "json-open", "duplicate-key", {200, 400, 413, 415}),
        (b"\xef\xbb\xbf{}", "json-open", "byte-order-mark", {200, 400, 413, 415}),
        (b'{"key": "\\ud800"}', "json-open", "lone-surrogate", {200, 400, 413, 415}),
        (b" " * 262_145, "body-size", "over", {400, 413}),
    ],
)
def test_body(body: object, clause: str, kind: str, statuses: set[int]) -> None:
    """Each body belongs to one clause and one kind, which allow these statuses."""
    request = Request(
        target="/ai/llm/1",
        headers=(("Content-Type", "application/json"),),
        body=body if isinstance(body, bytes) else json.dumps(body).encode(),
        user=USERS[WRITER],
        place=Place("own", "the configuration", "1"),
    )
    expectation = expectation_of(request)
    assert (expectation.clause, expectation.kind) == (clause, kind)
    assert expectation.statuses == statuses

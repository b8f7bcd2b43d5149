"""Tests for the expected response to a request, and for the clause that determines it."""

import json
from argparse import Namespace
from dataclasses import replace

import pytest

from support import contract, rules
from support.backend import NOBODY, OWN, READER, USERS, WRITER, Backend
from support.exchange import Exchange, Request
from support.expectation import expectation_of
from support.rule import Rule
from support.values import max_length

NUMBERS = Namespace(backend_url="http://a.example", id="42", rate_limit=0, timeout=1, ca=None)
UNKNOWN = Rule("id", "unknown", "an unknown id", {404})


def request(
    body: object, *, user: Rule = USERS[WRITER], place: Rule = OWN, **headers: str
) -> Request:
    """Return a request with this body, which is serialized as JSON unless it is bytes."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    sent = {"Content-Type": "application/json", **headers}
    return Request(
        target="/ai/llm/1", headers=tuple(sent.items()), body=content, user=user, place=place
    )


@pytest.mark.parametrize(
    ("body", "clause", "kind", "statuses"),
    [
        ({}, "update", "no-fields", {200}),
        ({"name": "new"}, "update", "name-plain", {200}),
        ({"key": "k" * max_length("key")}, "lengths", "key-long", {200}),
        ({"key": "k" * (max_length("key") + 1)}, "lengths", "key-maxLength", {400}),
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
        ({"endpoint": "https://[x]/"}, "endpoint-url", "url", {400}),
        ({"endpoint": "https://a.example:99999/"}, "endpoint-open", "one-standard", {200, 400}),
        ({"endpoint": "https:\\\\a.example"}, "endpoint-open", "one-standard", {200, 400}),
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
def test_body_determines_the_expectation(
    body: object, clause: str, kind: str, statuses: set[int]
) -> None:
    """The body of a request determines which clause applies and which statuses are expected."""
    rule = expectation_of(request(body)).rule
    assert (rule.clause, rule.kind) == (clause, kind)
    assert rule.statuses == statuses


def test_backend_may_refuse_a_query() -> None:
    """A backend may either ignore or refuse query parameters."""
    with_query = replace(request({}), target="/ai/llm/1?debug=1")
    rule = expectation_of(with_query).rule
    assert rule.statuses == {200, *range(400, 500)}
    assert rule.expected == "200, or a status from 400 to 499"


def test_backend_may_check_in_any_order_after_the_token() -> None:
    """A backend may check some rules before the token, and the others afterward in any order."""
    without_token = expectation_of(request({"name": ""}, user=NOBODY, place=UNKNOWN))
    unparsed = expectation_of(request(b"{", user=NOBODY))
    reader = expectation_of(request({"name": ""}, user=USERS[READER]))
    unknown = expectation_of(request({}, user=USERS[READER], place=UNKNOWN))
    assert without_token.rule.statuses == {401}
    assert unparsed.rule.statuses == {400, 401, 413, 415}
    assert reader.rule.statuses == {400, 403}
    assert unknown.rule.statuses == {404}
    assert without_token.access
    assert without_token.access.clause == "authentication"


def test_every_example_in_the_contract_is_valid() -> None:
    """A request whose body is an example from the contract is expected to succeed."""
    for example in contract.EXAMPLES.values():
        assert expectation_of(request(example)).rule.must_succeed


def test_number_as_id_breaks_one_rule() -> None:
    """If the id in a response is a number, only the schema's rule reports it."""
    sent = replace(request({}), id="1")
    body = b'{"success": true, "aiLlmId": 1}'
    exchange = Exchange(sent, 200, headers=(("Content-Type", "application/json"),), body=body)
    breaches = rules.response_breaches(exchange, expectation_of(sent), rules.Shape())
    assert [breach.id for breach in breaches] == ["success-response/aiLlmId-type/invalid"]


def test_unknown_id_is_a_number_if_the_ids_are_numbers() -> None:
    """A router that accepts only numbers would refuse a UUID before it checks the token."""
    assert Backend(NUMBERS, {}).unknown_id().isdecimal()

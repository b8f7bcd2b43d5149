"""Tests for the expected response to a request, and for the clause that determines it."""

from argparse import Namespace
from dataclasses import replace
from typing import Any
from unittest.mock import Mock

import pytest

from support import checks, contract
from support.backend import READER, TOKENS, WRITER, Backend, is_working
from support.exchange import Exchange, NoVerdictError, Request
from support.expectation import rule_of_field
from support.findings import Finding
from support.promise import Promise
from support.rule import Rule
from support.values import max_length

NUMBERS = Namespace(backend_url="http://a.example", id="42", rate_limit=0, timeout=1, ca=None)
BACKEND = Backend(NUMBERS, {variable: variable for variable in TOKENS})


def request(body: object, **parts: Any) -> Request:
    """Return a request with this body."""
    return BACKEND.request(body=body, **parts)


EXPECTATIONS: dict[tuple[int, ...], list[tuple[object, str]]] = {
    (200,): [
        ({}, "update/no-fields"),
        ({"name": "new"}, "update/name-plain"),
        ({"key": "k" * max_length("key")}, "lengths/key-long"),
        ({"key": "\u00e9"}, "update/key-non-ascii"),
        ('{"key": "\u00e9"}'.encode(), "update/key-unescaped"),
        (f'{{"key": "{"é" * 200}"}}'.encode(), "lengths/key-long"),
        ({"endpoint": "https://a.example/"}, "endpoint-url/endpoint-path"),
    ],
    (400,): [
        ({"key": "k" * (max_length("key") + 1)}, "lengths/key-maxLength"),
        ({"name": ""}, "lengths/name-minLength"),
        ({"name": "a\tb"}, "name-characters/name-pattern"),
        ({"name": 5}, "types/name-type"),
        ({"name": None}, "types/name-null"),
        ({"aiType": "openai"}, "ai-type/aiType-enum"),
        ({"secrt": "x"}, "unknown-fields/other"),
        ({"": "x"}, "unknown-fields/other"),
        ({"ai_type": "AWS"}, "unknown-fields/resembling"),
        ({"endpoint": "https://[x]/"}, "endpoint-url/url"),
        ({"endpoint": "https://u:p@a.example"}, "endpoint-unsafe/userinfo"),
        ({"endpoint": "https://a.example\n"}, "endpoint-unsafe/control-character"),
        ({"endpoint": "ftp://a.example"}, "endpoint-url/other-scheme"),
        ([], "body/not-an-object"),
    ],
    (200, 400): [
        ({"key": None}, "null-open/key"),
        ({"apiKeyUuid": "x"}, "null-open/apiKeyUuid"),
        ({"endpoint": "http://10.0.0.1"}, "endpoint-open/host"),
        ({"endpoint": "http://127.1"}, "endpoint-open/host"),
        ({"endpoint": "http://256.256"}, "endpoint-open/host"),
        ({"endpoint": "http://a..example"}, "endpoint-open/host"),
        ({"endpoint": "https://a.example:99999/"}, "endpoint-open/one-standard"),
        ({"endpoint": "https:\\\\a.example"}, "endpoint-open/one-standard"),
        ({"endpoint": "https://a.example*"}, "endpoint-open/one-standard"),
    ],
    (400, 413, 415): [
        (b"", "body/empty"),
        (b"{", "unreadable-body/not-json"),
        (b'{"key": NaN}', "unreadable-body/constant"),
        (b'{"key": "\xff"}', "unreadable-body/not-utf-8"),
        (b"[" * 100_000, "unreadable-body/nested"),
    ],
    (200, 400, 413, 415): [
        (b'{"key": "a", "key": "b"}', "json-open/duplicate-key"),
        (b"\xef\xbb\xbf{}", "json-open/byte-order-mark"),
        (b'{"key": "\\ud800"}', "json-open/lone-surrogate"),
    ],
    (400, 413): [
        (b" " * 262_145, "body-size/over"),
    ],
}


@pytest.mark.parametrize(
    ("body", "id", "statuses"),
    [(*case, statuses) for statuses, cases in EXPECTATIONS.items() for case in cases],
)
def test_body_determines_the_expectation(body: object, id: str, statuses: tuple[int, ...]) -> None:
    """The body of a request determines which rule applies and which statuses are expected."""
    rule = request(body).rule
    assert rule.id == id
    assert rule.statuses == {*statuses}


@pytest.mark.parametrize(
    ("media_type", "id"),
    [
        ("application/json; charset=utf-8", "media-type/charset"),
        ("Application/JSON;charset=UTF-8", "media-type/case"),
    ],
)
def test_media_type_in_another_case_has_its_own_rule(media_type: str, id: str) -> None:
    """A media type in another case is the likely cause of a rejection, even with a charset."""
    assert request({}, headers={"Content-Type": media_type}).rule.id == id


def test_description_shows_the_valid_value() -> None:
    """The description of a one-field update shows the value, or only its length if it is long.

    If the field is `endpoint`, the description also says which standards allow the value.
    """
    words = request({"endpoint": "https://my_host.example"}).rule.words
    expected = '"https://my_host.example", which RFC 3986 and the WHATWG URL Standard allow'
    assert words == f"`endpoint`: the valid value {expected}"
    assert "a valid value of 70 characters" in request({"key": "k" * 70}).rule.words
    length = "60 characters (120 UTF-16 code units, 240 bytes)"
    assert f"a valid value of {length}" in request({"name": "\U0001f511" * 60}).rule.words
    assert "20 characters (20 UTF-16" in rule_of_field("name", "\ud800" * 20).words


def test_backend_may_reject_a_query() -> None:
    """A backend may either ignore or reject query parameters."""
    rule = request({}, query="?debug=1").rule
    assert rule.statuses == {200, *range(400, 500)}
    assert rule.expected == "200 or 4xx"


def test_backend_may_run_checks_in_any_order_after_the_token_check() -> None:
    """A backend may parse the body before the token check, and run later checks in any order."""
    without_token = request({"name": ""}, token=None, place="id/unknown")
    assert without_token.rule.statuses == {401}
    assert without_token.access
    assert without_token.access.clause == "authentication"
    assert request(b"{", token=None).rule.statuses == {400, 401, 413, 415}
    assert request({"name": ""}, token=READER).rule.statuses == {400, 403}
    assert request({}, token=READER, place="id/unknown").rule.statuses == {404}


def test_every_example_in_the_contract_is_valid() -> None:
    """A request whose body is an example from the contract is expected to succeed."""
    for example in contract.EXAMPLES.values():
        assert request(example).rule.must_succeed


def test_error_names_the_clause_that_the_contract_lacks() -> None:
    """If a clause is renamed only in openapi.yaml, the error names the old id."""
    with pytest.raises(NoVerdictError, match="x-clauses has no clause `renamed`, which"):
        contract.CLAUSES["renamed"]


def findings_in(
    sent: Request,
    status: int,
    body: bytes = b'{"success": false}',
    media_type: str = "application/json",
) -> list[Finding]:
    """Return the findings about a response with this status, body and media type."""
    headers = {"Content-Type": media_type, "WWW-Authenticate": "Bearer"}
    exchange = Exchange(sent, status, headers=tuple(headers.items()), body=body)
    findings = [*checks.check_response(exchange, [])]
    for finding in findings:
        finding.add_example(exchange, finding)
    return findings


def test_numeric_id_breaks_exactly_one_rule() -> None:
    """If the id in a response is a number, only the rule that checks the schema reports it."""
    sent = replace(request({}), id="1")
    findings = findings_in(sent, 200, b'{"success": true, "aiLlmId": 1}')
    assert [finding.id for finding in findings] == ["success-response/aiLlmId-type/invalid"]


def test_json_body_with_a_wrong_media_type_is_still_checked() -> None:
    """A wrong media type does not hide a wrong status if the body is a JSON object."""
    plain = "text/plain; charset=utf-8"
    findings = findings_in(request({"name": 5}), 404, media_type=plain)
    ids = ["error-response/media-type/text-plain", "types/name-type/404"]
    assert [finding.id for finding in findings] == ids
    assert [finding.continues for finding in findings] == [True, False]
    for body, continues in ((b"{}", True), (b'"Not Found"', False), (b"Not Found", False)):
        finding, *_ = findings_in(request({"name": 5}), 404, body, plain)
        assert finding.continues == continues


def test_finding_messages_describe_the_shortest_example() -> None:
    """If a finding has several examples, its messages describe the shortest one."""
    [known] = findings_in(request({"name": 5}), 422)
    assert known.expected == "400"
    [shorter] = findings_in(request(b""), 422)
    [exchange] = shorter.examples.values()
    known.add_example(exchange, shorter)
    assert known.expected == "400, 413 or 415"
    *_, known = findings_in(request({"name": "a\tb"}), 400, b'{"success": 5}')
    *_, shorter = findings_in(request(b""), 413, b'{"success": 6}')
    [exchange] = shorter.examples.values()
    known.add_example(exchange, shorter)
    assert known.title == "`success` in a 413 response: got 6"


def test_example_of_an_intermittent_failure_is_a_valid_request() -> None:
    """The clause for intermittent failures covers valid requests, so a valid one is shown first."""
    finding = Finding("update/intermittent", "500", "", "")
    for sent in (request(b"{", path="/"), request({"name": "a longer name"})):
        finding.add_example(Exchange(sent, 500), finding)
    first = next(iter(finding.examples.values()))
    assert first.request.rule.must_succeed


def test_example_of_a_missing_header_has_the_expected_status() -> None:
    """A 401 for a valid request has a cause of its own, so it is not the first example."""
    finding = Finding("challenge/WWW-Authenticate", "missing", "", "")
    for sent in (request({}), request({"name": "new"}, token=None)):
        finding.add_example(Exchange(sent, 401), finding)
    first = next(iter(finding.examples.values()))
    assert first.request.header("Authorization") is None


def test_hint_does_not_mention_the_token_that_is_known_to_work() -> None:
    """For a 401, the finding suggests checking the token, unless the token is FLASHBACK_TOKEN.

    The control requests have already shown that FLASHBACK_TOKEN works.
    """
    for token, start in ((WRITER, "401"), (READER, "401; check that FLASHBACK_READER_TOKEN is ")):
        [finding] = findings_in(request({}, token=token), 401)
        assert finding.got == start if token == WRITER else finding.got.startswith(start)


def test_generated_secret_may_equal_text_that_the_backend_always_returns() -> None:
    """A header that every response has is not a leak, even if a generated secret equals it."""
    headers = (("Server", "server-42"),)
    earlier = [Exchange(request({}), 200, headers=headers)]
    for known, expected in ((earlier, []), ([], ["credentials/as-it-is/returned"])):
        exchange = Exchange(request({"secret": "server-42"}), 200, headers=headers)
        findings = checks.check_safety(exchange, (), known)
        assert [finding.id for finding in findings] == expected
    leaked = Exchange(request({}), 200, headers=(("X-Token", "token-1234"),))
    assert [*checks.check_safety(leaked, ["token-1234"], [leaked])]


def test_long_non_ascii_value_causes_no_separate_finding() -> None:
    """If a backend rejects all non-ASCII values, rejecting a long one is not a separate finding."""
    [*_, finding] = findings_in(request({"key": "\u00e9" * 200}), 400)
    assert "update/key-non-ascii/400" in finding.explained_by


def test_finding_says_that_a_name_was_not_taken() -> None:
    """If a name should be taken but is not, the finding says so."""
    [*_, finding] = findings_in(request({"name": "x"}, rule="partial/name-kept"), 200, b"{}")
    assert finding.got == "200: the name was not taken"
    alone = Rule("alone/after-others", "an update", {500}, depends_on_earlier=True)
    [*_, finding] = findings_in(request({}, rule=alone), 200)
    assert finding.got == "200"


def test_request_may_get_the_same_response_as_when_sent_alone() -> None:
    """If a request gets no response when it is sent alone, getting none later is not a finding.

    However, an undocumented status, such as 418, is a finding both times.
    """
    assert findings_in(request({}, rule=Rule("alone/at-once", "an update", {0})), 0) == []
    [finding, *_] = findings_in(request({}, rule=Rule("alone/at-once", "an update", {418})), 418)
    assert finding.id == "statuses/undocumented/418"
    *documented, last = map(str, sorted(contract.RESPONSES))
    assert finding.expected == f"{', '.join(documented)} or {last}"


def test_remedy_for_status_400_mentions_the_id_option(monkeypatch: pytest.MonkeyPatch) -> None:
    """If a backend rejects even the control requests with 400, the remedy mentions `--id`."""
    monkeypatch.setattr("time.sleep", lambda _: None)
    response = Exchange(request({}), 400, body=b'{"message": "not a UUID"}')
    backend = Mock(statuses={200: 0}, latest=[], exchange=lambda _: response)
    backend.controls.return_value = [request({})]
    with pytest.raises(NoVerdictError) as caught:
        is_working(backend, Exchange(request({}), 401))
    assert 'it rejects valid updates ({"message": "not a UUID"})' in caught.value.reason
    assert "earlier requests succeeded" not in caught.value.reason
    assert "--id" in caught.value.cure


def test_concurrent_requests_are_sent_again_after_a_reset() -> None:
    """If a server resets the connection of a concurrent request, that request is sent again."""
    promise = Promise("", "", "", "")
    promise.run = Mock()
    sent = request({})
    promise.run.backend.exchange.side_effect = [Exchange(sent, 0), Exchange(sent, 200)]
    assert [exchange.status for exchange in promise.exchange_concurrently([sent])] == [200]


def test_unknown_id_is_numeric_if_other_ids_are_numeric() -> None:
    """If ids are numbers, `unknown_id` returns a number, because a router might reject a UUID."""
    assert BACKEND.unknown_id().isdecimal()

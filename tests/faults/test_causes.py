"""Tests that findings identify the broken clause, even if a backend has several faults."""

import json
import re
from collections import Counter

import pytest

from scripts.contract import environment
from support import contract
from support.options import BROKEN, MEANINGS
from tests.faults.backend import serving
from tests.faults.changes import as_user, on, reject, reply, when
from tests.faults.faults import FAULTS
from tests.faults.messages import RETRY_NOW, Answer, page
from tests.faults.runner import Names, RunResult, run_with_changes, run_with_url

# Each backend has several faults, so that fewer full runs are needed. Each fault is mapped to the
# clause that it violates.
SEVERAL_FAULTS = [
    {
        "challenge_is_missing": "challenge",
        "empty_names_are_ignored": "lengths",
        "reader_changes_the_name_despite_403": "access-levels",
        "suffix_after_the_id_is_ignored": "id-exact",
        "forbidden_update_returns_451": "statuses",
        "not_found_resets_the_connection": "id",
    },
    {
        "malformed_json_returns_500": "unreadable-body",
        "reader_gets_202": "access-levels",
        "readers_can_update_with_a_trailing_slash": "access-levels",
        "unknown_fields_are_ignored": "unknown-fields",
        "duplicate_names_are_accepted": "unique-names",
        "every_method_returns_200": "other-methods",
        "expired_token_returns_500": "unauthorized",
    },
    {
        "every_fiftieth_request_returns_500": "update",
        "two_of_seventy_connections_are_reset": "update",
    },
    {"every_error_has_the_status_200": "success-response"},
    {"chunked_bodies": "chunked", "every_error_has_the_status_500": "statuses"},
    {"missing_body_is_an_empty_update": "body", "every_update_returns_500": "update"},
    {
        "taken_name_returns_500": "unique-names",
        "admin_cannot_rename": "access-levels",
        "percent_encoded_ids_are_not_decoded": "id-encoding",
        "chunked_bodies": "chunked",
    },
]


TOKEN68 = r"(?i)bearer [a-z0-9._~+/-]+=*"
PAGE = "success-response/media-type/text-html"


def run_with_faults(*faults: str, promises: Names = "") -> RunResult:
    """Run the contract tests against a backend that has several faults."""
    changes = [FAULTS[fault].change for fault in faults]
    return run_with_changes(changes, "--max-examples", "5", promises=promises)


@pytest.mark.parametrize("faults", SEVERAL_FAULTS, ids="-".join)
def test_findings_identify_the_broken_clause(faults: dict[str, str]) -> None:
    """For each fault, a run reports one or two findings, all for the broken clause."""
    result = run_with_faults(*faults)
    found = Counter(finding["clause"]["id"] for finding in result.findings)
    assert {*found} == {*faults.values()}, result.output
    assert max(found.values()) <= 2, result.output
    assert sum("/intermittent/" in id for id in result.ids) <= 1, result.output
    assert result.status == BROKEN, result.output


def test_promise_is_not_tested_if_other_findings_hide_it() -> None:
    hidden = "test_headers_do_not_grant_access[READ]"
    result = run_with_faults("reader_can_update", promises=("test_reader_cannot", hidden))
    promise = result.promise(hidden)
    assert promise["outcome"] == "not tested", result.output
    assert promise["reason"] == "hidden by access-levels/READ/200"
    assert result.findings[0]["hides"] == 1


def test_missing_authentication_is_found_even_if_success_is_always_false() -> None:
    """If even valid updates return `success: false`, this field does not indicate a rejection."""
    changes = [
        as_user(lambda authorization: not authorization),
        on(200, lambda answer: answer.set_fields(success=False)),
    ]
    promises = "test_bad_token_answers_401[missing]"
    result = run_with_changes(changes, "--fail-on", "vendor", promises=promises)
    assert "authentication/no-token/200" in result.ids
    assert result.status == BROKEN, result.output


def test_unusable_sibling_is_the_reason_for_untested_promises() -> None:
    """If the sibling cannot be updated, that is the reason given for the untested promises."""
    change = reply(404, lambda is_for: is_for("sibling"))
    result = run_with_changes([change], promises=("test_member_can_update[W", "test_name_is"))
    reasons = {promise["reason"] for promise in result.verdict["promises"]} - {""}
    assert reasons == {"an update of the configuration in FLASHBACK_SIBLING_AI_LLM_ID returned 404"}
    assert result.ids == ["update/sibling/404"], result.output


def test_sibling_that_cannot_be_renamed_is_one_finding() -> None:
    """If the sibling rejects every name, this does not show that the name is taken."""
    change = reply(400, lambda is_for, name, role: is_for("sibling") and name and role)
    promises = ("test_member", "test_name", "test_different", "test_rejected_update", "test_other")
    result = run_with_changes([change], promises=promises)
    assert result.ids == ["update/name-plain/400"], result.output
    assert result.promise("test_rejected_update_changes_nothing")["outcome"] == "not tested"


def test_rejecting_an_update_without_changes_is_one_finding() -> None:
    """If a backend rejects updates that change nothing, the fields and values are not the cause."""
    names = ("test_member", "test_unusual_value", "test_repeated", "test_other_fields")
    result = run_with_faults("update_without_changes_returns_400", promises=names)
    assert result.ids == ["idempotent/again/400"], result.output


@pytest.mark.parametrize("fault", ["empty_objects", "empty_objects_return_500"])
def test_rejecting_an_update_without_fields_hides_no_other_cause(fault: str) -> None:
    """If a backend rejects `{}`, the tests send other control requests after a failure."""
    last = "test_answer_does_not_depend_on_earlier_requests"
    promises = ("test_first_request", "test_unreadable_body", last)
    result = run_with_faults(fault, "malformed_json_returns_500", promises=promises)
    clauses = {finding["clause"]["id"] for finding in result.findings}
    assert clauses == {"unreadable-body", "update"}, result.output
    assert result.promise(last)["outcome"] != "not tested", result.output


@pytest.mark.parametrize(
    ("fault", "id"),
    [
        ("empty_objects", "update/no-fields/400"),
        ("only_a_key_and_a_secret", "update/plain/400"),
    ],
)
def test_rejecting_an_update_hides_no_forbidden_update(fault: str, id: str) -> None:
    """If possible, requests that must be rejected contain a body that the backend accepts."""
    faults = {
        fault: id,
        "role_header_is_trusted": "access-levels/READ/200",
        "upper_case_token_is_accepted": "authentication/near-token/200",
        "api_key_header_is_accepted": "authentication/token-elsewhere/200",
        "private_address_replaces_the_token": "authentication/trusted-header/200",
        "second_token_is_used_if_the_first_is_valid": "two-tokens/two-headers/200",
        "post_performs_the_update": "other-methods/POST/200",
    }
    names = {FAULTS[name].promises for name in faults}
    result = run_with_faults(*faults, promises=(*names, "test_member"))
    assert {*result.ids} == {*faults.values()}, result.output


def test_control_requests_have_credentials_of_the_usual_form() -> None:
    """A backend that accepts the usual credentials accepts those of the control requests, too."""
    last = "test_answer_does_not_depend_on_earlier_requests"
    change = reject(lambda key: isinstance(key, str) and len(key) > 32)
    result = run_with_changes([change], promises=last)
    assert result.promise(last)["outcome"] == "kept", result.output


def test_control_requests_include_an_empty_update() -> None:
    """If the first request fails, and the usual credentials are rejected, `{}` may still work."""
    faults = ("first_request_returns_500", "only_a_key_and_a_secret", "malformed_json_returns_500")
    result = run_with_faults(*faults, promises=("test_member", "test_unreadable_body"))
    assert {"update/plain/400", "unreadable-body/server-error/500"} <= {*result.ids}, result.output


def test_source_of_one_clause_does_not_hide_another() -> None:
    """A test checks clauses from several sources, and --source selects each of them."""
    change = FAULTS["body_is_ignored_for_percent_encoded_ids"].change
    promises = "test_update_takes_effect"
    result = run_with_changes([change], "--source", "ours", promises=promises)
    assert result.ids == ["id-encoding/effect/200"], result.output


def test_promises_about_ids_are_tested_if_the_id_is_looked_up_first() -> None:
    """A 404 for a wrong id shows that it was looked up, even if the backend rejects `{}`."""
    promises = ("test_unusual_id", "test_rewritten_id", "test_member_can_update[WRITE]")
    change = on(200, FAULTS["empty_objects"].change)
    result = run_with_changes([change], promises=promises)
    outcomes = Counter(entry["outcome"] for entry in result.verdict["promises"])
    assert outcomes == {"broken": 1, "kept": 2}, result.output


def test_promises_about_ids_are_not_tested_if_updates_without_fields_are_rejected() -> None:
    """With fields, requests for ids and paths might update another configuration."""
    names = ("test_similar_id", "test_unusual_id", "test_rewritten_id", "test_similar_path")
    result = run_with_faults("empty_objects", promises=(*names, "test_member_can_update[WRITE]"))
    outcomes = Counter(entry["outcome"] for entry in result.verdict["promises"])
    assert outcomes == {"broken": 1, "not tested": len(names)}, result.output


def test_rejecting_an_update_without_changes_hides_no_other_cause() -> None:
    """Rejected repetitions explain only rejected valid updates."""
    faults = ("update_without_changes_returns_400", "unknown_id_returns_400")
    result = run_with_faults(*faults, promises=("test_member", "test_unknown_id"))
    assert result.ids == ["id/unknown/400", "idempotent/again/400"], result.output


@pytest.mark.parametrize(
    ("fault", "names"),
    [
        ("names_are_normalized_before_comparison", '"Caf\\u00e9 x" and "Cafe\\u0301 x"'),
        ("names_are_compared_after_case_folding", '"x \\u00df" and "x ss"'),
        ("names_are_trimmed_before_comparison", '"Caf\\u00e9 x " and "Caf\\u00e9 x"'),
    ],
)
def test_title_contains_both_names(fault: str, names: str) -> None:
    """The title shows how the rejected name differs from the name that is taken."""
    [finding] = run_with_faults(fault, promises="test_different_names").findings
    assert f"similar to one that is taken; {names}: got 400" in finding["title"]


def test_name_that_works_like_the_id_is_found_among_rules_from_ours() -> None:
    """The finding's curl command first sends the update that gives the configuration the name."""
    change = FAULTS["name_works_like_the_id"].change
    result = run_with_changes([change], "--source", "ours", promises="test_similar_id")
    [finding] = result.findings
    [example] = finding["examples"]
    assert "--next" in example["curl"]


def test_rename_alone_does_not_keep_the_promise_about_similar_ids() -> None:
    """If every id gets a wrong status, the promise about similar ids is not tested."""
    change = on(404, lambda answer: answer.set_status(403))
    result = run_with_changes([change], promises=("test_unknown_id", "test_similar_id"))
    assert result.promise("test_similar_id_is_rejected")["outcome"] == "not tested"


def test_title_contains_the_percent_encoded_id() -> None:
    """The title shows which percent-encoded id the backend accepts or fails to decode."""
    fault = "id_with_invalid_utf_8_returns_500"
    [finding] = run_with_faults(fault, promises="test_unusual_id").findings
    assert "An id with unusual characters; `%FF` in the path" in finding["title"]


@pytest.mark.parametrize(
    ("fault", "id"),
    [
        ("update_without_changes_returns_400", "idempotent/again/400"),
        ("taken_name_returns_500", "unique-names/taken/500"),
    ],
)
def test_effect_of_a_forbidden_update_is_found_despite_another_fault(fault: str, id: str) -> None:
    """If a name that a READ member sent is taken, no other finding explains this."""
    faults = (fault, "reader_changes_the_name_despite_403")
    names = ("test_member", "test_name_is_unique", "test_rejected_update")
    result = run_with_faults(*faults, promises=names)
    status = id.rpartition("/")[2]
    assert result.ids == [f"access-levels/applied/{status}", id], result.output


def test_server_error_for_a_nearby_path_is_one_finding() -> None:
    """It does not matter whether the request contains a token."""
    result = run_with_faults("collection_path_returns_500", promises="test_similar_path")
    assert result.ids == ["other-paths/nearby/500"], result.output


def test_server_error_without_a_token_is_one_finding() -> None:
    """It does not matter whether the path is the operation's path or a path near it."""
    change = reply(500, lambda authorization: not authorization)
    promises = ("test_bad_token_answers_401[missing]", "test_similar_path")
    result = run_with_changes([change], promises=promises)
    assert result.ids == ["unauthorized/no-token/500"], result.output


@pytest.mark.parametrize("field", contract.PROPERTIES)
def test_rejecting_a_field_on_its_own_is_one_finding(field: str) -> None:
    """A backend that needs a second field with this one rejects each value for the same reason."""
    change = reply(400, lambda fields: [*fields] == [field])
    promises = ("test_member", f"test_unusual_value_answers_200[{field}")
    result = run_with_changes([change], promises=promises)
    assert len(result.ids) == 1, result.output


def test_response_with_a_lone_surrogate_is_checked() -> None:
    """A lone surrogate in a field does not prevent the check of the field's type."""
    messages = ["key \ud800 is invalid"]
    change = on(400, lambda answer: answer.set_fields(message=messages))
    result = run_with_changes([change], promises="test_invalid_value_answers_400[key]")
    assert result.ids == ["error-response/message-type/invalid"], result.output


def test_content_encoding_is_the_reason_why_a_response_is_not_json() -> None:
    """If a body cannot be decoded because of its content coding, the finding says so."""

    def encode(answer: Answer) -> None:
        answer.set_header("Content-Encoding", "br").set_body(b"\xff" + answer.body)

    result = run_with_changes([on(400, encode)], promises="test_missing_body")
    assert result.ids == ["error-response/json/not-strict"], result.output
    expected = "a body that is not UTF-8, with `Content-Encoding: br`"
    assert result.findings[0]["got"] == expected, result.output


def test_leak_is_found_even_if_the_run_ends_without_a_verdict() -> None:
    """If a backend stays too busy, its responses are still checked for internal details."""
    trace = page(503, "at Pool.acquire (/srv/app/pool.js:45:11)", **RETRY_NOW)
    change = when(lambda count: count("any") > 12, lambda: trace)
    result = run_with_changes([change], promises="test_member_can_update")
    assert result.verdict["result"] == "no verdict"
    assert result.ids == ["internals/error/returned"], result.output


def test_login_page_is_not_described_as_an_update() -> None:
    """If a proxy returns a login page with the status 200, the finding says so."""
    change = on(401, lambda answer: answer.replace_with(page(200, "<html>Log in</html>")))
    result = run_with_changes([change], promises="test_bad_token_answers_401")
    assert result.ids == [PAGE], result.output
    assert "the update was accepted" not in result.output


def test_user_remembered_for_a_connection_is_one_finding() -> None:
    """What a request without a token gets depends on the remembered user, not on another fault."""
    promises = ("test_bad_token_answers_401[missing]", "test_answer_does_not_depend")
    result = run_with_faults("token_is_remembered_for_the_connection", promises=promises)
    assert result.ids == ["authentication/no-token/200"], result.output


def test_server_error_without_a_token_has_a_cause_of_its_own() -> None:
    """An accepted update without a token does not explain a 500 for a large body."""
    changes = [
        as_user(lambda authorization, body: not authorization and body == b"{}"),
        reply(500, lambda authorization, body: not authorization and len(body) > 60_000),
    ]
    result = run_with_changes(changes, promises="test_bad_token_answers_401[missing]")
    assert result.ids == ["authentication/no-token/200", "body-size/over/500"], result.output


def test_malformed_tokens_that_return_400_are_one_finding() -> None:
    """RFC 6750 has the status 400 for these, so many libraries reject only these with 400."""
    malformed = reply(400, lambda authorization: not re.fullmatch(TOKEN68, authorization))
    result = run_with_changes([malformed], promises=("test_similar_token", "test_other_scheme"))
    assert result.ids == ["unauthorized/malformed/400"], result.output


def test_accepted_malformed_token_does_not_explain_other_accepted_requests() -> None:
    """If a backend accepts one malformed token, the token in the query is a separate cause."""
    changes = [
        as_user(lambda token: token == "*"),
        as_user(lambda query: "access_token=owner-token" in query),
    ]
    result = run_with_changes(changes, promises=("test_similar_token", "test_token_elsewhere"))
    ids = ["authentication/malformed/200", "authentication/token-elsewhere/200"]
    assert result.ids == ids, result.output


def test_rejected_malformed_token_does_not_explain_the_order_of_checks() -> None:
    """If malformed tokens return 400, a 400 for a taken name without a token is another cause."""
    changes = [
        reply(400, lambda token: token == "*"),
        FAULTS["taken_name_is_checked_before_the_token"].change,
    ]
    result = run_with_changes(changes, promises=("test_similar_token", "test_name_is_unique"))
    assert result.ids == ["order/taken-name/400", "unauthorized/malformed/400"], result.output


def test_page_that_replaces_some_responses_is_one_finding() -> None:
    """If a few requests get an HTML page, no rule about access or effects counts as broken."""
    change = when(lambda count: count("any") % 9 == 8, lambda: page(200, "<html>Wait</html>"))
    promises = ("test_stranger", "test_rejected", "test_other_method", "test_update_takes")
    result = run_with_changes([change], promises=promises)
    assert result.ids == [PAGE], result.output


def test_rejected_expect_header_is_named_as_the_cause() -> None:
    """If a proxy rejects `Expect: 100-continue`, each finding mentions the header."""
    change = reply(417, lambda header: header("Expect"))
    names = ("test_member_can_update[WRITE]", "test_update_takes_effect_however")
    result = run_with_changes([change], promises=names)
    titles = [finding["title"] for finding in result.findings]
    assert titles, result.output
    assert all("Expect" in title for title in titles), result.output


def test_findings_with_the_greatest_impact_come_first() -> None:
    """Forbidden updates are listed first, then leaks, even if a wrong status was found earlier."""
    changes = [
        on(404, lambda answer: answer.reject(422)),
        on(400, lambda answer, secret: answer.set_fields(message=secret)),
        FAULTS["reader_can_update"].change,
        FAULTS["id_in_the_query_is_used"].change,
    ]
    promises = (
        "test_unknown_id",
        "test_reader_cannot",
        "test_invalid_value_answers_400[secret]",
        "test_id_outside_the_path_is_ignored",
    )
    result = run_with_changes(changes, promises=promises)
    clauses = [finding["clause"]["id"] for finding in result.findings]
    assert clauses[:3] == ["id", "access-levels", "credentials"], result.output
    assert "statuses" in clauses


def test_wrong_status_or_missing_header_does_not_hide_a_promise() -> None:
    changes = [on(400, lambda answer: answer.reject(422)), FAULTS["challenge_is_missing"].change]
    promises = ("test_bad_token_answers_401[unknown]", "test_missing_body_is_rejected")
    result = run_with_changes(changes, promises=(*promises, "test_every_response[c"))
    assert "challenge/WWW-Authenticate/missing" in result.ids
    assert "statuses/undocumented/422" in result.ids
    for name in promises:
        assert result.promise(name)["outcome"] != "not tested", result.output


def test_promise_that_is_cut_short_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """A promise counts as untested if a finding for another promise cuts its test short."""
    monkeypatch.setattr("support.promise.BUDGET_PER_PROMISE", 0.0)
    cut_short = "test_valid_request_works_after_every_rejected_one"
    all_responses = "test_every_response[internals]"
    promises = ("test_unreadable_body", cut_short, all_responses)
    result = run_with_faults("malformed_json_returns_500", promises=promises)
    for name in (cut_short, all_responses):
        assert result.promise(name)["outcome"] == "not tested", result.output


def test_finding_does_not_contain_a_token_from_the_media_type() -> None:
    def leak(tokens: dict[str, str], answer: Answer) -> None:
        answer.set_header("Content-Type", f"text/{tokens['owner']}9")

    result = run_with_changes([leak], promises="test_member_can_update")
    assert "success-response/media-type/unusual" in result.ids, result.output
    assert "owner-token" not in result.output + json.dumps(result.verdict)


def test_name_conflict_with_a_wrong_status_does_not_hide_missing_authentication() -> None:
    """An update applied without a token is reported, even if name conflicts get a 500."""
    faults = ("unauthenticated_update_changes_the_name", "taken_name_returns_500")
    result = run_with_faults(*faults, promises=("test_name_is_unique", "test_rejected_update"))
    assert "authentication/applied/500" in result.ids, result.output


def test_applied_update_is_attributed_only_to_the_user_who_sent_it() -> None:
    """If `--source` excludes the rule about tokens, no other user is blamed for the update."""
    changes = [FAULTS["unauthenticated_update_changes_the_name"].change]
    result = run_with_changes(changes, "--source", "vendor,ours", promises="test_rejected_update")
    assert result.ids == ["all-or-nothing/rejected/400"], result.output


def test_intermittent_error_does_not_hide_missing_access_control() -> None:
    """A run reports a backend that accepts only every second unauthorized update."""
    result = run_with_faults(
        "every_second_update_by_a_stranger_is_accepted", promises="test_stranger"
    )
    assert "workspace-access/stranger/200" in result.ids, result.output


@pytest.mark.parametrize("number", [1, 10])
def test_intermittent_error_is_not_attributed_to_the_request(number: int) -> None:
    """A failure that does not recur is reported separately, as an intermittent failure."""
    once = reply(500, lambda role, count: role == "reader" and count("reader") == number)
    usual = reply(404, lambda role: role == "reader")
    result = run_with_changes([once, usual], promises="test_reader_cannot")
    assert result.ids == ["access-levels/READ/404", "update/intermittent/500"], result.output


def test_intermittent_error_for_a_rule_of_ours_is_not_attributed_to_the_page() -> None:
    """If only requests that test rules from `ours` sometimes fail, the source is `ours`."""
    change = reply(500, lambda text, count: text("unknown") and count("unknown") == 1)
    result = run_with_changes([change], promises="test_unknown_field")
    assert result.ids == ["alone/intermittent/500"], result.output
    assert result.findings[0]["source"] == "ours"


@pytest.mark.parametrize(
    ("variable", "value", "id"),
    [
        ("FLASHBACK_ADMIN_TOKEN", "unknown-token", "access-levels/ADMIN/401"),
        ("FLASHBACK_READER_TOKEN", "other-writer", "access-levels/READ/200"),
        ("FLASHBACK_STRANGER_TOKEN", "unknown-token", "workspace-access/stranger/401"),
        ("FLASHBACK_EXPIRED_TOKEN", "other-writer", "authentication/expired/200"),
        ("FLASHBACK_FOREIGN_AI_LLM_ID", "no-such-id", "workspace-access/foreign/404"),
        ("FLASHBACK_SIBLING_AI_LLM_ID", "no-such-id", "update/sibling/404"),
    ],
)
def test_finding_names_the_variable_that_may_be_wrong(variable: str, value: str, id: str) -> None:
    """If a variable has the wrong value, the finding says which variable to check."""
    with serving() as mock:
        mock.add_member("other", access="WRITE", workspace="acme", token="other-writer")
        variables = environment(mock.tokens, mock.ids) | {variable: value}
        promises = ("test_member", "test_reader", "test_stranger", "test_bad", "test_foreign")
        result = run_with_url(mock.base_url, variables, promises=promises)
    got = {finding["id"]: finding["got"] for finding in result.findings}
    assert f"check that {variable} is {MEANINGS[variable]}" in got[id]

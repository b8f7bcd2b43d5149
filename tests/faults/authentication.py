# ruff: noqa: D103 - the name says what is wrong
"""Backends that let the wrong tokens in, or refuse the right ones."""

import base64
from urllib.parse import unquote

from tests.faults.backend import Answer, Request
from tests.faults.changes import Changes

FAULTS = Changes("authentication")


def _basic(request: Request) -> str:
    """The credentials under the Basic scheme, decoded."""
    try:
        return (
            base64.b64decode(request.token).decode()
            if request.authorization[:6] == "Basic "
            else ""
        )
    except ValueError:
        return ""


def _has_a_wrong_type(request: Request) -> bool:
    return any(not isinstance(value, str) for value in request.fields.values())


FAULTS.grants(
    "test_near_token_answers_401",
    any_token_with_a_lower_case_scheme_only=lambda request: request.authorization.startswith(
        "bearer "
    ),
)
FAULTS.grants(
    "test_bad_token_answers_401 and missing",
    missing_token_is_the_owners=lambda request: "authorization" not in request.headers,
    missing_token_may_change_nothing_only=lambda request: (
        request.authorization == "" and not request.fields
    ),
    missing_token_in_chunks_only=lambda request: not request.authorization and request.is_chunked,
    missing_token_with_an_escaped_id_only=lambda request: (
        not request.authorization and "%" in request.path
    ),
    missing_token_at_the_sibling_only=lambda request: (
        not request.authorization and request.is_for("sibling")
    ),
    missing_token_for_the_endpoint_only=lambda request: (
        not request.authorization and request.names == ["endpoint"]
    ),
)
FAULTS.grants(
    "test_near_token_answers_401",
    token_with_a_suffix=lambda request: request.token.startswith("owner-token"),
    token_with_a_prefix=lambda request: request.token.endswith("owner-token"),
    token_in_other_case=lambda request: request.token.lower() == "owner-token",
    token_in_upper_case_only=lambda request: request.token == "OWNER-TOKEN",
    token_without_its_last_letter_only=lambda request: request.token == "owner-toke",
    token_in_base64=lambda request: request.token == base64.b64encode(b"owner-token").decode(),
    unsigned_json_web_token=lambda request: (
        request.token.count(".") == 2 and request.token.endswith(".")
    ),
    two_tokens_in_one=lambda request: "owner-token" in request.token.split(","),
    token_with_percent_escapes=lambda request: unquote(request.token) == "owner-token",
    expired_token_with_a_suffix_only=lambda request: request.token == "expired-tokenx",
    token_before_a_dot_only=lambda request: request.token.partition(".")[0] == "owner-token",
)
FAULTS.answers(
    "test_near_token_answers_401",
    500,
    long_token_fails=lambda request: len(request.token) > 1000,
    token_not_in_ascii_fails=lambda request: not request.token.isascii(),
)
FAULTS.grants(
    "test_near_token_answers_401",
    "stranger",
    unknown_token_is_a_stranger=lambda request: request.token and not request.role,
    stranger_token_with_a_prefix_only=lambda request: request.token.endswith("stranger-token"),
)
FAULTS.grants(
    "test_other_scheme_answers_401",
    empty_token_is_the_owners=lambda request: request.authorization in ("Bearer", "Bearer "),
    any_scheme=lambda request: request.token == "owner-token",
    no_scheme=lambda request: request.authorization == "owner-token",
    basic_credentials=lambda request: request.authorization.startswith("Basic b3duZXItdG9rZW46"),
    basic_with_the_token_as_password=lambda request: _basic(request).endswith(":owner-token"),
    basic_with_no_user_only=lambda request: _basic(request) == ":owner-token",
    basic_with_the_token_as_user_only=lambda request: _basic(request) == "owner-token:",
    basic_with_a_user_only=lambda request: _basic(request) == "user:owner-token",
    basic_with_the_token_alone_only=lambda request: _basic(request) == "owner-token",
    token_as_a_parameter_only=lambda request: (
        request.authorization in ("Token token=owner-token", 'Token token="owner-token"')
    ),
)
FAULTS.grants(
    "test_token_elsewhere_answers_401",
    token_in_the_query=lambda request: "access_token=owner-token" in request.query,
    token_in_a_cookie=lambda request: "token=owner-token" in request.headers.get("cookie", ""),
    token_as_api_key=lambda request: request.headers.get("x-api-key") == "owner-token",
)
FAULTS.changes_request(
    "test_token_elsewhere_answers_401",
    token_in_the_body=lambda request: (
        request.fields.get("access_token") == "owner-token" and request.as_user().set_body(b"{}")
    ),
)
FAULTS.grants(
    "test_no_header_replaces_a_token",
    user_in_a_header_only=lambda request: (
        not request.authorization and "x-forwarded-user" in request.headers
    ),
    this_machine_is_trusted_only=lambda request: "127.0.0.1" in request.headers.values(),
)
FAULTS.changes_answer(
    "test_scheme_counts_in_any_case",
    scheme_counts_in_its_case=lambda request, answer: (
        request.authorization[:1] == "b" and answer.refuse(401)
    ),
    scheme_in_capitals_only=lambda request, answer: (
        request.authorization[:6] == "BEARER" and answer.refuse(401)
    ),
)
FAULTS.grants_to(
    "expired",
    "test_bad_token_answers_401 and expired",
    expired_token=lambda _: True,
    expired_token_may_rename_only=lambda request: "name" in request.names,
    expired_token_may_change_nothing_only=lambda request: request.body == b"{}",
    expired_token_may_update_the_sibling_only=lambda request: request.is_for("sibling"),
    expired_token_in_chunks_only=lambda request: request.is_chunked,
)
FAULTS.answers(
    "test_bad_token_answers_401 and expired",
    403,
    expired_token_is_forbidden=lambda request: request.role == "expired",
    expired_token_is_forbidden_elsewhere_only=lambda request: (
        request.role == "expired" and request.is_for("foreign")
    ),
)
FAULTS.answers(
    "test_bad_token_answers_401",
    400,
    parsed_body_is_judged_before_the_token=lambda request: (
        not request.role and request.is_json and request.body[:1] != b"{"
    ),
    types_are_judged_before_the_token_only=lambda request: (
        not request.role and _has_a_wrong_type(request)
    ),
)
FAULTS.answers(
    "test_bad_token_answers_401",
    404,
    id_is_judged_before_the_token=lambda request: (
        not request.role and len(request.id) == 36 and request.id not in request.ids.values()
    ),
    long_id_is_judged_before_the_token_only=lambda request: len(request.id) > 255,
)
FAULTS.grants(
    "test_bad_token_answers_401 and unknown",
    unknown_token_may_change_nothing_only=lambda request: (
        request.token and not request.role and request.body == b"{}"
    ),
)
FAULTS.answers(
    "test_bad_token_answers_401 and unknown",
    404,
    unknown_token_is_told_of_unknown_ids_only=lambda request: (
        request.token
        and not request.role
        and len(request.id) == 36
        and request.id not in request.ids.values()
    ),
)
FAULTS.changes_answer(
    "test_bad_token_answers_401 or test_near_token_answers_401",
    no_challenge=lambda _, answer: answer.drop_header("WWW-Authenticate"),
    expired_token_gets_no_challenge_only=lambda request, answer: (
        request.role == "expired" and answer.drop_header("WWW-Authenticate")
    ),
)
FAULTS.changes_answer(
    "test_bad_token_answers_401 or test_near_token_answers_401",
    401,
    challenge_of_another_scheme=lambda _, answer: answer.set_header("WWW-Authenticate", "Basic"),
    bad_token_answers_403=lambda _, answer: answer.refuse(403),
    bad_token_answers_a_page=lambda request, answer: (
        request.token and answer.set_header("Content-Type", "text/html")
    ),
)


@FAULTS.before("test_answer_does_not_depend_on_what_came_before")
def connection_remembers_the_token(request: Request) -> None:
    who = request.memory.setdefault(request.connection, request.role)
    if who and not request.authorization:
        request.as_user(who)


@FAULTS.before("test_answer_does_not_depend_on_what_came_before")
def last_token_counts_for_the_next_request_only(request: Request) -> None:
    before, request.memory["last"] = request.memory.get("last"), request.role
    if before and not request.authorization:
        request.as_user(before)


FAULTS.grants(
    "test_near_token_answers_401",
    "admin",
    admin_token_with_a_suffix_only=lambda request: request.token.startswith("admin-token"),
)
FAULTS.grants(
    "test_near_token_answers_401",
    "reader",
    reader_token_in_other_case_only=lambda request: request.token.lower() == "reader-token",
)
FAULTS.grants(
    "test_other_scheme_answers_401",
    "admin",
    admin_under_another_scheme_only=lambda request: request.authorization == "Token admin-token",
    admin_with_basic_credentials_only=lambda request: _basic(request).endswith(":admin-token"),
)
FAULTS.changes_request(
    "test_bad_token_answers_401 and missing",
    missing_token_of_a_browser_is_shown_a_page_only=lambda request: (
        not request.authorization
        and "text/html" in request.headers.get("accept", "")
        and Answer(302, b"", Location="/login")
    ),
)
FAULTS.answers(
    "test_bad_token_answers_401 and expired",
    404,
    expired_token_is_told_of_unknown_ids_only=lambda request: (
        request.role == "expired" and request.id not in request.ids.values()
    ),
)
FAULTS.answers(
    "test_bad_token_answers_401 and expired",
    400,
    expired_token_is_judged_after_the_types_only=lambda request: (
        request.role == "expired" and _has_a_wrong_type(request)
    ),
)
FAULTS.grants(
    "test_two_tokens_give_no_more_than_one",
    two_tokens_are_the_owners=lambda request: len(request.authorizations) > 1,
    second_token_counts_after_a_check_of_the_first=lambda request: (
        len(request.authorizations) > 1
        and request.authorizations[0] == f"Bearer {request.tokens['reader']}"
    ),
)
FAULTS.answers(
    "test_two_tokens_give_no_more_than_one",
    500,
    two_tokens_fail_only=lambda request: len(request.authorizations) > 1,
)
FAULTS.changes_answer(
    "test_every_response and challenge",
    401,
    challenge_is_another_one_only=lambda _, answer: answer.set_header(
        "WWW-Authenticate", "Negotiate"
    ),
)

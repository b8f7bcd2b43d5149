# ruff: noqa: D103 - the name says what is wrong
"""Backends that let the wrong tokens in, or refuse the right ones."""

import base64
from urllib.parse import unquote

from tests.faults.changes import Changes, as_user, promote, reply
from tests.faults.messages import Answer, Request

FAULTS = Changes()


def _basic(request: Request) -> str:
    """Return the decoded credentials of the Basic scheme."""
    if not request.authorization.startswith("Basic "):
        return ""
    try:
        return base64.b64decode(request.token).decode()
    except ValueError:
        return ""


FAULTS.where(
    "test_bad_token_answers_401 and missing",
    lambda request: request.as_user() if not request.authorization else None,
    missing_token_may_change_nothing=lambda request: not request.fields,
    missing_token_in_chunks=lambda request: request.is_chunked,
    missing_token_with_an_escaped_id=lambda request: "%" in request.path,
    missing_token_at_the_sibling=lambda request: request.is_for("sibling"),
    missing_token_for_the_endpoint=lambda request: request.names == ["endpoint"],
)
FAULTS.where(
    "test_bad_token_answers_401 and missing",
    lambda _: Answer(302, b"", Location="/login"),
    missing_token_of_a_browser_is_redirected=lambda request: (
        not request.authorization and "text/html" in request.header("Accept")
    ),
)
FAULTS.where(
    "test_near_token_answers_401",
    as_user("owner"),
    any_token_with_a_lower_case_scheme=lambda request: request.authorization.startswith("bearer "),
    token_with_a_prefix=lambda request: request.token.endswith("owner-token"),
    token_in_upper_case=lambda request: request.token == "OWNER-TOKEN",
    token_without_its_last_letter=lambda request: request.token == "owner-toke",
    token_in_base64=lambda request: request.token == base64.b64encode(b"owner-token").decode(),
    token_before_a_dot=lambda request: request.token.partition(".")[0] == "owner-token",
    token_with_percent_escapes=lambda request: unquote(request.token) == "owner-token",
    two_tokens_in_one=lambda request: "owner-token" in request.token.split(","),
    unsigned_json_web_token=lambda request: (
        request.token.count(".") == 2 and request.token.endswith(".")
    ),
    expired_token_with_a_suffix=lambda request: request.token == "expired-tokenx",
)
FAULTS.where(
    "test_near_token_answers_401",
    reply(500),
    long_token_fails=lambda request: len(request.token) > 1000,
    token_not_in_ascii_fails=lambda request: not request.token.isascii(),
)
FAULTS.where(
    "test_near_token_answers_401",
    as_user("admin"),
    admin_token_with_a_suffix=lambda request: request.token.startswith("admin-token"),
)
FAULTS.where(
    "test_other_scheme_answers_401",
    as_user("owner"),
    empty_token_is_the_owners=lambda request: request.authorization in ("Bearer", "Bearer "),
    any_scheme=lambda request: request.token == "owner-token",
    no_scheme=lambda request: request.authorization == "owner-token",
    basic_without_a_user=lambda request: _basic(request) == ":owner-token",
    basic_with_the_token_as_user=lambda request: _basic(request) == "owner-token:",
    basic_with_a_user=lambda request: _basic(request) == "user:owner-token",
    basic_without_a_colon=lambda request: _basic(request) == "owner-token",
    token_as_a_parameter=lambda request: (
        request.authorization in ("Token token=owner-token", 'Token token="owner-token"')
    ),
)
FAULTS.where(
    "test_other_scheme_answers_401",
    as_user("admin"),
    admin_under_another_scheme=lambda request: request.authorization == "Token admin-token",
    admin_with_basic_credentials=lambda request: _basic(request).endswith(":admin-token"),
)
FAULTS.where(
    "test_token_elsewhere_answers_401",
    as_user("owner"),
    token_in_the_query=lambda request: "access_token=owner-token" in request.query,
    token_in_a_cookie=lambda request: "token=owner-token" in request.header("Cookie"),
    token_as_api_key=lambda request: request.header("X-API-Key") == "owner-token",
)
FAULTS.where(
    "test_token_elsewhere_answers_401",
    lambda request: request.as_user().set_body(b"{}"),
    token_in_the_body=lambda request: request.text("access_token") == "owner-token",
)
FAULTS.where(
    "test_no_header_replaces_a_token",
    as_user("owner"),
    user_in_a_header=lambda request: (
        not request.authorization and request.header("X-Forwarded-User")
    ),
    this_machine_is_trusted=lambda request: "127.0.0.1" in request.headers.values(),
)
FAULTS.where(
    "test_scheme_is_case_insensitive",
    reply(401),
    scheme_in_lower_case_is_unknown=lambda request: request.authorization.startswith("bearer"),
    scheme_in_capitals_is_unknown=lambda request: request.authorization.startswith("BEARER"),
)
FAULTS.where(
    "test_bad_token_answers_401 and expired",
    promote("expired"),
    expired_token_may_rename=lambda request: "name" in request.names,
    expired_token_may_change_nothing=lambda request: request.body == b"{}",
    expired_token_may_update_the_sibling=lambda request: request.is_for("sibling"),
    expired_token_in_chunks=lambda request: request.is_chunked,
)
FAULTS.where(
    "test_bad_token_answers_401 and expired",
    reply(403, to="expired"),
    expired_token_is_forbidden_elsewhere=lambda request: request.is_for("foreign"),
)
FAULTS.where(
    "test_bad_token_answers_401",
    reply(400, to=""),
    parsed_body_is_judged_before_the_token=lambda request: (
        request.is_json and not request.body.startswith(b"{")
    ),
    types_are_judged_before_the_token=lambda request: any(
        not isinstance(value, str) for value in request.fields.values()
    ),
)
FAULTS.where(
    "test_bad_token_answers_401",
    reply(404, to=""),
    long_id_is_judged_before_the_token=lambda request: len(request.id) > 255,
)
FAULTS.where(
    "test_bad_token_answers_401 and unknown",
    reply(404, to=""),
    unknown_token_finds_unknown_ids=lambda request: (
        request.token and len(request.id) == 36 and not request.has_known_id
    ),
)
FAULTS.where(
    "test_bad_token_answers_401 and unknown",
    promote(""),
    unknown_token_may_change_nothing=lambda request: request.token and request.body == b"{}",
)
FAULTS.changes_answer(
    "test_bad_token_answers_401 or test_near_token_answers_401",
    401,
    no_challenge=lambda _, answer: answer.drop_header("WWW-Authenticate"),
    expired_token_gets_no_challenge=lambda request, answer: (
        request.role == "expired" and answer.drop_header("WWW-Authenticate")
    ),
    unknown_token_gets_a_page=lambda request, answer: (
        request.token and answer.set_header("Content-Type", "text/html")
    ),
)
FAULTS.changes_answer(
    "test_every_response and challenge",
    401,
    challenge_of_another_scheme=lambda _, answer: answer.set_header(
        "WWW-Authenticate", "Negotiate"
    ),
)
FAULTS.where(
    "test_two_tokens_give_no_more_than_one",
    as_user("owner"),
    second_token_counts_after_a_check_of_the_first=lambda request: (
        len(request.headers.getall("Authorization", [])) > 1 and request.role == "reader"
    ),
)
FAULTS.where(
    "test_two_tokens_give_no_more_than_one",
    reply(500),
    two_tokens_fail=lambda request: len(request.headers.getall("Authorization", [])) > 1,
)


@FAULTS.before("test_answer_does_not_depend_on_earlier_requests")
def connection_remembers_the_token(request: Request) -> None:
    user = request.memory.setdefault(request.connection, request.role)
    if user and not request.authorization:
        request.as_user(user)


@FAULTS.before("test_answer_does_not_depend_on_earlier_requests")
def last_token_counts_for_the_next_request(request: Request) -> None:
    user = request.previous("role", request.role)
    if user and not request.authorization:
        request.as_user(user)

"""Backends that accept invalid tokens, or refuse valid ones."""

import base64
from urllib.parse import unquote

from tests.faults.changes import Changes, as_user, promote, reply
from tests.faults.messages import Answer, Request

FAULTS = Changes()


def _basic(request: Request) -> str:
    if not request.authorization.startswith("Basic "):
        return ""
    try:
        return base64.b64decode(request.token).decode()
    except ValueError:
        return ""


async def _refuse_taken_name(request: Request, answer: Answer) -> None:
    if request.is_for("sibling") and request.name == await request.name_of(request.ids["main"]):
        answer.refuse(400)


FAULTS.where(
    "test_bad_token_answers_401[missing]",
    lambda _: Answer(302, b"", Location="/login"),
    browser_without_a_token_is_redirected=lambda request: (
        not request.authorization and "text/html" in request.header("Accept")
    ),
)
FAULTS.where(
    "test_near_token_answers_401",
    as_user("owner"),
    any_token_is_accepted_with_a_lower_case_scheme=lambda request: request.authorization.startswith(
        "bearer "
    ),
    prefix_before_the_token_is_ignored=lambda request: request.token.endswith("owner-token"),
    upper_case_token_is_accepted=lambda request: request.token == "OWNER-TOKEN",
    token_without_its_last_character_is_accepted=lambda request: request.token == "owner-toke",
    base64_encoded_token_is_accepted=lambda request: (
        request.token == base64.b64encode(b"owner-token").decode()
    ),
    suffix_after_a_dot_is_ignored=lambda request: request.token.partition(".")[0] == "owner-token",
    percent_encoded_token_is_accepted=lambda request: unquote(request.token) == "owner-token",
    comma_separated_tokens_are_accepted=lambda request: "owner-token" in request.token.split(","),
    unsigned_json_web_token_is_accepted=lambda request: (
        request.token.count(".") == 2 and request.token.endswith(".")
    ),
    expired_token_with_a_suffix_is_accepted=lambda request: request.token == "expired-tokenx",
)
FAULTS.where(
    "test_near_token_answers_401",
    reply(500),
    long_token_returns_500=lambda request: len(request.token) > 1000,
    non_ascii_token_returns_500=lambda request: not request.token.isascii(),
)
FAULTS.where(
    "test_other_scheme_answers_401",
    as_user("owner"),
    empty_token_is_accepted=lambda request: request.authorization in ("Bearer", "Bearer "),
    token_is_accepted_with_any_scheme=lambda request: request.token == "owner-token",
    token_is_accepted_without_a_scheme=lambda request: request.authorization == "owner-token",
    token_is_accepted_as_basic_user=lambda request: _basic(request) == "owner-token:",
    token_is_accepted_as_basic_password=lambda request: _basic(request) == "user:owner-token",
    token_is_accepted_as_a_parameter=lambda request: (
        request.authorization in ("Token token=owner-token", 'Token token="owner-token"')
    ),
    admin_token_is_accepted_with_another_scheme=lambda request: (
        request.authorization == "Token admin-token"
    ),
)
FAULTS.where(
    "test_token_elsewhere_answers_401",
    as_user("owner"),
    token_in_the_query_is_accepted=lambda request: "access_token=owner-token" in request.query,
    token_in_a_cookie_is_accepted=lambda request: "token=owner-token" in request.header("Cookie"),
    token_in_an_api_key_header_is_accepted=lambda request: (
        request.header("X-API-Key") == "owner-token"
    ),
)
FAULTS.where(
    "test_token_elsewhere_answers_401",
    lambda request: request.as_user().set_body(b"{}"),
    token_in_the_body_is_accepted=lambda request: request.text("access_token") == "owner-token",
)
FAULTS.where(
    "test_no_header_replaces_a_token",
    as_user("owner"),
    user_header_replaces_the_token=lambda request: (
        not request.authorization and request.header("X-Forwarded-User")
    ),
    loopback_address_in_a_header_replaces_the_token=lambda request: (
        "127.0.0.1" in request.headers.values()
    ),
)
FAULTS.where(
    "test_scheme_is_case_insensitive",
    reply(401),
    lower_case_scheme_returns_401=lambda request: request.authorization.startswith("bearer"),
)
FAULTS.where(
    "test_bad_token_answers_401[expired]",
    reply(403, to="expired"),
    expired_token_returns_403_for_the_foreign_id=lambda request: request.is_for("foreign"),
)
FAULTS.where(
    "test_bad_token_answers_401",
    reply(400, to=""),
    parsed_body_is_checked_before_the_token=lambda request: (
        request.is_json and not request.body.startswith(b"{")
    ),
    types_are_checked_before_the_token=lambda request: any(
        not isinstance(value, str) for value in request.fields.values()
    ),
)
FAULTS.changes_answer(
    "test_name_is_unique_in_its_workspace",
    401,
    taken_name_is_checked_before_the_token=_refuse_taken_name,
)
FAULTS.where(
    "test_bad_token_answers_401[unknown]",
    reply(404, to=""),
    unknown_id_is_checked_before_the_token=lambda request: (
        request.token and len(request.id) == 36 and not request.has_known_id
    ),
)
FAULTS.where(
    "test_bad_token_answers_401[unknown]",
    promote(""),
    unknown_token_may_send_an_empty_update=lambda request: request.token and request.body == b"{}",
)
FAULTS.changes_answer(
    "test_bad_token_answers_401",
    401,
    challenge_is_missing=lambda _, answer: answer.drop_header("WWW-Authenticate"),
)
FAULTS.changes_answer(
    "test_every_response[challenge]",
    401,
    challenge_has_another_scheme=lambda _, answer: answer.set_header(
        "WWW-Authenticate", "Negotiate"
    ),
)
FAULTS.where(
    "test_two_tokens_give_no_more_than_one",
    as_user("owner"),
    second_token_is_used_if_the_first_is_valid=lambda request: (
        len(request.headers.getall("Authorization", [])) > 1 and request.role == "reader"
    ),
)
FAULTS.where(
    "test_two_tokens_give_no_more_than_one",
    reply(500),
    two_tokens_return_500=lambda request: len(request.headers.getall("Authorization", [])) > 1,
)


@FAULTS.before("test_answer_does_not_depend_on_earlier_requests")
def token_is_remembered_for_the_connection(request: Request) -> None:
    user = request.memory.setdefault(request.connection, request.role)
    if user and not request.authorization:
        request.as_user(user)

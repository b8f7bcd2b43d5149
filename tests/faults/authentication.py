"""Backends that accept invalid tokens, or reject valid ones."""

import base64
from urllib.parse import unquote

from tests.faults.changes import as_user, faults, on, promote, reply, set_header, when
from tests.faults.messages import Answer, Request

BASE64_TOKEN = base64.b64encode(b"owner-token").decode()
BASIC_USER = "Basic " + base64.b64encode(b"owner-token:").decode()
BASIC_PASSWORD = "Basic " + base64.b64encode(b"user:owner-token").decode()


faults(
    "test_bad_token_answers_401[missing]",
    browser_without_a_token_is_redirected=when(
        lambda authorization, header: not authorization and "text/html" in header("Accept"),
        lambda: Answer(302, b"", Location="/login"),
    ),
)
faults(
    "test_similar_token_answers_401",
    any_token_is_accepted_with_a_lower_case_scheme=as_user(
        lambda authorization: authorization.startswith("bearer ")
    ),
    prefix_before_the_token_is_ignored=as_user(lambda token: token.endswith("owner-token")),
    upper_case_token_is_accepted=as_user(lambda token: token == "OWNER-TOKEN"),
    token_without_its_last_character_is_accepted=as_user(lambda token: token == "owner-toke"),
    encoded_token_is_accepted=as_user(lambda token: token == BASE64_TOKEN),
    suffix_after_a_dot_is_ignored=as_user(lambda token: token.split(".")[0] == "owner-token"),
    percent_encoded_token_is_accepted=as_user(lambda token: unquote(token) == "owner-token"),
    comma_separated_tokens_are_accepted=as_user(lambda token: "owner-token" in token.split(",")),
    unsigned_json_web_token_is_accepted=as_user(
        lambda token: token.count(".") == 2 and token.endswith(".")
    ),
    expired_token_with_a_suffix_is_accepted=as_user(lambda token: token == "expired-tokenx"),
    long_token_returns_500=reply(500, lambda token: len(token) > 1000),
    non_ascii_token_returns_500=reply(500, lambda token: not token.isascii()),
)
faults(
    "test_other_scheme_answers_401",
    empty_token_is_accepted=as_user(lambda authorization: authorization in ("Bearer", "Bearer ")),
    token_is_accepted_with_any_scheme=as_user(lambda token: token == "owner-token"),
    bare_token_is_accepted=as_user(lambda authorization: authorization == "owner-token"),
    basic_user_is_accepted=as_user(lambda authorization: authorization == BASIC_USER),
    basic_password_is_accepted=as_user(lambda authorization: authorization == BASIC_PASSWORD),
    parameter_is_accepted=as_user(lambda token: token.replace('"', "") == "token=owner-token"),
    admin_token_is_accepted_with_any_scheme=as_user(lambda token: token == "admin-token"),
)
faults(
    "test_token_elsewhere_answers_401",
    token_in_the_query_is_accepted=as_user(lambda query: "access_token=owner-token" in query),
    token_in_a_cookie_is_accepted=as_user(lambda header: "token=owner-token" in header("Cookie")),
    api_key_header_is_accepted=as_user(lambda header: header("X-API-Key") == "owner-token"),
    token_in_the_body_is_accepted=when(
        lambda text: text("access_token") == "owner-token",
        lambda request: request.as_user("owner").set_body(b"{}"),
    ),
)
faults(
    "test_no_header_replaces_a_token",
    user_header_replaces_the_token=as_user(
        lambda authorization, header: not authorization and header("X-Forwarded-User")
    ),
    user_from_a_proxy_replaces_the_token=as_user(
        lambda header: header("Remote-User") or header("X-Auth-Request-User")
    ),
    private_address_replaces_the_token=as_user(
        lambda header: header("X-Forwarded-For").startswith("10.")
    ),
    loopback_address_replaces_the_token=as_user(lambda headers: "127.0.0.1" in headers.values()),
)
faults(
    "test_scheme_is_case_insensitive",
    lower_case_scheme_returns_401=reply(401, lambda authorization: authorization[:6] == "bearer"),
)
faults(
    "test_bad_token_answers_401[expired]",
    expired_token_returns_500=reply(500, lambda role: role == "expired"),
    expired_token_returns_403_for_the_foreign_id=reply(
        403, lambda role, is_for: role == "expired" and is_for("foreign")
    ),
)
faults(
    "test_bad_token_answers_401",
    parsed_body_is_checked_first=reply(
        400, lambda role, is_json, body: not role and is_json and not body.startswith(b"{")
    ),
    endpoint_is_checked_first=reply(400, lambda role, endpoint: not role and endpoint == "x"),
    type_is_checked_first=reply(400, lambda role, ai_type: not role and ai_type == "NONE"),
    types_are_checked_first=reply(400, lambda role, non_strings: not role and non_strings),
    challenge_is_missing=on(401, lambda answer: answer.drop_header("WWW-Authenticate")),
)
faults(
    "test_bad_token_answers_401[unknown]",
    unknown_id_is_checked_first=reply(
        404,
        lambda role, token, id, ids: token and not role and id not in ids.values(),
    ),
    unknown_token_may_send_an_empty_update=promote("", lambda token, body: token and body == b"{}"),
)
faults(
    "test_every_response[challenge]",
    challenge_has_another_scheme=set_header(401, "WWW-Authenticate", "Negotiate"),
)


def _has_two_tokens(request: Request) -> bool:
    return len(request.headers.getall("Authorization", [])) > 1


faults(
    "test_two_tokens_grant_no_more_access_than_one",
    second_token_is_used_if_the_first_is_valid=promote("reader", _has_two_tokens),
    two_tokens_return_500=reply(500, _has_two_tokens),
)

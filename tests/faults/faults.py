# ruff: noqa: D103 - the name says what is wrong
"""Backends that break the contract, each in one way: the contract tests must catch them all.

A fault is one expression in a table, or a function of a line or three under a decorator. Both name
the promises of which one must break, as an expression for pytest's `-k`. One that is not caught
yet says why it `survives`, and turns red once it is caught after all.
"""

import asyncio
import base64
import codecs
import hashlib
import json
import re
import unicodedata
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from tests.faults.harness import Answer, Asked, Changes, accepted, refused

FAULTS = Changes()
TYPES = {"OPENAI", "GOOGLE", "ANTHROPIC", "AWS", "OTHER"}
FIELDS = {"name", "aiType", "endpoint", "key", "secret"}


def _basic(asked: Asked) -> str:
    """The credentials under the Basic scheme, decoded."""
    try:
        return base64.b64decode(asked.token).decode() if asked.authorization[:6] == "Basic " else ""
    except ValueError:
        return ""


# Authentication -----------------------------------------------------------------------------------
FAULTS.family = "authentication"
FAULTS.asks(
    "test_bad_token_comes_first and missing",
    missing_token_is_the_owners=lambda a: "authorization" not in a.headers and a.by(),
    missing_token_may_change_nothing_only=lambda a: (
        a.authorization == "" and not a.fields and a.by()
    ),
)
FAULTS.asks(
    "test_near_token_answers_401",
    token_with_a_suffix=lambda a: a.token.startswith("owner-token") and a.by(),
    token_with_a_prefix=lambda a: a.token.endswith("owner-token") and a.by(),
    token_in_other_case=lambda a: a.token.lower() == "owner-token" and a.by(),
    token_in_upper_case_only=lambda a: a.token == "OWNER-TOKEN" and a.by(),
    token_without_its_last_letter_only=lambda a: a.token == "owner-toke" and a.by(),
    token_in_base64=lambda a: a.token == base64.b64encode(b"owner-token").decode() and a.by(),
    unsigned_json_web_token=lambda a: a.token.count(".") == 2 and a.token.endswith(".") and a.by(),
    two_tokens_in_one=lambda a: "owner-token" in a.token.split(",") and a.by(),
    long_token_fails=lambda a: len(a.token) > 1000 and refused(500),
    token_not_in_ascii_fails=lambda a: not a.token.isascii() and refused(500),
    unknown_token_is_a_stranger=lambda a: a.token and not a.who and a.by("stranger"),
    token_with_percent_escapes=lambda a: unquote(a.token) == "owner-token" and a.by(),
)
FAULTS.asks(
    "test_other_scheme_answers_401",
    empty_token_is_the_owners=lambda a: a.authorization in ("Bearer", "Bearer ") and a.by(),
    any_scheme=lambda a: a.token == "owner-token" and a.by(),
    no_scheme=lambda a: a.authorization == "owner-token" and a.by(),
    basic_credentials=lambda a: a.authorization.startswith("Basic b3duZXItdG9rZW46") and a.by(),
)
FAULTS.asks(
    "test_token_elsewhere_answers_401",
    token_in_the_query=lambda a: "access_token=owner-token" in a.query and a.by(),
    token_in_a_cookie=lambda a: "token=owner-token" in a.headers.get("cookie", "") and a.by(),
    token_as_api_key=lambda a: a.headers.get("x-api-key") == "owner-token" and a.by(),
    token_in_the_body=lambda a: (
        a.fields.get("access_token") == "owner-token" and a.by().send(b"{}")
    ),
)
FAULTS.asks(
    "test_no_header_stands_in_for_a_token",
    user_in_a_header_only=lambda a: (
        not a.authorization and "x-forwarded-user" in a.headers and a.by()
    ),
    this_machine_is_trusted_only=lambda a: "127.0.0.1" in a.headers.values() and a.by(),
)
FAULTS.answers(
    "test_scheme_counts_in_any_case",
    scheme_counts_in_its_case=lambda a, b: a.authorization[:1] == "b" and b.become(refused(401)),
    scheme_in_capitals_only=lambda a, b: a.authorization[:6] == "BEARER" and b.become(refused(401)),
)
FAULTS.asks(
    "test_bad_token_comes_first and expired",
    expired_token=lambda a: a.who == "expired" and a.by(),
    expired_token_is_forbidden=lambda a: a.who == "expired" and refused(403),
)
FAULTS.asks(
    "test_bad_token_comes_first",
    body_is_judged_before_the_token=lambda a: not a.who and a.body[:1] != b"{" and refused(400),
    id_is_judged_before_the_token=lambda a: (
        not a.who and len(a.id) == 36 and a.id not in a.ids.values() and refused(404)
    ),
    long_id_is_judged_before_the_token_only=lambda a: len(a.id) > 255 and refused(404),
    size_is_judged_before_the_token_only=lambda a: len(a.body) > 262144 and refused(400),
    coding_is_judged_before_the_token_only=lambda a: (
        "content-encoding" in a.headers and refused(400)
    ),
)
FAULTS.asks(
    "test_bad_token_comes_first and unknown",
    unknown_token_may_change_nothing_only=lambda a: (
        a.token and not a.who and a.body == b"{}" and a.by()
    ),
    unknown_token_is_told_of_unknown_ids_only=lambda a: (
        a.token and not a.who and len(a.id) == 36 and a.id not in a.ids.values() and refused(404)
    ),
)
FAULTS.answers(
    "test_bad_token_comes_first or test_near_token_answers_401",
    no_challenge=lambda _, b: b.behead("WWW-Authenticate"),
    challenge_of_another_scheme=lambda _, b: (
        b.status == 401 and b.head("WWW-Authenticate", "Basic")
    ),
    bad_token_answers_403=lambda _, b: b.status == 401 and b.become(refused(403)),
    bad_token_answers_a_page=lambda a, b: (
        b.status == 401 and a.token and b.head("Content-Type", "text/html")
    ),
    expired_token_gets_no_challenge_only=lambda a, b: (
        a.who == "expired" and b.behead("WWW-Authenticate")
    ),
)


@FAULTS.before("test_answer_does_not_depend_on_what_came_before")
def connection_remembers_the_token(asked: Asked) -> None:
    who = asked.memory.setdefault(asked.scope["client"], asked.who)
    if who and not asked.authorization:
        asked.by(who)


@FAULTS.before("test_answer_does_not_depend_on_what_came_before")
def last_token_counts_for_the_next_request_only(asked: Asked) -> None:
    before, asked.memory["last"] = asked.memory.get("last"), asked.who
    if before and not asked.authorization:
        asked.by(before)


FAULTS.asks(
    "test_bad_token_comes_first and expired",
    expired_token_may_rename_only=lambda a: a.who == "expired" and "name" in a.fields and a.by(),
)
FAULTS.asks(
    "test_near_token_answers_401",
    admin_token_with_a_suffix_only=lambda a: a.token.startswith("admin-token") and a.by("admin"),
    reader_token_in_other_case_only=lambda a: a.token.lower() == "reader-token" and a.by("reader"),
    stranger_token_with_a_prefix_only=lambda a: (
        a.token.endswith("stranger-token") and a.by("stranger")
    ),
    expired_token_with_a_suffix_only=lambda a: a.token == "expired-tokenx" and a.by(),
    token_before_a_dot_only=lambda a: a.token.partition(".")[0] == "owner-token" and a.by(),
)
FAULTS.asks(
    "test_other_scheme_answers_401",
    basic_with_the_token_as_password=lambda a: _basic(a).endswith(":owner-token") and a.by(),
    basic_with_no_user_only=lambda a: _basic(a) == ":owner-token" and a.by(),
    basic_with_the_token_as_user_only=lambda a: _basic(a) == "owner-token:" and a.by(),
    basic_with_a_user_only=lambda a: _basic(a) == "user:owner-token" and a.by(),
    basic_with_the_token_alone_only=lambda a: _basic(a) == "owner-token" and a.by(),
    token_as_a_parameter_only=lambda a: (
        a.authorization in ("Token token=owner-token", 'Token token="owner-token"') and a.by()
    ),
    admin_under_another_scheme_only=lambda a: (
        a.authorization == "Token admin-token" and a.by("admin")
    ),
)
FAULTS.asks(
    "test_bad_token_comes_first and missing",
    missing_token_in_chunks_only=lambda a: (
        not a.authorization and "transfer-encoding" in a.headers and a.by()
    ),
    missing_token_with_an_escaped_id_only=lambda a: (
        not a.authorization and "%" in a.path and a.by()
    ),
    missing_token_at_the_sibling_only=lambda a: (
        not a.authorization and a.id == a.ids["sibling"] and a.by()
    ),
    missing_token_for_the_endpoint_only=lambda a: (
        not a.authorization and [*a.fields] == ["endpoint"] and a.by()
    ),
    missing_token_of_a_browser_is_shown_a_page_only=lambda a: (
        not a.authorization
        and "text/html" in a.headers.get("accept", "")
        and Answer(302, b"", Location="/login")
    ),
)
FAULTS.asks(
    "test_bad_token_comes_first and expired",
    expired_token_is_told_of_unknown_ids_only=lambda a: (
        a.who == "expired" and a.id not in a.ids.values() and refused(404)
    ),
    expired_token_is_forbidden_elsewhere_only=lambda a: (
        a.who == "expired" and a.id == a.ids["foreign"] and refused(403)
    ),
    expired_token_may_change_nothing_only=lambda a: (
        a.who == "expired" and a.body == b"{}" and a.by()
    ),
    expired_token_may_update_the_sibling_only=lambda a: (
        a.who == "expired" and a.id == a.ids["sibling"] and a.by()
    ),
    expired_token_is_judged_after_the_body_only=lambda a: (
        a.who == "expired" and not a.fields and a.body != b"{}" and refused(400)
    ),
    expired_token_in_chunks_only=lambda a: (
        a.who == "expired" and "transfer-encoding" in a.headers and a.by()
    ),
)

# Workspace access ---------------------------------------------------------------------------------
FAULTS.family = "workspace access"
FAULTS.asks(
    "test_reader_may_not_update",
    reader_may_update=lambda a: a.who == "reader" and a.by(),
    reader_may_change_nothing_only=lambda a: a.who == "reader" and a.body == b"{}" and a.by(),
    reader_may_rename_only=lambda a: a.who == "reader" and [*a.fields] == ["name"] and a.by(),
    reader_may_change_the_secret_only=lambda a: (
        a.who == "reader" and [*a.fields] == ["secret"] and a.by()
    ),
    reader_is_not_authenticated=lambda a: a.who == "reader" and refused(401),
)
FAULTS.asks(
    "test_no_header_gives_access",
    role_in_a_header_only=lambda a: a.headers.get("x-role") == "ADMIN" and a.by(),
    role_in_the_query_only=lambda a: "role=ADMIN" in a.query and a.by(),
)
FAULTS.asks(
    "test_stranger_may_not_update",
    stranger_may_update=lambda a: a.who == "stranger" and a.by(),
    stranger_may_rotate_only=lambda a: a.who == "stranger" and "key" in a.fields and a.by(),
    stranger_is_told_404=lambda a: a.who == "stranger" and refused(404),
)
FAULTS.asks(
    "test_foreign_configuration_may_not_be_updated",
    anybody_may_update_foreign=lambda a: a.id == a.ids["foreign"] and a.by("stranger"),
    admin_may_update_everywhere_only=lambda a: (
        a.who == "admin" and a.id == a.ids["foreign"] and a.by("stranger")
    ),
    foreign_is_not_found=lambda a: a.id == a.ids["foreign"] and refused(404),
)
FAULTS.answers(
    "test_unknown_id_answers_404",
    unknown_is_forbidden=lambda _, b: b.status == 404 and b.become(refused(403)),
    unknown_is_created=lambda a, b: b.status == 404 and b.become(accepted(a)),
    unknown_is_forbidden_to_strangers_only=lambda a, b: (
        b.status == 404 and a.who == "stranger" and b.become(refused(403))
    ),
    unknown_is_fine_for_no_change_only=lambda a, b: (
        b.status == 404 and a.body == b"{}" and b.become(accepted(a))
    ),
)
FAULTS.asks(
    "test_member_may_update and ADMIN",
    admin_may_not_update=lambda a: a.who == "admin" and a.by("reader"),
    admin_may_not_rename_only=lambda a: a.who == "admin" and "name" in a.fields and refused(403),
)
FAULTS.refuses(
    "test_member_may_update and WRITE",
    403,
    renames_by_writers=lambda a: a.who == "owner" and "name" in a.fields,
)


@FAULTS.before("test_answer_does_not_depend_on_what_came_before")
def reader_may_update_after_a_writer(asked: Asked) -> None:
    if asked.who == "owner":
        asked.memory["seen"] = True
    elif asked.who == "reader" and "seen" in asked.memory:
        asked.by()


@FAULTS.before("test_answer_does_not_depend_on_what_came_before")
def writer_may_not_update_after_an_admin(asked: Asked) -> Answer | None:
    asked.memory[asked.who] = True
    return refused(403) if asked.who == "owner" and "admin" in asked.memory else None


FAULTS.answers(
    "test_name_is_unique_in_its_workspace",
    names_may_be_the_same=lambda a, b: (
        b.status == 400 and a.id == a.ids["sibling"] and b.become(accepted(a))
    ),
    taken_name_conflicts=lambda _, b: b"another" in b.body and b.become(refused(409)),
    own_name_is_taken=lambda a, b: (
        a.text("name") and a.times(a.text("name")) > 1 and b.become(refused(400))
    ),
    name_is_unique_alone_only=lambda a, b: (
        b"another" in b.body and len(a.fields) > 1 and b.become(accepted(a))
    ),
)


@FAULTS.before("test_names_that_differ_are_not_taken")
def names_differ_in_more_than_case(asked: Asked) -> Answer | None:
    owner = asked.memory.setdefault(asked.text("name").lower(), asked.id)
    return refused(400) if asked.text("name") and owner != asked.id else None


@FAULTS.before("test_name_that_was_given_up_is_free")
def name_that_was_given_up_is_kept(asked: Asked) -> Answer | None:
    owner = asked.memory.setdefault(asked.text("name"), asked.id)
    return refused(400) if asked.text("name") and owner != asked.id else None


@FAULTS.before("test_name_is_unique_in_its_workspace or test_refused_update_changes_nothing")
def update_is_not_stored(asked: Asked) -> None:
    asked.scope["raw_path"] = (
        asked.path.encode()
        if not asked.text("name")
        else b"/ai/llm/" + (asked.ids["foreign"].encode())
    )


@FAULTS.after("test_refused_update_changes_nothing")
async def refused_update_renames(asked: Asked, answer: Answer) -> None:
    if answer.status == 400 and 0 < len(asked.text("name")) < 256:
        await asked.rename(asked.text("name"))


@FAULTS.after("test_refused_update_changes_nothing")
async def forbidden_update_renames_only(asked: Asked, answer: Answer) -> None:
    if answer.status == 403 and asked.id == asked.ids["main"] and asked.text("name"):
        await asked.rename(asked.text("name"))


@FAULTS.after("test_refused_update_changes_nothing")
async def unauthorized_update_renames_only(asked: Asked, answer: Answer) -> None:
    if answer.status == 401 and asked.id == asked.ids["main"] and asked.text("name"):
        await asked.rename(asked.text("name"))


@FAULTS.after("test_refused_update_changes_nothing")
async def no_change_renames_only(asked: Asked, answer: Answer) -> None:
    if answer.status == 200 and asked.body == b"{}":
        await asked.rename("unnamed")


@FAULTS.after("test_refused_update_changes_nothing")
async def change_of_provider_resets_the_name_only(asked: Asked, answer: Answer) -> None:
    if answer.status == 200 and asked.text("aiType") and "name" not in asked.fields:
        await asked.rename(asked.text("aiType"))


FAULTS.asks(
    "test_reader_may_not_update",
    reader_may_update_the_sibling_only=lambda a: (
        a.who == "reader" and a.id == a.ids["sibling"] and a.by()
    ),
    reader_may_update_in_chunks_only=lambda a: (
        a.who == "reader" and "transfer-encoding" in a.headers and a.by()
    ),
    reader_may_change_the_endpoint_only=lambda a: (
        a.who == "reader" and [*a.fields] == ["endpoint"] and a.by()
    ),
    reader_may_change_the_type_only=lambda a: (
        a.who == "reader" and [*a.fields] == ["aiType"] and a.by()
    ),
    reader_may_update_from_a_browser_only=lambda a: (
        a.who == "reader" and "Mozilla" in a.headers.get("user-agent", "") and a.by()
    ),
    reader_may_update_with_spaces_only=lambda a: (
        a.who == "reader" and a.fields and a.body[:1].isspace() and a.by()
    ),
)
FAULTS.asks(
    "test_stranger_may_not_update",
    stranger_may_update_the_sibling_only=lambda a: (
        a.who == "stranger" and a.id == a.ids["sibling"] and a.by()
    ),
    stranger_may_update_an_escaped_id_only=lambda a: (
        a.who == "stranger" and "%" in a.path and a.by()
    ),
    stranger_may_change_the_endpoint_only=lambda a: (
        a.who == "stranger" and [*a.fields] == ["endpoint"] and a.by()
    ),
    stranger_may_change_the_key_only=lambda a: (
        a.who == "stranger" and [*a.fields] == ["key"] and a.by()
    ),
    stranger_may_change_the_secret_only=lambda a: (
        a.who == "stranger" and [*a.fields] == ["secret"] and a.by()
    ),
    stranger_may_change_the_type_only=lambda a: (
        a.who == "stranger" and [*a.fields] == ["aiType"] and a.by()
    ),
    stranger_may_change_nothing_only=lambda a: a.who == "stranger" and a.body == b"{}" and a.by(),
    stranger_may_update_in_chunks_only=lambda a: (
        a.who == "stranger" and "transfer-encoding" in a.headers and a.by()
    ),
    stranger_may_add_a_charset_only=lambda a: (
        a.who == "stranger" and "charset" in a.headers.get("content-type", "") and a.by()
    ),
    stranger_may_add_a_query_only=lambda a: a.who == "stranger" and a.query and a.by(),
)
FAULTS.asks(
    "test_foreign_configuration_may_not_be_updated",
    key_of_foreign_may_be_changed_only=lambda a: (
        a.id == a.ids["foreign"] and [*a.fields] == ["key"] and a.by("stranger")
    ),
    foreign_may_be_updated_in_chunks_only=lambda a: (
        a.id == a.ids["foreign"] and "transfer-encoding" in a.headers and a.by("stranger")
    ),
    escaped_foreign_id_is_not_found_only=lambda a: (
        a.who == "owner" and a.id == a.ids["foreign"] and "%" in a.path and refused(404)
    ),
)
FAULTS.asks(
    "test_unknown_id_answers_404",
    unknown_in_chunks_is_created_only=lambda a: (
        a.who and a.id not in a.ids.values() and "transfer-encoding" in a.headers and accepted(a)
    ),
    unknown_fails_for_types_only=lambda a: (
        a.who
        and len(a.id) == 36
        and a.id not in a.ids.values()
        and [*a.fields] == ["aiType"]
        and refused(500)
    ),
)
FAULTS.asks(
    "test_member_may_update and ADMIN",
    admin_may_not_switch_only=lambda a: a.who == "admin" and "aiType" in a.fields and refused(403),
    admin_may_not_update_the_sibling_only=lambda a: (
        a.who == "admin" and a.id == a.ids["sibling"] and refused(403)
    ),
)
FAULTS.answers(
    "test_member_may_update and WRITE",
    writer_may_not_use_a_browser_only=lambda a, b: (
        a.who == "owner"
        and "Mozilla" in a.headers.get("user-agent", "")
        and b.status == 200
        and b.become(refused(403))
    ),
    writer_may_not_rotate_the_siblings_only=lambda a, b: (
        a.who == "owner"
        and a.id == a.ids["sibling"]
        and "key" in a.fields
        and b.status == 200
        and b.become(refused(403))
    ),
    answers_400_in_chunks_with_a_charset_only=lambda a, b: (
        "text/html" in a.headers.get("accept", "") and b.status == 200 and b.become(refused(400))
    ),
    spaces_before_the_body_only=lambda a, b: (
        a.body[:1].isspace() and b.status == 200 and b.become(refused(400))
    ),
    secret_before_the_key_only=lambda a, b: (
        a.fields
        and next(iter(a.fields)) == "secret"
        and len(a.fields) > 1
        and b.status == 200
        and b.become(refused(400))
    ),
    escapes_in_field_names_only=lambda a, b: (
        b"\\u" in a.body.partition(b":")[0] and b.status == 200 and b.become(refused(400))
    ),
)


@FAULTS.before("test_names_that_differ_are_not_taken")
async def names_are_compared_composed_only(asked: Asked) -> Answer | None:
    return await _taken(asked, lambda name: unicodedata.normalize("NFC", name))


@FAULTS.before("test_names_that_differ_are_not_taken")
async def names_are_compared_trimmed_only(asked: Asked) -> Answer | None:
    return await _taken(asked, str.strip)


@FAULTS.before("test_names_that_differ_are_not_taken")
async def names_are_compared_in_one_case_only(asked: Asked) -> Answer | None:
    return await _taken(asked, str.casefold)


async def _taken(asked: Asked, alike: Callable[[str], str]) -> Answer | None:
    """400 if another configuration of the workspace has a name that is alike, but not the same."""
    name = asked.text("name")
    for role in ("main", "sibling"):
        other = await asked.name_of(asked.ids[role])
        if asked.id != asked.ids[role] and name not in ("", other) and alike(name) == alike(other):
            return refused(400)
    return None


@FAULTS.after("test_name_that_was_given_up_is_free")
def last_name_of_another_is_kept_only(asked: Asked, answer: Answer) -> None:
    name, before = asked.text("name"), asked.memory.setdefault("names", {})
    if answer.status == 200 and name:
        if name in [last for id, (_, last) in before.items() if id != asked.id]:
            answer.become(refused(400))
        else:
            before[asked.id] = name, before.get(asked.id, ("", ""))[0]


@FAULTS.before("test_one_name_is_not_given_twice_at_the_same_moment")
async def name_is_checked_before_it_is_taken(asked: Asked) -> Answer | None:
    name, main, sibling = asked.text("name"), asked.ids["main"], asked.ids["sibling"]
    if (
        asked.who != "owner"
        or asked.id not in (main, sibling)
        or len(asked.fields) != 1
        or not name
    ):
        return None
    other = sibling if asked.id == main else main
    free = await asked.name_of(other) != name
    await asyncio.sleep(0.02)
    return accepted(asked) if free and await asked.name_of(other) == name else None


# Request validation -------------------------------------------------------------------------------
FAULTS.family = "request validation"
FAULTS.accepts(
    "test_near_miss_answers_400 and aiType",
    types_in_lower_case=lambda a: a.text("aiType").upper() in TYPES,
    types_in_title_case_only=lambda a: a.text("aiType") in ("Openai", "Aws", "Other"),
    types_with_spaces=lambda a: a.text("aiType").strip(" ") in TYPES,
    types_with_a_line_break_only=lambda a: a.text("aiType").removesuffix("\n") in TYPES,
    any_type=lambda a: a.text("aiType"),
    type_null_only=lambda a: a.fields.get("aiType", "") is None,
    other_types_with_an_endpoint_only=lambda a: (
        a.text("aiType") == "MISTRAL" and a.text("endpoint")
    ),
)
FAULTS.accepts(
    "test_near_miss_answers_400 and name",
    empty_names=lambda a: a.fields.get("name") == "",
    long_names=lambda a: len(a.text("name")) > 255,
    long_names_outside_ascii_only=lambda a: (
        len(a.text("name")) > 255 and not a.text("name").isascii()
    ),
    names_with_controls=lambda a: min(a.text("name") or " ") < " ",
    names_with_next_line_only=lambda a: "\x85" in a.text("name"),
    names_with_a_line_break_at_the_end_only=lambda a: a.text("name")[1:].endswith("\n"),
    numbers_as_names=lambda a: type(a.fields.get("name")) is int,
    name_null_only=lambda a: a.fields.get("name", "") is None,
)
FAULTS.accepts(
    "test_near_miss_answers_400 and endpoint",
    other_schemes=lambda a: "://" in a.text("endpoint")[2:],
    scheme_ftp_only=lambda a: a.text("endpoint").startswith("ftp://"),
    endpoints_without_a_scheme=lambda a: a.text("endpoint").startswith(("api.", "//", "/")),
    endpoints_without_a_host=lambda a: a.text("endpoint") in ("https://", "https:", "https:///v1"),
    endpoints_with_credentials=lambda a: "@" in a.text("endpoint"),
    endpoints_with_a_line_break_only=lambda a: a.text("endpoint").endswith("com\n"),
    endpoints_outside_ascii=lambda a: not a.text("endpoint").isascii(),
    long_endpoints=lambda a: len(a.text("endpoint")) > 2048,
)
FAULTS.accepts(
    "test_near_miss_answers_400 and (key or secret)",
    empty_keys=lambda a: a.fields.get("key") == "",
    empty_secrets_only=lambda a: a.fields.get("secret") == "",
    long_keys=lambda a: len(a.text("key")) > 8192,
    long_secrets_only=lambda a: len(a.text("secret")) > 8192,
    secret_null_only=lambda a: a.fields.get("secret", "") is None,
)
FAULTS.accepts(
    "test_unknown_field_answers_400",
    unknown_fields=lambda a: {*a.fields} - FIELDS,
    unknown_fields_among_good_ones_only=lambda a: {*a.fields} - FIELDS and {*a.fields} & FIELDS,
    fields_in_upper_case=lambda a: {f.lower() for f in a.fields} <= {f.lower() for f in FIELDS},
    fields_in_snake_case_only=lambda a: "ai_type" in a.fields,
    field_id_only=lambda a: "id" in a.fields,
    field_proto_only=lambda a: "__proto__" in a.fields,
)
FAULTS.accepts(
    "test_unreadable_body_answers_400",
    repeated_fields=lambda a: a.fields and {*a.fields} <= FIELDS,
    trailing_commas=lambda a: a.body.endswith(b",}"),
    comments_only=lambda a: b"/*" in a.body or b"//" in a.body,
    text_after_the_object=lambda a: a.body.startswith(b"{") and a.body.endswith(b"} x"),
    latin_1=lambda a: b"caf\xe9" in a.body,
    lone_surrogates=lambda a: b"\\ud8" in a.body or b"\\udc" in a.body,
    byte_order_mark_only=lambda a: a.body.startswith(b"\xef\xbb\xbf"),
    utf_16=lambda a: a.body.startswith(b"\xff\xfe"),
    utf_32_only=lambda a: a.body.startswith(b"\x00\x00\x00{"),
    nul_at_the_end_only=lambda a: a.body.endswith(b"}\x00"),
    line_breaks_in_strings_only=lambda a: b"a\nb" in a.body,
)
FAULTS.refuses(
    "test_unreadable_body_answers_400",
    500,
    for_deep_nesting_only=lambda a: a.body.startswith((b"[[[[", b'{"name":{"name":')),
    for_huge_numbers_only=lambda a: b"0" * 5000 in a.body,
    for_bad_utf_8=lambda a: b"\xff" in a.body,
)
FAULTS.accepts(
    "test_unreadable_body_answers_400",
    missing_bodies=lambda a: not a.body,
    missing_bodies_without_media_type_only=lambda a: not a.body and "content-type" not in a.headers,
)
FAULTS.accepts(
    "test_oversized_body_answers_400",
    oversized_bodies=lambda a: len(a.body) > 262144,
    oversized_bodies_in_chunks_only=lambda a: "transfer-encoding" in a.headers,
    bodies_a_byte_too_large_only=lambda a: len(a.body) == 262145,
)
FAULTS.refuses(
    "test_oversized_body_answers_400",
    largest_bodies_only=lambda a: len(a.body) == 262144,
)
FAULTS.accepts(
    "test_other_media_type_answers_400",
    any_media_type=lambda a: a.fields,
    plain_text_only=lambda a: a.headers.get("content-type") == "text/plain",
    suffixed_media_types_only=lambda a: "+json" in a.headers.get("content-type", ""),
    any_charset=lambda a: a.headers.get("content-type", "").startswith("application/json;"),
    charset_latin_1_only=lambda a: "iso-8859-1" in a.headers.get("content-type", ""),
)
FAULTS.refuses(
    "test_media_type_counts_in_any_case",
    media_type_alone_in_capitals_only=lambda a: a.headers.get("content-type") == "APPLICATION/JSON",
    charset_in_capitals_only=lambda a: "UTF-8" in a.headers.get("content-type", ""),
    media_type_in_capitals_only=lambda a: "JSON" in a.headers.get("content-type", ""),
    any_parameter=lambda a: ";" in a.headers.get("content-type", ""),
)
FAULTS.accepts(
    "test_content_encoding_answers_400",
    any_coding=lambda a: "content-encoding" in a.headers,
    coding_identity_only=lambda a: a.headers.get("content-encoding") == "identity",
)
FAULTS.refuses(
    "test_member_may_update and WRITE",
    chunked_bodies=lambda a: "transfer-encoding" in a.headers,
)
FAULTS.accepts(
    "test_unreadable_body_answers_400",
    broken_bodies_in_chunks_only=lambda a: "transfer-encoding" in a.headers,
)
FAULTS.refuses(
    "test_odd_value_answers_200 and name",
    names_with_percent_signs_only=lambda a: "%" in a.text("name"),
    names_with_quotes_only=lambda a: "'" in a.text("name") or '"' in a.text("name"),
    names_of_255_characters_only=lambda a: len(a.text("name")) == 255,
    names_outside_ascii=lambda a: not a.text("name").isascii(),
    names_outside_the_basic_plane_only=lambda a: max(a.text("name") or " ") > "\uffff",
    names_of_255_astral_characters_only=lambda a: len(a.text("name").encode("utf-16-le")) > 510,
    names_from_right_to_left_only=lambda a: any("\u0590" <= c < "\u0700" for c in a.text("name")),
)
FAULTS.refuses(
    "test_odd_value_answers_200 and endpoint",
    plain_http=lambda a: a.text("endpoint").startswith("http:"),
    endpoints_with_a_port_only=lambda a: ":1" in a.text("endpoint"),
    endpoints_with_a_query_only=lambda a: "?" in a.text("endpoint"),
    endpoints_at_an_ipv6_address_only=lambda a: "//[" in a.text("endpoint"),
    endpoints_in_capitals_only=lambda a: a.text("endpoint").startswith("HTTPS"),
    endpoints_of_2048_characters_only=lambda a: len(a.text("endpoint")) == 2048,
)
FAULTS.refuses(
    "test_odd_value_answers_200 and (key or secret)",
    long_secrets_only=lambda a: len(a.text("secret")) > 1000,
    secrets_with_line_breaks_only=lambda a: "\n" in a.text("secret"),
    keys_with_nul_only=lambda a: "\x00" in a.text("key"),
)
FAULTS.refuses(
    "test_odd_value_answers_200 and aiType",
    type_aws_only=lambda a: a.text("aiType") == "AWS",
    type_other_only=lambda a: a.text("aiType") == "OTHER",
)
FAULTS.refuses(
    "test_odd_body_answers_200",
    the_empty_object=lambda a: a.body == b"{}",
    key_and_secret_alone_only=lambda a: {*a.fields} == {"key", "secret"},
)
FAULTS.refuses(
    "test_valid_body_answers_200",
    endpoint_with_secret_without_key_only=lambda a: (
        {"endpoint", "secret"} <= {*a.fields} and "key" not in a.fields
    ),
    types_without_an_endpoint_only=lambda a: a.text("aiType") and "endpoint" not in a.fields,
    names_with_type_google_only=lambda a: a.text("aiType") == "GOOGLE" and a.text("name"),
)
FAULTS.accepts(
    "test_near_miss_answers_400 and endpoint",
    survives="such ports, escapes and backslashes pass many URL parsers: left open",
    endpoints_with_a_huge_port_only=lambda a: a.text("endpoint").rstrip("/").endswith(":65536"),
    endpoints_with_port_zero_only=lambda a: a.text("endpoint").rstrip("/").endswith(":0"),
    endpoints_with_half_an_escape_only=lambda a: a.text("endpoint").endswith("%2"),
    endpoints_with_a_backslash_only=lambda a: "\\" in a.text("endpoint"),
)
FAULTS.accepts(
    "test_near_miss_answers_400 and endpoint",
    endpoints_with_half_an_address_only=lambda a: a.text("endpoint").startswith("https://[::1/"),
)
FAULTS.refuses(
    "test_odd_value_answers_200 and name",
    survives="a name may be taken, so a refused one is tried again with a suffix",
    name_null_in_letters_only=lambda a: a.text("name") == "null",
)
FAULTS.refuses(
    "test_odd_value_answers_200 and name",
    names_in_thai_only=lambda a: any("\u0e00" <= c < "\u0e80" for c in a.text("name")),
    names_in_greek_only=lambda a: any("\u0370" <= c < "\u0400" for c in a.text("name")),
    names_in_korean_only=lambda a: any("\uac00" <= c < "\ud7b0" for c in a.text("name")),
    names_in_cherokee_only=lambda a: any("\u13a0" <= c < "\u1400" for c in a.text("name")),
    names_of_64_characters_only=lambda a: len(a.text("name")) == 64,
    names_of_129_characters_only=lambda a: len(a.text("name")) == 129,
    names_with_a_slash_only=lambda a: "/" in a.text("name"),
    names_with_an_at_sign_only=lambda a: "@" in a.text("name"),
    names_not_escaped_only=lambda a: not a.body.isascii() and a.text("name"),
)
FAULTS.refuses(
    "test_odd_value_answers_200 and key",
    keys_of_256_characters_only=lambda a: len(a.text("key")) == 256,
    keys_with_a_colon_only=lambda a: ":" in a.text("key"),
    keys_in_markup_only=lambda a: "<" in a.text("key"),
)
FAULTS.refuses(
    "test_odd_value_answers_200 and secret",
    secrets_over_72_octets_only=lambda a: 72 < len(a.text("secret").encode()) < 100,
    secrets_of_4096_characters_only=lambda a: len(a.text("secret")) == 4096,
    secrets_with_a_space_before_only=lambda a: a.text("secret")[:1] == " ",
    secrets_with_a_space_after_only=lambda a: a.text("secret")[-1:] == " ",
    secrets_not_escaped_only=lambda a: not a.body.isascii() and a.text("secret"),
)
FAULTS.refuses(
    "test_odd_value_answers_200 and endpoint",
    endpoints_without_a_dot_only=lambda a: a.text("endpoint") and "." not in a.text("endpoint"),
    endpoints_with_a_dot_at_the_end_only=lambda a: urlsplit(a.text("endpoint")).netloc.endswith(
        "."
    ),
    endpoints_at_an_address_only=lambda a: "//10." in a.text("endpoint"),
    endpoints_with_an_underscore_only=lambda a: "_" in urlsplit(a.text("endpoint")).netloc,
    endpoints_with_the_last_port_only=lambda a: ":65535" in a.text("endpoint"),
    endpoints_with_a_fragment_only=lambda a: "#" in a.text("endpoint"),
    endpoints_of_1024_characters_only=lambda a: len(a.text("endpoint")) == 1024,
)
FAULTS.refuses(
    "test_odd_body_answers_200",
    secret_equal_to_the_key_only=lambda a: a.text("key") and a.text("key") == a.text("secret"),
    name_equal_to_the_key_only=lambda a: a.text("key") and a.text("key") == a.text("name"),
    bodies_over_64_kib_only=lambda a: 65536 < len(a.body) < 200_000,
    slashes_with_escapes_only=lambda a: b"\\/" in a.body,
    bodies_in_many_lines_only=lambda a: a.body.count(b"\n  ") > 2,
)


@FAULTS.after("test_odd_value_answers_200 and aiType")
def type_alone_never_goes_from_aws_to_google_only(asked: Asked, answer: Answer) -> None:
    if answer.status == 200 and [*asked.fields] == ["aiType"]:
        before, asked.memory["type"] = asked.memory.get("type"), asked.text("aiType")
        if (before, asked.text("aiType")) == ("AWS", "GOOGLE"):
            answer.become(refused(400))


FAULTS.accepts(
    "test_near_miss_answers_400 and key",
    long_keys_outside_ascii_only=lambda a: (
        len(a.text("key")) > 8192 and not a.text("key").isascii()
    ),
    keys_in_a_list_only=lambda a: isinstance(a.fields.get("key"), list) and a.fields["key"],
)
FAULTS.accepts(
    "test_near_miss_answers_400 and secret",
    long_secrets_outside_ascii_only=lambda a: (
        len(a.text("secret")) > 8192 and not a.text("secret").isascii()
    ),
    secret_null_among_others_only=lambda a: (
        len(a.fields) > 1 and a.fields.get("secret", "") is None
    ),
)
FAULTS.accepts(
    "test_near_miss_answers_400 and (name or endpoint or aiType)",
    endpoint_empty_among_others_only=lambda a: len(a.fields) > 2 and a.fields.get("endpoint") == "",
    name_null_among_others_only=lambda a: len(a.fields) > 2 and a.fields.get("name", "") is None,
    types_of_other_providers_among_others_only=lambda a: (
        len(a.fields) > 1 and a.text("aiType") in ("GEMINI", "CLAUDE")
    ),
    endpoint_of_a_bucket_only=lambda a: a.text("endpoint").startswith(("s3:", "ssh:", "gs:")),
    endpoint_of_a_mailbox_only=lambda a: a.text("endpoint").startswith("mailto:"),
    type_as_a_number_only=lambda a: type(a.fields.get("aiType")) is int,
)
FAULTS.accepts(
    "test_unknown_field_answers_400",
    unknown_fields_that_are_null_only=lambda a: (
        None in [v for k, v in a.fields.items() if k not in FIELDS]
    ),
    unknown_objects_only=lambda a: {} in [v for k, v in a.fields.items() if k not in FIELDS],
    field_of_the_user_only=lambda a: "userId" in a.fields,
    field_of_the_time_only=lambda a: "updatedAt" in a.fields,
)
FAULTS.accepts(
    "test_unknown_field_answers_400",
    two_wrong_fields_only=lambda a: (
        len([v for v in a.fields.values() if not isinstance(v, str)]) > 1
    ),
)
FAULTS.accepts(
    "test_invalid_body_answers_400",
    large_numbers_only=lambda a: [
        v for v in a.fields.values() if type(v) in (int, float) and abs(v) > 2
    ],
    long_lists_only=lambda a: [v for v in a.fields.values() if isinstance(v, list) and len(v) > 1],
)
FAULTS.accepts(
    "test_unreadable_body_answers_400",
    broken_text_in_chunks_only=lambda a: "transfer-encoding" in a.headers and b"\xff" in a.body,
    missing_bodies_in_chunks_only=lambda a: "transfer-encoding" in a.headers and not a.body,
)

# Leaked credentials -------------------------------------------------------------------------------
FAULTS.family = "leaked credentials"
LEAKS = "test_every_answer and credential"
FAULTS.answers(
    LEAKS,
    key_in_the_message=lambda a, b: b.set(message=f"stored {a.text('key')}"),
    key_in_a_field=lambda a, b: b.status == 200 and b.set(data=a.fields),
    secret_in_a_header=lambda a, b: a.text("secret").isalnum() and b.head("X-S", a.text("secret")),
    secret_in_a_cookie=lambda a, b: (
        a.text("secret").isalnum() and b.head("Set-Cookie", "s=" + a.text("secret"))
    ),
    secret_in_base64=lambda a, b: b.set(debug=base64.b64encode(a.text("secret").encode()).decode()),
    body_in_base64=lambda a, b: b.set(debug=base64.b64encode(a.body[:3000]).decode()),
    secret_in_hex=lambda a, b: b.set(debug=a.text("secret").encode().hex()),
    secret_reversed=lambda a, b: b.set(debug=a.text("secret")[::-1]),
    first_half_of_the_key=lambda a, b: b.set(hint=a.text("key")[: len(a.text("key")) // 2] + "…"),
    key_in_403_only=lambda a, b: b.status == 403 and b.set(message=a.text("key")),
    key_in_401_only=lambda a, b: (
        b.status == 401 and b.head("WWW-Authenticate", f'Bearer realm="{a.text("key")}"')
    ),
    broken_body_in_400_only=lambda a, b: (
        b.status == 400 and b.set(message=a.body.decode("latin-1"))
    ),
    unknown_field_in_400_only=lambda a, b: b.status == 400 and b.set(message=str([*a.fields])),
)
FAULTS.answers(
    f"test_odd_value_answers_200 or {LEAKS}",
    long_secret_only=lambda a, b: len(a.text("secret")) > 1000 and b.set(debug=a.text("secret")),
    odd_secret_only=lambda a, b: "BEGIN" in a.text("secret") and b.set(debug=a.text("secret")),
)
FAULTS.answers(
    f"test_near_token_answers_401 or {LEAKS}",
    token_in_the_message=lambda a, b: b.status == 401 and b.set(message=f"unknown: {a.token}"),
    token_in_a_header=lambda a, b: b.status == 200 and b.head("X-Token", a.token),
)


@FAULTS.after(LEAKS)
def key_of_the_request_before(asked: Asked, answer: Answer) -> None:
    if answer.status == 200 and "key" in asked.fields:
        before, asked.memory["key"] = asked.memory.get("key", ""), asked.text("key")
        answer.set(replaced=before)


def _header_to_status_line(octets: bytes, transport: Any) -> None:
    reason = re.search(rb"x-s: (\w+)\r\n", octets)
    transport.write(octets.replace(b" 200 OK", b" 200 " + reason[1]) if reason else octets)


FAULTS.add(
    "secret_in_the_status_line_only",
    LEAKS,
    after=lambda a, b: a.text("secret").isalnum() and b.head("X-S", a.text("secret")),
    on_the_wire=_header_to_status_line,
)
FAULTS.answers(
    "test_every_answer and credential or test_near_miss",
    last_four_of_the_key_only=lambda a, b: b.set(hint="****" + a.text("key")[-4:]),
)
FAULTS.answers(
    "test_every_answer and credential or test_member_may_update and ADMIN",
    key_to_admins_only=lambda a, b: a.who == "admin" and b.set(debug=a.text("key")),
)
FAULTS.answers(
    LEAKS,
    secret_in_a_link_only=lambda a, b: (
        a.text("secret").isalnum() and b.head("Link", f"<https://x/{a.text('secret')}>")
    ),
    secret_in_base32_only=lambda a, b: b.set(
        debug=base64.b32encode(a.text("secret").encode()).decode()
    ),
    secret_in_base64_twice_only=lambda a, b: b.set(
        debug=base64.b64encode(base64.b64encode(a.text("secret").encode())).decode()
    ),
    half_the_secret_in_base64_only=lambda a, b: b.set(
        debug=base64.b64encode(a.text("secret")[: len(a.text("secret")) // 2].encode()).decode()
    ),
    half_the_secret_in_hex_only=lambda a, b: b.set(
        debug=a.text("secret")[: len(a.text("secret")) // 2].encode().hex()
    ),
    secret_in_rot13_only=lambda a, b: b.set(debug=codecs.encode(a.text("secret"), "rot13")),
    secret_as_codes_only=lambda a, b: b.set(debug=[ord(c) for c in a.text("secret")[:99]]),
    secret_spelt_out_only=lambda a, b: b.set(debug=" ".join(a.text("secret")[:99])),
    secret_with_case_swapped_only=lambda a, b: b.set(debug=a.text("secret").swapcase()),
    hash_of_the_secret_in_base64_only=lambda a, b: b.set(
        debug=base64.b64encode(hashlib.sha256(a.text("secret").encode()).digest()).decode()
    ),
    key_at_unknown_ids_only=lambda a, b: (
        b.status == 404 and a.text("key") and b.set(message=a.text("key"))
    ),
)
FAULTS.answers(
    f"{LEAKS} or test_unreadable_body",
    broken_text_with_a_mark_only=lambda a, b: (
        a.body[:3] == b"\xef\xbb\xbf" and b.set(debug=a.body.decode("latin-1"))
    ),
)
FAULTS.answers(
    f"{LEAKS} or test_content_encoding",
    key_with_compressed_bodies_only=lambda a, b: (
        "content-encoding" in a.headers and b.set(debug=a.text("key"))
    ),
)
FAULTS.answers(
    f"{LEAKS} or test_member_may_update",
    key_in_chunks_only=lambda a, b: "transfer-encoding" in a.headers and b.set(debug=a.text("key")),
)
FAULTS.answers(
    f"{LEAKS} or test_other_media_type",
    key_under_other_media_types_only=lambda a, b: (
        "charset=utf-16" in a.headers.get("content-type", "") and b.set(debug=a.text("key"))
    ),
)
FAULTS.answers(
    f"{LEAKS} or test_neighbouring_path",
    key_at_other_paths_only=lambda a, b: (
        b.status == 404
        and not a.path.startswith("/ai/llm/")
        and a.text("key")
        and b.set(debug=a.text("key"))
    ),
)
FAULTS.answers(
    f"{LEAKS} or test_other_method",
    key_at_other_methods_only=lambda a, b: (
        b.status == 405 and a.text("key").isalnum() and b.head("X-Debug", a.text("key"))
    ),
)


@FAULTS.after(LEAKS)
def secret_before_in_404_only(asked: Asked, answer: Answer) -> None:
    if answer.status == 404 and "secret" in asked.memory:
        answer.set(message=asked.memory["secret"])
    asked.memory["secret"] = asked.text("secret") or asked.memory.get("secret", "")


@FAULTS.before("test_updates_at_the_same_time_are_all_answered")
async def user_is_the_last_that_came(asked: Asked) -> None:
    asked.memory["user"] = asked.authorization or asked.memory.get("user", "")
    await asyncio.sleep(0.05)
    if asked.memory["user"]:
        asked.head("Authorization", asked.memory["user"])


@FAULTS.before("test_updates_at_the_same_time_are_all_answered or test_every_answer")
async def id_is_the_last_that_came(asked: Asked) -> None:
    asked.memory["path"] = asked.path
    await asyncio.sleep(0.05)
    asked.path = asked.memory["path"]


# Response shape -----------------------------------------------------------------------------------
FAULTS.family = "response shape"
FAULTS.answers(
    "test_every_answer and success",
    success_is_missing=lambda _, b: b.body and b.drop("success"),
    success_is_missing_in_404_only=lambda _, b: b.status == 404 and b.drop("success"),
)
FAULTS.answers(
    "test_every_answer and success or test_member_may_update",
    success_is_a_string=lambda _, b: b.status == 200 and b.set(success="true"),
    success_is_one=lambda _, b: b.status == 200 and b.set(success=1),
    success_is_null_in_404_only=lambda _, b: b.status == 404 and b.set(success=None),
    success_is_true_in_400_only=lambda _, b: b.status == 400 and b.set(success=True),
    success_is_false_in_200=lambda _, b: b.status == 200 and b.set(success=False),
    success_is_missing_in_403_only=lambda _, b: b.status == 403 and b.drop("success"),
    answer_is_wrapped=lambda _, b: b.become(
        Answer(b.status, json.dumps({"data": b.json}).encode())
    ),
)
FAULTS.answers(
    "test_every_answer and asked",
    id_is_missing=lambda _, b: b.status == 200 and b.drop("aiLlmId"),
    id_is_missing_for_fields_alone_only=lambda a, b: (
        b.status == 200 and len(a.fields) == 1 and b.drop("aiLlmId")
    ),
)
FAULTS.answers(
    "test_every_answer and asked or test_member_may_update",
    id_is_named_id=lambda a, b: b.status == 200 and b.drop("aiLlmId").set(id=a.id),
    id_is_in_upper_case=lambda a, b: b.status == 200 and b.set(aiLlmId=a.id.upper()),
    id_is_the_siblings=lambda a, b: b.status == 200 and b.set(aiLlmId=a.ids["sibling"]),
    id_is_a_number=lambda _, b: b.status == 200 and b.set(aiLlmId=1),
    id_is_null_for_no_change_only=lambda a, b: (
        a.body == b"{}" and b.status == 200 and b.set(aiLlmId=None)
    ),
    id_is_missing_for_admins_only=lambda a, b: (
        a.who == "admin" and b.status == 200 and b.drop("aiLlmId")
    ),
)
FAULTS.answers(
    "test_percent_encoded_id_is_the_same",
    id_is_not_decoded_only=lambda a, b: b.status == 200 and b.set(aiLlmId=a.path[8:]),
)
FAULTS.answers(
    "test_member_may_update and WRITE or test_every_answer",
    message_is_a_number=lambda _, b: b.body and b.set(message=b.status),
    message_is_a_list_in_400_only=lambda _, b: b.status == 400 and b.set(message=["no"]),
    message_is_an_object_in_404_only=lambda _, b: b.status == 404 and b.set(message={"en": "no"}),
    answer_is_html=lambda _, b: b.head("Content-Type", "text/html"),
    answer_of_403_is_plain_text_only=lambda _, b: (
        b.status == 403 and b.head("Content-Type", "text/plain")
    ),
    answer_has_no_media_type=lambda _, b: b.behead("Content-Type"),
    answer_is_a_list=lambda _, b: b.become(Answer(b.status, json.dumps([b.json]).encode())),
    answer_is_no_json=lambda _, b: b.become(Answer(b.status, b.body.replace(b'"', b"'"))),
    answer_of_404_is_empty_only=lambda _, b: b.status == 404 and b.become(Answer(404, b"")),
    answer_has_text_after_it=lambda _, b: b.become(Answer(b.status, b.body + b"\nOK")),
    answer_is_utf_16=lambda _, b: b.become(Answer(b.status, b.body.decode().encode("utf-16"))),
)
FAULTS.answers(
    "test_every_answer and JSON",
    success_is_there_twice=lambda _, b: b.become(
        Answer(b.status, b.body.replace(b"{", b'{"success": true, ', 1))
    ),
    answer_has_nan_in_400_only=lambda _, b: b.status == 400 and b.set(row=float("nan")),
    answer_of_403_begins_with_a_mark_only=lambda _, b: (
        b.status == 403 and b.become(Answer(403, b"\xef\xbb\xbf" + b.body))
    ),
)
FAULTS.answers(
    "test_oversized_body_answers_400",
    oversized_body_gets_a_page_only=lambda a, b: (
        len(a.body) > 262144 and b.head("Content-Type", "text/html")
    ),
)
FAULTS.answers(
    "test_every_answer and trace",
    trace_in_400_only=lambda _, b: (
        b.status == 400 and b.set(stack='File "/srv/app/main.py", line 3, in put')
    ),
    query_in_404_only=lambda _, b: (
        b.status == 404 and b.set(message="SELECT * FROM llm WHERE id = $1: no rows")
    ),
)
FAULTS.answers(
    "test_name_is_unique or test_every_answer and trace",
    query_for_a_taken_name_only=lambda _, b: (
        b"another" in b.body and b.set(message="sqlite3.IntegrityError: UNIQUE constraint failed")
    ),
)


@FAULTS.on_the_wire("test_member_may_update and WRITE")
def answer_is_cut(octets: bytes, transport: Any) -> None:
    transport.write(octets[:-1] if octets.startswith(b"{") else octets)
    if octets.startswith(b"{"):
        transport.close()


FAULTS.answers(
    "test_every_answer and asked or test_member_may_update",
    id_is_missing_in_chunks_only=lambda a, b: (
        b.status == 200 and "transfer-encoding" in a.headers and b.drop("aiLlmId")
    ),
    id_is_as_it_was_spelt_only=lambda a, b: (
        b.status == 200 and "%" in a.path and b.set(aiLlmId=a.path.rpartition("/")[2])
    ),
)
FAULTS.answers(
    "test_member_may_update or test_reader_may_not_update",
    answer_for_browsers_is_a_page_only=lambda a, b: (
        "text/html" in a.headers.get("accept", "") and b.head("Content-Type", "text/html")
    ),
    answer_for_old_clients_is_plain_text_only=lambda a, b: (
        "curl" in a.headers.get("user-agent", "") and b.head("Content-Type", "text/plain")
    ),
)

# Status codes -------------------------------------------------------------------------------------
FAULTS.family = "status codes"
FAULTS.answers(
    "test_member_may_update and WRITE or test_valid_body",
    update_answers_202_for_secrets_only=lambda a, b: (
        b.status == 200 and "secret" in a.fields and b.say(202)
    ),
)
FAULTS.answers(
    "test_near_miss_answers_400 or test_invalid_body",
    invalid_body_answers_422=lambda _, b: b.status == 400 and b.become(refused(422)),
    invalid_type_answers_422_only=lambda a, b: (
        b.status == 400 and a.text("aiType") and b.become(refused(422))
    ),
    invalid_body_answers_500=lambda _, b: b.status == 400 and b.become(refused(500)),
    invalid_body_answers_200_without_success=lambda _, b: b.status == 400 and b.say(200),
    null_answers_500_only=lambda a, b: None in a.fields.values() and b.become(refused(500)),
)
FAULTS.refuses(
    "test_other_media_type_answers_400",
    415,
    for_the_media_type=lambda a: a.headers.get("content-type") != "application/json",
)
FAULTS.answers(
    "test_unknown_id_answers_404 or test_every_answer",
    unknown_answers_410=lambda _, b: b.status == 404 and b.become(refused(410)),
    unknown_answers_400=lambda _, b: b.status == 404 and b.become(refused(400)),
    unknown_answers_500_for_credentials_only=lambda a, b: (
        b.status == 404 and "key" in a.fields and b.become(refused(500))
    ),
)
FAULTS.answers(
    "test_reader_may_not_update",
    forbidden_answers_404=lambda _, b: b.status == 403 and b.become(refused(404)),
)
FAULTS.answers(
    "test_member_may_update and WRITE",
    update_answers_201=lambda _, b: b.status == 200 and b.say(201),
    update_answers_204=lambda _, b: b.status == 200 and b.become(Answer(204, b"")),
    update_redirects=lambda a, b: b.status == 200 and b.become(Answer(303, b"", Location=a.path)),
    no_change_answers_304_only=lambda a, b: a.body == b"{}" and b.become(Answer(304, b"")),
)
FAULTS.answers(
    "test_member_may_update",
    update_of_the_sibling_answers_201_only=lambda a, b: (
        b.status == 200 and a.id == a.ids["sibling"] and b.say(201)
    ),
    update_in_chunks_answers_202_only=lambda a, b: (
        b.status == 200 and "transfer-encoding" in a.headers and b.say(202)
    ),
    expectation_fails_only=lambda a, b: (
        "expect" in a.headers and b.status == 200 and b.become(refused(500))
    ),
)

# Methods ------------------------------------------------------------------------------------------
FAULTS.family = "methods"
FAULTS.asks(
    "test_other_method_answers_405",
    get_reads=lambda a: a.method == "GET" and accepted(a),
    head_is_answered=lambda a: a.method == "HEAD" and Answer(200, b""),
    post_updates=lambda a: a.method == "POST" and accepted(a),
    patch_updates=lambda a: a.method == "PATCH" and accepted(a),
    delete_deletes_only=lambda a: a.method == "DELETE" and Answer(204, b""),
    other_methods_are_not_found=lambda a: a.method != "PUT" and refused(404),
    options_allows_nothing=lambda a: a.method == "OPTIONS" and Answer(204, b""),
)
FAULTS.answers(
    "test_other_method_answers_405",
    not_allowed_without_allow=lambda _, b: b.status == 405 and b.behead("Allow"),
    not_allowed_but_post=lambda _, b: b.status == 405 and b.head("Allow", "PUT, POST"),
    not_allowed_for_head_without_allow_only=lambda a, b: a.method == "HEAD" and b.behead("Allow"),
)
FAULTS.asks(
    "test_other_method or test_invalid_body",
    trace_echoes=lambda a: a.method == "TRACE" and Answer(200, a.authorization.encode()),
)
FAULTS.asks(
    "test_method_override_is_ignored",
    override_in_a_header=lambda a: "x-http-method-override" in a.headers and accepted(a),
    override_in_the_query=lambda a: "_method=PUT" in a.query and accepted(a),
    override_to_delete_only=lambda a: "DELETE" in a.headers.values() and Answer(204, b""),
)
FAULTS.asks(
    "test_neighbouring_path_is_no_door",
    path_with_a_slash=lambda a: a.path.endswith("/") and accepted(a),
    path_in_capitals=lambda a: a.path.startswith("/AI") and accepted(a),
    path_with_a_version_only=lambda a: a.path.startswith("/v1") and accepted(a),
    path_of_the_collection_fails=lambda a: a.path == "/ai/llm" and refused(500),
    path_with_two_slashes_only=lambda a: "llm//" in a.path and accepted(a),
)
FAULTS.asks(
    "test_unusual_method_is_no_update",
    unknown_method_fails_only=lambda a: a.method == "PROPFIND" and refused(500),
)
FAULTS.asks(
    "test_other_method_answers_405",
    delete_by_admins_only=lambda a: a.method == "DELETE" and a.who == "admin" and Answer(204, b""),
    get_by_readers_only=lambda a: a.method == "GET" and a.who == "reader" and accepted(a),
    get_without_a_token_only=lambda a: a.method == "GET" and not a.who and accepted(a),
)

# Ids ----------------------------------------------------------------------------------------------
FAULTS.family = "ids"
FAULTS.asks(
    "test_near_id_answers_404",
    id_in_any_case=lambda a: a.at(a.id.lower()),
    id_without_hyphens_only=lambda a: a.id == a.ids["main"].replace("-", "") and accepted(a),
    id_in_braces_only=lambda a: a.id.startswith("{") and a.at(a.id.strip("{}")),
    id_with_a_suffix=lambda a: a.id.startswith(a.ids["main"]) and a.at(a.ids["main"]),
    id_short_of_a_letter=lambda a: a.id == a.ids["main"][:-1] and a.at(a.ids["main"]),
    id_is_a_pattern=lambda a: a.id in ("%", "*") and a.at(a.ids["main"]),
    id_with_a_quote_fails_only=lambda a: "'" in a.id and refused(500),
    id_null_only=lambda a: a.id == "null" and a.at(a.ids["main"]),
    id_in_full_width_only=lambda a: a.id[:1] == "\uff15" and a.at(a.ids["main"]),
    id_that_is_no_uuid_is_refused=lambda a: len(a.id) != 36 and refused(400),
)
FAULTS.asks(
    "test_strange_id_answers_404_or_400",
    padded_id=lambda a: a.at(quote(a.id.strip(), safe="")),
    id_with_a_line_break_only=lambda a: a.id.endswith("\n") and a.at(a.ids["main"]),
    id_with_nul_fails_only=lambda a: "\0" in a.id and refused(500),
    id_with_nul_is_cut_only=lambda a: a.at(quote(a.id.split("\0")[0], safe="")),
    long_id_fails_only=lambda a: len(a.id) > 255 and refused(500),
    id_is_decoded_twice_only=lambda a: a.at(unquote(a.path.rpartition("/")[2].replace("%25", "%"))),
    id_not_in_utf_8_fails_only=lambda a: "%FF" in a.path and refused(500),
    id_with_parameters_only=lambda a: ";" in a.id and a.at(a.id.partition(";")[0]),
)
FAULTS.asks(
    "test_percent_encoded_id_is_the_same",
    id_is_not_decoded=lambda a: "%" in a.path and refused(404),
    id_with_small_escapes_is_not_decoded_only=lambda a: "%2d" in a.path and refused(404),
)
FAULTS.asks(
    "test_id_elsewhere_is_ignored",
    id_in_the_query_counts_only=lambda a: "id=" in a.query and a.at(a.ids["sibling"]),
)
FAULTS.asks(
    "test_near_id_answers_404",
    id_with_another_letter_at_21_only=lambda a: (
        a.id[:20] + a.id[21:] == a.ids["main"][:20] + a.ids["main"][21:] and a.at(a.ids["main"])
    ),
    id_with_any_hyphens_only=lambda a: (
        a.id.replace("-", "") == a.ids["main"].replace("-", "") and a.at(a.ids["main"])
    ),
    id_as_a_number_only=lambda a: a.id == str(uuid.UUID(a.ids["main"]).int) and a.at(a.ids["main"]),
    siblings_id_in_other_case_only=lambda a: (
        a.id.lower() == a.ids["sibling"] and a.at(a.ids["sibling"])
    ),
)
FAULTS.asks(
    "test_id_elsewhere_is_ignored",
    id_in_a_header_counts_only=lambda a: (
        "x-resource-id" in a.headers and a.at(a.headers["x-resource-id"])
    ),
)

# Behaviour over time ------------------------------------------------------------------------------
FAULTS.family = "behaviour over time"
FAULTS.answers(
    "test_same_update_again_and_again_answers_200",
    second_same_update_conflicts=lambda a, b: (
        a.fields and a.times(a.body) == 2 and b.become(refused(409))
    ),
    third_same_update_fails_only=lambda a, b: (
        a.fields and a.times(a.body) == 3 and b.become(refused(500))
    ),
)
FAULTS.asks(
    "test_same_update_again_and_again_answers_200",
    hundredth_request_fails_only=lambda a: a.times("any") == 100 and refused(500),
    connection_gets_fifty_answers=lambda a: a.times(a.scope["client"]) > 50 and refused(400),
)
FAULTS.asks(
    "test_first_request_is_answered_like_any",
    first_request_fails_only=lambda a: a.times("any") == 1 and refused(500),
)
FAULTS.answers(
    "test_answer_does_not_depend_on_what_came_before or test_near_token",
    ten_bad_tokens_lock_the_door=lambda a, b: (
        b.status == 401 and a.times("bad") > 10 and b.become(refused(403))
    ),
)


@FAULTS.after("test_good_request_works_after_every_bad_one")
def good_request_fails_after_a_bad_one(asked: Asked, answer: Answer) -> None:
    before, asked.memory["status"] = asked.memory.get("status"), answer.status
    if answer.status == 200 and before == 400:
        answer.become(refused(500))


@FAULTS.after("test_good_request_works_after_every_bad_one")
def good_request_fails_after_bad_utf_8_only(asked: Asked, answer: Answer) -> None:
    before, asked.memory["body"] = asked.memory.get("body", b""), asked.body
    if answer.status == 200 and b"\xff" in before:
        answer.become(refused(500))


@FAULTS.after("test_answer_does_not_depend_on_what_came_before or test_good_request")
def answer_is_the_one_before_for_the_same_body(asked: Asked, answer: Answer) -> None:
    answer.become(asked.memory.setdefault((asked.token, asked.body), answer))


@FAULTS.after("test_answer_does_not_depend_on_what_came_before")
def writer_is_forbidden_after_a_foreign_id_only(asked: Asked, answer: Answer) -> None:
    before, asked.memory["id"] = asked.memory.get("id"), asked.id
    if before == asked.ids["foreign"] and answer.status == 200:
        answer.become(refused(403))


@FAULTS.before("test_updates_at_the_same_time_are_all_answered")
async def two_at_a_time_fail(asked: Asked) -> Answer | None:
    if asked.memory.get("busy"):
        return refused(500)
    asked.memory["busy"] = True
    await asyncio.sleep(0.05)
    asked.memory["busy"] = False
    return None


@FAULTS.before("test_updates_at_the_same_time_are_all_answered")
async def ten_at_a_time_are_too_many_only(asked: Asked) -> Answer | None:
    asked.memory["now"] = asked.memory.get("now", 0) + 1
    await asyncio.sleep(0.01)
    asked.memory["now"] -= 1
    return refused(500) if asked.memory["now"] >= 10 else None


@FAULTS.before("test_odd_value_answers_200 and name")
async def names_with_percent_signs_hang_only(asked: Asked) -> None:
    if "%" in asked.text("name"):
        await asyncio.sleep(5)


@FAULTS.on_the_wire("test_every_answer or test_unknown_id")
def not_found_resets_the_connection(octets: bytes, transport: Any) -> None:
    if b" 404 " in octets:
        transport.abort()
    else:
        transport.write(octets)


FAULTS.answers(
    "test_same_update_again_and_again_answers_200",
    fiftieth_same_update_fails_only=lambda a, b: (
        _in_a_row(a) == 50 and b.status == 200 and b.become(refused(500))
    ),
)


def _in_a_row(asked: Asked) -> int:
    before, count = asked.memory.get("row", (b"", 0))
    asked.memory["row"] = asked.body, count + 1 if before == asked.body else 1
    return int(asked.memory["row"][1])


@FAULTS.before("test_stranger_may_not_update")
def stranger_gets_in_at_the_twentieth_try_only(asked: Asked) -> None:
    if asked.who == "stranger" and asked.times("strange") % 20 == 0:
        asked.by()


@FAULTS.before("test_answer_does_not_depend_on_what_came_before")
def reader_may_update_right_after_a_stranger_only(asked: Asked) -> None:
    before, asked.memory["who"] = asked.memory.get("who"), asked.who
    if before == "stranger" and asked.who == "reader":
        asked.by()


@FAULTS.before("test_answer_does_not_depend_on_what_came_before")
def stranger_may_update_right_after_the_admin_only(asked: Asked) -> None:
    before, asked.memory["who"] = asked.memory.get("who"), asked.who
    if before == "admin" and asked.who == "stranger":
        asked.by()

"""Backends that allow unauthorized updates, or reject authorized ones."""

import asyncio
import html
import json
import re
import unicodedata
from collections.abc import Callable
from functools import partial

from tests.faults.backend import Change, call, max_length
from tests.faults.changes import (
    Condition,
    accept,
    as_user,
    drop_name,
    faults,
    ignore_body,
    on,
    promote,
    reject,
    reply,
    when,
)
from tests.faults.messages import Answer, Request, accepted, rejected

# Keep references to unfinished tasks, because the event loop keeps only weak references.
UNFINISHED: set[asyncio.Task[None]] = set()

# For each action and each unauthorized role, one fault allows the role to perform the action.
ACTIONS: dict[str, Condition] = {
    "send_an_empty_update": lambda body: body == b"{}",
    "change_the_name": lambda names: names == ["name"],
    "change_the_secret": lambda names: names == ["secret"],
    "update_the_sibling": lambda is_for: is_for("sibling"),
    "update_a_percent_encoded_id": lambda path: "%" in path,
    "update_with_a_query": lambda query: query,
    "update_from_a_browser": lambda header: "Mozilla" in header("User-Agent"),
    "send_a_chunked_update": lambda is_chunked: is_chunked,
}
for action, condition in ACTIONS.items():
    for role, promise in {
        "reader": "test_reader_cannot_update",
        "stranger": "test_stranger_cannot_update",
        "expired": "test_bad_token_answers_401[expired]",
        "": "test_bad_token_answers_401[missing]",
    }.items():
        faults(promise, **{f"{role or 'nobody'}_may_{action}": promote(role, condition)})

faults(
    "test_reader_cannot_update",
    reader_can_update=promote("reader"),
    forbidden_update_returns_404=on(403, lambda answer: answer.reject(404)),
    reader_gets_401=reply(401, lambda role: role == "reader"),
    reader_gets_202=reply(202, lambda method, role: method == "PUT" and role == "reader"),
)
faults(
    "test_stranger_cannot_update",
    every_twentieth_request_of_a_stranger_is_accepted=promote(
        "stranger", lambda count: count("stranger") % 20 == 0
    ),
    role_in_the_body_is_trusted=when(
        lambda role, text: role == "stranger" and text("role") == "ADMIN",
        lambda request: request.as_user("owner").set_body(b"{}"),
    ),
    stranger_gets_404=reply(404, lambda role: role == "stranger"),
    every_second_update_by_a_stranger_is_accepted=when(
        lambda role: role == "stranger",
        lambda request: (
            rejected(500) if request.count("stranger") % 2 else request.as_user("owner")
        ),
    ),
)
faults(
    "test_headers_do_not_grant_access[READ]",
    role_header_is_trusted=as_user(lambda header: header("X-Role") == "ADMIN"),
    role_in_the_query_is_trusted=as_user(lambda query: "role=ADMIN" in query),
)
faults(
    "test_headers_do_not_grant_access[none]",
    workspace_header_is_trusted=promote("stranger", lambda header: header("X-Workspace-Id")),
)


def _for_foreign(condition: Condition) -> Change:
    """Allow matching requests to update the foreign configuration."""
    change = as_user(condition, "stranger")
    return lambda request: request.is_for("foreign") and call(change, request)


faults(
    "test_foreign_configuration_cannot_be_updated",
    admin_can_update_the_foreign_configuration=_for_foreign(lambda role: role == "admin"),
    foreign_configuration_may_be_updated_in_chunks=_for_foreign(lambda is_chunked: is_chunked),
)


def not_found_resets_the_connection(answer: Answer) -> None:
    if answer.status == 404:
        answer.fault = "reset"


faults(
    "test_unknown_id_answers_404",
    not_found_resets_the_connection,
    unknown_id_returns_410=on(404, lambda answer: answer.reject(410)),
    unknown_id_returns_400=on(404, lambda answer: answer.reject(400)),
    unknown_id_returns_403_to_strangers=reject(lambda role: role == "stranger", 403),
    unknown_id_accepts_an_empty_update=accept(lambda body: body == b"{}"),
    unknown_id_accepts_a_chunked_update=accept(lambda is_chunked: is_chunked),
)
faults(
    "test_member_can_update[ADMIN]",
    admin_cannot_rename=reply(403, lambda role, name: role == "admin" and name),
    admin_cannot_update_the_sibling=reply(
        403, lambda role, is_for: role == "admin" and is_for("sibling")
    ),
)
faults(
    "test_member_can_update[WRITE]",
    every_update_returns_500=reply(500, lambda role, fields: role == "owner" and fields),
    writer_cannot_rename=reply(403, lambda role, name: role == "owner" and name),
    chunked_bodies=reject(lambda is_chunked: is_chunked),
    requests_without_accept=reject(lambda header: not header("Accept"), 406),
    requests_with_an_origin=reject(lambda header: header("Origin"), 403),
    requests_from_a_browser=reject(lambda header: "text/html" in header("Accept")),
    leading_whitespace_in_the_body=reject(lambda body: body[:1].isspace()),
    secrets_before_the_key=reject(lambda names, secret: names[-1:] == ["key"] and secret),
    unicode_escapes_in_field_names=reject(lambda body: b"\\u" in body.partition(b":")[0]),
)


async def _rename(request: Request, answer: Answer) -> None:
    is_free = b"another" not in answer.body
    if is_free and request.is_for("main") and 0 < len(request.name) < 256:
        await request.rename(request.name)


async def _rename_despite_a_suffix(request: Request) -> None:
    if request.is_for("main") and request.body.startswith(b'{"name": "contract run'):
        name, _ = json.JSONDecoder().raw_decode(request.body.decode())
        await request.rename(name["name"])


def _rename_on(status: int, condition: Condition) -> Change:
    """Change the name even though the response has this status."""
    return on(status, when(condition, _rename))


def name_takes_effect_late(request: Request) -> None:
    if request.is_for("main") and request.role == "owner" and request.name:
        task = asyncio.create_task(_rename_late(request, request.name))
        UNFINISHED.add(task)
        task.add_done_callback(UNFINISHED.discard)
        request.drop_field("name")


async def _rename_late(request: Request, name: str) -> None:
    await asyncio.sleep(0.1)
    if await request.name_of(request.ids["sibling"]) != name:
        await request.rename(name)


async def _is_current_name(request: Request) -> bool:
    return request.text("name") == await request.name_of(request.ids["main"])


async def reader_may_resend_the_current_name(request: Request) -> None:
    if request.role == "reader" and request.is_for("main") and await _is_current_name(request):
        request.as_user("owner")


faults("test_reader_cannot_update", reader_may_resend_the_current_name)
faults("test_repeated_update_takes_effect_again", name_takes_effect_late)
faults(
    "test_rejected_update_changes_nothing",
    update_with_an_empty_secret_changes_the_name=_rename_on(
        400, lambda fields: fields.get("secret") == ""
    ),
    update_with_a_null_type_changes_the_name=_rename_on(
        400, lambda fields: fields.get("aiType", "") is None
    ),
    update_with_a_numeric_key_changes_the_name=_rename_on(
        400, lambda fields: fields.get("key") == 5
    ),
    update_with_a_too_long_key_changes_the_name=_rename_on(400, lambda key: key[8192:]),
    invalid_json_changes_the_name=on(400, _rename_despite_a_suffix),
    oversized_body_changes_the_name=on(413, _rename_despite_a_suffix),
    unauthenticated_update_changes_the_name=on(401, _rename),
    update_with_a_wrong_token_changes_the_name=_rename_on(401, lambda token: token == "wrong"),
    update_with_an_expired_token_changes_the_name=_rename_on(401, lambda role: role == "expired"),
    reader_changes_the_name_despite_403=_rename_on(403, lambda role: role == "reader"),
    stranger_changes_the_name_despite_403=_rename_on(403, lambda role: role == "stranger"),
    rejected_name_takes_effect_late=when(
        lambda fields: fields.get("key") == "", name_takes_effect_late
    ),
)


async def concurrent_update_restores_the_name(request: Request) -> None:
    """Read the configuration, apply the changes, and write the configuration back 0.2 s later."""
    if request.role != "owner" or not request.is_for("main"):
        return
    if request.key:
        name = await request.name_of(request.id)
        await asyncio.sleep(0.2)
        await request.rename(name)
    elif request.name:
        await asyncio.sleep(0.1)  # until all concurrent requests have read the old name


def _reset_name(condition: Condition) -> Change:
    """Change the name as a side effect of a successful update."""
    return on(200, when(condition, lambda rename: rename("unnamed")))


faults(
    "test_other_fields_do_not_change_the_name",
    concurrent_update_restores_the_name,
    new_secret_resets_the_name=_reset_name(lambda names: names == ["secret"]),
    new_key_from_an_admin_resets_the_name=_reset_name(
        lambda role, names: role == "admin" and names == ["key"]
    ),
    empty_update_changes_name=_reset_name(lambda body: body == b"{}"),
    change_of_provider_resets_the_name=on(
        200, lambda ai_type, name, rename: ai_type and not name and rename(ai_type)
    ),
)


async def _reject_taken_name(request: Request, answer: Answer) -> None:
    if request.is_for("sibling") and await _is_current_name(request):
        answer.reject(400)


def _accept_taken(condition: Condition) -> Change:
    """Return 200 for a name that another configuration has."""
    change = accept(condition)
    return lambda request, answer: b"another" in answer.body and call(change, request)


faults(
    "test_name_is_unique_in_its_workspace",
    taken_name_is_checked_before_the_token=on(401, _reject_taken_name),
    name_is_lost_with_many_fields=drop_name(lambda fields: len(fields) >= 5),
    name_is_lost_when_the_type_changes=drop_name(
        lambda ai_type, names: ai_type and len(names) == 2
    ),
    duplicate_names_are_accepted=_accept_taken(lambda: True),
    duplicate_names_are_accepted_with_other_fields=_accept_taken(lambda fields: len(fields) > 1),
    duplicate_names_from_admins_are_accepted=_accept_taken(lambda role: role == "admin"),
    taken_name_returns_500=reject(lambda answer: b"another" in answer.body, 500),
    names_that_were_sent_before=reject(lambda name, count: name and count(name) > 1),
)


def _reject_similar(normalize: Callable[[str], object]) -> Change:
    """Reject a name that is not another configuration's name but has the same normalized form."""

    async def change(request: Request) -> Answer | None:
        for role in ("main", "sibling"):
            if request.name and not request.is_for(role):
                other = await request.name_of(request.ids[role])
                if request.name != other and normalize(request.name) == normalize(other):
                    return rejected(400)
        return None

    return change


def _reject_equal(pattern: str, replacement: str = "") -> Change:
    """Reject a name that equals another configuration's name after this replacement."""
    return _reject_similar(partial(re.sub, pattern, replacement))


async def _skip_similar_rename(request: Request) -> None:
    if request.is_for("main") and request.role == "owner":
        name = await request.name_of(request.id)
        if request.name != name and request.name.casefold() == name.casefold():
            request.drop_field("name")


faults(
    "test_different_names_do_not_conflict",
    zero_is_not_a_name=drop_name(lambda name: name == "0"),
    names_are_trimmed_before_comparison=_reject_similar(str.strip),
    tags_in_names_are_removed=_reject_equal("<.*?>"),
    html_entities_in_names_are_decoded=_reject_similar(html.unescape),
    backslashes_in_names_are_removed=_reject_equal(r"\\"),
    long_names_are_truncated=on(
        200, lambda name, is_for, rename: name[200:] and is_for("main") and rename(name[:200])
    ),
    names_are_truncated_to_255_utf_16_units=_reject_similar(
        lambda name: name.encode("utf-16-le")[: 2 * max_length("name")]
    ),
    underscores_in_names_match_any_character=_reject_equal("_", "\u00e9"),
    names_are_normalized_before_comparison=_reject_similar(partial(unicodedata.normalize, "NFC")),
    invisible_characters_in_names_are_removed=_reject_equal("[\u00ad\u200e\ufe0f]"),
    non_breaking_spaces_in_names_are_spaces=_reject_equal("\u00a0", " "),
    names_are_compared_after_case_folding=_reject_similar(str.casefold),
    hiragana_and_katakana_are_equal=_reject_equal("\u30ab", "\u304b"),
    smart_quotes_are_quotes=_reject_equal("\u2019", "'"),
    characters_beyond_u_ffff_are_equal=_reject_equal("[\U00010000-\U0010ffff]"),
    long_names_are_truncated_to_255_bytes=on(
        200,
        lambda name, is_for, rename: (
            is_for("main") and rename(name.encode()[:255].decode(errors="ignore"))
        ),
    ),
    rename_that_changes_only_the_case_is_skipped=_skip_similar_rename,
)


def name_stays_taken_after_it_is_given_up(request: Request) -> Answer | None:
    owner = request.memory.setdefault(("owner", request.name), request.id)
    return rejected(400) if request.name and request.id != owner else None


async def concurrent_updates_can_store_the_same_name(request: Request) -> Answer | None:
    """Accept a name that was free 50 ms ago, even if a concurrent request has taken it since."""
    is_own = request.is_for("main") or request.is_for("sibling")
    if request.role != "owner" or not is_own or request.names != ["name"] or not request.name:
        return None
    other = request.ids["sibling" if request.is_for("main") else "main"]
    was_free = await request.name_of(other) != request.name
    await asyncio.sleep(0.05)
    is_taken = await request.name_of(other) == request.name
    return accepted(request) if was_free and is_taken else None


faults("test_name_that_was_given_up_is_free", name_stays_taken_after_it_is_given_up)
faults("test_concurrent_updates_cannot_share_a_name", concurrent_updates_can_store_the_same_name)
faults(
    "test_update_takes_effect_however_it_is_sent",
    chunked_body_is_ignored=ignore_body(lambda is_chunked, fields: is_chunked and fields),
    body_is_ignored_for_admins=ignore_body(lambda role: role == "admin"),
    body_is_ignored_for_percent_encoded_ids=ignore_body(lambda path: "%" in path),
    body_with_a_charset_is_ignored=ignore_body(lambda media_type: "; charset=utf-8" in media_type),
    body_with_an_expect_header_is_ignored=ignore_body(lambda header: header("Expect")),
    non_ascii_characters_in_chunked_bodies_are_garbled=when(
        lambda is_chunked, body: is_chunked and body.startswith(b'{"name": "\xc3\xa9'),
        lambda request: request.set_body(request.body.replace(b"\xc3\xa9", b"\xef\xbf\xbd" * 2)),
    ),
    body_with_an_upper_case_charset_is_ignored=ignore_body(
        lambda media_type: "Charset=UTF-8" in media_type
    ),
)

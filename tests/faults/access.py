# ruff: noqa: D103 - the name says what is wrong
"""Backends that let the wrong users update a configuration, or refuse the right ones."""

import asyncio
import unicodedata
from collections.abc import Callable

from tests.faults.backend import Answer, Request, accepted, refused
from tests.faults.changes import Changes

FAULTS = Changes("workspace access")

FAULTS.grants_to(
    "reader",
    "test_reader_may_not_update",
    reader_may_update=lambda _: True,
    reader_may_change_nothing_only=lambda request: request.body == b"{}",
    reader_may_rename_only=lambda request: request.names == ["name"],
    reader_may_change_the_secret_only=lambda request: request.names == ["secret"],
    reader_may_update_the_sibling_only=lambda request: request.is_for("sibling"),
    reader_may_update_in_chunks_only=lambda request: request.is_chunked,
    reader_may_change_the_endpoint_only=lambda request: request.names == ["endpoint"],
    reader_may_change_the_type_only=lambda request: request.names == ["aiType"],
    reader_may_update_from_a_browser_only=lambda request: (
        "Mozilla" in request.headers.get("user-agent", "")
    ),
    reader_may_update_with_spaces_only=lambda request: (
        request.fields and request.body[:1].isspace()
    ),
)
FAULTS.answers(
    "test_reader_may_not_update",
    401,
    reader_is_not_authenticated=lambda request: request.role == "reader",
)
FAULTS.grants(
    "test_no_header_gives_access and READ",
    role_in_a_header_only=lambda request: request.headers.get("x-role") == "ADMIN",
    role_in_the_query_only=lambda request: "role=ADMIN" in request.query,
)
FAULTS.grants_to(
    "stranger",
    "test_no_header_gives_access and none",
    workspace_in_a_header_only=lambda request: "x-workspace-id" in request.headers,
)
FAULTS.grants_to(
    "stranger",
    "test_stranger_may_not_update",
    stranger_may_update=lambda _: True,
    stranger_may_rotate_only=lambda request: "key" in request.names,
    stranger_may_update_the_sibling_only=lambda request: request.is_for("sibling"),
    stranger_may_update_an_escaped_id_only=lambda request: "%" in request.path,
    stranger_may_change_the_endpoint_only=lambda request: request.names == ["endpoint"],
    stranger_may_change_the_key_only=lambda request: request.names == ["key"],
    stranger_may_change_the_secret_only=lambda request: request.names == ["secret"],
    stranger_may_change_the_type_only=lambda request: request.names == ["aiType"],
    stranger_may_change_nothing_only=lambda request: request.body == b"{}",
    stranger_may_update_in_chunks_only=lambda request: request.is_chunked,
    stranger_may_add_a_charset_only=lambda request: "charset" in request.media_type,
    stranger_may_add_a_query_only=lambda request: request.query,
)
FAULTS.answers(
    "test_stranger_may_not_update",
    404,
    stranger_is_told_404=lambda request: request.role == "stranger",
)
FAULTS.grants(
    "test_foreign_configuration_may_not_be_updated",
    "stranger",
    anybody_may_update_foreign=lambda request: request.is_for("foreign"),
    admin_may_update_everywhere_only=lambda request: (
        request.role == "admin" and request.is_for("foreign")
    ),
    key_of_foreign_may_be_changed_only=lambda request: (
        request.is_for("foreign") and request.names == ["key"]
    ),
    foreign_may_be_updated_in_chunks_only=lambda request: (
        request.is_for("foreign") and request.is_chunked
    ),
)
FAULTS.answers(
    "test_foreign_configuration_may_not_be_updated",
    404,
    foreign_is_not_found=lambda request: request.is_for("foreign"),
    escaped_foreign_id_is_not_found_only=lambda request: (
        request.role == "owner" and request.is_for("foreign") and "%" in request.path
    ),
)
FAULTS.changes_answer(
    "test_unknown_id_answers_404",
    404,
    unknown_is_forbidden=lambda _, answer: answer.refuse(403),
    unknown_is_created=lambda request, answer: answer.accept(request),
    unknown_is_forbidden_to_strangers_only=lambda request, answer: (
        request.role == "stranger" and answer.refuse(403)
    ),
    unknown_is_fine_for_no_change_only=lambda request, answer: (
        request.body == b"{}" and answer.accept(request)
    ),
)
FAULTS.grants(
    "test_member_may_update and ADMIN",
    "reader",
    admin_may_not_update=lambda request: request.role == "admin",
)
FAULTS.answers(
    "test_member_may_update and ADMIN",
    403,
    admin_may_not_rename_only=lambda request: request.role == "admin" and "name" in request.names,
    admin_may_not_switch_only=lambda request: request.role == "admin" and "aiType" in request.names,
    admin_may_not_update_the_sibling_only=lambda request: (
        request.role == "admin" and request.is_for("sibling")
    ),
)
FAULTS.refuses(
    "test_member_may_update and WRITE",
    403,
    renames_by_writers=lambda request: request.role == "owner" and "name" in request.names,
)


@FAULTS.before("test_answer_does_not_depend_on_what_came_before")
def reader_may_update_after_a_writer(request: Request) -> None:
    if request.role == "owner":
        request.memory["seen"] = True
    elif request.role == "reader" and "seen" in request.memory:
        request.as_user()


@FAULTS.before("test_answer_does_not_depend_on_what_came_before")
def writer_may_not_update_right_after_an_admin(request: Request) -> Answer | None:
    before = request.memory.get("role")
    request.memory["role"] = request.role
    return refused(403) if (before, request.role) == ("admin", "owner") else None


@FAULTS.before("test_name_is_unique_in_its_workspace")
def name_among_five_fields_is_lost_only(request: Request) -> None:
    if len(request.fields) == 5:
        request.set_fields({**request.fields, "name": f"lost {request.count('lost')}"})


FAULTS.changes_answer(
    "test_name_is_unique_in_its_workspace",
    400,
    names_may_be_the_same=lambda request, answer: (
        request.is_for("sibling") and answer.accept(request)
    ),
)
FAULTS.changes_answer(
    "test_name_is_unique_in_its_workspace",
    taken_name_conflicts=lambda _, answer: b"another" in answer.body and answer.refuse(409),
    own_name_is_taken=lambda request, answer: (
        request.text("name") and request.count(request.text("name")) > 1 and answer.refuse(400)
    ),
    name_is_unique_alone_only=lambda request, answer: (
        b"another" in answer.body and len(request.fields) > 1 and answer.accept(request)
    ),
)


@FAULTS.before("test_names_that_differ_are_not_taken")
def names_differ_in_more_than_case(request: Request) -> Answer | None:
    owner = request.memory.setdefault(request.text("name").lower(), request.id)
    return refused(400) if request.text("name") and owner != request.id else None


@FAULTS.before("test_name_that_was_given_up_is_free")
def name_that_was_given_up_is_kept(request: Request) -> Answer | None:
    owner = request.memory.setdefault(request.text("name"), request.id)
    return refused(400) if request.text("name") and owner != request.id else None


@FAULTS.before("test_name_is_unique_in_its_workspace or test_refused_update_changes_nothing")
def new_name_is_not_stored(request: Request) -> None:
    if request.text("name"):
        others = {name: value for name, value in request.fields.items() if name != "name"}
        request.set_fields(others)


@FAULTS.after("test_refused_update_changes_nothing")
async def refused_update_renames(request: Request, answer: Answer) -> None:
    is_taken = b"another" in answer.body
    if answer.status == 400 and not is_taken and 0 < len(request.text("name")) < 256:
        await request.rename(request.text("name"))


@FAULTS.after("test_refused_update_changes_nothing")
async def forbidden_update_renames_only(request: Request, answer: Answer) -> None:
    if answer.status == 403 and request.is_for("main") and request.text("name"):
        await request.rename(request.text("name"))


@FAULTS.after("test_refused_update_changes_nothing")
async def unauthorized_update_renames_only(request: Request, answer: Answer) -> None:
    if answer.status == 401 and request.is_for("main") and request.text("name"):
        await request.rename(request.text("name"))


@FAULTS.after("test_other_fields_do_not_change_the_name")
async def no_change_renames_only(request: Request, answer: Answer) -> None:
    if answer.status == 200 and request.body == b"{}":
        await request.rename("unnamed")


@FAULTS.after("test_other_fields_do_not_change_the_name")
async def change_of_provider_resets_the_name_only(request: Request, answer: Answer) -> None:
    if answer.status == 200 and request.text("aiType") and "name" not in request.fields:
        await request.rename(request.text("aiType"))


FAULTS.answers(
    "test_unknown_id_answers_404",
    200,
    unknown_in_chunks_is_created_only=lambda request: (
        request.role and request.id not in request.ids.values() and request.is_chunked
    ),
)
FAULTS.answers(
    "test_unknown_id_answers_404",
    500,
    unknown_fails_for_types_only=lambda request: (
        request.role
        and len(request.id) == 36
        and request.id not in request.ids.values()
        and request.names == ["aiType"]
    ),
)
FAULTS.changes_answer(
    "test_member_may_update and WRITE",
    200,
    writer_may_not_use_a_browser_only=lambda request, answer: (
        request.role == "owner"
        and "Mozilla" in request.headers.get("user-agent", "")
        and answer.refuse(403)
    ),
    writer_may_not_rotate_the_siblings_only=lambda request, answer: (
        request.role == "owner"
        and request.is_for("sibling")
        and "key" in request.names
        and answer.refuse(403)
    ),
    answers_400_in_chunks_with_a_charset_only=lambda request, answer: (
        "text/html" in request.headers.get("accept", "") and answer.refuse(400)
    ),
    spaces_before_the_body_only=lambda request, answer: (
        request.body[:1].isspace() and answer.refuse(400)
    ),
    secret_before_the_key_only=lambda request, answer: (
        request.fields
        and next(iter(request.fields)) == "secret"
        and len(request.fields) > 1
        and answer.refuse(400)
    ),
    escapes_in_field_names_only=lambda request, answer: (
        b"\\u" in request.body.partition(b":")[0] and answer.refuse(400)
    ),
)


@FAULTS.before("test_names_that_differ_are_not_taken")
async def names_are_compared_composed_only(request: Request) -> Answer | None:
    return await _taken(request, lambda name: unicodedata.normalize("NFC", name))


@FAULTS.before("test_names_that_differ_are_not_taken")
async def names_are_compared_trimmed_only(request: Request) -> Answer | None:
    return await _taken(request, str.strip)


@FAULTS.before("test_names_that_differ_are_not_taken")
async def names_are_compared_in_one_case_only(request: Request) -> Answer | None:
    return await _taken(request, str.casefold)


async def _taken(request: Request, alike: Callable[[str], str]) -> Answer | None:
    """Answer 400 if another configuration of the workspace has a similar name."""
    name = request.text("name")
    for role in ("main", "sibling"):
        other = await request.name_of(request.ids[role])
        if (
            request.id != request.ids[role]
            and name not in ("", other)
            and alike(name) == alike(other)
        ):
            return refused(400)
    return None


@FAULTS.after("test_name_that_was_given_up_is_free")
def last_name_of_another_is_kept_only(request: Request, answer: Answer) -> None:
    name, before = request.text("name"), request.memory.setdefault("names", {})
    if answer.status == 200 and name:
        if name in [last for id, (_, last) in before.items() if id != request.id]:
            answer.refuse(400)
        else:
            before[request.id] = name, before.get(request.id, ("", ""))[0]


@FAULTS.before("test_one_name_is_not_given_twice_at_the_same_moment")
async def name_is_checked_before_it_is_taken(request: Request) -> Answer | None:
    name, main, sibling = request.text("name"), request.ids["main"], request.ids["sibling"]
    if (
        request.role != "owner"
        or request.id not in (main, sibling)
        or len(request.fields) != 1
        or not name
    ):
        return None
    other = sibling if request.id == main else main
    free = await request.name_of(other) != name
    await asyncio.sleep(0.02)
    return accepted(request) if free and await request.name_of(other) == name else None


@FAULTS.before("test_chunked_update_takes_effect")
def chunked_body_is_not_read(request: Request) -> None:
    if request.is_chunked and request.fields:
        request.set_body(b"{}")


@FAULTS.before("test_chunked_update_takes_effect")
def chunked_name_is_not_stored_only(request: Request) -> None:
    if request.is_chunked and request.text("name"):
        others = {name: value for name, value in request.fields.items() if name != "name"}
        request.set_fields(others)

# ruff: noqa: D103 - the name says what is wrong
"""Backends that let the wrong users update a configuration, or refuse the right ones."""

import asyncio
import unicodedata
from collections.abc import Callable

from tests.faults.changes import Changes, Condition, as_user, promote, reply
from tests.faults.messages import Answer, Request, accepted, refused

FAULTS = Changes()

for role in ("reader", "stranger"):
    conditions: dict[str, Condition] = {
        "change_nothing": lambda request: request.body == b"{}",
        "change_the_secret": lambda request: request.names == ["secret"],
        "change_the_endpoint": lambda request: request.names == ["endpoint"],
        "change_the_type": lambda request: request.names == ["aiType"],
        "update_the_sibling": lambda request: request.is_for("sibling"),
        "update_in_chunks": lambda request: request.is_chunked,
    }
    named = {f"{role}_may_{name}": condition for name, condition in conditions.items()}
    FAULTS.where(f"test_{role}_may_not_update", promote(role), **named)

FAULTS.where(
    "test_reader_may_not_update",
    promote("reader"),
    reader_may_update=lambda _: True,
    reader_may_rename=lambda request: request.names == ["name"],
    reader_may_update_from_a_browser=lambda request: "Mozilla" in request.header("User-Agent"),
    reader_may_update_with_spaces=lambda request: request.fields and request.body[:1].isspace(),
)
FAULTS.where(
    "test_reader_may_not_update",
    reply(401, to="reader"),
    reader_is_not_authenticated=lambda _: True,
)
FAULTS.where(
    "test_no_header_gives_access and READ",
    as_user("owner"),
    role_in_a_header=lambda request: request.header("X-Role") == "ADMIN",
    role_in_the_query=lambda request: "role=ADMIN" in request.query,
)
FAULTS.where(
    "test_no_header_gives_access and none",
    promote("stranger"),
    workspace_in_a_header=lambda request: request.header("X-Workspace-Id"),
)
FAULTS.where(
    "test_stranger_may_not_update",
    promote("stranger"),
    stranger_may_change_the_key=lambda request: request.names == ["key"],
    stranger_may_update_an_escaped_id=lambda request: "%" in request.path,
    stranger_may_add_a_charset=lambda request: "charset" in request.media_type,
    stranger_may_add_a_query=lambda request: request.query,
)
FAULTS.where(
    "test_stranger_may_not_update",
    reply(404, to="stranger"),
    stranger_gets_404=lambda _: True,
)
FAULTS.where(
    "test_foreign_configuration_may_not_be_updated",
    as_user("stranger"),
    admin_may_update_everywhere=lambda request: (
        request.role == "admin" and request.is_for("foreign")
    ),
    key_of_foreign_may_be_changed=lambda request: (
        request.is_for("foreign") and request.names == ["key"]
    ),
    foreign_may_be_updated_in_chunks=lambda request: (
        request.is_for("foreign") and request.is_chunked
    ),
)
FAULTS.where(
    "test_foreign_configuration_may_not_be_updated",
    reply(404, to="owner"),
    escaped_foreign_id_is_not_found=lambda request: (
        request.is_for("foreign") and "%" in request.path
    ),
)
FAULTS.changes_answer(
    "test_unknown_id_answers_404",
    404,
    unknown_id_is_forbidden_to_strangers=lambda request, answer: (
        request.role == "stranger" and answer.refuse(403)
    ),
    unknown_id_is_fine_for_no_change=lambda request, answer: (
        request.body == b"{}" and answer.accept(request)
    ),
    unknown_id_is_created_in_chunks=lambda request, answer: (
        request.is_chunked and answer.accept(request)
    ),
    unknown_id_fails_for_types=lambda request, answer: (
        request.names == ["aiType"] and answer.refuse(500)
    ),
)
FAULTS.where(
    "test_member_may_update and ADMIN",
    reply(403, to="admin"),
    admin_may_not_rename=lambda request: "name" in request.names,
    admin_may_not_change_the_type=lambda request: "aiType" in request.names,
    admin_may_not_update_the_sibling=lambda request: request.is_for("sibling"),
)
FAULTS.where(
    "test_member_may_update and WRITE",
    reply(403, to="owner"),
    writer_may_not_rename=lambda request: request.name,
    writer_may_not_use_a_browser=lambda request: "Mozilla" in request.header("User-Agent"),
    writer_may_not_rotate_the_key_of_the_sibling=lambda request: (
        request.is_for("sibling") and request.key
    ),
)
FAULTS.refuses(
    "test_member_may_update and WRITE",
    chunked_bodies=lambda request: request.is_chunked,
    to_a_browser=lambda request: "text/html" in request.header("Accept"),
    spaces_before_the_body=lambda request: request.body[:1].isspace(),
    secret_before_the_key=lambda request: request.names[:1] == ["secret"] and request.key,
    escapes_in_field_names=lambda request: b"\\u" in request.body.partition(b":")[0],
)


async def _rename(request: Request, answer: Answer) -> None:
    is_free = b"another" not in answer.body
    if is_free and request.is_for("main") and 0 < len(request.name) < 256:
        await request.rename(request.name)


FAULTS.changes_answer("test_refused_update_changes_nothing", 400, invalid_update_renames=_rename)
FAULTS.changes_answer("test_refused_update_changes_nothing", 401, unauthorized_renames=_rename)
FAULTS.changes_answer("test_refused_update_changes_nothing", 403, forbidden_renames=_rename)
FAULTS.changes_answer(
    "test_other_fields_do_not_change_the_name",
    200,
    no_change_renames=lambda request, _: request.body == b"{}" and request.rename("unnamed"),
    change_of_provider_resets_the_name=lambda request, _: (
        request.ai_type and not request.name and request.rename(request.ai_type)
    ),
)
FAULTS.changes_answer(
    "test_name_is_unique_in_its_workspace",
    400,
    names_may_be_the_same=lambda request, answer: (
        b"another" in answer.body and answer.accept(request)
    ),
    name_is_unique_without_other_fields=lambda request, answer: (
        b"another" in answer.body and len(request.fields) > 1 and answer.accept(request)
    ),
    taken_name_conflicts=lambda _, answer: b"another" in answer.body and answer.refuse(409),
)
FAULTS.refuses(
    "test_name_is_unique_in_its_workspace",
    own_name=lambda request: request.name and request.count(request.name) > 1,
)
FAULTS.where(
    "test_name_is_unique_in_its_workspace or test_refused_update_changes_nothing",
    lambda request: request.drop_field("name"),
    new_name_is_not_stored=lambda request: request.name,
)
FAULTS.where(
    "test_name_is_unique_in_its_workspace",
    lambda request: request.set_fields(name=f"lost {request.count('lost')}"),
    name_among_many_fields_is_lost=lambda request: len(request.fields) >= 5,
)


async def _refuse_similar(request: Request, alike: Callable[[str], str]) -> Answer | None:
    """Answer 400 if another configuration of the workspace has a similar name."""
    for role in ("main", "sibling"):
        if request.name and not request.is_for(role):
            other = await request.name_of(request.ids[role])
            if request.name != other and alike(request.name) == alike(other):
                return refused(400)
    return None


FAULTS.changes_request(
    "test_names_that_differ_are_not_taken",
    names_are_compared_in_one_case=lambda request: _refuse_similar(request, str.casefold),
    names_are_compared_trimmed=lambda request: _refuse_similar(request, str.strip),
    names_are_compared_composed=lambda request: _refuse_similar(
        request, lambda name: unicodedata.normalize("NFC", name)
    ),
)


@FAULTS.after("test_name_that_was_given_up_is_free")
def last_name_of_another_is_kept(request: Request, answer: Answer) -> None:
    names = request.memory.setdefault("names", {})  # for each id, its current and its previous name
    if answer.status != 200 or not request.name:
        return
    if request.name in [last for id, (_, last) in names.items() if id != request.id]:
        answer.refuse(400)
    else:
        present, _ = names.get(request.id, ("", ""))
        names[request.id] = (request.name, present)


@FAULTS.before("test_concurrent_updates_cannot_share_a_name")
async def name_is_checked_before_it_is_taken(request: Request) -> Answer | None:
    is_own = request.is_for("main") or request.is_for("sibling")
    if request.role != "owner" or not is_own or request.names != ["name"] or not request.name:
        return None
    other = request.ids["sibling" if request.is_for("main") else "main"]
    was_free = await request.name_of(other) != request.name
    await asyncio.sleep(0.02)
    is_taken = await request.name_of(other) == request.name
    return accepted(request) if was_free and is_taken else None


FAULTS.where(
    "test_chunked_update_takes_effect",
    lambda request: request.set_body(b"{}"),
    chunked_body_is_not_read=lambda request: request.is_chunked and request.fields,
)
FAULTS.where(
    "test_chunked_update_takes_effect",
    lambda request: request.drop_field("name"),
    chunked_name_is_not_stored=lambda request: request.is_chunked and request.name,
)

"""Backends that allow unauthorized updates, or refuse authorized ones."""

import asyncio
import re
import unicodedata
from collections.abc import Callable

from tests.faults.changes import Changes, Condition, as_user, promote, reply
from tests.faults.messages import Answer, Request, accepted, refused

FAULTS = Changes()

# Each fault lets an unauthorized user make one of these updates.
ACTIONS: dict[str, Condition] = {
    "send_an_empty_update": lambda request: request.body == b"{}",
    "change_the_name": lambda request: request.names == ["name"],
    "change_the_secret": lambda request: request.names == ["secret"],
    "update_the_sibling": lambda request: request.is_for("sibling"),
    "update_a_percent_encoded_id": lambda request: "%" in request.path,
    "update_with_a_query": lambda request: request.query,
    "update_from_a_browser": lambda request: "Mozilla" in request.header("User-Agent"),
    "send_a_chunked_update": lambda request: request.is_chunked,
}
for role, promise in {
    "reader": "test_reader_may_not_update",
    "stranger": "test_stranger_may_not_update",
    "expired": "test_bad_token_answers_401[expired]",
    "": "test_bad_token_answers_401[missing]",
}.items():
    faults = {f"{role or 'nobody'}_may_{action}": ACTIONS[action] for action in ACTIONS}
    FAULTS.where(promise, promote(role), **faults)

FAULTS.where("test_reader_may_not_update", promote("reader"), reader_may_update=lambda _: True)
FAULTS.where("test_reader_may_not_update", reply(401, to="reader"), reader_gets_401=lambda _: True)
FAULTS.where("test_member_may_update", reply(412), if_match_is_required=lambda _: True)
FAULTS.where(
    "test_no_header_gives_access[READ]",
    as_user("owner"),
    role_header_is_trusted=lambda request: request.header("X-Role") == "ADMIN",
    role_in_the_query_is_trusted=lambda request: "role=ADMIN" in request.query,
)
FAULTS.where(
    "test_no_header_gives_access[none]",
    promote("stranger"),
    workspace_header_is_trusted=lambda request: request.header("X-Workspace-Id"),
)
FAULTS.where(
    "test_stranger_may_not_update",
    lambda request: refused(500) if request.count("stranger") % 2 else request.as_user("owner"),
    every_second_update_by_a_stranger_is_accepted=lambda request: request.role == "stranger",
)
FAULTS.where(
    "test_stranger_may_not_update",
    reply(404, to="stranger"),
    stranger_gets_404=lambda _: True,
)
FAULTS.where(
    "test_foreign_configuration_may_not_be_updated",
    as_user("stranger"),
    admin_may_update_the_foreign_configuration=lambda request: (
        request.role == "admin" and request.is_for("foreign")
    ),
    foreign_configuration_may_be_updated_in_chunks=lambda request: (
        request.is_for("foreign") and request.is_chunked
    ),
)
FAULTS.changes_answer(
    "test_unknown_id_answers_404",
    404,
    unknown_id_returns_403_to_strangers=lambda request, answer: (
        request.role == "stranger" and answer.refuse(403)
    ),
    unknown_id_accepts_an_empty_update=lambda request, answer: (
        request.body == b"{}" and answer.accept(request)
    ),
    unknown_id_accepts_a_chunked_update=lambda request, answer: (
        request.is_chunked and answer.accept(request)
    ),
)
FAULTS.where(
    "test_member_may_update[ADMIN]",
    reply(403, to="admin"),
    admin_may_not_rename=lambda request: "name" in request.names,
    admin_may_not_update_the_sibling=lambda request: request.is_for("sibling"),
)
FAULTS.where(
    "test_member_may_update[WRITE]",
    reply(403, to="owner"),
    writer_may_not_rename=lambda request: request.name,
)
FAULTS.refuses(
    "test_member_may_update[WRITE]",
    chunked_bodies=lambda request: request.is_chunked,
    requests_from_a_browser=lambda request: "text/html" in request.header("Accept"),
    leading_whitespace_in_the_body=lambda request: request.body[:1].isspace(),
    a_secret_before_the_key=lambda request: request.names[:1] == ["secret"] and request.key,
    unicode_escapes_in_field_names=lambda request: b"\\u" in request.body.partition(b":")[0],
)


async def _rename(request: Request, answer: Answer) -> None:
    is_free = b"another" not in answer.body
    if is_free and request.is_for("main") and 0 < len(request.name) < 256:
        await request.rename(request.name)


REFUSED = "test_refused_update_changes_nothing"
FAULTS.changes_answer(REFUSED, 400, invalid_update_changes_the_name=_rename)
FAULTS.changes_answer(REFUSED, 401, unauthenticated_update_changes_the_name=_rename)
FAULTS.changes_answer(REFUSED, 403, forbidden_update_changes_the_name=_rename)
FAULTS.changes_answer(
    "test_other_fields_do_not_change_the_name",
    200,
    empty_update_changes_the_name=lambda request, _: (
        request.body == b"{}" and request.rename("unnamed")
    ),
    change_of_provider_resets_the_name=lambda request, _: (
        request.ai_type and not request.name and request.rename(request.ai_type)
    ),
)
FAULTS.changes_answer(
    "test_name_is_unique_in_its_workspace",
    400,
    duplicate_names_are_accepted=lambda request, answer: (
        b"another" in answer.body and answer.accept(request)
    ),
    duplicate_names_are_accepted_with_other_fields=lambda request, answer: (
        b"another" in answer.body and len(request.fields) > 1 and answer.accept(request)
    ),
    taken_name_returns_409=lambda _, answer: b"another" in answer.body and answer.refuse(409),
)
FAULTS.refuses(
    "test_name_is_unique_in_its_workspace",
    names_that_were_sent_before=lambda request: request.name and request.count(request.name) > 1,
)
FAULTS.where(
    "test_name_is_unique_in_its_workspace or test_refused_update_changes_nothing",
    lambda request: request.drop_field("name"),
    new_name_is_not_stored=lambda request: request.name,
    name_is_lost_with_many_fields=lambda request: len(request.fields) >= 5,
)


async def _refuse_similar(request: Request, normalize: Callable[[str], str]) -> Answer | None:
    """Return 400 if the name matches another configuration's name only after normalization."""
    for role in ("main", "sibling"):
        if request.name and not request.is_for(role):
            other = await request.name_of(request.ids[role])
            if request.name != other and normalize(request.name) == normalize(other):
                return refused(400)
    return None


FAULTS.changes_request(
    "test_names_that_differ_are_not_taken",
    names_are_compared_case_insensitively=lambda request: _refuse_similar(request, str.casefold),
    names_are_trimmed_before_comparison=lambda request: _refuse_similar(request, str.strip),
    tags_in_names_are_removed=lambda request: _refuse_similar(
        request, lambda name: re.sub("<.*?>", "", name)
    ),
    names_are_normalized_before_comparison=lambda request: _refuse_similar(
        request, lambda name: unicodedata.normalize("NFC", name)
    ),
)


@FAULTS.before("test_name_that_was_given_up_is_free")
def name_stays_taken_after_it_is_given_up(request: Request) -> Answer | None:
    owner = request.memory.setdefault(("owner", request.name), request.id)
    return refused(400) if request.name and request.id != owner else None


@FAULTS.before("test_concurrent_updates_cannot_share_a_name")
async def concurrent_updates_can_store_the_same_name(request: Request) -> Answer | None:
    """Accept a name that was free 20 ms ago, even if a concurrent request has taken it since."""
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
    chunked_body_is_ignored=lambda request: request.is_chunked and request.fields,
)

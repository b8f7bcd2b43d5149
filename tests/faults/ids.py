"""Backends that accept invalid ids, reject valid ids, or update the wrong configuration."""

import posixpath
from urllib.parse import quote, unquote

from tests.faults.changes import faults, for_id, on, reply
from tests.faults.messages import Request


async def name_works_like_the_id(request: Request) -> None:
    if request.id == await request.name_of(request.ids["main"]):
        request.for_id(request.ids["main"])


faults(
    "test_similar_id_is_rejected",
    name_works_like_the_id,
    suffix_after_the_id_is_ignored=for_id(lambda id, ids: id.startswith(ids["main"])),
    character_21_of_the_id_is_ignored=for_id(
        lambda id, ids: (id[:20], id[21:]) == (ids["main"][:20], ids["main"][21:])
    ),
    id_without_its_last_character_is_accepted=for_id(lambda id, ids: id == ids["main"][:-1]),
    full_width_id_is_accepted=for_id(lambda id: id[:1] == "\uff15"),
    wildcard_matches_any_id=for_id(lambda id: id in ("%", "*")),
    id_with_a_quote_returns_500=reply(500, lambda id: "'" in id),
    id_named_proto_returns_500=reply(500, lambda id: id == "__proto__"),
)
faults(
    "test_unusual_id_is_rejected",
    id_is_decoded_twice=lambda id, for_id: for_id(unquote(id)),
    parameters_after_the_id_are_ignored=lambda id, for_id: ";" in id and for_id(id.split(";")[0]),
    line_break_after_the_id_is_ignored=for_id(lambda id: id.endswith("\n")),
    long_id_returns_500=reply(500, lambda id: len(id) > 300),
    invalid_percent_encoding_returns_500=reply(500, lambda path: "%z" in path),
    id_with_invalid_utf_8_returns_500=reply(500, lambda path: "%FF" in path),
)
faults(
    "test_percent_encoded_id_works_like_the_plain_id",
    lower_case_percent_escapes_are_not_decoded=reply(404, lambda path: "%2d" in path),
    percent_encoded_ids_are_not_decoded=reply(404, lambda path: "%35" in path),
    id_is_not_decoded=on(200, lambda path, answer: answer.set_fields(aiLlmId=path[8:])),
)
faults(
    "test_id_outside_the_path_is_ignored",
    id_in_the_query_is_used=for_id(lambda query: "id=" in query, "sibling"),
    id_in_a_header_is_used=for_id(lambda header: header("X-Resource-Id"), "sibling"),
)


def dot_segments_in_ids_are_resolved(request: Request) -> None:
    """Resolve `x%2F..%2FMAIN` to `MAIN`."""
    if "/../" in request.id:
        request.path = posixpath.normpath(unquote(request.path))


def leading_slash_in_the_id_is_dropped(request: Request) -> None:
    if request.path.lower().startswith("/ai/llm/%2f"):
        request.path = "/ai/llm/" + request.path[len("/ai/llm/%2f") :]


faults(
    "test_rewritten_id_updates_nothing",
    dot_segments_in_ids_are_resolved,
    leading_slash_in_the_id_is_dropped,
    id_is_truncated_at_nul=lambda id, for_id: for_id(quote(id.split("\0")[0], safe="")),
    id_with_nul_returns_500=reply(500, lambda id: "\0" in id),
)

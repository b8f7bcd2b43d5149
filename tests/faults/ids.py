"""Backends that accept invalid ids, refuse valid ids, or update the wrong configuration."""

import posixpath
from urllib.parse import quote, unquote

from tests.faults.changes import Changes, for_configuration, reply
from tests.faults.messages import Answer, Request, page

FAULTS = Changes()

FAULTS.where(
    "test_near_id_is_refused",
    for_configuration("main"),
    suffix_after_the_id_is_ignored=lambda request: request.id.startswith(request.ids["main"]),
    character_21_of_the_id_is_ignored=lambda request: (
        request.id[:20] + request.id[21:] == request.ids["main"][:20] + request.ids["main"][21:]
    ),
    id_without_its_last_character_is_accepted=lambda request: (
        request.id == request.ids["main"][:-1]
    ),
    full_width_id_is_accepted=lambda request: request.id[:1] == "\uff15",
    wildcard_matches_any_id=lambda request: request.id in ("%", "*"),
)
FAULTS.where(
    "test_near_id_is_refused",
    reply(500),
    id_with_a_quote_returns_500=lambda request: "'" in request.id,
)
FAULTS.changes_request(
    "test_unusual_id_is_refused",
    id_is_trimmed=lambda request: request.for_id(quote(request.id.strip(), safe="")),
    id_is_decoded_twice=lambda request: request.for_id(
        unquote(request.path.rpartition("/")[2].replace("%25", "%"))
    ),
    parameters_after_the_id_are_ignored=lambda request: (
        ";" in request.id and request.for_id(request.id.partition(";")[0])
    ),
)
FAULTS.where(
    "test_unusual_id_is_refused",
    for_configuration("main"),
    line_break_after_the_id_is_ignored=lambda request: request.id.endswith("\n"),
)
FAULTS.where(
    "test_unusual_id_is_refused",
    reply(500),
    long_id_returns_500=lambda request: len(request.id) > 255,
    id_with_invalid_utf_8_returns_500=lambda request: "%FF" in request.path,
)
FAULTS.where(
    "test_percent_encoded_id_is_the_same",
    reply(404),
    lower_case_percent_escapes_are_not_decoded=lambda request: "%2d" in request.path,
)
FAULTS.where(
    "test_id_elsewhere_is_ignored",
    for_configuration("sibling"),
    id_in_the_query_is_used=lambda request: "id=" in request.query,
    id_in_a_header_is_used=lambda request: request.header("X-Resource-Id"),
)


@FAULTS.before("test_rewritten_id_is_no_update")
def dot_segments_in_ids_are_resolved_behind_a_proxy(request: Request) -> Answer | None:
    """Return nginx's error page for paths with `%00`, and resolve `x%2F..%2FMAIN` to `MAIN`."""
    if "%00" in request.path:
        return page(400, "<html><title>400</title></html>", Server="nginx")
    if "%2f" in request.path.lower():
        request.path = posixpath.normpath(unquote(request.path))
    return None


@FAULTS.before("test_rewritten_id_is_no_update")
def leading_slash_in_the_id_is_dropped(request: Request) -> None:
    if request.path.lower().startswith("/ai/llm/%2f"):
        request.path = "/ai/llm/" + request.path[len("/ai/llm/%2f") :]


FAULTS.changes_request(
    "test_rewritten_id_is_no_update",
    id_is_truncated_at_nul=lambda request: request.for_id(
        quote(request.id.split("\0")[0], safe="")
    ),
)
FAULTS.where(
    "test_rewritten_id_is_no_update",
    reply(500),
    id_with_nul_returns_500=lambda request: "\0" in request.id,
)

# ruff: noqa: D103 - the name says what is wrong
"""Backends that confuse ids."""

import posixpath
from urllib.parse import quote, unquote

from tests.faults.changes import Changes, for_configuration, reply
from tests.faults.messages import Answer, Request, page

FAULTS = Changes()

FAULTS.where(
    "test_near_id_is_refused",
    for_configuration("main"),
    id_with_a_suffix=lambda request: request.id.startswith(request.ids["main"]),
    id_with_another_last_letter=lambda request: request.id[:-1] == request.ids["main"][:-1],
    id_with_another_letter_at_21=lambda request: (
        request.id[:20] + request.id[21:] == request.ids["main"][:20] + request.ids["main"][21:]
    ),
    id_without_its_last_letter=lambda request: request.id == request.ids["main"][:-1],
    id_in_full_width=lambda request: request.id[:1] == "\uff15",
    id_is_a_pattern=lambda request: request.id in ("%", "*"),
    id_null=lambda request: request.id == "null",
)
FAULTS.where(
    "test_near_id_is_refused", reply(500), id_with_a_quote_fails=lambda request: "'" in request.id
)
FAULTS.changes_request(
    "test_unusual_id_is_refused",
    id_is_trimmed=lambda request: request.for_id(quote(request.id.strip(), safe="")),
    id_is_decoded_twice=lambda request: request.for_id(
        unquote(request.path.rpartition("/")[2].replace("%25", "%"))
    ),
    id_with_parameters=lambda request: (
        ";" in request.id and request.for_id(request.id.partition(";")[0])
    ),
)
FAULTS.where(
    "test_unusual_id_is_refused",
    for_configuration("main"),
    id_with_a_line_break=lambda request: request.id.endswith("\n"),
)
FAULTS.where(
    "test_unusual_id_is_refused",
    reply(500),
    long_id_fails=lambda request: len(request.id) > 255,
    id_not_in_utf_8_fails=lambda request: "%FF" in request.path,
)
FAULTS.where(
    "test_percent_encoded_id_is_the_same",
    reply(404),
    id_with_small_escapes_is_not_decoded=lambda request: "%2d" in request.path,
)
FAULTS.where(
    "test_id_elsewhere_is_ignored",
    for_configuration("sibling"),
    id_in_the_query_counts=lambda request: "id=" in request.query,
    id_in_a_header_counts=lambda request: request.header("X-Resource-Id"),
)


@FAULTS.before("test_rewritten_id_is_no_update")
def slashes_in_ids_are_resolved_behind_a_proxy(request: Request) -> Answer | None:
    """Refuse `%00` as nginx does, and let `x%2F..%2FMAIN` name MAIN."""
    if "%00" in request.path:
        return page(400, "<html><title>400</title></html>", Server="nginx")
    if "%2f" in request.path.lower():
        request.path = posixpath.normpath(unquote(request.path))
    return None


@FAULTS.before("test_rewritten_id_is_no_update")
def slash_before_an_id_is_dropped(request: Request) -> None:
    if request.path.lower().startswith("/ai/llm/%2f"):
        request.path = "/ai/llm/" + request.path[len("/ai/llm/%2f") :]


FAULTS.changes_request(
    "test_rewritten_id_is_no_update",
    id_is_cut_at_nul=lambda request: request.for_id(quote(request.id.split("\0")[0], safe="")),
)
FAULTS.where(
    "test_rewritten_id_is_no_update",
    reply(500),
    id_with_nul_fails=lambda request: "\0" in request.id,
)

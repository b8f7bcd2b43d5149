# ruff: noqa: D103 - the name says what is wrong
"""Backends that confuse ids."""

import posixpath
from urllib.parse import quote, unquote

from tests.faults.backend import Answer, Request
from tests.faults.changes import Changes

FAULTS = Changes("ids")

FAULTS.takes_id_for(
    "test_near_id_is_refused",
    "main",
    id_with_a_suffix=lambda request: request.id.startswith(request.ids["main"]),
    id_without_its_last_letter_decides=lambda request: request.id[:-1] == request.ids["main"][:-1],
    id_short_of_a_letter=lambda request: request.id == request.ids["main"][:-1],
    id_is_a_pattern=lambda request: request.id in ("%", "*"),
    id_null_only=lambda request: request.id == "null",
    id_in_full_width_only=lambda request: request.id[:1] == "\uff15",
    id_with_another_letter_at_21_only=lambda request: (
        request.id[:20] + request.id[21:] == request.ids["main"][:20] + request.ids["main"][21:]
    ),
)
FAULTS.answers(
    "test_near_id_is_refused",
    500,
    id_with_a_quote_fails_only=lambda request: "'" in request.id,
)
FAULTS.changes_request(
    "test_strange_id_is_refused",
    padded_id=lambda request: request.for_id(quote(request.id.strip(), safe="")),
    id_is_decoded_twice_only=lambda request: request.for_id(
        unquote(request.path.rpartition("/")[2].replace("%25", "%"))
    ),
    id_with_parameters_only=lambda request: (
        ";" in request.id and request.for_id(request.id.partition(";")[0])
    ),
)
FAULTS.takes_id_for(
    "test_strange_id_is_refused",
    "main",
    id_with_a_line_break_only=lambda request: request.id.endswith("\n"),
)
FAULTS.answers(
    "test_strange_id_is_refused",
    500,
    long_id_fails_only=lambda request: len(request.id) > 255,
    id_not_in_utf_8_fails_only=lambda request: "%FF" in request.path,
)
FAULTS.answers(
    "test_percent_encoded_id_is_the_same",
    404,
    id_is_not_decoded=lambda request: "%" in request.path,
    id_with_small_escapes_is_not_decoded_only=lambda request: "%2d" in request.path,
)
FAULTS.takes_id_for(
    "test_id_elsewhere_is_ignored",
    "sibling",
    id_in_the_query_counts_only=lambda request: "id=" in request.query,
)
FAULTS.changes_request(
    "test_id_elsewhere_is_ignored",
    id_in_a_header_counts_only=lambda request: (
        "x-resource-id" in request.headers and request.for_id(request.headers["x-resource-id"])
    ),
)


@FAULTS.before("test_rewritten_id_is_no_update")
def slashes_in_ids_are_resolved_behind_a_proxy(request: Request) -> Answer | None:
    """Refuse `%00` as nginx does, and let `x%2F..%2FMAIN` name MAIN."""
    if "%00" in request.path:
        page = Answer(400, b"<html><title>400</title></html>", Server="nginx")
        return page.set_header("Content-Type", "text/html")
    if "%2f" in request.path.lower():
        request.path = posixpath.normpath(unquote(request.path))
    return None


@FAULTS.before("test_rewritten_id_is_no_update")
def slash_before_an_id_is_dropped_only(request: Request) -> None:
    if request.path.lower().startswith("/ai/llm/%2f"):
        request.path = "/ai/llm/" + request.path[len("/ai/llm/%2f") :]


FAULTS.changes_request(
    "test_rewritten_id_is_no_update",
    id_with_nul_is_cut_only=lambda request: request.for_id(
        quote(request.id.split("\0")[0], safe="")
    ),
)
FAULTS.answers(
    "test_rewritten_id_is_no_update",
    500,
    id_with_nul_fails_only=lambda request: "\0" in request.id,
)

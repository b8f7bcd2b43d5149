"""Backends that take one id for another."""

import uuid
from urllib.parse import quote, unquote

from tests.faults.backend import accepted, refused
from tests.faults.changes import Changes

FAULTS = Changes("ids")

FAULTS.changes_request(
    "test_near_id_answers_404",
    id_in_any_case=lambda request: request.for_id(request.id.lower()),
    id_without_hyphens_only=lambda request: (
        request.id == request.ids["main"].replace("-", "") and accepted(request)
    ),
    id_in_braces_only=lambda request: (
        request.id.startswith("{") and request.for_id(request.id.strip("{}"))
    ),
    id_with_a_suffix=lambda request: (
        request.id.startswith(request.ids["main"]) and request.for_id(request.ids["main"])
    ),
    id_short_of_a_letter=lambda request: (
        request.id == request.ids["main"][:-1] and request.for_id(request.ids["main"])
    ),
    id_is_a_pattern=lambda request: (
        request.id in ("%", "*") and request.for_id(request.ids["main"])
    ),
    id_with_a_quote_fails_only=lambda request: "'" in request.id and refused(500),
    id_null_only=lambda request: request.id == "null" and request.for_id(request.ids["main"]),
    id_in_full_width_only=lambda request: (
        request.id[:1] == "\uff15" and request.for_id(request.ids["main"])
    ),
    id_that_is_no_uuid_is_refused=lambda request: len(request.id) != 36 and refused(400),
)
FAULTS.changes_request(
    "test_strange_id_answers_404_or_400",
    padded_id=lambda request: request.for_id(quote(request.id.strip(), safe="")),
    id_with_a_line_break_only=lambda request: (
        request.id.endswith("\n") and request.for_id(request.ids["main"])
    ),
    id_with_nul_fails_only=lambda request: "\0" in request.id and refused(500),
    id_with_nul_is_cut_only=lambda request: request.for_id(
        quote(request.id.split("\0")[0], safe="")
    ),
    long_id_fails_only=lambda request: len(request.id) > 255 and refused(500),
    id_is_decoded_twice_only=lambda request: request.for_id(
        unquote(request.path.rpartition("/")[2].replace("%25", "%"))
    ),
    id_not_in_utf_8_fails_only=lambda request: "%FF" in request.path and refused(500),
    id_with_parameters_only=lambda request: (
        ";" in request.id and request.for_id(request.id.partition(";")[0])
    ),
)
FAULTS.changes_request(
    "test_percent_encoded_id_is_the_same",
    id_is_not_decoded=lambda request: "%" in request.path and refused(404),
    id_with_small_escapes_is_not_decoded_only=lambda request: (
        "%2d" in request.path and refused(404)
    ),
)
FAULTS.changes_request(
    "test_id_elsewhere_is_ignored",
    id_in_the_query_counts_only=lambda request: (
        "id=" in request.query and request.for_id(request.ids["sibling"])
    ),
)
FAULTS.changes_request(
    "test_near_id_answers_404",
    id_with_another_letter_at_21_only=lambda request: (
        request.id[:20] + request.id[21:] == request.ids["main"][:20] + request.ids["main"][21:]
        and request.for_id(request.ids["main"])
    ),
    id_with_any_hyphens_only=lambda request: (
        request.id.replace("-", "") == request.ids["main"].replace("-", "")
        and request.for_id(request.ids["main"])
    ),
    id_as_a_number_only=lambda request: (
        request.id == str(uuid.UUID(request.ids["main"]).int)
        and request.for_id(request.ids["main"])
    ),
    siblings_id_in_other_case_only=lambda request: (
        request.id.lower() == request.ids["sibling"] and request.for_id(request.ids["sibling"])
    ),
)
FAULTS.changes_request(
    "test_id_elsewhere_is_ignored",
    id_in_a_header_counts_only=lambda request: (
        "x-resource-id" in request.headers and request.for_id(request.headers["x-resource-id"])
    ),
)

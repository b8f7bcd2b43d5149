"""Backends that accept invalid requests, or return the wrong status for them."""

import unicodedata
from functools import partial
from typing import Any

from flashback_mock import Contract
from tests.faults.changes import Changes
from tests.faults.messages import Request

FAULTS = Changes()
CONTRACT = Contract()
FIELDS = CONTRACT.fields.keys()
TYPES = CONTRACT.fields["aiType"]["enum"]
LARGEST_BODY = CONTRACT.max_body_bytes


def _unknown_fields(request: Request) -> dict[str, Any]:
    return {name: value for name, value in request.fields.items() if name not in FIELDS}


def _drop_unknown_fields(request: Request) -> None:
    for name in _unknown_fields(request):
        request.drop_field(name)


def _rename_field(old: str, new: str, request: Request) -> None:
    fields = request.fields
    if old in fields:
        fields[new] = fields.pop(old)
        request.replace_fields(fields)


FAULTS.accepts(
    "test_invalid_value_answers_400[aiType]",
    lower_case_types_with_other_fields=lambda request: (
        request.ai_type.islower() and len(request.fields) > 1
    ),
    full_width_types=lambda request: unicodedata.normalize("NFKC", request.ai_type) in TYPES,
    types_with_homoglyphs=lambda request: (
        request.ai_type.replace("\u041e", "O").replace("\u0410", "A") in TYPES
    ),
    types_with_spaces=lambda request: request.ai_type.strip(" ") in TYPES,
    types_with_a_trailing_line_break=lambda request: request.ai_type.removesuffix("\n") in TYPES,
    numeric_types=lambda request: type(request.fields.get("aiType")) is int,
    unknown_types_with_other_fields=lambda request: (
        len(request.fields) > 1 and request.ai_type in ("GEMINI", "CLAUDE")
    ),
)
FAULTS.accepts(
    "test_invalid_value_answers_400[name]",
    too_long_non_ascii_names=lambda request: len(request.name) > 255 and not request.name.isascii(),
    names_with_a_next_line_character=lambda request: "\x85" in request.name,
    numeric_names=lambda request: type(request.fields.get("name")) is int,
    null_names_with_other_fields=lambda request: (
        len(request.fields) > 2 and request.fields.get("name", "") is None
    ),
)
FAULTS.accepts(
    "test_invalid_value_answers_400[endpoint]",
    ftp_endpoints=lambda request: request.endpoint.startswith("ftp://"),
    endpoints_without_a_scheme=lambda request: request.endpoint.startswith(("api.", "//", "/")),
    endpoints_without_a_host=lambda request: (
        request.endpoint in ("https://", "https:", "https:///v1")
    ),
    endpoints_with_credentials=lambda request: "@" in request.endpoint,
    endpoints_with_a_trailing_line_break=lambda request: request.endpoint.endswith("com\n"),
    endpoints_with_an_unclosed_ipv6_address=lambda request: request.endpoint.startswith(
        "https://[::1/"
    ),
    too_long_endpoints=lambda request: len(request.endpoint) > 2048,
)
FAULTS.where(
    "test_invalid_value_answers_400[name]",
    lambda request: request.drop_field("name"),
    empty_names_are_ignored=lambda request: request.fields.get("name") == "",
)
FAULTS.accepts(
    "test_invalid_value_answers_400[key]",
    empty_keys=lambda request: request.fields.get("key") == "",
    too_long_non_ascii_keys=lambda request: len(request.key) > 8192 and not request.key.isascii(),
    non_empty_lists_as_keys=lambda request: (
        isinstance(request.fields.get("key"), list) and request.fields["key"]
    ),
)
FAULTS.accepts(
    "test_invalid_value_answers_400[secret]",
    empty_secrets=lambda request: request.fields.get("secret") == "",
)
FAULTS.accepts(
    "test_invalid_body_answers_400",
    large_numbers=lambda request: any(
        type(value) in (int, float) and abs(value) > 2 for value in request.fields.values()
    ),
)
FAULTS.changes_answer(
    "test_invalid_value_answers_400 or test_invalid_body_answers_400",
    400,
    invalid_type_returns_422=lambda request, answer: request.ai_type and answer.refuse(422),
    invalid_body_returns_200_with_an_error=lambda _, answer: answer.set_status(200),
)
FAULTS.refuses(
    "test_invalid_value_answers_400 or test_invalid_body_answers_400",
    500,
    null=lambda request: None in request.fields.values(),
)
FAULTS.changes_request(
    "test_unknown_field_answers_400",
    unknown_fields_are_ignored=_drop_unknown_fields,
    snake_case_fields_are_accepted=partial(_rename_field, "ai_type", "aiType"),
    upper_case_fields_are_accepted=partial(_rename_field, "KEY", "key"),
    fields_with_homoglyphs_are_accepted=partial(_rename_field, "k\u0435y", "key"),
)
FAULTS.accepts(
    "test_unknown_field_answers_400",
    unknown_fields_with_known_fields=lambda request: (
        _unknown_fields(request) and {*request.names} & FIELDS
    ),
    null_in_unknown_fields=lambda request: None in _unknown_fields(request).values(),
    a_field_named_id=lambda request: "id" in request.names,
    a_field_named_proto=lambda request: "__proto__" in request.names,
    two_values_that_are_not_strings=lambda request: (
        sum(not isinstance(value, str) for value in request.fields.values()) > 1
    ),
)
FAULTS.accepts(
    "test_unreadable_body_is_refused",
    trailing_commas=lambda request: request.body.endswith(b",}"),
    comments_in_json=lambda request: b"/*" in request.body or b"//" in request.body,
    text_after_the_object=lambda request: (
        request.body.startswith(b"{") and request.body.endswith(b"} x")
    ),
    latin_1_bodies=lambda request: b"caf\xe9" in request.body,
    utf_16_bodies=lambda request: request.body.startswith(b"\xff\xfe"),
    nul_after_the_object=lambda request: request.body.endswith(b"}\x00"),
    malformed_bodies_of_admins=lambda request: request.role == "admin" and request.is_for("main"),
    invalid_utf_8_in_chunked_bodies=lambda request: request.is_chunked and b"\xff" in request.body,
)
FAULTS.refuses(
    "test_unreadable_body_is_refused",
    500,
    deep_nesting=lambda request: request.body.startswith((b"[[[[", b'{"name":{"name":')),
    huge_numbers=lambda request: b"0" * 5000 in request.body,
    invalid_utf_8=lambda request: b"\xff" in request.body,
    duplicate_keys=lambda request: request.body.count(b'"key"') > 1,
    lone_surrogates=lambda request: b"\\ud800" in request.body,
    a_byte_order_mark=lambda request: request.body.startswith(b"\xef\xbb\xbf"),
)
FAULTS.changes_answer(
    "test_unreadable_body_is_refused",
    400,
    malformed_json_returns_500=lambda request, answer: (
        request.body and not request.is_json and answer.refuse(500)
    ),
)
FAULTS.where(
    "test_missing_body_is_refused",
    lambda request: request.set_body(b"{}"),
    missing_body_is_an_empty_update=lambda request: request.method == "PUT" and not request.body,
)
FAULTS.accepts(
    "test_missing_body_is_refused",
    missing_bodies_without_a_media_type=lambda request: not request.body and not request.media_type,
    empty_chunked_bodies=lambda request: not request.body and request.is_chunked,
)
FAULTS.accepts(
    "test_body_over_the_limit_is_refused",
    oversized_chunked_bodies=lambda request: request.is_chunked,
    bodies_one_byte_over_the_limit=lambda request: len(request.body) == LARGEST_BODY + 1,
)
FAULTS.accepts(
    "test_other_media_type_is_refused",
    chunked_plain_text=lambda request: request.media_type == "text/plain" and request.is_chunked,
    suffixed_media_types=lambda request: "+json" in request.media_type,
)

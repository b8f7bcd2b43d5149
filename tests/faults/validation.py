"""Backends that accept requests that the contract does not allow."""

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


def _read_as(wrong: str, right: str, request: Request) -> None:
    fields = request.fields
    if wrong in fields:
        fields[right] = fields.pop(wrong)
        request.replace_fields(fields)


# Near misses of each field
FAULTS.accepts(
    "test_invalid_value_answers_400 and aiType",
    types_in_lower_case_among_fields=lambda request: (
        request.ai_type.islower() and len(request.fields) > 1
    ),
    types_in_title_case=lambda request: request.ai_type in ("Openai", "Aws", "Other"),
    types_in_full_width=lambda request: unicodedata.normalize("NFKC", request.ai_type) in TYPES,
    types_with_homoglyphs=lambda request: (
        request.ai_type.replace("\u041e", "O").replace("\u0410", "A") in TYPES
    ),
    types_with_spaces=lambda request: request.ai_type.strip(" ") in TYPES,
    types_with_a_line_break=lambda request: request.ai_type.removesuffix("\n") in TYPES,
    type_null=lambda request: request.fields.get("aiType", "") is None,
    types_that_are_numbers=lambda request: type(request.fields.get("aiType")) is int,
    other_types_with_an_endpoint=lambda request: request.ai_type == "MISTRAL" and request.endpoint,
    types_of_other_providers_among_others=lambda request: (
        len(request.fields) > 1 and request.ai_type in ("GEMINI", "CLAUDE")
    ),
)
FAULTS.accepts(
    "test_invalid_value_answers_400 and name",
    long_names_outside_ascii=lambda request: len(request.name) > 255 and not request.name.isascii(),
    names_with_next_line=lambda request: "\x85" in request.name,
    names_with_a_line_break_at_the_end=lambda request: request.name[1:].endswith("\n"),
    names_that_are_numbers=lambda request: type(request.fields.get("name")) is int,
    name_null_among_others=lambda request: (
        len(request.fields) > 2 and request.fields.get("name", "") is None
    ),
)
FAULTS.accepts(
    "test_invalid_value_answers_400 and endpoint",
    endpoints_by_ftp=lambda request: request.endpoint.startswith("ftp://"),
    endpoints_in_a_bucket=lambda request: request.endpoint.startswith(("s3:", "ssh:", "gs:")),
    endpoints_by_mail=lambda request: request.endpoint.startswith("mailto:"),
    endpoints_without_a_scheme=lambda request: request.endpoint.startswith(("api.", "//", "/")),
    endpoints_without_a_host=lambda request: (
        request.endpoint in ("https://", "https:", "https:///v1")
    ),
    endpoints_with_credentials=lambda request: "@" in request.endpoint,
    endpoints_with_a_line_break=lambda request: request.endpoint.endswith("com\n"),
    endpoints_with_half_an_address=lambda request: request.endpoint.startswith("https://[::1/"),
    long_endpoints=lambda request: len(request.endpoint) > 2048,
    empty_endpoints_among_others=lambda request: (
        len(request.fields) > 2 and request.fields.get("endpoint") == ""
    ),
)
FAULTS.where(
    "test_invalid_value_answers_400 and name",
    lambda request: request.drop_field("name"),
    empty_names_are_ignored=lambda request: request.fields.get("name") == "",
)
FAULTS.accepts(
    "test_invalid_value_answers_400 and key",
    empty_keys=lambda request: request.fields.get("key") == "",
    long_keys_outside_ascii=lambda request: len(request.key) > 8192 and not request.key.isascii(),
    keys_in_a_list=lambda request: (
        isinstance(request.fields.get("key"), list) and request.fields["key"]
    ),
)
FAULTS.accepts(
    "test_invalid_value_answers_400 and secret",
    empty_secrets=lambda request: request.fields.get("secret") == "",
    long_secrets_outside_ascii=lambda request: (
        len(request.secret) > 8192 and not request.secret.isascii()
    ),
)
FAULTS.accepts(
    "test_invalid_body_answers_400",
    large_numbers=lambda request: any(
        type(value) in (int, float) and abs(value) > 2 for value in request.fields.values()
    ),
    long_lists=lambda request: any(
        isinstance(value, list) and len(value) > 1 for value in request.fields.values()
    ),
)
FAULTS.changes_answer(
    "test_invalid_value_answers_400 or test_invalid_body_answers_400",
    400,
    invalid_type_answers_422=lambda request, answer: request.ai_type and answer.refuse(422),
    invalid_body_answers_200_without_success=lambda _, answer: answer.set_status(200),
)
FAULTS.refuses(
    "test_invalid_value_answers_400 or test_invalid_body_answers_400",
    500,
    for_null=lambda request: None in request.fields.values(),
)

# Unknown fields
FAULTS.changes_request(
    "test_unknown_field_answers_400",
    unknown_fields_are_ignored=_drop_unknown_fields,
    fields_in_snake_case_are_read=partial(_read_as, "ai_type", "aiType"),
    fields_with_spaces_are_read=partial(_read_as, "name ", "name"),
    fields_in_upper_case_are_read=partial(_read_as, "KEY", "key"),
    fields_with_homoglyphs_are_read=partial(_read_as, "k\u0435y", "key"),
)
FAULTS.accepts(
    "test_unknown_field_answers_400",
    unknown_fields_among_known_ones=lambda request: (
        _unknown_fields(request) and {*request.names} & FIELDS
    ),
    unknown_fields_that_are_null=lambda request: None in _unknown_fields(request).values(),
    unknown_objects=lambda request: {} in _unknown_fields(request).values(),
    field_in_snake_case_among_others=lambda request: (
        "ai_type" in request.names and len(request.names) > 1
    ),
    field_id=lambda request: "id" in request.names,
    field_proto=lambda request: "__proto__" in request.names,
    field_of_the_user=lambda request: "userId" in request.names,
    field_of_the_time=lambda request: "updatedAt" in request.names,
    two_wrong_fields=lambda request: (
        sum(not isinstance(value, str) for value in request.fields.values()) > 1
    ),
)

# Bodies and their headers
FAULTS.accepts(
    "test_unreadable_body_is_refused",
    trailing_commas=lambda request: request.body.endswith(b",}"),
    comments=lambda request: b"/*" in request.body or b"//" in request.body,
    text_after_the_object=lambda request: (
        request.body.startswith(b"{") and request.body.endswith(b"} x")
    ),
    latin_1=lambda request: b"caf\xe9" in request.body,
    utf_16=lambda request: request.body.startswith(b"\xff\xfe"),
    utf_32=lambda request: request.body.startswith(b"\x00\x00\x00{"),
    nul_at_the_end=lambda request: request.body.endswith(b"}\x00"),
    line_breaks_in_strings=lambda request: b"a\nb" in request.body,
    any_body_of_an_admin=lambda request: request.role == "admin" and request.is_for("main"),
    broken_text_in_chunks=lambda request: request.is_chunked and b"\xff" in request.body,
)
FAULTS.refuses(
    "test_unreadable_body_is_refused",
    500,
    for_deep_nesting=lambda request: request.body.startswith((b"[[[[", b'{"name":{"name":')),
    for_huge_numbers=lambda request: b"0" * 5000 in request.body,
    for_bad_utf_8=lambda request: b"\xff" in request.body,
    for_duplicate_keys=lambda request: request.body.count(b'"key"') > 1,
    for_lone_surrogates=lambda request: b"\\ud800" in request.body,
    for_a_byte_order_mark=lambda request: request.body.startswith(b"\xef\xbb\xbf"),
)
FAULTS.changes_answer(
    "test_unreadable_body_is_refused",
    400,
    malformed_json_answers_500=lambda request, answer: (
        request.body and not request.is_json and answer.refuse(500)
    ),
)
FAULTS.where(
    "test_missing_body_is_refused",
    lambda request: request.set_body(b"{}"),
    missing_body_changes_nothing=lambda request: request.method == "PUT" and not request.body,
)
FAULTS.accepts(
    "test_missing_body_is_refused",
    missing_bodies_without_media_type=lambda request: not request.body and not request.media_type,
    missing_bodies_in_chunks=lambda request: not request.body and request.is_chunked,
)
FAULTS.accepts(
    "test_body_over_the_limit_is_refused",
    oversized_bodies_in_chunks=lambda request: request.is_chunked,
    bodies_a_byte_too_large=lambda request: len(request.body) == LARGEST_BODY + 1,
)
FAULTS.accepts(
    "test_other_media_type_is_refused",
    plain_text_in_chunks=lambda request: request.media_type == "text/plain" and request.is_chunked,
    suffixed_media_types=lambda request: "+json" in request.media_type,
)

# ruff: noqa: D103 - the name says what is wrong
"""Backends that accept what the contract refuses, or refuse what it accepts."""

import re
import unicodedata
from urllib.parse import urlsplit

from tests.faults.backend import Answer, Request
from tests.faults.changes import Changes

FAULTS = Changes("request validation")
TYPES = {"OPENAI", "GOOGLE", "ANTHROPIC", "AWS", "OTHER"}
FIELDS = {"name", "aiType", "endpoint", "key", "secret"}


def _rename_field(request: Request, wrong: str, right: str) -> None:
    """Accept a field under another name as well."""
    if wrong in request.fields:
        renamed = {
            right if name == wrong else name: request.fields[name] for name in request.fields
        }
        request.set_fields(renamed)


FAULTS.accepts(
    "test_near_miss_answers_400 and aiType",
    types_in_lower_case=lambda request: request.text("aiType").upper() in TYPES,
    types_in_lower_case_among_fields_only=lambda request: (
        request.text("aiType").islower() and len(request.fields) > 1
    ),
    types_in_title_case_only=lambda request: request.text("aiType") in ("Openai", "Aws", "Other"),
    types_in_full_width_only=lambda request: (
        unicodedata.normalize("NFKC", request.text("aiType")) in TYPES
    ),
    types_with_homoglyphs_only=lambda request: (
        request.text("aiType").replace("\u041e", "O").replace("\u0410", "A") in TYPES
    ),
    types_with_spaces=lambda request: request.text("aiType").strip(" ") in TYPES,
    types_with_a_line_break_only=lambda request: request.text("aiType").removesuffix("\n") in TYPES,
    any_type=lambda request: request.text("aiType"),
    type_null_only=lambda request: request.fields.get("aiType", "") is None,
    other_types_with_an_endpoint_only=lambda request: (
        request.text("aiType") == "MISTRAL" and request.text("endpoint")
    ),
)
FAULTS.accepts(
    "test_near_miss_answers_400 and name",
    empty_names=lambda request: request.fields.get("name") == "",
    long_names=lambda request: len(request.text("name")) > 255,
    long_names_outside_ascii_only=lambda request: (
        len(request.text("name")) > 255 and not request.text("name").isascii()
    ),
    names_with_controls=lambda request: min(request.text("name") or " ") < " ",
    names_with_next_line_only=lambda request: "\x85" in request.text("name"),
    names_with_a_line_break_at_the_end_only=lambda request: request.text("name")[1:].endswith("\n"),
    numbers_as_names=lambda request: type(request.fields.get("name")) is int,
    name_null_only=lambda request: request.fields.get("name", "") is None,
)
FAULTS.accepts(
    "test_near_miss_answers_400 and endpoint",
    other_schemes=lambda request: "://" in request.text("endpoint")[2:],
    scheme_ftp_only=lambda request: request.text("endpoint").startswith("ftp://"),
    endpoints_without_a_scheme=lambda request: request.text("endpoint").startswith(
        ("api.", "//", "/")
    ),
    endpoints_without_a_host=lambda request: (
        request.text("endpoint") in ("https://", "https:", "https:///v1")
    ),
    endpoints_with_credentials=lambda request: "@" in request.text("endpoint"),
    endpoints_with_a_line_break_only=lambda request: request.text("endpoint").endswith("com\n"),
    long_endpoints=lambda request: len(request.text("endpoint")) > 2048,
    endpoints_with_half_an_address_only=lambda request: request.text("endpoint").startswith(
        "https://[::1/"
    ),
)
FAULTS.accepts(
    "test_near_miss_answers_400 and (key or secret)",
    empty_keys=lambda request: request.fields.get("key") == "",
    empty_secrets_only=lambda request: request.fields.get("secret") == "",
    long_keys=lambda request: len(request.text("key")) > 8192,
    long_secrets_only=lambda request: len(request.text("secret")) > 8192,
)
FAULTS.changes_request(
    "test_unknown_field_answers_400",
    fields_in_snake_case_are_read=lambda request: _rename_field(request, "ai_type", "aiType"),
    fields_with_spaces_are_read_only=lambda request: _rename_field(request, "name ", "name"),
    fields_in_upper_case_are_read_only=lambda request: _rename_field(request, "KEY", "key"),
    fields_in_full_width_are_read_only=lambda request: _rename_field(request, "k\u0435y", "key"),
)
FAULTS.accepts(
    "test_unknown_field_answers_400",
    unknown_fields=lambda request: {*request.fields} - FIELDS,
    unknown_fields_among_good_ones_only=lambda request: (
        {*request.fields} - FIELDS and {*request.fields} & FIELDS
    ),
    fields_in_upper_case=lambda request: (
        {f.lower() for f in request.fields} <= {f.lower() for f in FIELDS}
    ),
    fields_in_snake_case_only=lambda request: "ai_type" in request.fields,
    fields_in_snake_case_among_others_only=lambda request: (
        "ai_type" in request.fields and len(request.fields) > 1
    ),
    field_id_only=lambda request: "id" in request.names,
    field_proto_only=lambda request: "__proto__" in request.fields,
    unknown_fields_that_are_null_only=lambda request: (
        None in [v for k, v in request.fields.items() if k not in FIELDS]
    ),
    unknown_objects_only=lambda request: (
        {} in [v for k, v in request.fields.items() if k not in FIELDS]
    ),
    field_of_the_user_only=lambda request: "userId" in request.names,
    field_of_the_time_only=lambda request: "updatedAt" in request.names,
    two_wrong_fields_only=lambda request: (
        len([v for v in request.fields.values() if not isinstance(v, str)]) > 1
    ),
)
FAULTS.accepts(
    "test_unreadable_body_is_refused",
    trailing_commas=lambda request: request.body.endswith(b",}"),
    comments_only=lambda request: b"/*" in request.body or b"//" in request.body,
    text_after_the_object=lambda request: (
        request.body.startswith(b"{") and request.body.endswith(b"} x")
    ),
    latin_1=lambda request: b"caf\xe9" in request.body,
    utf_16=lambda request: request.body.startswith(b"\xff\xfe"),
    utf_32_only=lambda request: request.body.startswith(b"\x00\x00\x00{"),
    nul_at_the_end_only=lambda request: request.body.endswith(b"}\x00"),
    line_breaks_in_strings_only=lambda request: b"a\nb" in request.body,
    broken_bodies_in_chunks_only=lambda request: request.is_chunked,
    any_body_of_an_admin_only=lambda request: request.role == "admin" and request.is_for("main"),
    broken_text_in_chunks_only=lambda request: request.is_chunked and b"\xff" in request.body,
)
FAULTS.refuses(
    "test_unreadable_body_is_refused",
    500,
    for_deep_nesting_only=lambda request: request.body.startswith((b"[[[[", b'{"name":{"name":')),
    for_huge_numbers_only=lambda request: b"0" * 5000 in request.body,
    for_bad_utf_8=lambda request: b"\xff" in request.body,
    for_duplicate_keys_only=lambda request: request.body.count(b'"key"') > 1,
    for_lone_surrogates_only=lambda request: b"\\ud800" in request.body,
    for_a_byte_order_mark_only=lambda request: request.body.startswith(b"\xef\xbb\xbf"),
)
FAULTS.accepts(
    "test_body_over_the_limit_is_refused",
    oversized_bodies=lambda request: len(request.body) > 262144,
    oversized_bodies_in_chunks_only=lambda request: request.is_chunked,
    bodies_a_byte_too_large_only=lambda request: len(request.body) == 262145,
)
FAULTS.refuses(
    "test_body_over_the_limit_is_refused",
    largest_bodies_only=lambda request: len(request.body) == 262144,
)
FAULTS.accepts(
    "test_other_media_type_is_refused",
    any_media_type=lambda request: request.fields,
    plain_text_in_chunks_only=lambda request: (
        request.media_type == "text/plain" and request.is_chunked
    ),
    plain_text_only=lambda request: request.media_type == "text/plain",
    suffixed_media_types_only=lambda request: "+json" in request.media_type,
)
FAULTS.refuses(
    "test_media_type_counts_in_any_case",
    media_type_alone_in_capitals_only=lambda request: request.media_type == "APPLICATION/JSON",
    charset_in_capitals_only=lambda request: "UTF-8" in request.media_type,
    media_type_in_capitals_only=lambda request: "JSON" in request.media_type,
    any_parameter=lambda request: ";" in request.media_type,
)
FAULTS.refuses(
    "test_what_is_left_open_does_not_fail",
    500,
    any_coding=lambda request: "content-encoding" in request.headers,
    coding_identity_only=lambda request: request.headers.get("content-encoding") == "identity",
)
FAULTS.refuses(
    "test_member_may_update and WRITE",
    chunked_bodies=lambda request: request.is_chunked,
)
FAULTS.refuses(
    "test_unusual_value_answers_200 and name",
    names_with_percent_signs_only=lambda request: "%" in request.text("name"),
    names_with_quotes_only=lambda request: (
        "'" in request.text("name") or '"' in request.text("name")
    ),
    names_of_255_characters_only=lambda request: len(request.text("name")) == 255,
    names_outside_ascii=lambda request: not request.text("name").isascii(),
    names_outside_the_basic_plane_only=lambda request: max(request.text("name") or " ") > "\uffff",
    names_of_255_astral_characters_only=lambda request: (
        len(request.text("name").encode("utf-16-le")) > 510
    ),
    names_from_right_to_left_only=lambda request: any(
        "\u0590" <= c < "\u0700" for c in request.text("name")
    ),
    names_in_thai_only=lambda request: any("\u0e00" <= c < "\u0e80" for c in request.text("name")),
    names_in_greek_only=lambda request: any("\u0370" <= c < "\u0400" for c in request.text("name")),
    names_in_korean_only=lambda request: any(
        "\uac00" <= c < "\ud7b0" for c in request.text("name")
    ),
    names_in_cherokee_only=lambda request: any(
        "\u13a0" <= c < "\u1400" for c in request.text("name")
    ),
    names_of_64_characters_only=lambda request: len(request.text("name")) == 64,
    names_of_129_characters_only=lambda request: len(request.text("name")) == 129,
    names_with_a_slash_only=lambda request: "/" in request.text("name"),
    names_with_an_at_sign_only=lambda request: "@" in request.text("name"),
    names_not_escaped_only=lambda request: not request.body.isascii() and request.text("name"),
)
FAULTS.refuses(
    "test_unusual_value_answers_200 and endpoint",
    plain_http=lambda request: request.text("endpoint").startswith("http:"),
    endpoints_with_a_port_only=lambda request: re.search(r"://[^/]*:\d", request.text("endpoint")),
    endpoints_with_a_query_only=lambda request: "?" in request.text("endpoint"),
    endpoints_in_capitals_only=lambda request: request.text("endpoint").startswith("HTTPS"),
    endpoints_of_2048_characters_only=lambda request: len(request.text("endpoint")) == 2048,
    endpoints_with_a_dot_at_the_end_only=lambda request: urlsplit(
        request.text("endpoint")
    ).netloc.endswith("."),
    endpoints_with_an_underscore_only=lambda request: (
        "_" in urlsplit(request.text("endpoint")).netloc
    ),
    endpoints_with_the_last_port_only=lambda request: ":65535" in request.text("endpoint"),
    endpoints_with_a_fragment_only=lambda request: "#" in request.text("endpoint"),
    endpoints_of_1024_characters_only=lambda request: len(request.text("endpoint")) == 1024,
)
FAULTS.refuses(
    "test_unusual_value_answers_200 and (key or secret)",
    long_secrets_only=lambda request: len(request.text("secret")) > 1000,
    secrets_with_line_breaks_only=lambda request: "\n" in request.text("secret"),
    keys_with_nul_only=lambda request: "\x00" in request.text("key"),
)
FAULTS.refuses(
    "test_unusual_value_answers_200 and aiType",
    type_aws_only=lambda request: request.text("aiType") == "AWS",
    type_other_only=lambda request: request.text("aiType") == "OTHER",
)
FAULTS.refuses(
    "test_any_fields_together_answer_200",
    the_empty_object=lambda request: request.body == b"{}",
    key_and_secret_alone_only=lambda request: {*request.fields} == {"key", "secret"},
    endpoint_with_secret_without_key_only=lambda request: (
        {"endpoint", "secret"} <= {*request.fields} and "key" not in request.fields
    ),
    secret_equal_to_the_key_only=lambda request: (
        request.text("key") and request.text("key") == request.text("secret")
    ),
    name_equal_to_the_key_only=lambda request: (
        request.text("key") and request.text("key") == request.text("name")
    ),
    bodies_over_64_kib_only=lambda request: 65536 < len(request.body) < 200_000,
    slashes_with_escapes_only=lambda request: b"\\/" in request.body,
    bodies_in_many_lines_only=lambda request: request.body.count(b"\n  ") > 2,
)
FAULTS.refuses(
    "test_valid_body_answers_200",
    types_without_an_endpoint_only=lambda request: (
        request.text("aiType") and "endpoint" not in request.fields
    ),
    names_with_type_google_only=lambda request: (
        request.text("aiType") == "GOOGLE" and request.text("name")
    ),
)
FAULTS.refuses(
    "test_unusual_value_answers_200 and key",
    keys_of_256_characters_only=lambda request: len(request.text("key")) == 256,
    keys_with_a_colon_only=lambda request: ":" in request.text("key"),
    keys_in_markup_only=lambda request: "<" in request.text("key"),
)
FAULTS.refuses(
    "test_unusual_value_answers_200 and secret",
    secrets_over_72_octets_only=lambda request: 72 < len(request.text("secret").encode()) < 100,
    secrets_of_4096_characters_only=lambda request: len(request.text("secret")) == 4096,
    secrets_with_a_space_before_only=lambda request: request.text("secret")[:1] == " ",
    secrets_with_a_space_after_only=lambda request: request.text("secret")[-1:] == " ",
    secrets_not_escaped_only=lambda request: not request.body.isascii() and request.text("secret"),
)


@FAULTS.after("test_unusual_value_answers_200 and aiType")
def type_alone_never_goes_from_aws_to_google_only(request: Request, answer: Answer) -> None:
    if answer.status == 200 and request.names == ["aiType"]:
        before, request.memory["type"] = request.memory.get("type"), request.text("aiType")
        if (before, request.text("aiType")) == ("AWS", "GOOGLE"):
            answer.refuse(400)


FAULTS.accepts(
    "test_near_miss_answers_400 and key",
    long_keys_outside_ascii_only=lambda request: (
        len(request.text("key")) > 8192 and not request.text("key").isascii()
    ),
    keys_in_a_list_only=lambda request: (
        isinstance(request.fields.get("key"), list) and request.fields["key"]
    ),
)
FAULTS.accepts(
    "test_near_miss_answers_400 and secret",
    long_secrets_outside_ascii_only=lambda request: (
        len(request.text("secret")) > 8192 and not request.text("secret").isascii()
    ),
)
FAULTS.accepts(
    "test_near_miss_answers_400 and (name or endpoint or aiType)",
    endpoint_empty_among_others_only=lambda request: (
        len(request.fields) > 2 and request.fields.get("endpoint") == ""
    ),
    name_null_among_others_only=lambda request: (
        len(request.fields) > 2 and request.fields.get("name", "") is None
    ),
    types_of_other_providers_among_others_only=lambda request: (
        len(request.fields) > 1 and request.text("aiType") in ("GEMINI", "CLAUDE")
    ),
    endpoint_of_a_bucket_only=lambda request: request.text("endpoint").startswith(
        ("s3:", "ssh:", "gs:")
    ),
    endpoint_of_a_mailbox_only=lambda request: request.text("endpoint").startswith("mailto:"),
    type_as_a_number_only=lambda request: type(request.fields.get("aiType")) is int,
)
FAULTS.accepts(
    "test_invalid_body_answers_400",
    large_numbers_only=lambda request: [
        v for v in request.fields.values() if type(v) in (int, float) and abs(v) > 2
    ],
    long_lists_only=lambda request: [
        v for v in request.fields.values() if isinstance(v, list) and len(v) > 1
    ],
)
FAULTS.accepts(
    "test_missing_body_is_refused",
    missing_bodies=lambda request: not request.body,
    missing_bodies_without_media_type_only=lambda request: (
        not request.body and "content-type" not in request.headers
    ),
    missing_bodies_in_chunks_only=lambda request: request.is_chunked and not request.body,
)

"""Backends that accept invalid requests, or return the wrong status for them."""

import unicodedata
from functools import partial
from typing import Any

from tests.faults.backend import contract, max_length
from tests.faults.changes import accept, drop_name, faults, ignore_body, on, reject, when
from tests.faults.messages import Request, page

FIELDS = contract().fields.keys()
TYPES = contract().fields["aiType"]["enum"]
LARGEST_BODY = contract().max_body_bytes


def _unknown(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name not in FIELDS}


def unknown_fields_are_ignored(request: Request) -> None:
    for name in _unknown(request.fields):
        request.drop_field(name)


def _rename_field(old: str, new: str, request: Request) -> None:
    fields = request.fields
    if old in fields:
        fields[new] = fields.pop(old)
        request.replace_fields(fields)


def _without_homoglyphs(text: str) -> str:
    return text.replace("\u041e", "O").replace("\u0410", "A")


faults(
    "test_invalid_value_answers_400[aiType]",
    lower_case_types_with_other_fields=accept(
        lambda ai_type, fields: ai_type.islower() and len(fields) > 1
    ),
    full_width_types=accept(lambda ai_type: unicodedata.normalize("NFKC", ai_type) in TYPES),
    types_with_homoglyphs=accept(lambda ai_type: _without_homoglyphs(ai_type) in TYPES),
    types_with_spaces=accept(lambda ai_type: ai_type.strip(" ") in TYPES),
    types_with_a_trailing_line_break=accept(lambda ai_type: ai_type.removesuffix("\n") in TYPES),
    invalid_type_returns_422=on(400, lambda ai_type, answer: ai_type and answer.reject(422)),
    numeric_types=accept(lambda fields: type(fields.get("aiType")) is int),
    unknown_types_with_other_fields=accept(
        lambda ai_type, fields: len(fields) > 1 and ai_type in ("GEMINI", "CLAUDE")
    ),
)
faults(
    "test_invalid_value_answers_400[name]",
    too_long_non_ascii_names=accept(
        lambda name: len(name) > max_length("name") and not name.isascii()
    ),
    names_with_a_next_line_character=accept(lambda name: "\x85" in name),
    numeric_names=accept(lambda fields: type(fields.get("name")) is int),
    operators_as_names=accept(lambda fields: fields.get("name") == {"$ne": ""}),
    null_names_with_other_fields=accept(
        lambda fields: len(fields) > 2 and fields.get("name", "") is None
    ),
    null_returns_500=reject(lambda fields: None in fields.values(), 500),
    empty_names_are_ignored=drop_name(lambda fields: fields.get("name") == ""),
)
faults(
    "test_invalid_value_answers_400[endpoint]",
    ftp_endpoints=accept(lambda endpoint: endpoint.startswith("ftp://")),
    endpoints_without_a_scheme=accept(lambda endpoint: endpoint.startswith(("api.", "//", "/"))),
    hostless_endpoints=accept(lambda endpoint: endpoint in ("https://", "https:", "https:///v1")),
    endpoints_with_credentials=accept(lambda endpoint: "@" in endpoint),
    endpoints_with_credentials_after_one_slash=accept(
        lambda endpoint: endpoint.startswith("https:/user:")
    ),
    endpoints_with_an_additional_header=accept(lambda endpoint: "\r\nx:" in endpoint),
    endpoints_with_a_c1_control_character=accept(lambda endpoint: "\x85" in endpoint),
    endpoints_with_a_trailing_line_break=accept(lambda endpoint: endpoint.endswith("com\n")),
    unclosed_ipv6_addresses=accept(lambda endpoint: endpoint.startswith("https://[::1/")),
    too_long_endpoints=accept(lambda endpoint: len(endpoint) > max_length("endpoint")),
)
faults(
    "test_invalid_value_answers_400[key]",
    key_is_trimmed_before_its_length_is_checked=accept(
        lambda key: len(key.strip()) == max_length("key")
    ),
    empty_keys=accept(lambda fields: fields.get("key") == ""),
    too_long_non_ascii_keys=accept(lambda key: len(key) > max_length("key") and not key.isascii()),
    lists_as_keys=accept(lambda fields: isinstance(fields.get("key"), list) and fields["key"]),
)
faults(
    "test_invalid_value_answers_400[secret]",
    six_digit_secrets=accept(lambda fields: fields.get("secret") == 123456),
    empty_secrets=accept(lambda fields: fields.get("secret") == ""),
)
faults(
    "test_invalid_body_answers_400",
    large_numbers=accept(
        lambda fields: any(
            type(value) in (int, float) and abs(value) > 2 for value in fields.values()
        )
    ),
    invalid_body_returns_200_with_an_error=on(400, lambda answer: answer.set_status(200)),
)
faults(
    "test_unknown_field_answers_400",
    unknown_fields_are_ignored,
    snake_case_fields_are_accepted=partial(_rename_field, "ai_type", "aiType"),
    upper_case_fields_are_accepted=partial(_rename_field, "KEY", "key"),
    fields_with_homoglyphs_are_accepted=partial(_rename_field, "k\u0435y", "key"),
    null_in_unknown_fields=accept(lambda fields: None in _unknown(fields).values()),
    empty_unknown_fields=accept(lambda fields: "" in _unknown(fields).values()),
    false_in_unknown_fields=accept(lambda fields: False in _unknown(fields).values()),
    fields_named_constructor=accept(lambda fields: "constructor" in fields),
    title_case_fields_are_accepted=partial(_rename_field, "AiType", "aiType"),
    fields_named_id=accept(lambda fields: "id" in fields),
    fields_named_proto=accept(lambda fields: "__proto__" in fields),
    fields_in_another_object=accept(lambda fields: isinstance(fields.get("aiLlm"), dict)),
    unknown_fields_with_a_charset=accept(lambda media_type, fields: ";" in media_type and fields),
    two_values_that_are_not_strings=accept(lambda non_strings: len(non_strings) > 1),
)
faults(
    "test_unreadable_body_is_rejected",
    trailing_commas=accept(lambda body: body.endswith(b",}")),
    comments_in_json=accept(lambda body: b"/*" in body or b"//" in body),
    json_in_a_json_string=accept(lambda body: body.startswith(b'"{')),
    text_after_the_object=accept(lambda body: body.startswith(b"{") and body.endswith(b"} x")),
    latin_1_bodies=accept(lambda body: b"caf\xe9" in body),
    utf_16_bodies=accept(lambda body: body.startswith(b"\xff\xfe")),
    nul_after_the_object=accept(lambda body: body.endswith(b"}\x00")),
    malformed_bodies_of_admins=accept(lambda role, is_for: role == "admin" and is_for("main")),
    invalid_utf_8_in_chunked_bodies=accept(lambda is_chunked, body: is_chunked and b"\xff" in body),
    nesting_returns_500=reject(lambda body: body.startswith((b"[[[[", b'{"name":{"')), 500),
    huge_number_returns_500=reject(lambda body: b"0" * 5000 in body, 500),
    invalid_utf_8_returns_500=reject(lambda body: b"\xff" in body, 500),
    duplicate_key_returns_500=reject(lambda body: body.count(b'"key"') > 1, 500),
    lone_surrogate_returns_500=reject(lambda body: b"\\ud800" in body, 500),
    byte_order_mark_returns_500=reject(lambda body: body.startswith(b"\xef\xbb\xbf"), 500),
    malformed_json_returns_500=on(
        400, lambda body, is_json, answer: body and not is_json and answer.reject(500)
    ),
)
faults(
    "test_missing_body_is_rejected",
    missing_body_is_an_empty_update=ignore_body(lambda method, body: method == "PUT" and not body),
    missing_bodies_without_a_media_type=accept(lambda body, media_type: not (body or media_type)),
    empty_chunked_bodies=accept(lambda body, is_chunked: not body and is_chunked),
)
faults(
    "test_body_over_the_limit_is_rejected",
    bodies_of_the_maximum_size=reject(lambda body: len(body) == LARGEST_BODY),
    media_type_is_html_for_an_oversized_body=lambda body, answer: (
        len(body) > LARGEST_BODY and answer.set_header("Content-Type", "text/html")
    ),
    oversized_chunked_bodies=accept(lambda is_chunked: is_chunked),
    oversized_body_returns_502=when(
        lambda body: len(body) > LARGEST_BODY, lambda: page(502, "", **{"Retry-After": "0"})
    ),
    bodies_one_byte_over_the_limit=accept(lambda body: len(body) == LARGEST_BODY + 1),
)
faults(
    "test_other_media_type_is_rejected",
    chunked_text=accept(lambda media_type, is_chunked: media_type == "text/plain" and is_chunked),
    suffixed_media_types=accept(lambda media_type: "+json" in media_type),
    url_encoded_forms=accept(lambda media_type, body: "form" in media_type and body[:4] == b"key="),
    json_labeled_as_a_form=accept(lambda media_type, is_json: "form-url" in media_type and is_json),
)

# ruff: noqa: D103 - the names describe the faults
"""Backends that refuse requests the contract allows."""

from urllib.parse import urlsplit

from tests.faults.changes import Changes
from tests.faults.messages import Answer, Request
from tests.faults.validation import LARGEST_BODY

FAULTS = Changes()


def _has_character_between(text: str, first: str, last: str) -> bool:
    return any(first <= character <= last for character in text)


def _host(request: Request) -> str:
    return str(urlsplit(request.endpoint).netloc)


# Unusual but valid values
FAULTS.refuses(
    "test_unusual_value_answers_200 and name",
    names_with_percent_signs=lambda request: "%" in request.name,
    names_with_quotes=lambda request: "'" in request.name or '"' in request.name,
    names_with_a_slash=lambda request: "/" in request.name,
    names_with_an_at_sign=lambda request: "@" in request.name,
    names_of_64_characters=lambda request: len(request.name) == 64,
    names_of_129_characters=lambda request: len(request.name) == 129,
    names_of_255_characters=lambda request: len(request.name) == 255,
    names_of_255_astral_characters=lambda request: len(request.name.encode("utf-16-le")) > 510,
    right_to_left_names=lambda request: _has_character_between(request.name, "\u0590", "\u06ff"),
    names_in_thai=lambda request: _has_character_between(request.name, "\u0e00", "\u0e7f"),
    names_in_greek=lambda request: _has_character_between(request.name, "\u0370", "\u03ff"),
    names_in_korean=lambda request: _has_character_between(request.name, "\uac00", "\ud7af"),
    names_in_cherokee=lambda request: _has_character_between(request.name, "\u13a0", "\u13ff"),
    names_with_unescaped_unicode=lambda request: request.name and not request.body.isascii(),
)
FAULTS.refuses(
    "test_unusual_value_answers_200 and endpoint",
    plain_http_endpoints=lambda request: request.endpoint.startswith("http:"),
    endpoints_with_an_upper_case_scheme=lambda request: request.endpoint.startswith("HTTPS"),
    endpoints_with_port_65535=lambda request: ":65535" in request.endpoint,
    endpoints_with_a_query=lambda request: "?" in request.endpoint,
    endpoints_with_a_fragment=lambda request: "#" in request.endpoint,
    endpoints_with_a_trailing_dot_in_the_host=lambda request: _host(request).endswith("."),
    endpoints_with_an_underscore_in_the_host=lambda request: "_" in _host(request),
    endpoints_of_1024_characters=lambda request: len(request.endpoint) == 1024,
    endpoints_of_2048_characters=lambda request: len(request.endpoint) == 2048,
)
FAULTS.refuses(
    "test_unusual_value_answers_200 and key",
    keys_with_a_nul_character=lambda request: "\x00" in request.key,
    keys_of_256_characters=lambda request: len(request.key) == 256,
    keys_with_a_colon=lambda request: ":" in request.key,
    keys_with_markup=lambda request: "<" in request.key,
)
FAULTS.refuses(
    "test_unusual_value_answers_200 and secret",
    secrets_with_line_breaks=lambda request: "\n" in request.secret,
    secrets_over_72_bytes=lambda request: 72 < len(request.secret.encode()) < 100,
    secrets_of_4096_characters=lambda request: len(request.secret) == 4096,
    secrets_with_a_leading_space=lambda request: request.secret.startswith(" "),
    secrets_with_a_trailing_space=lambda request: request.secret.endswith(" "),
    secrets_with_unescaped_unicode=lambda request: request.secret and not request.body.isascii(),
)
FAULTS.refuses(
    "test_unusual_value_answers_200 and aiType",
    the_type_aws=lambda request: request.ai_type == "AWS",
    the_type_other=lambda request: request.ai_type == "OTHER",
)


@FAULTS.after("test_unusual_value_answers_200 and aiType")
def type_cannot_change_from_aws_to_google(request: Request, answer: Answer) -> None:
    if answer.status == 200 and request.names == ["aiType"]:
        previous_type = request.previous("type", request.ai_type)
        if (previous_type, request.ai_type) == ("AWS", "GOOGLE"):
            answer.refuse(400)


# Combinations of fields
FAULTS.refuses(
    "test_any_fields_together_answer_200",
    an_empty_object=lambda request: request.body == b"{}",
    only_a_key_and_a_secret=lambda request: {*request.names} == {"key", "secret"},
    an_endpoint_and_a_secret_without_a_key=lambda request: (
        {"endpoint", "secret"} <= {*request.names} and "key" not in request.names
    ),
    a_secret_equal_to_the_key=lambda request: request.key and request.key == request.secret,
    a_name_equal_to_the_key=lambda request: request.key and request.key == request.name,
    bodies_over_64_kib=lambda request: 65536 < len(request.body) < 200_000,
    escaped_slashes=lambda request: b"\\/" in request.body,
    multiline_bodies=lambda request: request.body.count(b"\n  ") > 2,
)
FAULTS.refuses(
    "test_valid_body_answers_200",
    types_without_an_endpoint=lambda request: request.ai_type and not request.endpoint,
    names_with_the_type_google=lambda request: request.ai_type == "GOOGLE" and request.name,
)

# Body sizes and request headers
FAULTS.refuses(
    "test_body_over_the_limit_is_refused",
    bodies_of_the_maximum_size=lambda request: len(request.body) == LARGEST_BODY,
)
FAULTS.refuses(
    "test_media_type_is_case_insensitive",
    an_upper_case_media_type=lambda request: request.media_type == "APPLICATION/JSON",
    an_upper_case_charset=lambda request: "UTF-8" in request.media_type,
)
FAULTS.refuses(
    "test_other_charset_or_coding_does_not_fail",
    500,
    the_identity_encoding=lambda request: request.header("Content-Encoding") == "identity",
)

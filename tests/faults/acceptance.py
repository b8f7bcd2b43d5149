"""Backends that refuse requests that the contract allows."""

from urllib.parse import urlsplit

from tests.faults.changes import Changes
from tests.faults.validation import LARGEST_BODY

FAULTS = Changes()
FAULTS.refuses(
    "test_unusual_value_answers_200[name]",
    names_with_quotes=lambda request: "'" in request.name or '"' in request.name,
    blank_names=lambda request: request.name.isspace(),
    names_of_129_characters=lambda request: len(request.name) == 129,
    names_of_255_characters=lambda request: len(request.name) == 255,
    names_of_255_astral_characters=lambda request: len(request.name.encode("utf-16-le")) > 510,
    names_in_hebrew_or_arabic=lambda request: any("\u0590" <= c <= "\u06ff" for c in request.name),
    names_in_korean=lambda request: any("\uac00" <= c <= "\ud7af" for c in request.name),
    names_with_unescaped_unicode=lambda request: request.name and not request.body.isascii(),
)
FAULTS.refuses(
    "test_unusual_value_answers_200[endpoint]",
    plain_http_endpoints=lambda request: request.endpoint.startswith("http:"),
    endpoints_with_an_upper_case_scheme=lambda request: request.endpoint.startswith("HTTPS"),
    endpoints_with_port_65535=lambda request: ":65535" in request.endpoint,
    endpoints_with_a_query=lambda request: "?" in request.endpoint,
    endpoints_with_an_underscore_in_the_host=lambda request: (
        "_" in urlsplit(request.endpoint).netloc
    ),
    endpoints_of_2048_characters=lambda request: len(request.endpoint) == 2048,
)
FAULTS.refuses(
    "test_unusual_value_answers_200[key]",
    keys_with_a_nul_character=lambda request: "\x00" in request.key,
    keys_of_256_characters=lambda request: len(request.key) == 256,
)
FAULTS.refuses(
    "test_unusual_value_answers_200[secret]",
    secrets_with_line_breaks=lambda request: "\n" in request.secret,
    secrets_over_72_bytes=lambda request: 72 < len(request.secret.encode()) < 100,
    secrets_with_a_trailing_space=lambda request: request.secret.endswith(" "),
)
FAULTS.refuses(
    "test_unusual_value_answers_200[aiType]",
    the_type_other=lambda request: request.ai_type == "OTHER",
)
FAULTS.refuses(
    "test_any_fields_together_answer_200",
    an_empty_object=lambda request: request.body == b"{}",
    only_a_key_and_a_secret=lambda request: {*request.names} == {"key", "secret"},
    a_secret_equal_to_the_key=lambda request: request.key and request.key == request.secret,
    bodies_over_64_kib=lambda request: 65536 < len(request.body) < 200_000,
    escaped_slashes=lambda request: b"\\/" in request.body,
    multiline_bodies=lambda request: request.body.count(b"\n  ") > 2,
)
FAULTS.refuses(
    "test_valid_body_answers_200",
    types_without_an_endpoint=lambda request: request.ai_type and not request.endpoint,
)
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

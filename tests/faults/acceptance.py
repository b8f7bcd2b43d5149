"""Backends that reject, or never answer, requests that the contract allows."""

import asyncio
from urllib.parse import urlsplit

from tests.faults.backend import max_length
from tests.faults.changes import faults, reject, when

faults(
    "test_unusual_value_answers_200[name]",
    names_with_quotes=reject(lambda name: "'" in name or '"' in name),
    blank_names=reject(lambda name: name.isspace()),
    names_of_129_characters=reject(lambda name: len(name) == 129),
    names_of_the_maximum_length=reject(lambda name: len(name) == max_length("name")),
    names_with_too_many_utf_16_units=reject(
        lambda name: len(name.encode("utf-16-le")) > 2 * max_length("name")
    ),
    hebrew_or_arabic_names=reject(lambda name: any("\u0590" <= c <= "\u06ff" for c in name)),
    korean_names=reject(lambda name: any("\uac00" <= c <= "\ud7af" for c in name)),
    names_with_unescaped_unicode=reject(lambda name, body: name and not body.isascii()),
    names_with_percent_signs_cause_a_hang=when(lambda name: "%" in name, lambda: asyncio.sleep(8)),
)
faults(
    "test_unusual_value_answers_200[endpoint]",
    plain_http_endpoints=reject(lambda endpoint: endpoint.startswith("http:")),
    endpoints_with_an_upper_case_scheme=reject(lambda endpoint: endpoint.startswith("HTTPS")),
    endpoints_with_port_65535=reject(lambda endpoint: ":65535" in endpoint),
    endpoints_with_a_query=reject(lambda endpoint: "?" in endpoint),
    underscores_in_hosts=reject(lambda endpoint: "_" in urlsplit(endpoint).netloc),
    endpoints_of_the_maximum_length=reject(
        lambda endpoint: len(endpoint) == max_length("endpoint")
    ),
)
faults(
    "test_unusual_value_answers_200[key]",
    keys_with_a_nul_character=reject(lambda key: "\x00" in key),
    keys_of_256_characters=reject(lambda key: len(key) == 256),
)
faults(
    "test_unusual_value_answers_200[secret]",
    secrets_with_line_breaks=reject(lambda secret: "\n" in secret),
    secrets_over_72_bytes=reject(lambda secret: 72 < len(secret.encode()) < 100),
    secrets_with_a_trailing_space=reject(lambda secret: secret.endswith(" ")),
)
faults(
    "test_unusual_value_answers_200[aiType]",
    the_type_other=reject(lambda ai_type: ai_type == "OTHER"),
)
faults(
    "test_any_combination_of_fields_answers_200",
    empty_objects=reject(lambda body: body == b"{}"),
    empty_objects_return_500=reject(lambda body: body == b"{}", 500),
    only_a_key_and_a_secret=reject(lambda names: {*names} == {"key", "secret"}),
    secrets_equal_to_the_key=reject(lambda key, secret: key and key == secret),
    bodies_over_64_kib=reject(lambda body: 65536 < len(body) < 200_000),
    escaped_slashes=reject(lambda body: b"\\/" in body),
    multiline_bodies=reject(lambda body: body.count(b"\n  ") > 2),
)
faults(
    "test_valid_body_answers_200",
    types_without_an_endpoint=reject(lambda ai_type, endpoint: ai_type and not endpoint),
)
faults(
    "test_media_type_is_case_insensitive",
    upper_case_media_types=reject(lambda media_type: media_type == "APPLICATION/JSON"),
    upper_case_charsets=reject(lambda media_type: "UTF-8" in media_type),
    quoted_charsets=reject(lambda media_type: '"' in media_type),
)
faults(
    "test_other_charset_or_coding_causes_no_server_error",
    identity_encoding=reject(lambda header: header("Content-Encoding") == "identity", 500),
)

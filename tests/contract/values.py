"""Values on both sides of every rule of the contract: odd ones that are valid, near misses."""

import json
from collections.abc import Iterator
from typing import Any

import contract

ODD = {
    "name": [
        " ", "'", '"', "%", "%s%n%00", "\\", "<b>&amp;</b>", "'; DROP TABLE x; --", "{{7*7}}",
        "null", "0", "Ünïcödé", "名前", "اسم", "שם", "नाम", "имя", "\u202eleft", "e\u0301",
        "\u2028", "\ufeff", "👩\u200d👩\u200d👧", "\U0010ffff", "a" * 255, "\U0001f600" * 255,
    ],
    "endpoint": [
        "http://localhost", "http://localhost:1", "https://api.example.com:65535/",
        "HTTPS://API.EXAMPLE.COM/V1", "hTTp://127.0.0.1:8080", "https://[::1]/v1",
        "https://[2001:db8::8:800:200c:417a]:8443/v1", "https://xn--bcher-kva.example/",
        "https://api.example.com/a/../b//c;d=1", "https://api.example.com?x=1&y=a%20b",
        "https://api.example.com/v1?q=https://other.example/@x:y#part", "http://example.com#",
        "https://api.example.com/~user/!$&'()*+,;=:@/%7Bid%7D",
        "https://api.example.com/" + "a" * 2024,
    ],
    "key": ["x", " ", "\x00", "\n", "\r\n\t", "\x7f", "'\"\\", "%00", "ключ", "🔑", "k" * 8192],
    "secret": ["0", " x ", "\u0085", "null", "{}", "-----BEGIN KEY-----\nAA==\n",
               "\U0001f510" * 8192],
    "aiType": contract.DOCUMENT["components"]["schemas"]["AiType"]["enum"],
}  # fmt: skip

NEAR_ENDPOINTS = [
    "", " ", "api.example.com", "//api.example.com", "/v1", "https:", "https://", "https:///v1",
    "https://[::1/v1", "https://[x]/", "https:api.example.com", "http:/api.example.com",
    "://api.example.com", "https://:443/", "ftp://api.example.com", "file:///etc/passwd",
    "javascript:alert(1)", "ws://api.example.com", "httpss://api.example.com",
    "xhttps://api.example.com", "data:text/plain,x", "https://user@api.example.com",
    "https://user:pass@api.example.com/", "https://:pass@api.example.com",
    "https://api.example.com\n", "https://api.example.com/\n", "\nhttps://api.example.com",
    "https://api.example.com/\x00", "https://api.example.com/\x7f", "https://api\t.example.com",
    "https://bücher.example/", "https://api.example.com/é", "https://api.example.com/\u202e",
    "https://api.example.com/" + "a" * 2025,
]  # fmt: skip


def near_types(members: list[str]) -> Iterator[str]:
    """Spellings of an enumeration's members that are not members."""
    for member in members:
        yield from (member.lower(), member.title(), member[:-1], member + "S", f" {member}")
        yield from (member + " ", member + "\n", member + "\x00", f'"{member}"', f"X_{member}")
        yield from (member[0] + "\u200b" + member[1:], f"{member},{member}", f"AiType.{member}")
    yield from ("", " ", "null", "0", "UNKNOWN", "CUSTOM", "OPEN_AI", "AZURE", "BEDROCK", "AMAZON")
    yield from ("GEMINI", "CLAUDE", "GPT", "MISTRAL", "COHERE", "META", "OLLAMA", "LOCAL", "VERTEX")


def near_misses(field: str) -> Iterator[Any]:
    """Values for a field that the contract nearly, but not quite, allows."""
    schema = contract.resolve(contract.PROPERTIES[field])
    good = contract.EXAMPLES["everything"][field]
    yield from (None, True, False, 0, 1, -1.5, [], [good], {}, {"value": good})
    if "maxLength" in schema:
        yield from ("", "a" * (schema["maxLength"] + 1), "é" * (schema["maxLength"] + 1))
    if field == "name":
        controls = [*range(0x20), *range(0x7F, 0xA0)]
        yield from (chr(code) for code in controls)
        yield from (f"{good}{chr(code)}" for code in (0, 9, 10, 13, 0x1B, 0x7F, 0x85, 0x9F))
        yield from (f"{chr(code)}{good}" for code in (0, 10, 0x80))
    elif field == "aiType":
        yield from near_types(schema["enum"])
    elif field == "endpoint":
        yield from NEAR_ENDPOINTS


def unknown_fields() -> Iterator[str]:
    """Names of fields that are not the contract's, but look like them."""
    for name in contract.PROPERTIES:
        yield from (name.upper(), name.title(), name[:-1], name + "s", f" {name}", name + " ")
        yield from (f"{name}\n", f"{name}\x00", f"_{name}", f"{name}[]", f"data.{name}")
    yield from ("ai_type", "aitype", "id", "aiLlmId", "workspace", "workspaceId", "success", "")
    yield from ("__proto__", "constructor", "$set", "apiKey", "secrt", "url", "type", "message")


def unreadable_bodies() -> dict[str, bytes]:
    """Octets that are no JSON object a strict parser would read; each has good fields in it."""
    good = json.dumps(contract.EXAMPLES["rename"]).encode()
    field, value = good[1:-1].split(b": ", 1)
    return {
        "an empty body": b"",
        "a space": b" ",
        "an array": b"[" + good + b"]",
        "an empty array": b"[]",
        "a string": value,
        "null": b"null",
        "true": b"true",
        "a number": b"1",
        "a form": b"name=x&key=y",
        "a trailing comma": good[:-1] + b",}",
        "a missing brace": good[:-1],
        "a brace too many": good + b"}",
        "two objects": good + good,
        "text after the object": good + b" x",
        "single quotes": good.replace(b'"', b"'"),
        "names without quotes": b"{name: " + value + b"}",
        "a comment": b"/* */" + good,
        "a comment at the end": good + b"// x",
        "the same field twice": b"{" + good[1:-1] + b", " + good[1:-1] + b"}",
        "the same field twice, once escaped": b"{" + good[1:-1] + b', "n\\u0061me": "x"}',
        "NaN": b"{" + field + b": NaN}",
        "Infinity": b"{" + field + b": -Infinity}",
        "a huge number": b"{" + field + b": 1" + b"0" * 5000 + b"}",
        "a huge exponent": b"{" + field + b": 1e999999999}",
        "deep arrays": b"[" * 100_000 + b"]" * 100_000,
        "deep objects": b'{"name":' * 25_000 + b"1" + b"}" * 25_000,
        "deep arrays in a field": b"{" + field + b": " + b"[" * 5000 + b"]" * 5000 + b"}",
        "bytes that are no UTF-8": b"{" + field + b': "\xff\xfe"}',
        "Latin-1": b"{" + field + b': "caf\xe9"}',
        "an overlong encoding": b"{" + field + b': "\xc0\xaf"}',
        "a surrogate in UTF-8": b"{" + field + b': "\xed\xa0\x80"}',
        "a lone surrogate": b"{" + field + b': "\\ud800"}',
        "a lone surrogate before a letter": b'{"key": "\\udc00x"}',
        "a byte order mark": b"\xef\xbb\xbf" + good,
        "UTF-16": good.decode().encode("utf-16"),
        "UTF-16 without a mark": good.decode().encode("utf-16-le"),
        "UTF-32": good.decode().encode("utf-32-be"),
        "a NUL after the object": good + b"\x00",
        "NULs only": b"\x00" * 8,
        "a control character in a string": b'{"key": "a\nb"}',
        "an escape that is none": b'{"key": "\\x41"}',
        "a form feed between": good.replace(b": ", b":\x0c"),
        "compressed JSON": bytes.fromhex("1f8b08000000000000ffabae05004314a6bf02000000"),
    }


# Headers that some backends trust, though anybody can send them.
TRUSTED_HEADERS = {
    "X-Forwarded-For": "127.0.0.1", "X-Real-IP": "127.0.0.1", "Forwarded": "for=127.0.0.1",
    "X-Forwarded-Host": "localhost", "X-Forwarded-User": "admin", "X-Remote-User": "admin",
    "X-User": "admin", "X-User-Id": "1", "X-Role": "ADMIN", "X-Admin": "true", "X-Debug": "1",
    "X-Internal": "true", "X-Test": "true", "X-Original-URL": "/", "Origin": "http://localhost",
    "Referer": "http://localhost/", "X-Requested-With": "XMLHttpRequest", "X-Impersonate": "admin",
}  # fmt: skip


OTHER_MEDIA_TYPES = [
    None, "", "text/plain", "text/json", "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x", "application/xml", "application/octet-stream",
    "application/jsonp", "application/json5", "application/x-json", "application/problem+json",
    "application/merge-patch+json", "application/json-patch+json", "application/x-ndjson",
    "xapplication/json", "application", "json", "*/*",
    "application/json; charset=utf-16", "application/json; charset=iso-8859-1",
    "application/json; charset=utf-8x", "application/json; charset=utf-7",
]  # fmt: skip

SAME_MEDIA_TYPES = [
    "application/json", "APPLICATION/JSON", "application/json; charset=utf-8",
    "application/json;charset=UTF-8", "Application/Json; Charset=Utf-8",
]  # fmt: skip

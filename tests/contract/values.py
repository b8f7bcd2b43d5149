"""Values on both sides of every rule of the contract: odd ones that are valid, near misses."""

import json
import random
import string
import uuid
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any
from unicodedata import category

import contract

# Credentials that cannot be in an answer by chance: most requests give them, no answer may.
GOOD = {"key": "CanaryqX7mZ2vK9sB4nT6wL1pR8dY3h", "secret": "CanaryG5jU0cF8aW2eN7kQ4rM9tV1xSz"}
EVERYTHING = {**contract.EXAMPLES["everything"], **GOOD}
TEXT = json.dumps(GOOD, indent=2).encode()
INVALID: list[Any] = [{"name": ""}, {"unknown": "field"}, {"aiType": None}, b"{", b"", [], b"\xff"]

# One character of every 64 in Unicode, thus one or more of every script in use.
NO_LETTERS = ("Cc", "Cn", "Cs")  # controls, what is not assigned, surrogates
LETTERS = [c for c in map(chr, range(0x21, 0x20000, 0x40)) if category(c) not in NO_LETTERS]
LENGTHS = (20, 32, 33, 40, 50, 63, 64, 65, 72, 73, 100, 127, 128, 129, 150, 200, 250, 254, 255)
URL = "https://api.example.com/"
LONGER = (256, 257, 500, 512, 1000, 1024, 1025, 2000, 2047, 2048)


def most(field: str) -> int:
    """How many characters a field may have."""
    return int(contract.PROPERTIES.get(field, {}).get("maxLength", max(LONGER)))


ODD = {
    "name": [
        " ", "'", '"', "%", "%s%n%00", "\\", "<b>&amp;</b>", "'; DROP TABLE x; --", "{{7*7}}",
        "null", "0", "Ünïcödé", "名前", "اسم", "שם", "नाम", "имя", "\u202eleft", "e\u0301",
        "\u2028", "\ufeff", "👩\u200d👩\u200d👧", "\U0010ffff", string.punctuation, " x ",
        *(letter * most("name") for letter in "a\U0001f600"),
        *("".join(LETTERS[at:][:most("name")]) for at in range(0, len(LETTERS), most("name"))),
    ],
    "endpoint": [
        "http://a", "http://localhost", "http://localhost:1", "https://api.example.com:65535/",
        "HTTPS://API.EXAMPLE.COM/V1", "hTTp://127.0.0.1:8080", "https://[::1]/v1", "http://10.0.0.1",
        "https://[2001:db8::8:800:200c:417a]:8443/v1", "https://xn--bcher-kva.example/",
        "https://api.example.com/a/../b//c;d=1", "https://api.example.com?x=1&y=a%20b",
        "https://api.example.com/v1?q=https://other.example/@x:y#part", "http://example.com#",
        "https://api.example.com/~user/!$&'()*+,;=:@/%7Bid%7D", "https://example.com./v1",
        "https://my_host.example.com", "https://1.example.museum:443",
        *(URL.ljust(length, "a") for length in (*LENGTHS[1:], *LONGER, most("endpoint"))),
    ],
    "key": ["x", " ", "\x00", "\n", "\r\n\t", "\x7f", "'\"\\", "%00", "ключ", "🔑",
            string.punctuation, "user:pass", " x",
            *("k" * length for length in (*LENGTHS, *LONGER, most("key")))],
    "secret": ["0", " x ", "x ", "\u0085", "null", "{}", "-----BEGIN KEY-----\nAA==\n",
               string.punctuation, "".join(LETTERS),
               *("s" * length for length in (*LENGTHS, *LONGER, 4096, most("secret") - 1)),
               "\U0001f510" * most("secret")],
}  # fmt: skip

RANDOM = random.Random()  # noqa: S311 - seeded for each promise, not to be secret


def unique() -> str:
    """A UUID that nobody has used."""
    return str(uuid.UUID(int=RANDOM.getrandbits(128), version=4))


def canary() -> str:
    """A credential that cannot be in an answer by chance, not even in part."""
    return "Canary" + "".join(RANDOM.choices(string.ascii_letters + string.digits, k=26))


def fresh() -> dict[str, str]:
    """A name that nobody has."""
    return {"name": f"contract run {unique()}"}


def spelt(spellings: str, word: str) -> list[str]:
    """Each of the spellings, in which `@` stands for the word."""
    return [spelling.replace("@", word) for spelling in spellings.split()]


def odd(field: str) -> list[Any]:
    """The oddest values that a field may have; each of an enumeration comes after each other."""
    if "enum" in contract.PROPERTIES[field]:
        return list(every_pair(contract.PROPERTIES[field]["enum"]))
    names = [(unique() * 8)[:length] for length in LENGTHS] if field == "name" else []
    return [value for value in ODD[field] + names if len(value) <= most(field)]


def lacking() -> Iterator[str]:
    """What a change of the contract has left out, without which nothing can be judged."""
    for field, schema in contract.PROPERTIES.items():
        if field not in contract.EXAMPLES["everything"]:
            yield f"openapi.yaml: the example `everything` has no {field}; give it one"
        if "enum" not in schema and field not in ODD:
            yield f"tests/contract/values.py: ODD has no values of {field}; give it odd ones"


def every_pair(kinds: Sequence[Any]) -> Iterator[Any]:
    """The kinds in an order in which each comes right after each other one, and after itself."""
    for first in range(len(kinds)):
        yield kinds[first]
        for second in range(first + 1, len(kinds)):
            yield from (kinds[first], kinds[second])
    yield kinds[0]


def bodies() -> Iterator[Any]:
    """Any fields of the contract together, in any order, and all that JSON lets one write."""
    everything = {**EVERYTHING, **fresh()}
    for many in range(len(everything) + 1):
        for number, fields in enumerate(combinations(everything, many)):
            yield {field: everything[field] for field in fields[:: -1 if number % 2 else 1]}
    same = unique()
    yield dict.fromkeys(("name", "key", "secret"), same)
    longest = {field: "\U0001f510" * most(field) for field in contract.CREDENTIALS}
    yield {**longest, "name": (same * 8)[: most("name")], "endpoint": ODD["endpoint"][-1]}
    yield from (b"\n\t " + TEXT + b"\r\n", json.dumps(everything, indent=8).encode())
    yield b'{"\\u006bey": "\\u0043\\/\\b\\f\\n\\r\\t\\\\\\"\\ud83d\\uDE00"}'
    spelt_out = {"name": f"Ключ 🔑 {same}", "secret": "Ünïcödé 名前"}
    yield json.dumps(spelt_out, ensure_ascii=False).encode()


# What a client may send beside the request's own parts, without a word of it in the contract.
MANNERS = [
    {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8", "User-Agent": "Mozilla/5.0 (X11)"},
    {"Accept": "*/*", "User-Agent": "curl/8.5.0"},
    {"Content-Type": "Application/JSON;charset=UTF-8"},
    {"Accept-Language": "de, *;q=0.5"}, {"Expect": "100-continue"}, {"Connection": "close"},
]  # fmt: skip


def ways() -> Iterator[dict[str, Any]]:
    """Ways to ask for what the contract allows, so that only token and id decide."""
    everything = {**EVERYTHING, **fresh()}
    yield from ({"body": {field: value}} for field, value in everything.items())
    yield from ({"body": body} for body in ({}, GOOD, everything, dict([*GOOD.items()][::-1])))
    yield {"body": {**contract.EXAMPLES["switchProvider"], **GOOD}}
    yield {"body": b"\n " + TEXT.replace(b"key", b"\\u006bey")}
    yield {"body": (TEXT[:9], TEXT[9:])}
    yield from ({"escaped": True}, {"query": "admin=true"})
    yield from ({"headers": headers} for headers in MANNERS)


NEAR_ENDPOINTS = [
    "", " ", "https://api.example.com\n", "https://api.example.com/\n", "\nhttps://api.example.com",
    "https://api.example.com/\x00", "https://api.example.com/\x7f", "https://api\t.example.com",
    "https://api.example.com/\u202e", URL.ljust(most("endpoint") + 1, "a"),
]  # fmt: skip
NEAR_URLS = """
    api.example.com //api.example.com /v1 https: https:// https:///v1 https://[::1/v1 https://[x]/
    https:api.example.com http:/api.example.com ://api.example.com https://:443/ javascript:alert(1)
    ftp://api.example.com file:///etc/passwd ws://api.example.com httpss://api.example.com
    xhttps://api.example.com data:text/plain,x https://user@api.example.com x ?x #x ./v1 ../v1 tel:1
    https://user:pass@api.example.com/ https://:pass@api.example.com https://bücher.example/
    https://api.example.com/é https://us%40er:pw@example.com/ s3://bucket/key ssh://example.com
    mailto:a@b.c gs://bucket grpc://example.com unix:/run/x blob:https://example.com/x
    wss://example.com ldap://example.com about:blank localhost:8080 1.2.3.4 https//example.com
    https;//example.com null undefined
    """
NEAR_TYPES = """null 0 UNKNOWN CUSTOM OPEN_AI AZURE BEDROCK AMAZON GEMINI CLAUDE GPT MISTRAL COHERE
    META OLLAMA LOCAL VERTEX"""


def near_types(members: list[str]) -> Iterator[str]:
    """Spellings of an enumeration's members that are not members."""
    for member in members:
        yield from (member.lower(), member.title(), member[:-1], member[0] + "\u200b" + member[1:])
        yield from (f" {member}", f"{member} ", f"{member}\n", f"{member}\x00")
        yield from spelt('@S "@" X_@ @,@ AiType.@', member)
    yield from ("", " ", *NEAR_TYPES.split())


def near_misses(field: str) -> Iterator[Any]:
    """Values for a field that the contract nearly, but not quite, allows."""
    schema = contract.PROPERTIES[field]
    good = contract.EXAMPLES["everything"][field]
    yield from (None, True, False, 0, 1, -1.5, [], [good], {}, {"value": good})
    if "maxLength" in schema:
        yield from ("", *(letter * (schema["maxLength"] + 1) for letter in "aé"))
    if field == "name":
        for control in map(chr, (*range(0x20), *range(0x7F, 0xA0))):
            yield f"{good}{control}x"
        for control in "\x00\t\n\r\x1b\x7f\x80\x85\x9f":
            yield from (control, f"{good}{control}", f"{control}{good}")
    elif field == "aiType":
        yield from near_types(schema["enum"])
    elif field == "endpoint":
        yield from (*NEAR_ENDPOINTS, *NEAR_URLS.split())


OTHER_FIELDS = """
    ai_type aitype id aiLlmId workspace workspaceId success __proto__ constructor $set apiKey secrt
    url type message user userId owner role access createdAt updatedAt deletedAt accessKey secretKey
    api_key password token provider model enabled default options metadata data _method $ref
    k\u0435y"""


def unknown_fields() -> Iterator[str]:
    """Names of fields that are not the contract's, but look like them."""
    for name in contract.PROPERTIES:
        yield from (name.upper(), name.title(), name[:-1], f" {name}", f"{name} ", f"{name}\n")
        yield from (f"{name}\x00", *spelt("@s _@ @[] data.@ @2", name))
    yield from ("", *OTHER_FIELDS.split())


def unreadable_bodies() -> Iterator[bytes]:
    """Octets that are no JSON object a strict parser would read; most have good fields in them."""
    good, value = json.dumps(GOOD).encode(), json.dumps(GOOD["key"]).encode()
    yield from (b"", b" ", b"[" + good + b"]", b"[]", value, b"null", b"true", b"1", b"{", b"}")
    yield from (b"key=x&secret=y", good[:-1] + b",}", good[:-1], good + b"}", good + good)
    yield from (good + b" x", good + b"\x00", good + b"// x", b"/* */" + good, b"\x00" * 8)
    yield from (good.replace(b'"', b"'"), b"{key: " + value + b"}", good.replace(b": ", b":\x0c"))
    for second in (b'"key"', b'"k\\u0065y"', b'"secret"'):  # fields that are there twice
        yield good[:-1] + b", " + second + b": " + value + b"}"
    deep, many = b"[" * 5000 + b"]" * 5000, b"1" + b"0" * 5000
    for odd in (b"NaN", b"-Infinity", many, b"1e999999999", deep, b"x", b"'x'", b"01"):
        yield good[:-1] + b', "name": ' + odd + b"}"
    yield from (b"[" * 100_000 + b"]" * 100_000, b'{"name":' * 25_000 + b"1" + b"}" * 25_000)
    # In a string: no UTF-8, Latin-1, overlong, surrogates, a line break, an escape that is none.
    odds = (b"\xff\xfe", b"caf\xe9", b"\xc0\xaf", b"\xed\xa0\x80", b"\\ud800", b"\\udc00x", b"a\nb")
    for odd in (*odds, b"\\x41", b"\\ud800\\u0041"):
        yield b'{"key": "' + odd + b'", "secret": ' + value + b"}"
    for codec in ("utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"):
        yield good.decode().encode(codec)
    yield bytes.fromhex("1f8b08000000000000ffabae05004314a6bf02000000")  # compressed


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

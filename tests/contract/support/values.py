"""Test values: unusual values that the contract allows, and invalid ones that resemble them."""

import json
import random
import re
import string
import uuid
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from support import contract
from support.rule import parse_yaml

FILE = Path(__file__).parents[1] / "values.yaml"
DATA: dict[str, Any] = parse_yaml(FILE.read_text("utf-8"))

INVALID: list[Any] = [
    {"name": ""}, {"unknown": "field"}, {"aiType": None}, {"aiType": "NONE"}, {"endpoint": "x"},
    b"{", b"", [], b"\xff",
]  # fmt: skip

RANDOM = random.Random()  # noqa: S311 - not used for secrets; seeded for each promise

URL = "https://api.example.com/"
PREFIX = "cAnArY"  # the odd case makes it unlikely that a response contains this by chance
LOCK = "\U0001f510"  # a character outside the Basic Multilingual Plane


def max_length(field: str) -> int:
    """Return the maximum length of a field's value."""
    return int(contract.PROPERTIES.get(field, {}).get("maxLength", 2048))


def unique() -> str:
    """Return a new random UUID."""
    return str(uuid.UUID(int=RANDOM.getrandbits(128), version=4))


def canary(field: str) -> str:
    """Return a random credential, no part of which can appear in a response by chance."""
    source = random.Random(field)  # noqa: S311 - see RANDOM
    characters = source.choices(string.ascii_letters + string.digits, k=26)
    return PREFIX + "".join(characters)


# Canary credentials, which most requests contain. They are the same in every run.
GOOD = {name: canary(name) for name in contract.CREDENTIALS}
EVERYTHING = {**contract.EVERYTHING, **GOOD}
TEXT = json.dumps(GOOD, indent=2).encode()
CHUNKS = (TEXT[:9], TEXT[9:])


def fresh() -> dict[str, str]:
    """Return a body with a new, unique name."""
    return {"name": f"contract run {unique()}"}


def renamed(body: dict[str, Any]) -> dict[str, Any]:
    """Return a copy of the body with a similar but unused `name`."""
    name = body["name"]
    if not name.strip():
        return {**body, "name": name.ljust(RANDOM.randrange(2, 100))}
    kept = name[:-8] if len(name) > 15 else name
    return {**body, "name": kept + unique()[:8]}


def single_fields(body: dict[str, Any]) -> list[dict[str, Any]]:
    """For each field of the given body, return a body that contains only that field."""
    return [{field: value} for field, value in body.items()]


def with_bodies(*bodies: Any) -> list[dict[str, Any]]:
    """For each body, return the keyword arguments for `Backend.request`."""
    return [{"body": body} for body in bodies]


def expand(name: str, word: str) -> list[str]:
    """Return a list from values.yaml, with each `@` replaced by `word`."""
    return [pattern.replace("@", word) for pattern in DATA[name]]


def unusual(field: str) -> list[Any]:
    """Return unusual but valid values for a field.

    For an enumeration, the list contains every ordered pair of members as neighbors, including each
    member paired with itself.
    """
    members = contract.PROPERTIES[field].get("enum")
    if members:
        return list(every_pair(members))
    longest = max_length(field)
    candidates = list(DATA["UNUSUAL"][field])
    candidates += ["a" * longest, LOCK * longest, string.punctuation]
    for length in (*DATA["LENGTHS"], longest - 1, longest):
        candidates.append(of_length(field, length))
    # Printable characters from all modern scripts, at most one per 64 code points
    letters = "".join(filter(str.isprintable, map(chr, range(0x21, 0x20000, 0x40))))
    for start in range(0, len(letters), longest):
        candidates.append(letters[start : start + longest])
    if field in contract.URLS:
        candidates.append(f"https://{'a' * 2000}.example.com/")
    return valid(field, candidates)


def valid(field: str, values: Iterable[Any]) -> list[Any]:
    """Return the values that the field's schema allows."""
    return [value for value in values if contract.broken_keyword(field, value) is None]


def of_length(field: str, length: int) -> str:
    """Return a string of this length, made from the contract's example for the field."""
    if field == "name":
        return (unique() * 8)[:length]
    good = str(contract.EVERYTHING[field])
    return good[:length].ljust(length, good[-1])


def every_pair(kinds: Sequence[Any]) -> Iterator[Any]:
    """Yield a sequence in which every ordered pair of kinds occurs exactly once as neighbors.

    The pairs include each kind paired with itself.
    """
    for number, first in enumerate(kinds, 1):
        yield first
        for second in kinds[number:]:
            yield from (first, second)
    yield kinds[0]


def bodies() -> Iterator[Any]:
    """Yield every combination of fields, and bodies with unusual whitespace or escape sequences."""
    everything = EVERYTHING | fresh()
    for size in range(len(everything) + 1):
        for number, fields in enumerate(combinations(everything.items(), size)):
            ordered = reversed(fields) if number % 2 else fields
            yield dict(ordered)
    same = unique()
    yield dict.fromkeys(("name", "key", "secret"), same)
    longest = {"name": of_length("name", max_length("name"))}
    for field in contract.URLS:
        longest[field] = URL.ljust(max_length(field), "a")
    for field in contract.CREDENTIALS:
        longest[field] = LOCK * max_length(field)
    yield longest
    yield json.dumps(everything, indent=8).encode()
    for text in expand("UNUSUAL_BODIES", TEXT.decode()):
        yield text.encode()
    not_escaped = {"name": f"Ключ 🔑 {same}", "secret": "Ünïcödé 名前"}
    yield json.dumps(not_escaped, ensure_ascii=False).encode()


def variations() -> Iterator[dict[str, Any]]:
    """Yield variations of a valid request that do not affect the expected status."""
    everything = EVERYTHING | fresh()
    switched = contract.EXAMPLES["switchProvider"] | GOOD
    escaped = b"\n " + TEXT.replace(b"key", b"\\u006bey")
    reordered = dict(reversed(GOOD.items()))
    yield from with_bodies(*single_fields(everything), {}, GOOD, everything)
    yield from with_bodies(reordered, switched, escaped, CHUNKS)
    yield {"escaped": True}
    yield {"query": "?admin=true"}
    for headers in DATA["CLIENTS"]:
        words = [f"`{name}: {value}`" for name, value in headers.items() if value]
        yield {"headers": headers, "words": ", ".join(words) or "no `Accept`"}


def all_variations() -> Iterator[dict[str, Any]]:
    """Yield variations of a request with valid and invalid bodies."""
    yield from variations()
    yield from with_bodies(*INVALID)


# Use a name that is not taken, because a backend may check the name before the user's access.
FREE = {**EVERYTHING, "name": "contract run without access"}
SOME_VARIATIONS = with_bodies(*single_fields(FREE), {}, FREE, CHUNKS, {"name": ""}, b"{")

HOMOGLYPHS = str.maketrans("AEOPCTHI", "АЕОРСТНІ")  # maps Latin letters to Cyrillic lookalikes
# Maps ASCII characters to their full-width forms, which NFKC normalization maps back
FULL_WIDTH = {code: code + 0xFEE0 for code in range(0x21, 0x7F)}


def invalid_values(field: str) -> Iterator[Any]:
    """Yield invalid values for the field, such as values of the wrong type or length."""
    schema = contract.PROPERTIES[field]
    good = contract.EVERYTHING[field]
    yield from (None, True, False, 0, 1, -1.5, 123456)
    yield from ([], [good], {}, {"value": good}, {"$ne": ""})
    yield of_length(field, schema.get("minLength", 1) - 1)
    if "maxLength" in schema:
        too_long = schema["maxLength"] + 1
        yield from ("a" * too_long, "é" * too_long)
        yield of_length(field, too_long)
        yield "a" * schema["maxLength"] + " "  # too long unless the backend trims the value
    if "enum" in schema:
        yield from sorted(set(DATA["OTHER_TYPES"]).difference(schema["enum"]))


def similar_strings(field: str) -> Iterator[str]:
    """Yield strings that resemble valid values for the field."""
    schema = contract.PROPERTIES[field]
    good = contract.EVERYTHING[field]
    for member in schema.get("enum", []):
        yield from (member.lower(), member.title(), member[:-1])
        yield member[0] + "\u200b" + member[1:]
        yield from expand("SIMILAR_TYPES", member)
        yield member.translate(HOMOGLYPHS)
        yield member.translate(FULL_WIDTH)
    if field in contract.URLS:
        yield from DATA["SIMILAR_ENDPOINTS"]
    elif "pattern" in schema:
        similar = [good.upper(), good.lower(), good.title()]
        similar += [f"{good}{chr(code)}x" for code in range(0x100)]
        for character in "\x00\t\n\r\x1b\x7f\x80\x85\x9f -é":
            similar += [character, f"{good}{character}", f"{character}{good}"]
        for value in similar:
            if contract.broken_keyword(field, value) == "pattern":
                yield value


def resembling_fields() -> Iterator[tuple[str, object]]:
    """Yield unknown field names that resemble a known one, each with the known field's value."""
    yield "k\u0435y", canary("key")  # contains a Cyrillic letter
    for name, value in (EVERYTHING | fresh()).items():
        snake = re.sub("([A-Z])", r"_\1", name).lower()
        similar = [name.upper(), name.lower(), name.title()]
        similar += [name[0].upper() + name[1:], name[:-1]]
        similar += [snake, snake.replace("_", "-")]
        for other in (*similar, *expand("SIMILAR_FIELDS", name)):
            if other not in contract.PROPERTIES:
                yield other, value


def unreadable_bodies() -> Iterator[bytes]:
    """Yield bodies that are not JSON objects, and bodies that contain unusual JSON."""
    good = json.dumps(GOOD)
    texts = expand("NOT_OBJECTS", good) + expand("ODD_VALUES", good[:-1])
    for odd in DATA["ODD_STRINGS"]:
        texts.append(f'{{"key": "{odd}", "secret": "{canary("secret")}"}}')
    texts.append(json.dumps(good))  # JSON in a JSON string
    # Parsers that quote the invalid text in their errors quote only its start, so omit the prefix.
    unquoted = canary("key").removeprefix(PREFIX).lstrip(string.digits)
    texts.append(f'{{"key": {unquoted}}}')
    texts.append("[" * 100_000 + "]" * 100_000)
    texts.append('{"name":' * 25_000 + "1" + "}" * 25_000)
    for odd in ("1" + "0" * 5000, "[" * 5000 + "]" * 5000):
        texts.append(f'{good[:-1]}, "name": {odd}}}')
    for text in texts:
        yield text.encode("latin-1")
    for encoding in DATA["ENCODINGS"]:
        yield good.encode(encoding)
    yield bytes.fromhex("1f8b08000000000000ffabae05004314a6bf02000000")  # compressed with gzip

"""Detects credentials and internal details in responses.

Most credentials that the tests send are the canaries in `values.GOOD`: random values that cannot
appear in a response by chance. Therefore, parts, encodings and hashes of these values are also
recognized.
"""

import base64
import codecs
import hashlib
import json
import re
from collections.abc import Collection, Iterable, Iterator
from functools import cache, lru_cache
from itertools import chain, product
from urllib.parse import quote, unquote

from support import contract, values
from support.curl import base64_parts
from support.exchange import Exchange, Request
from support.rule import DATA

SHORTEST = 8  # ignore shorter credentials, which a response may contain by chance
SHORTEST_PART = 5  # a leak can be as short as four characters plus a mask character
MASKS = "*.…•#"  # characters that backends use to mask the rest of a credential
# Backends also use these characters as masks, but random text such as a cookie can contain them.
AMBIGUOUS_MASKS = ("x", "X", "-", "_")
HASHES = ("md5", "sha1", "sha256", "sha512")
INTERNALS = re.compile("|".join(DATA["internals"]))
# Matches the URL in an HTML attribute
LINK = re.compile(r"""\b(?:action|href|src)\s*=\s*["']?[^\s"'>]*""")
# Matches a file's directory, but not part of a URL
DIRECTORY = re.compile(r"(?<!\w)/(?:usr|home|var|app|srv)/(?!(?:\w+/)*ai/llm/[\w%-]*(?![\w./%-]))")


def find_leak(
    exchange: Exchange, tokens: Collection[str], earlier: Iterable[Exchange]
) -> tuple[str, str] | None:
    """Return where the response contains a credential and how the credential is encoded.

    Return None if there is no credential. A credential is one of the tokens, or a `key`, `secret`
    or token from the request. If a generated `key` or `secret` equals text from an `earlier`
    response, such as the `Server` header, it is not a leak.
    """
    lines = _lines(exchange)
    for where, line in lines:
        how = _canary_in(line)
        if how:
            return where, how
    credentials = _credentials_in(exchange.request, tokens)
    for where, line in lines:
        for credential in credentials:
            how = _encoding_in(line, credential)
            if how and (credential in tokens or not _occurs_in(credential, earlier)):
                return where, how
    return None


def _lines(exchange: Exchange) -> list[tuple[str, str]]:
    """Return the lines of the response in which a credential can occur, with their locations."""
    lines = [("the body", exchange.text), ("the body", _unescaped(exchange.text))]
    received = [("the status line", exchange.reason)]
    for name, value in exchange.headers:
        received.append((f"the `{name}` header", f"{name}: {value}"))
    for where, line in received:
        # http.client decodes the status line and headers as Latin-1, but they may contain UTF-8.
        octets = line.encode("latin-1")
        lines.append((where, octets.decode(errors="replace")))
    return lines


def _occurs_in(text: str, exchanges: Iterable[Exchange]) -> bool:
    """Return whether any of the responses contains the text."""
    lines = chain.from_iterable(map(_lines, exchanges))
    return any(text in line for _, line in lines)


@lru_cache(1000)
def _canary_in(line: str) -> str | None:
    letters = re.sub("[^0-9A-Za-z]", "", line)  # separators could split a canary
    for text in (line, letters):
        beginnings = [text[start : start + SHORTEST_PART] for start in range(len(text))]
        if canary_parts().keys().isdisjoint(beginnings):  # much faster than the loop below
            continue
        for start, beginning in enumerate(beginnings):
            for part, how in canary_parts().get(beginning, {}).items():
                if text.startswith(part, start):
                    return how
    return None


@cache
def canary_parts() -> dict[str, dict[str, str]]:
    """Group canary parts by their first characters, and map each part to its encoding."""
    parts: dict[str, dict[str, str]] = {}
    for canary in values.GOOD.values():
        for how, text, size in canary_encodings(canary):
            for start in range(len(text) - size + 1):
                part = text[start : start + size]
                parts.setdefault(part[:SHORTEST_PART], {})[part] = how
    return parts


def _credentials_in(request: Request, tokens: Iterable[str]) -> list[str]:
    """Return the tokens and the request's credentials, except those that a response may contain."""
    fields = request.text_fields
    credentials = [*tokens]
    credentials += [fields.get(name, "") for name in contract.CREDENTIALS]
    authorization = request.header("Authorization") or ""
    credentials.append(authorization.partition(" ")[2])
    # A backend is allowed to return the id and the name.
    harmless = f"{request.target} {fields.get('name', '')}"
    typical = filter(_is_typical, credentials)
    return [text for text in typical if text not in harmless]


@lru_cache(1000)
def _is_typical(credential: str) -> bool:
    """Return whether a response is unlikely to contain this text by chance."""
    is_word = len(credential) < SHORTEST or credential.isalpha()
    return not is_word and credential not in contract.TEXT


def _encoding_in(line: str, credential: str) -> str | None:
    for how, spelling in whole_encodings(credential):
        if spelling in line:
            return how
    is_canary = credential in values.GOOD.values()
    if is_canary and credential[-4:] in re.findall(r"\w+", line):
        return "its last four letters"
    return None


@cache
def whole_encodings(credential: str) -> list[tuple[str, str]]:
    """Return the name of each encoding and the whole credential in that encoding."""
    octets = credential.encode()
    encodings = [
        ("as it is", credential),
        ("as it is", json.dumps(credential)[1:-1]),
        ("in hex", octets.hex()),
        ("percent-encoded", quote(credential, safe="")),
        ("reversed", credential[::-1]),
    ]
    for part in base64_parts(octets):
        encodings.append(("in base64", part))
    return encodings


def canary_encodings(canary: str) -> Iterator[tuple[str, str, int]]:
    """Yield the name of each encoding, the encoded canary, and the minimum length of a leak.

    Any part of the encoded canary that has at least the minimum length counts as a leak.
    """
    whole = canary.encode()
    secret = canary.removeprefix(values.PREFIX)
    octets = secret.encode()
    yield "as it is", secret, 6
    yield "reversed", secret[::-1], 8
    for text in (secret.lower(), secret.upper(), secret.swapcase()):
        yield "in other case", text, 8
    yield "in hex", octets.hex(), 12
    yield "in rot13", codecs.encode(secret, "rot13"), 8
    yield "as numbers", "".join(map(str, octets)), 12
    yield "in escapes", octets.hex("x"), 20
    for once in base64_parts(octets):
        yield "in base64", once, 8
        for twice in base64_parts(once.encode()):
            yield "in base64", twice, 8
    yield "in base32", base64.b32encode(whole).decode()[16:-8], 10
    two_masks = map("".join, product(AMBIGUOUS_MASKS, repeat=2))
    for mask in (*MASKS, *two_masks, *AMBIGUOUS_MASKS):
        least = 5 if mask in AMBIGUOUS_MASKS else 4
        for size in range(least, 6):
            yield "masked", f"{mask}{secret[-size:]}", len(mask) + size
        for size in range(least, 12):
            yield "masked", f"{canary[:size]}{mask}", size + len(mask)
    for name in HASHES:
        digest = hashlib.new(name, whole)
        yield "hashed", digest.hexdigest(), 16
        yield "hashed", base64.b64encode(digest.digest()).decode(), 16


def internals(exchange: Exchange) -> str | None:
    """Return internal text, such as a stack trace, from the response's body or `X-` headers.

    If a 500 response contains a value from the request, return that value.
    """
    text = _unescaped(exchange.text)
    if exchange.status >= 400:
        is_page = "html" in exchange.media_type
        without_links = LINK.sub("", text) if is_page else text
        found = INTERNALS.search(text) or DIRECTORY.search(without_links)
    elif "json" in exchange.media_type:
        found = INTERNALS.search(text)
    else:  # do not check web pages, which can contain paths
        return None
    for name, value in exchange.headers:
        if name.lower().startswith("x-"):  # here, DIRECTORY could match a URL's path
            found = found or INTERNALS.search(unquote(value))
    if found:
        return found[0]
    if exchange.status != 500:
        return None
    for value in exchange.request.text_fields.values():
        is_typical = len(value) >= SHORTEST and value not in contract.TEXT
        if is_typical and value in text:
            return value
    return None


def _unescaped(text: str) -> str:
    """Return the text on one line, with the most common JSON escape sequences replaced."""
    text = re.sub(r"\\[nrt]|\s", " ", text)
    return re.sub(r"\\u([0-9a-fA-F]{4})", lambda found: chr(int(found[1], 16)), text)

"""Finds credentials, whole, in part or encoded, and internal details in responses."""

import base64
import codecs
import hashlib
import json
import re
from collections.abc import Iterator
from functools import cache
from urllib.parse import quote

from support import contract
from support.exchange import Exchange, Request, Response

SHORTEST = 8  # characters of a credential that cannot be in a response by chance
CANARY = re.compile("Canary[A-Za-z0-9]{26}")
SHORTEST_PART = 5  # of a canary next to a mask
URL_SAFE = str.maketrans("+/", "-_")
MASKS = "*.…•xX-_#"  # characters that hide the rest of a credential
HASHES = ("md5", "sha1", "sha256", "sha512")
INTERNALS = re.compile(
    r"Traceback|Exception in|\bat [\w.$<>]+ ?\([^)]*:\d+|\bline \d+, in |node_modules"
    r"|[\w/]+\.(?:py|js|ts|java|go|rb):\d+|site-packages|/(?:usr|home|var|app|srv)/"
    r"|\b(?:SELECT|INSERT INTO|UPDATE|DELETE FROM)\s.+\b(?:FROM|SET|WHERE|VALUES)\b"
    r"|SQLITE_|sqlite3\.|psycopg|asyncpg|PrismaClient|ECONNREFUSED|stack\""
)


class Credentials:
    """Finds credentials in responses: the canaries of all requests, and the request's own ones."""

    def __init__(self) -> None:
        """Start without any credential."""
        self._known: set[str] = set()
        self._parts: dict[str, str] = {}  # encoding, by part of a canary
        self._sizes: dict[int, None] = {}  # lengths of the parts, in the order of the encodings
        self._starts: set[str] = set()  # first letters of the parts, for a fast search
        self._harmless: set[str] = set()  # response lines known to contain none of the parts

    def how_returned(self, exchange: Exchange) -> str | None:
        """Return how the response encodes a credential, or None."""
        response = exchange.response
        self._learn(exchange.request)
        if response is None:
            return None
        lines = [response.reason]
        lines += [f"{name}: {value}" for name, value in response.headers]
        lines.append(response.body.decode("latin-1"))
        for line in lines:
            how = self._part_in(line)
            if how:
                return how
        return _own(exchange.request, "\n".join(lines))

    def _learn(self, request: Request) -> None:
        sent = request.body.decode("latin-1")
        for canary in set(CANARY.findall(sent)) - self._known:
            for how, text, size in encodings(canary):
                self._sizes[size] = None
                for start in range(len(text) - size + 1):
                    self._parts[text[start : start + size]] = how
                    self._starts.add(text[start : start + SHORTEST_PART])
            self._known.add(canary)
            self._harmless.clear()

    def _part_in(self, line: str) -> str | None:
        if line in self._harmless:
            return None
        letters = re.sub("[^0-9A-Za-z]", "", line)  # if it is written with separators
        for text in (line, letters):
            for start in range(len(text) - SHORTEST_PART + 1):
                if text[start : start + SHORTEST_PART] in self._starts:
                    for size in self._sizes:
                        if how := self._parts.get(text[start : start + size]):
                            return how
        self._harmless.add(line)
        return None


def _own(request: Request, response: str) -> str | None:
    """Return how the response encodes a credential or the token of its request, or None."""
    fields = request.text_fields
    harmless = f"{contract.TEXT} {request.target} {fields.get('name', '')}"  # may be returned
    token = (request.header("Authorization") or "").partition(" ")[2]
    credentials = [token, *(fields.get(name, "") for name in contract.CREDENTIALS)]
    for credential in credentials:
        # A response may contain ordinary words by chance.
        if len(credential) < SHORTEST or credential.isalpha() or credential in harmless:
            continue
        for how, spelling in spellings(credential):
            if spelling in response:
                return how
        if CANARY.fullmatch(credential) and credential[-4:] in re.findall(r"\w+", response):
            return "its last four letters"
    return None


@cache
def spellings(credential: str) -> list[tuple[str, str]]:
    """Return the encodings of a whole credential, each with its name."""
    octets = credential.encode()
    coded = base64.b64encode(octets).decode().rstrip("=")
    return [
        ("as it is", octets.decode("latin-1")),
        ("in hex", octets.hex()),
        ("percent-encoded", quote(credential, safe="")),
        ("as it is", json.dumps(credential)[1:-1]),
        ("reversed", credential[::-1].encode().decode("latin-1")),
        ("in base64", coded[: -1 - len(octets) % 3]),
    ]


def encodings(canary: str) -> Iterator[tuple[str, str, int]]:
    """Yield each encoding of a canary: its name, the text, and the length that identifies it."""
    secret = canary[6:]
    octets = secret.encode()
    yield "as it is", secret, 6
    yield "reversed", secret[::-1], 8
    for text in (secret.lower(), secret.upper(), secret.swapcase()):
        yield "in other case", text, 8
    for text in (octets.hex(), octets.hex().upper()):
        yield "in hex", text, 12
    yield "in rot13", codecs.encode(secret, "rot13"), 8
    yield "as numbers", "".join(str(octet) for octet in octets), 12
    yield "in JSON escapes", "".join(f"u{octet:04x}" for octet in octets), 20
    for text in _base64(octets):
        yield "in base64", text, 8
        yield "in base64", text.translate(URL_SAFE), 8
    for lead in range(5):
        yield "in base32", base64.b32encode(b"x" * lead + octets).decode()[8:-8], 10
    for mark in MASKS:
        for text in (canary, secret):
            yield "masked", f"{mark}{text[-4:]}", 5
            yield "masked", f"{text[:4]}{mark}", 5
    for name in HASHES:
        digest = hashlib.new(name, canary.encode())
        yield "hashed", digest.hexdigest(), 16
        yield "hashed", base64.b64encode(digest.digest()).decode(), 16


def _base64(octets: bytes) -> Iterator[str]:
    """Yield the octets in base64, once and twice, for every offset: the text depends on it."""
    for lead in range(3):
        once = base64.b64encode(b"x" * lead + octets)[4:-4]
        yield once.decode()
        for second_lead in range(3):
            yield base64.b64encode(b"x" * second_lead + once)[4:-4].decode()


def internals(response: Response) -> str | None:
    """Return the stack trace, query or file path that an error response contains, or None."""
    if response.status < 400:
        return None
    found = INTERNALS.search(response.text)
    return found[0] if found else None

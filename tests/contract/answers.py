"""What every answer must keep, whatever was asked: rules that OpenAPI cannot say."""

import base64
import codecs
import hashlib
import json
import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any
from urllib.parse import quote

import contract
from exchange import Exchange

SHORTEST = 8  # characters of a credential that cannot stand in an answer by chance
CANARY = re.compile("Canary[A-Za-z0-9]{26}")
URL_SAFE = str.maketrans("+/", "-_")
MASKS = "*.…•xX-_#"  # beside the first or last four letters
HASHES = ("md5", "sha1", "sha256", "sha512")
INTERNALS = re.compile(
    r"Traceback|Exception in|\bat [\w.$<>]+ ?\([^)]*:\d+|\bline \d+, in |node_modules"
    r"|[\w/]+\.(?:py|js|ts|java|go|rb):\d+|site-packages|/(?:usr|home|var|app|srv)/"
    r"|\b(?:SELECT|INSERT INTO|UPDATE|DELETE FROM)\s.+\b(?:FROM|SET|WHERE|VALUES)\b"
    r"|SQLITE_|sqlite3\.|psycopg|asyncpg|PrismaClient|ECONNREFUSED|stack\""
)


def judge(exchange: Exchange) -> None:
    """Hold every rule against an exchange; `BROKEN` keeps the shortest that broke it."""
    for rule, (_, _, finding) in RULES.items():
        why = finding(exchange)
        if why and (rule not in BROKEN or len(exchange.sent) < len(BROKEN[rule][0].sent)):
            BROKEN[rule] = exchange, why


class Credentials:
    """Finds credentials and the token of the request, and canaries of any, even in part."""

    def __init__(self) -> None:
        """No credential was given yet."""
        self._known: set[str] = set()
        self._parts: dict[int, dict[str, str]] = {}  # by length: a canary's parts, how spelt
        self._harmless: set[str] = set()  # lines of answers that have none of the parts

    def __call__(self, exchange: Exchange) -> str | None:
        """Which credential the status line, headers and body have."""
        self._learn(set(CANARY.findall(exchange.sent.decode("latin-1"))) - self._known)
        response = exchange.response
        lines = [response.reason, *(f"{n}: {v}" for n, v in response.headers.items())]
        lines.append(response.content.decode("latin-1"))
        how = next(filter(None, map(self._part_in, lines)), None)
        how = f"given in this run, {how}" if how else _own("\n".join(lines), exchange)
        return f"expected no credential in the answer, came one {how}" if how else None

    def _learn(self, canaries: set[str]) -> None:
        for canary in canaries:
            for how, text, size in codings(canary):
                parts = self._parts.setdefault(size, {})
                parts |= {text[at : at + size]: how for at in range(len(text) - size + 1)}
            self._known.add(canary)
            self._harmless.clear()

    def _part_in(self, line: str) -> str | None:
        if line in self._harmless:
            return None
        for text in (line, re.sub("[^0-9A-Za-z]", "", line)):  # the latter if it is spelt out
            for size, parts in self._parts.items():
                for at in range(len(text) - size + 1):
                    if text[at : at + size] in parts:
                        return parts[text[at : at + size]]
        self._harmless.add(line)
        return None


def _own(answer: str, exchange: Exchange) -> str | None:
    """How the answer spells a credential or the token of its request."""
    given = exchange.given
    harmless = f"{contract.TEXT} {exchange.id} {given.get('name', '')}"  # comes back anyhow
    token = str(exchange.request.headers.get("Authorization", "")).partition(" ")[2]
    for credential in (token, *(given.get(name, "") for name in contract.CREDENTIALS)):
        # Words come back, too.
        if len(credential) < SHORTEST or credential.isalpha() or credential in harmless:
            continue
        for how, spelling in spellings(credential):
            if spelling in answer:
                return f"of the request, {how}"
    return None


@cache
def spellings(credential: str) -> list[tuple[str, str]]:
    """The ways in which a credential may stand in an answer as a whole, each with its name."""
    octets = credential.encode()
    return [
        ("as it is", octets.decode("latin-1")),
        ("in hex", octets.hex()),
        ("percent-encoded", quote(credential, safe="")),
        ("with JSON escapes", json.dumps(credential)[1:-1]),
        ("reversed", credential[::-1].encode().decode("latin-1")),
        ("in base64", base64.b64encode(octets).decode().rstrip("=")[: -1 - len(octets) % 3]),
    ]


def codings(canary: str) -> Iterator[tuple[str, str, int]]:
    """How, as what text a canary may hide in an answer, and how much of it gives it away."""
    secret = canary[6:]
    octets = secret.encode()
    yield from (("as it is", secret, 6), ("reversed", secret[::-1], 8))
    cases = (secret.lower(), secret.upper(), secret.swapcase())
    yield from (("in other case", text, 8) for text in cases)
    yield from (("in hex", text, 12) for text in (octets.hex(), octets.hex().upper()))
    yield "in rot13", codecs.encode(secret, "rot13"), 8
    yield "in octets", "".join(map(str, octets)), 12
    yield "in JSON escapes", "".join(f"u{octet:04x}" for octet in octets), 20
    # Where it begins in what is encoded decides how it comes out.
    once = [base64.b64encode(b"x" * lead + octets)[4:-4] for lead in range(3)]
    twice = [base64.b64encode(b"x" * lead + coded)[4:-4] for lead in range(3) for coded in once]
    for text in (coded.decode() for coded in (*once, *twice)):
        yield from (("in base64", way, 8) for way in (text, text.translate(URL_SAFE)))
    for lead in range(5):
        yield "in base32", base64.b32encode(b"x" * lead + octets).decode()[8:-8], 10
    for mark in MASKS:
        for text in (canary, secret):
            yield from (("masked", f"{mark}{text[-4:]}", 5), ("masked", f"{text[:4]}{mark}", 5))
    for digest in (hashlib.new(name, canary.encode()) for name in HASHES):
        yield "hashed", digest.hexdigest(), 16
        yield "hashed", base64.b64encode(digest.digest()).decode(), 16


def internals(exchange: Exchange) -> str | None:
    """Which trace, query or path of a file an error has."""
    text = exchange.response.content.decode(errors="replace")
    found = INTERNALS.search(text) if exchange.status >= 400 else None
    return f"expected no internals in an error, came {found[0]!r}" if found else None


def lax_json(exchange: Exchange) -> str | None:
    """Why a documented answer is no JSON object, read as strictly as RFC 8259 allows."""
    if not exchange.of_operation:
        return None
    try:
        text = exchange.response.content.decode("utf-8")
        answer = json.loads(text, object_pairs_hook=_once)
        json.dumps(answer, ensure_ascii=False, allow_nan=False).encode()  # no lone surrogates
    except (ValueError, RecursionError) as error:
        why = type(error).__name__ if isinstance(error, UnicodeError) else str(error)
        return f"expected strict JSON in UTF-8, came: {why}"
    return None if isinstance(answer, dict) else "expected a JSON object in the answer"


def false_success(exchange: Exchange) -> str | None:
    """How `success` contradicts the status."""
    wanted, came = exchange.status == 200, exchange.field("success")
    if not exchange.of_operation or came is wanted:
        return None
    return f'expected "success": {json.dumps(wanted)} in a {exchange.status}, came {came!r}'


def false_id(exchange: Exchange) -> str | None:
    """How `aiLlmId` of a 200 differs from the path's id."""
    came = exchange.field("aiLlmId")
    if exchange.request.method != "PUT" or exchange.status != 200 or came == exchange.id:
        return None
    return f'expected "aiLlmId" to be the id asked for, came {came!r}'


# What each is called in the verdict, the clause that says it and its source, and what finds fault.
RULES: dict[str, tuple[str, str, Callable[[Exchange], str | None]]] = {
    "carries no credential, in part or encoded": ("credentials", "page", Credentials()),
    "tells no trace, query or file in an error": ("500", "ours", internals),
    "is strict JSON": ("answers", "page", lax_json),
    "has a success true to its status": ("success", "ours", false_success),
    "has the id asked for in a 200": ("aiLlmId", "page, ours", false_id),
}
BROKEN: dict[str, tuple[Exchange, str]] = {}


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) != len(pairs):
        raise ValueError("a field twice")
    return dict(pairs)

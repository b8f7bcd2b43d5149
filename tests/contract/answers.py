"""What every answer must keep, whatever was asked: rules that OpenAPI cannot say."""

import base64
import codecs
import hashlib
import json
import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, NoReturn
from urllib.parse import quote

import contract
from backend import BrokenPromiseError, Exchange

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


class Watch:
    """One rule held against every exchange of the run; keeps the shortest one that broke it."""

    def __init__(self, rule: Callable[[Exchange], None]) -> None:
        """Nothing is broken yet."""
        self._rule = rule
        self.broken: tuple[Exchange, BrokenPromiseError] | None = None

    def __call__(self, exchange: Exchange) -> None:
        """Judge an exchange."""
        try:
            self._rule(exchange)
        except BrokenPromiseError as error:
            if self.broken is None or len(exchange.sent) < len(self.broken[0].sent):
                self.broken = exchange, error


class NoCredential:
    """No answer has a credential or token of its request, or a canary of any: not even a part."""

    def __init__(self) -> None:
        """No credential was given yet."""
        self._known: set[str] = set()
        self._parts: dict[int, dict[str, str]] = {}  # by length: a canary's parts, how spelt
        self._harmless: set[str] = set()  # lines of answers that have none of the parts

    def __call__(self, exchange: Exchange) -> None:
        """Look for credentials in the status line, headers and body."""
        self._learn(set(CANARY.findall(exchange.sent.decode("latin-1"))) - self._known)
        response = exchange.response
        lines = [response.reason, *(f"{n}: {v}" for n, v in response.headers.items())]
        lines.append(response.content.decode("latin-1"))
        for line in lines:
            if line not in self._harmless:
                self._look_for_parts(line)
                self._harmless.add(line)
        answer = "\n".join(lines)
        given = exchange.given
        # What may come back whatever was sent.
        harmless = f"{contract.TEXT} {exchange.id} {given.get('name', '')}"
        token = str(exchange.request.headers.get("Authorization", "")).partition(" ")[2]
        for credential in (token, *(given.get(name, "") for name in contract.CREDENTIALS)):
            # Words come back anyhow.
            if len(credential) < SHORTEST or credential.isalpha() or credential in harmless:
                continue
            for how, spelling in spellings(credential):
                if spelling in answer:
                    raise _leak(f"one of the request, {how}")

    def _learn(self, canaries: set[str]) -> None:
        for canary in canaries:
            for how, text, size in codings(canary):
                parts = self._parts.setdefault(size, {})
                parts |= {text[at : at + size]: how for at in range(len(text) - size + 1)}
            self._known.add(canary)
            self._harmless.clear()

    def _look_for_parts(self, line: str) -> None:
        for text in (line, re.sub("[^0-9A-Za-z]", "", line)):  # the latter if it is spelt out
            for size, parts in self._parts.items():
                for at in range(len(text) - size + 1):
                    if text[at : at + size] in parts:
                        raise _leak(f"one given in this run, {parts[text[at : at + size]]}")


def codings(canary: str) -> Iterator[tuple[str, str, int]]:
    """How, as what text a canary may hide in an answer, and how much of it gives it away."""
    secret = canary[6:]
    octets = secret.encode()
    yield from (("as it is", secret, 6), ("reversed", secret[::-1], 8))
    yield from (("in other case", text, 8) for text in (secret.lower(), secret.upper()))
    yield from (("in other case", secret.swapcase(), 8), ("in rot13", _rot13(secret), 8))
    yield from (("in hex", text, 12) for text in (octets.hex(), octets.hex().upper()))
    yield from (("in octets", "".join(map(str, octets)), 12),)
    yield from (("in JSON escapes", "".join(f"u{octet:04x}" for octet in octets), 20),)
    # Where it begins in what is encoded decides how it comes out.
    for coded in {base64.b64encode(b"x" * lead + octets)[4:-4] for lead in range(3)}:
        twice = [base64.b64encode(b"x" * lead + coded)[4:-4] for lead in range(3)]
        for text in (coded.decode(), *(text.decode() for text in twice)):
            yield from (("in base64", way, 8) for way in (text, text.translate(URL_SAFE)))
    for lead in range(5):
        yield "in base32", base64.b32encode(b"x" * lead + octets).decode()[8:-8], 10
    for text in (canary, secret):
        yield from (("masked", f"{mark}{text[-4:]}", 5) for mark in MASKS)
        yield from (("masked", f"{text[:4]}{mark}", 5) for mark in MASKS)
    for digest in (hashlib.new(name, canary.encode()) for name in HASHES):
        yield "hashed", digest.hexdigest(), 16
        yield "hashed", base64.b64encode(digest.digest()).decode(), 16


def no_internals(exchange: Exchange) -> None:
    """Look for traces, queries and paths of files in an error."""
    text = exchange.response.content.decode(errors="replace")
    found = INTERNALS.search(text) if exchange.status >= 400 else None
    if found:
        raise BrokenPromiseError(f"expected no internals in an error, came {found[0]!r}")


def strict_json(exchange: Exchange) -> None:
    """Read a documented answer as strictly as RFC 8259 allows."""
    if not _documented(exchange):
        return
    try:
        text = exchange.response.content.decode("utf-8")
        answer = json.loads(text, object_pairs_hook=_once, parse_constant=_no_constant)
        json.dumps(answer, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        why = type(error).__name__ if isinstance(error, UnicodeError) else str(error)
        raise BrokenPromiseError(f"expected strict JSON in UTF-8, came: {why}") from None
    if not isinstance(answer, dict):
        raise BrokenPromiseError("expected a JSON object in the answer")


def true_success(exchange: Exchange) -> None:
    """Compare `success` with the status."""
    wanted, came = exchange.status == 200, exchange.field("success")
    if _documented(exchange) and came is not wanted:
        wish = f'"success": {json.dumps(wanted)} in a {exchange.status}'
        raise BrokenPromiseError(f"expected {wish}, came {came!r}")


def true_id(exchange: Exchange) -> None:
    """Compare `aiLlmId` of a 200 with the path's id."""
    came = exchange.field("aiLlmId")
    if exchange.request.method == "PUT" and exchange.status == 200 and came != exchange.id:
        raise BrokenPromiseError(f'expected "aiLlmId" to be the id asked for, came {came!r}')


# What each is called in the verdict, the clause that says it and its source, and who judges it.
RULES: dict[str, tuple[str, str, Callable[[], Callable[[Exchange], None]]]] = {
    "carries no credential, in part or encoded": ("credentials", "page", NoCredential),
    "tells no trace, query or file in an error": ("500", "ours", lambda: no_internals),
    "is strict JSON": ("answers", "page", lambda: strict_json),
    "has a success true to its status": ("success", "ours", lambda: true_success),
    "has the id asked for in a 200": ("aiLlmId", "page, ours", lambda: true_id),
}


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


def _leak(what: str) -> BrokenPromiseError:
    return BrokenPromiseError(f"expected no credential in the answer, came {what}")


def _rot13(text: str) -> str:
    return codecs.encode(text, "rot13")


def _documented(exchange: Exchange) -> bool:
    asked = exchange.request.method == "PUT" and exchange.id is not None
    return asked and exchange.status in contract.STATUSES


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) != len(pairs):
        raise ValueError("a field twice")
    return dict(pairs)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)

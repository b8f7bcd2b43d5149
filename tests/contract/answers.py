"""What every answer must keep, whatever was asked: rules that OpenAPI cannot say."""

import base64
import hashlib
import json
import re
from collections import deque
from functools import cache
from typing import Any, NoReturn
from urllib.parse import quote

import contract
from backend import BrokenPromiseError, Exchange, credentials_in

SHORTEST = 8  # characters of a credential that cannot stand in an answer by chance
PART = 6  # characters of a canary, likewise
REMEMBERED = 50  # canaries that are looked for in later answers
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

    def __init__(self) -> None:
        """Nothing is broken yet."""
        self.broken: tuple[Exchange, BrokenPromiseError] | None = None

    def __call__(self, exchange: Exchange) -> None:
        """Judge an exchange."""
        try:
            self.judge(exchange)
        except BrokenPromiseError as error:
            if self.broken is None or len(exchange.sent) < len(self.broken[0].sent):
                self.broken = exchange, error

    def judge(self, exchange: Exchange) -> None:
        """Raise `BrokenPromiseError` if the exchange breaks the rule."""
        raise NotImplementedError


class CredentialsStayInside(Watch):
    """No answer carries a credential or token of its request, or a canary of one before."""

    def __init__(self) -> None:
        """No credential was given yet."""
        super().__init__()
        self._given: deque[str] = deque(maxlen=REMEMBERED)

    def judge(self, exchange: Exchange) -> None:
        """Look for credentials in the status line, headers and body."""
        canaries = CANARY.findall(exchange.sent.decode("latin-1"))
        harmless = f"{contract.TEXT} {exchange.id}"  # may come back whatever was sent
        token = str(exchange.request.headers.get("Authorization", "")).partition(" ")[2]
        given = [c for c in (token, *credentials_in(exchange.sent)) if c not in harmless]
        fresh = [*canaries, *filter(_telling, given)]
        self._given.extend(c for c in canaries if c not in self._given)
        response = exchange.response
        head = [response.reason, *(f"{n}: {v}" for n, v in response.headers.items())]
        answer = "\n".join([*head, response.content.decode("latin-1")])
        for credential in dict.fromkeys([*fresh, *self._given]):
            for how, spelling in spellings(credential):
                if spelling in answer:
                    whose = "of the request" if credential in fresh else "given before"
                    raise BrokenPromiseError(
                        f"expected no credential in the answer, came one {whose}, {how}"
                    )


class ErrorsAreSilent(Watch):
    """No error tells how the backend works inside."""

    def judge(self, exchange: Exchange) -> None:
        """Look for traces, queries and paths of files."""
        text = exchange.response.content.decode(errors="replace")
        found = INTERNALS.search(text) if exchange.status >= 400 else None
        if found:
            raise BrokenPromiseError(f"expected no internals in an error, came {found[0]!r}")


class AnswersAreJson(Watch):
    """Every documented answer is one JSON object, in UTF-8, that says each thing once."""

    def judge(self, exchange: Exchange) -> None:
        """Read the answer as strictly as RFC 8259 allows."""
        if exchange.request.method != "PUT" or exchange.status not in contract.STATUSES:
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


class SuccessIsTrue(Watch):
    """`success` says what the status says."""

    def judge(self, exchange: Exchange) -> None:
        """Compare `success` with the status, in every answer that the operation documents."""
        if exchange.request.method != "PUT" or exchange.status not in contract.STATUSES:
            return
        wanted = exchange.status == 200
        came = exchange.field("success")
        if came is not wanted:
            raise BrokenPromiseError(
                f'expected "success": {json.dumps(wanted)} in a {exchange.status}, came {came!r}'
            )


class IdIsTrue(Watch):
    """`aiLlmId` is the id that was asked for."""

    def judge(self, exchange: Exchange) -> None:
        """Compare `aiLlmId` of a 200 with the path's id."""
        came = exchange.field("aiLlmId")
        if exchange.request.method == "PUT" and exchange.status == 200 and came != exchange.id:
            raise BrokenPromiseError(f'expected "aiLlmId" to be the id asked for, came {came!r}')


WATCHES: list[type[Watch]] = [
    CredentialsStayInside,
    ErrorsAreSilent,
    AnswersAreJson,
    SuccessIsTrue,
    IdIsTrue,
]


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) != len(pairs):
        raise ValueError("a field twice")
    return dict(pairs)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _telling(credential: str) -> bool:
    """Whether an answer that has it leaks it: words, and the contract's own, come back anyhow."""
    return (
        len(credential) >= SHORTEST and not credential.isalpha() and credential not in contract.TEXT
    )


@cache
def spellings(credential: str) -> list[tuple[str, str]]:
    """The ways in which a credential may hide in an answer, each with its name."""
    octets = credential.encode()
    found = [
        ("as it is", octets.decode("latin-1")),
        ("in hex", octets.hex()),
        ("in hex", octets.hex().upper()),
        ("percent-encoded", quote(credential, safe="")),
        ("with JSON escapes", json.dumps(credential)[1:-1]),
        ("as JSON escapes", "".join(f"\\u{ord(c):04x}" for c in credential)),
        ("reversed", credential[::-1].encode().decode("latin-1")),
    ]
    if len(octets) >= SHORTEST + 4:
        # Base64 of something around it begins at one of three places.
        coded = (base64.b64encode(b"x" * lead + octets).decode()[4:-4] for lead in range(3))
        found += [("in base64", text) for text in coded]
        found += [("in base64", text.translate(URL_SAFE)) for text in coded]
    if CANARY.fullmatch(credential):
        parts = (credential[at : at + PART] for at in range(6, len(credential) - PART + 1))
        found += [("in part", part) for part in parts]
        found += [("masked", mark + credential[-4:]) for mark in MASKS]
        found += [("masked", credential[:4] + mark) for mark in MASKS]
        found += [("in other case", credential.lower()), ("in other case", credential.upper())]
        found += [("hashed", hashlib.new(name, octets).hexdigest()) for name in HASHES]
    return found

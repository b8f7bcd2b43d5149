"""Authentication: only a known bearer token opens the door."""

import base64
import hashlib
import json
from collections.abc import Iterator
from urllib.parse import quote

import pytest
import values
from asking import expect, expect_always, need
from backend import EXPIRED, FOREIGN_ID, TOKENS, WRITER, under_test

pytestmark = pytest.mark.clause("401", "ours: RFC 6750")
SCHEMES = "Basic", "Token", "Digest", "ApiKey", "JWT", "OAuth", "Bearers", "Beare", "Bearer Bearer"


def near(token: str) -> Iterator[str]:
    """Tokens that are made from a good one, and others that some backend might take."""
    octets = token.encode()
    yield from (token[:-1], token[1:], token[::-1], token[0], f"{token} {token}", f"{token} x")
    yield from (token.upper(), token.lower(), token.swapcase(), token.title(), f"x {token}")
    yield from values.spelt("@x x@ @@ \"@\" '@' @,@ @, @. @%00 token=@ <@> @; @.x", token)
    yield from (f"%{octets[0]:02X}{token[1:]}", quote(token, safe="").lower() + "%20")
    yield from (base64.b64encode(octets).decode(), octets.hex(), hashlib.sha256(octets).hexdigest())


def guesses() -> Iterator[str]:
    """Words and shapes of tokens that nobody was given."""
    yield from ("null", "undefined", "true", "0", "*", "%", "admin", "root", "test", "' OR 1=1 --")
    yield from ("x" * 3000, "tök\xe9n", "\xff")
    for algorithm in ("none", "HS256"):  # JSON Web Tokens, unsigned or signed by nobody
        parts = ({"alg": algorithm, "typ": "JWT"}, {"sub": "admin", "exp": 4102444800})
        coded = (base64.urlsafe_b64encode(json.dumps(part).encode()).decode() for part in parts)
        head = ".".join(part.rstrip("=") for part in coded)
        yield from (f"{head}.", f"{head}.c2lnbmF0dXJl")


@pytest.mark.parametrize("token", ["missing", "unknown", "expired"])
def test_bad_token_comes_first(token: str) -> None:
    """Without a good token every id, body and way to ask answers 401 with a challenge."""
    shown = {"missing": None, "unknown": "Bearer wrong"}
    authorization = shown[token] if token in shown else f"Bearer {need(EXPIRED)}"
    ids = [*under_test.own_ids, *filter(None, [under_test.given.get(FOREIGN_ID)])]
    ids += ["x" * 300, values.unique()]
    expect_always(401, ids, token=None, authorization=authorization)
    for name, value in (("Content-Type", None), ("Content-Type", "x"), ("Content-Encoding", "x")):
        expect(401, token=None, authorization=authorization, headers={name: value})
    expect(401, token=None, authorization=authorization, body=b" " * 300_000)


def test_near_token_answers_401() -> None:
    """A token that is nearly a good one, or shaped like some other, answers 401."""
    given = [under_test.given[name] for name in TOKENS if name in under_test.given]
    for wrong in (*guesses(), *(wrong for token in given for wrong in near(token))):
        if wrong.strip() not in ("", *given):
            expect(401, token=None, authorization=f"Bearer {wrong}")


def test_other_scheme_answers_401() -> None:
    """A good token under another scheme, or under none, and a scheme alone, answer 401."""
    for token in filter(None, map(under_test.given.get, TOKENS)):
        pairs = (f":{token}", f"{token}:", f"user:{token}", f"{token}:x", f"{token}:{token}", token)
        coded = [base64.b64encode(pair.encode()).decode() for pair in pairs]
        shown = [f"{scheme} {token}" for scheme in SCHEMES] + [f"Basic {pair}" for pair in coded]
        shown += [f"{before}{token}" for before in ("", "Bearer:", "Bearer=", "Bearer", "Bearer,")]
        shown += [f"Token token={token}", f'Token token="{token}"', f'Bearer token="{token}"']
        for authorization in ("", "Bearer", "Bearer ", "Bearer:", *shown):
            expect(401, token=None, authorization=authorization)


def test_token_elsewhere_answers_401() -> None:
    """A good token in the query, a cookie, another header or the body answers 401."""
    token = under_test.given[WRITER]
    for name in ("token", "access_token", "api_key", "key", "auth", "authorization", "bearer"):
        expect(401, token=None, query=f"{name}={token}")
        expect(401, token=None, headers={"Cookie": f"{name}={token}"})
    for name in ("X-Api-Key", "X-Auth-Token", "X-Access-Token", "Token", "Proxy-Authorization"):
        for value in (token, f"Bearer {token}"):
            expect(401, token=None, headers={name: value})
    expect(401, token=None, body={"token": token, "access_token": token})


def test_no_header_stands_in_for_a_token() -> None:
    """No header that a proxy, a browser or a developer might send stands in for a token."""
    for name, value in values.TRUSTED_HEADERS.items():
        for authorization in (None, "Bearer wrong"):
            expect(401, token=None, authorization=authorization, headers={name: value})


@pytest.mark.clause("scheme in any case", "page: RFC 9110")
def test_scheme_counts_in_any_case() -> None:
    """The scheme's name counts in any case."""
    for scheme in ("bearer", "BEARER", "bEaReR"):
        expect(200, authorization=f"{scheme} {under_test.given[WRITER]}")

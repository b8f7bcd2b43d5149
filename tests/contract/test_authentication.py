"""Authentication: only a known bearer token opens the door."""

import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import contract
import pytest
import values
from asking import Asker
from backend import EXPIRED, FOREIGN_ID, STRANGER, WRITER, Backend

pytestmark = pytest.mark.clause("401", "ours: RFC 6750")
GOOD = contract.EXAMPLES["rotateCredentials"]


def expect_challenge(ask: Asker, authorization: str | None = None, **asked: Any) -> None:
    """Expect 401 whose challenge names the bearer scheme."""
    headers = {**asked.pop("headers", {}), "Authorization": authorization}
    exchange = ask.expect(401, token=None, headers=headers, **asked)
    if not exchange.response.headers.get("WWW-Authenticate", "").lower().startswith("bearer"):
        ask.broken(exchange, "expected WWW-Authenticate: Bearer in a 401")


def near(token: str) -> Iterator[str]:
    """Tokens that are made from the good one, and others that some backend might take."""
    octets = token.encode()
    yield from (token[:-1], token[1:], token + "x", "x" + token, token[::-1], token * 2, token[0])
    yield from (token.upper(), token.lower(), token.swapcase(), token.title(), f'"{token}"')
    yield from (f"{token},{token}", f"{token} {token}", f"{token} x", f"{token},", f"x {token}")
    yield from (f"{token}.", f"{token}%00", f"token={token}", f"<{token}>", f"{token};")
    yield from (f"'{token}'", f"%{octets[0]:02X}{token[1:]}", quote(token, safe="").lower() + "%20")
    yield from (base64.b64encode(octets).decode(), octets.hex(), hashlib.sha256(octets).hexdigest())
    yield from ("null", "undefined", "true", "0", "*", "%", "admin", "root", "test", "' OR 1=1 --")
    yield from ("x" * 3000, "tök\xe9n", token[:-1] + "\xff", *jwts())


def jwts() -> Iterator[str]:
    """Tokens shaped like JSON Web Tokens, unsigned or signed by nobody."""
    for algorithm in ("none", "HS256"):
        parts = ({"alg": algorithm, "typ": "JWT"}, {"sub": "admin", "exp": 4102444800})
        coded = (base64.urlsafe_b64encode(json.dumps(part).encode()).decode() for part in parts)
        head = ".".join(part.rstrip("=") for part in coded)
        yield from (f"{head}.", f"{head}.c2lnbmF0dXJl")


def test_no_token_answers_401(ask: Asker) -> None:
    """A request without a token, or with nothing after the scheme, answers 401 with a challenge."""
    for authorization in (None, "", "Bearer", "Bearer "):
        expect_challenge(ask, authorization)
        expect_challenge(ask, authorization, body=GOOD)


def test_near_token_answers_401(ask: Asker, backend: Backend) -> None:
    """A token that is nearly the good one, or shaped like some other, answers 401."""
    token = backend.given[WRITER]
    for wrong in near(token):
        if wrong.strip() not in ("", *backend.given.values()):
            expect_challenge(ask, f"Bearer {wrong}", body=GOOD)


def test_other_scheme_answers_401(ask: Asker, backend: Backend) -> None:
    """A good token under another scheme, or under none, answers 401."""
    token = backend.given[WRITER]
    basic = base64.b64encode(f"{token}:".encode()).decode()
    for before in (
        "Basic ",
        "Token ",
        "Digest ",
        "ApiKey ",
        "JWT ",
        "OAuth ",
        "Bearers ",
        "Beare ",
    ):
        expect_challenge(ask, before + token)
    for before in ("", "Bearer:", "Bearer=", "Bearer", "Bearer: ", "Bearer,", "Bearer Bearer "):
        expect_challenge(ask, before + token)
    expect_challenge(ask, f"Basic {basic}")


def test_token_elsewhere_answers_401(ask: Asker, backend: Backend) -> None:
    """A good token in the query, a cookie, another header or the body answers 401."""
    token, path = backend.given[WRITER], ask.path_of(backend.id)
    for name in ("token", "access_token", "api_key", "key", "auth", "authorization", "bearer"):
        expect_challenge(ask, path=f"{path}?{name}={token}")
        expect_challenge(ask, headers={"Cookie": f"{name}={token}"})
    for name in ("X-Api-Key", "X-Auth-Token", "X-Access-Token", "Token", "Proxy-Authorization"):
        expect_challenge(ask, headers={name: token})
        expect_challenge(ask, headers={name: f"Bearer {token}"})
    expect_challenge(ask, body={"token": token, "access_token": token})


def test_no_header_stands_in_for_a_token(ask: Asker) -> None:
    """No header that a proxy, a browser or a developer might send stands in for a token."""
    for name, value in values.TRUSTED_HEADERS.items():
        expect_challenge(ask, headers={name: value}, body=GOOD)
        expect_challenge(ask, "Bearer wrong", headers={name: value})


@pytest.mark.clause("scheme in any case", "page: RFC 9110")
def test_scheme_counts_in_any_case(ask: Asker, backend: Backend) -> None:
    """The scheme's name counts in any case."""
    for scheme in ("bearer", "BEARER", "bEaReR"):
        header = f"{scheme} {backend.given[WRITER]}"
        ask.expect(200, token=None, headers={"Authorization": header})


def test_expired_token_answers_401(ask: Asker, need: Callable[[str], str]) -> None:
    """An expired token answers 401."""
    token = need(EXPIRED)
    for body in contract.EXAMPLES.values():
        expect_challenge(ask, f"Bearer {token}", body=body)


def test_401_comes_before_everything_else(ask: Asker, backend: Backend) -> None:
    """A bad token answers 401 whatever the id, the body and its media type."""
    bodies: list[Any] = [{}, GOOD, {"name": ""}, {"unknown": "field"}, b"", b"{", b"[]", b"\xff"]
    ids = [backend.id, "no-such-configuration", backend.given.get(FOREIGN_ID), "x" * 300]
    for authorization in (None, "Bearer wrong"):
        for body in bodies:
            for id in filter(None, ids):
                expect_challenge(ask, authorization, id=id, body=body)
        for media_type in (None, "text/plain"):
            expect_challenge(ask, authorization, headers={"Content-Type": media_type})
        expect_challenge(ask, authorization, headers={"Content-Encoding": "gzip"})
        expect_challenge(ask, authorization, body=b" " * 300_000)


def test_token_is_not_remembered(ask: Asker, backend: Backend) -> None:
    """A token counts for its own request only, on the same connection too."""
    for token in filter(backend.given.get, (WRITER, STRANGER)):
        for _ in range(3):
            ask(token=token)
            expect_challenge(ask)
            expect_challenge(ask, "Bearer wrong", body=GOOD)

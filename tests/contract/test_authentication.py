"""Authentication: only a known bearer token gives access."""

import base64
import hashlib
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from support import values
from support.backend import EXPIRED, FOREIGN_ID, READER, STRANGER, TOKENS, WRITER
from support.exchange import User
from support.promise import Promise

pytestmark = pytest.mark.clause("unauthorized")
SCHEMES = "Basic", "Token", "Digest", "ApiKey", "JWT", "OAuth", "Bearers", "Beare", "Bearer Bearer"
UNKNOWN = User("unknown-token", "with an unknown token", is_valid=False)
NEAR = User("near-token", "with a token that is nearly a valid one", is_valid=False)
OTHER_SCHEME = User("other-scheme", "with a valid token under another scheme", is_valid=False)
ELSEWHERE = User("token-elsewhere", "with a valid token in another place", is_valid=False)


def near(promise: Promise, variable: str) -> Iterator[str]:
    """Yield tokens that are made from a valid one."""
    token = promise.backend.given[variable]
    octets = token.encode()
    shell = f"${{{variable}}}"
    printed = f'printf %s "{shell}"'
    made = [
        (token[:-1], f"${{{variable}%?}}"),
        (token[1:], f"${{{variable}#?}}"),
        (token[::-1], f"$({printed} | rev)"),
        (token.upper(), f"${{{variable}^^}}"),
        (token.lower(), f"${{{variable},,}}"),
        (token.swapcase(), f"$({printed} | tr a-zA-Z A-Za-z)"),
        (base64.b64encode(octets).decode(), f"$({printed} | base64 -w0)"),
        (octets.hex(), f"$({printed} | od -An -tx1 | tr -d ' \\n')"),
        (hashlib.sha256(octets).hexdigest(), f"$({printed} | sha256sum | cut -c1-64)"),
        (f"%{octets[0]:02X}{token[1:]}", f"%{octets[0]:02X}${{{variable}#?}}"),
    ]
    for derived, expression in made:
        promise.backend.redactor.learn(derived, expression)
        yield derived
    yield from (token[0], f"{token} {token}", f"{token} x", f"x {token}")
    yield from values.spellings("@x x@ @@ \"@\" '@' @,@ @, @. @%00 token=@ <@> @; @.x", token)
    yield quote(token, safe="") + "%20"


def guesses() -> Iterator[str]:
    """Yield words and token-like values that are not valid tokens."""
    yield from ("null", "undefined", "true", "0", "*", "%", "admin", "root", "test", "' OR 1=1 --")
    yield from ("x" * 3000, "tök\xe9n", "\xff")
    for algorithm in ("none", "HS256"):  # JSON Web Tokens, unsigned or with an invalid signature
        parts = ({"alg": algorithm, "typ": "JWT"}, {"sub": "admin", "exp": 4102444800})
        coded = (base64.urlsafe_b64encode(json.dumps(part).encode()).decode() for part in parts)
        head = ".".join(part.rstrip("=") for part in coded)
        yield from (f"{head}.", f"{head}.c2lnbmF0dXJl")


@pytest.mark.parametrize("token", ["missing", "unknown", "expired"])
def test_bad_token_answers_401(promise: Promise, token: str) -> None:
    """Without a valid token, every id and body answers 401 and nothing is revealed."""
    backend = promise.backend
    asked: dict[str, Any] = {"token": None}
    if token == "unknown":
        asked = {"user": UNKNOWN, "authorization": "Bearer wrong"}
    elif token == "expired":
        promise.need(EXPIRED)
        asked = {"token": EXPIRED}
    foreign = filter(None, [backend.given.get(FOREIGN_ID)])
    for id in [*backend.own_ids, *foreign, "x" * 300, values.unique()]:
        for way in values.ways():
            promise.ask(id=id, **asked, **way)
        for body in values.INVALID:
            promise.ask(id=id, body=body, **asked)
    for name, value in (("Content-Type", None), ("Content-Type", "x"), ("Content-Encoding", "x")):
        promise.ask(headers={name: value}, **asked)
    promise.ask(body=b" " * 300_000, **asked)


def test_near_token_answers_401(promise: Promise) -> None:
    """A token that is nearly a valid one, or shaped like one, answers 401."""
    given = [promise.backend.given[name] for name in promise.backend.users(*TOKENS)]
    for guess in guesses():
        promise.ask(user=UNKNOWN, authorization=f"Bearer {guess}", body={})
    for variable in promise.backend.users(*TOKENS):
        for wrong in near(promise, variable):
            if wrong.strip() not in ("", *given):
                promise.ask(user=NEAR, authorization=f"Bearer {wrong}", body={})


def test_other_scheme_answers_401(promise: Promise) -> None:
    """A valid token under another scheme, or under none, and a scheme alone, answer 401."""
    backend = promise.backend
    for variable in backend.users(*TOKENS):
        token = backend.given[variable]
        shown = [f"{scheme} {token}" for scheme in SCHEMES]
        for pair in (f":{token}", f"{token}:", f"user:{token}", f"{token}:x", token):
            coded = base64.b64encode(pair.encode()).decode()
            printed = pair.replace(token, f"${{{variable}}}")
            backend.redactor.learn(coded, f'$(printf %s "{printed}" | base64 -w0)')
            shown.append(f"Basic {coded}")
        shown += [f"{before}{token}" for before in ("", "Bearer:", "Bearer=", "Bearer", "Bearer,")]
        shown += [f"Token token={token}", f'Token token="{token}"', f'Bearer token="{token}"']
        for authorization in ("", "Bearer", "Bearer ", "Bearer:", *shown):
            promise.ask(user=OTHER_SCHEME, authorization=authorization, body={})


def test_token_elsewhere_answers_401(promise: Promise) -> None:
    """A valid token in the query, a cookie, another header or the body answers 401."""
    token = promise.backend.given[WRITER]
    asked: dict[str, Any] = {"token": None, "user": ELSEWHERE, "body": {}}
    for name in ("token", "access_token", "api_key", "key", "auth", "authorization", "bearer"):
        promise.ask(query=f"{name}={token}", **asked)
        promise.ask(headers={"Cookie": f"{name}={token}"}, **asked)
    for name in ("X-Api-Key", "X-Auth-Token", "X-Access-Token", "Token", "Proxy-Authorization"):
        for value in (token, f"Bearer {token}"):
            promise.ask(headers={name: value}, **asked)
    asked["body"] = {"token": token, "access_token": token}
    promise.ask(**asked)


def test_no_header_replaces_a_token(promise: Promise) -> None:
    """No header that a proxy, a browser or a developer might send replaces a token."""
    for name, value in values.TRUSTED_HEADERS.items():
        user = User("trusted-header", f"without a token, with `{name}: {value}`", is_valid=False)
        for authorization in ((), ("Bearer wrong",)):
            promise.ask(user=user, authorization=authorization, headers={name: value}, body={})


@pytest.mark.clause("scheme-case")
def test_scheme_counts_in_any_case(promise: Promise) -> None:
    """The scheme's name counts in any case."""
    for scheme in ("bearer", "BEARER", "bEaReR"):
        promise.expect(
            200,
            clause="scheme-case",
            kind="other-case",
            words=f"the scheme written `{scheme}`",
            authorization=f"{scheme} {promise.backend.given[WRITER]}",
        )


@pytest.mark.clause("two-tokens")
def test_two_tokens_give_no_more_than_one(promise: Promise) -> None:
    """Two `Authorization` headers answer 400 or 401, or as one of them alone would be."""
    backend = promise.backend
    good = f"Bearer {backend.given[WRITER]}"
    wrong = "Bearer wrong"
    cases: list[tuple[tuple[str, ...], set[int]]] = [
        ((wrong, "Bearer x"), {400, 401}),
        ((good, wrong), {200, 400, 401}),
        ((wrong, good), {200, 400, 401}),
    ]
    allowed = {400, 401, 403}
    weak: list[str] = []
    for variable in backend.users(READER, STRANGER):
        weak.append(f"Bearer {backend.given[variable]}")
        alone = promise.ask(token=variable, body={})
        if alone:
            allowed = allowed | {alone.status}
        cases.append(((weak[-1], wrong), allowed))
    if len(weak) > 1:
        cases.append((tuple(weak), allowed))
    user = User("two-tokens", "with two tokens", is_valid=False)
    for authorization, allowed in cases:
        promise.expect(
            *allowed,
            clause="two-tokens",
            kind="two-headers",
            words="with two `Authorization` headers",
            user=user,
            authorization=authorization,
            body={},
        )

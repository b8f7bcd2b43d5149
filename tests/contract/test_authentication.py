"""Authentication: only a valid bearer token grants access."""

import base64
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations
from typing import Any
from urllib.parse import quote

import pytest

from support import values
from support.backend import EXPIRED, FOREIGN_ID, READER, STRANGER, WRITER, Backend
from support.contract import LARGEST_BODY
from support.promise import Promise, clause
from support.rule import RULES
from support.values import DATA

pytestmark = clause("unauthorized")


UNKNOWN = "authentication/unknown-token"
TWO_TOKENS = RULES["two-tokens/two-headers"]
WRONG = "Bearer wrong"
UNSIGNED = "eyJhbGciOiJub25lIn0"  # {"alg":"none"}, the header of an unsigned JSON Web Token
OTHER_CASES = ("bearer", "BEARER", "bEaReR")
BAD_TOKENS: dict[str, dict[str, Any]] = {
    "missing": {"token": None},
    "unknown": {"user": UNKNOWN, "authorization": (WRONG,)},
    "expired": {"token": EXPIRED},
}


def similar(backend: Backend) -> Iterator[str]:
    """Yield invalid tokens that are derived from valid ones."""
    for variable, token in backend.tokens.items():
        derived = {token.upper(): "${@^^}", token.lower(): "${@,,}"}
        made = [f"{token}x", f"x{token}"]
        if variable == WRITER:
            derived |= _derived(token)
            made += [token[0], f"{quote(token, safe='')}%20"]
            made += values.expand("SIMILAR_TOKENS", token)
        for copy, expression in derived.items():
            backend.redactor.learn(copy, expression.replace("@", variable))
        for wrong in (*made, *derived):
            if wrong.strip() not in ("", *backend.tokens.values()):
                yield wrong


def _derived(token: str) -> dict[str, str]:
    """Map values derived from a token to shell expressions; `@` stands for the token's variable."""
    first = f"%{ord(token[0]):02X}"
    claims = "".join(token.split(".")[1:2])  # if the token is a JSON Web Token
    return {
        token[:-1]: "${@%?}",
        token[1:]: "${@#?}",
        first + token[1:]: f"{first}${{@#?}}",
        f"{token.rpartition('.')[0]}.": "${@%.*}.",
        f"{UNSIGNED}.{claims}.": f'{UNSIGNED}.$(printf %s "${{@}}" | cut -s -d. -f2).',
        base64.b64encode(token.encode()).decode(): '$(printf %s "${@}" | base64 -w0)',
    }


def other_schemes(backend: Backend) -> Iterator[str]:
    """Yield header values with a scheme other than `Bearer`, with no scheme, or with no token."""
    yield from values.expand("MALFORMED_HEADERS", backend.tokens[WRITER])
    for variable, token in backend.tokens.items():
        yield from values.expand("OTHER_SCHEMES", token)
        pairs = ["user:@"]
        if variable == WRITER:
            pairs = [":@", "@:", "user:@", "@:x", "@"]
        for pair in pairs:
            credentials = pair.replace("@", token)
            coded = base64.b64encode(credentials.encode()).decode()
            printed = pair.replace("@", f"${{{variable}}}")
            backend.redactor.learn(coded, f'$(printf %s "{printed}" | base64 -w0)')
            yield f"Basic {coded}"


def ask(promise: Promise, user: str, authorization: str) -> None:
    """Send an update by this user with this `Authorization` header."""
    promise.ask(user=user, authorization=(authorization,))


@pytest.mark.parametrize("token", BAD_TOKENS)
def test_bad_token_answers_401(promise: Promise, token: str) -> None:
    """Requests without a valid token return 401, regardless of the id and body."""
    bad = BAD_TOKENS[token]
    backend = promise.backend
    if token == "expired":
        promise.need(EXPIRED)
    promise.ask_each(values.all_variations(), **bad)
    foreign = backend.given.get(FOREIGN_ID, backend.unknown_id())
    for id in (*backend.own_ids[1:], foreign, backend.unknown_id()):
        promise.ask_each(values.SOME_VARIATIONS, id=id, **bad)
    for headers in ({"Content-Type": None}, {"Content-Type": "x"}, {"Content-Encoding": "x"}):
        promise.ask(headers=headers, **bad)
    promise.ask(body=b" " * (LARGEST_BODY + 1), **bad)


def test_similar_token_answers_401(promise: Promise) -> None:
    """A request with a guessed token, or with one that resembles a valid token, returns 401."""
    backend = promise.backend
    for scheme in OTHER_CASES:
        ask(promise, UNKNOWN, f"{scheme} wrong")
    for guess in (*DATA["GUESSED_TOKENS"], "x" * 3000):
        if guess not in backend.tokens.values():
            ask(promise, UNKNOWN, f"Bearer {guess}")
    for malformed in DATA["MALFORMED_TOKENS"]:
        ask(promise, "authentication/malformed", f"Bearer {malformed}")
    for wrong in similar(backend):
        ask(promise, "authentication/near-token", f"Bearer {wrong}")


def test_other_scheme_answers_401(promise: Promise) -> None:
    """Requests with a scheme other than `Bearer`, or without a scheme or token, return 401."""
    for authorization in other_schemes(promise.backend):
        ask(promise, "authentication/other-scheme", authorization)


def test_token_elsewhere_answers_401(promise: Promise) -> None:
    """A request that sends its token outside the `Authorization` header returns 401."""
    token = promise.backend.given[WRITER]
    elsewhere: dict[str, Any] = {"token": None, "user": "authentication/token-elsewhere"}
    for name in DATA["TOKEN_PARAMETERS"]:
        promise.ask(query=f"?{name}={token}", **elsewhere)
        promise.ask(headers={"Cookie": f"{name}={token}"}, **elsewhere)
    for name in DATA["TOKEN_HEADERS"]:
        for value in (token, f"Bearer {token}"):
            promise.ask(headers={name: value}, **elsewhere)
    promise.ask(body={"token": token, "access_token": token}, **elsewhere)


def test_no_header_replaces_a_token(promise: Promise) -> None:
    """Headers that proxies, browsers or developers set are not accepted in place of a token."""
    untrusted: dict[str, Any] = {"user": "authentication/trusted-header"}
    for name, value in DATA["TRUSTED_HEADERS"].items():
        untrusted |= {"headers": {name: value}, "words": f"`{name}: {value}`"}
        for authorization in ((), (WRONG,)):
            promise.ask(authorization=authorization, **untrusted)


@clause("scheme-case")
def test_scheme_is_case_insensitive(promise: Promise) -> None:
    """The scheme name `Bearer` is case-insensitive."""
    token = promise.backend.given[WRITER]
    for scheme in OTHER_CASES:
        authorization = (f"{scheme} {token}",)
        promise.ask("scheme-case/other-case", authorization=authorization, words=f"`{scheme}`")


@clause("two-tokens")
def test_two_tokens_grant_no_more_access_than_one(promise: Promise) -> None:
    """Two `Authorization` headers grant no more access than either of them alone."""
    tokens = promise.backend.tokens
    good = f"Bearer {tokens[WRITER]}"
    either = replace(TWO_TOKENS, statuses={200, 400, 401})
    for pair in ((good, WRONG), (WRONG, good)):
        promise.ask(either, user=TWO_TOKENS, authorization=pair)
    rejected = {400, 401, 403}
    weak = [WRONG, "Bearer x"]
    for variable in promise.available(READER, STRANGER):
        alone = promise.ask(token=variable)
        if alone and alone.succeeded:  # another test reports that this request succeeded
            continue
        if alone:
            rejected.add(alone.status)
        weak.append(f"Bearer {tokens[variable]}")
    neither = replace(TWO_TOKENS, statuses=rejected)
    for pair in combinations(weak, 2):
        promise.ask(neither, user=TWO_TOKENS, authorization=pair)

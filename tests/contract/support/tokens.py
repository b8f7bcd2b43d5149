"""Invalid `Authorization` headers: guessed tokens, altered tokens and other schemes."""

import base64
import hashlib
import json
from collections.abc import Iterator
from urllib.parse import quote

from support import values
from support.backend import TOKENS, WRITER, Backend
from support.curl import encodings_of


def guesses() -> Iterator[str]:
    """Yield common words and forged JSON Web Tokens, none of which is a valid token."""
    yield from (*values.DATA["GUESSED_TOKENS"], "x" * 3000)
    for algorithm in ("none", "HS256"):  # the signature is missing or invalid
        header = _base64url({"alg": algorithm, "typ": "JWT"})
        claims = _base64url({"sub": "admin", "exp": 4102444800})
        yield from (f"{header}.{claims}.", f"{header}.{claims}.c2lnbmF0dXJl")


def _base64url(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def similar(backend: Backend) -> Iterator[str]:
    """Yield invalid tokens that are derived from valid ones."""
    given = [backend.given[variable] for variable in backend.users(*TOKENS)]
    for variable in backend.users(*TOKENS):
        token = backend.given[variable]
        derived = {token.upper(): "${@^^}", token.lower(): "${@,,}"}
        made = [f"{token}x", f"x{token}"]
        if variable == WRITER:
            derived |= _derived(token)
            made += [token[0], f"{quote(token, safe='')}%20"]
            made += values.expand("SIMILAR_TOKENS", token)
        for copy, expression in derived.items():
            backend.redactor.learn(copy, expression.replace("@", variable))
        for wrong in (*made, *derived):
            if wrong.strip() not in ("", *given):
                yield wrong


def _derived(token: str) -> dict[str, str]:
    """Map values derived from a token to shell expressions, in which `@` is the variable's name."""
    octets = token.encode()
    digest = hashlib.sha256(octets).hexdigest()
    return {
        token[:-1]: "${@%?}",
        token[1:]: "${@#?}",
        token[::-1]: '$(printf %s "${@}" | rev)',
        token.swapcase(): '$(printf %s "${@}" | tr a-zA-Z A-Za-z)',
        **encodings_of(token),
        digest: '$(printf %s "${@}" | sha256sum | cut -c1-64)',
        f"%{octets[0]:02X}{token[1:]}": f"%{octets[0]:02X}${{@#?}}",
    }


def other_schemes(backend: Backend) -> Iterator[str]:
    """Yield header values with a scheme other than `Bearer`, with no scheme, or with no token."""
    yield from values.expand("MALFORMED_HEADERS", backend.given[WRITER])
    for variable in backend.users(*TOKENS):
        token = backend.given[variable]
        yield from values.expand("OTHER_SCHEMES", token)
        pairs = [":@", "@:", "user:@", "@:x", "@"] if variable == WRITER else ["user:@"]
        for pair in pairs:
            coded = base64.b64encode(pair.replace("@", token).encode()).decode()
            printed = pair.replace("@", f"${{{variable}}}")
            backend.redactor.learn(coded, f'$(printf %s "{printed}" | base64 -w0)')
            yield f"Basic {coded}"

"""Invalid `Authorization` headers: guesses, altered tokens and other schemes."""

import base64
import hashlib
import json
from collections.abc import Iterator
from urllib.parse import quote

from support import values
from support.backend import TOKENS, WRITER, Backend
from support.curl import encodings_of

SCHEMES = "Basic", "Token", "Digest", "ApiKey", "JWT", "OAuth", "Bearers", "Beare", "Bearer Bearer"


def guesses() -> Iterator[str]:
    """Yield common words and forged JSON Web Tokens, none of which is a valid token."""
    yield from ("null", "undefined", "true", "0", "*", "%", "admin", "root", "test", "' OR 1=1 --")
    yield from ("x" * 3000, "tök\xe9n", "\xff")
    for algorithm in ("none", "HS256"):  # JSON Web Tokens, unsigned or with an invalid signature
        header = _base64url({"alg": algorithm, "typ": "JWT"})
        claims = _base64url({"sub": "admin", "exp": 4102444800})
        yield f"{header}.{claims}."
        yield f"{header}.{claims}.c2lnbmF0dXJl"


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
            made += [token[0], f"{token} {token}", f"{token} x", f"x {token}"]
            made += values.expand("\"@\" '@' @,@ @, @. @%00 token=@ <@> @; @.x", token)
            made.append(f"{quote(token, safe='')}%20")
        for copy, expression in derived.items():
            backend.redactor.learn(copy, expression.replace("@", variable))
        for wrong in (*made, *derived):
            if wrong.strip() not in ("", *given):
                yield wrong


def _derived(token: str) -> dict[str, str]:
    """Map values derived from a token to shell expressions; `@` stands for the token's variable."""
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
    yield from ("", "Bearer", "Bearer ", "Bearer:")
    for variable in backend.users(*TOKENS):
        token = backend.given[variable]
        yield from (f"{scheme} {token}" for scheme in SCHEMES)
        pairs = ":@ @: user:@ @:x @" if variable == WRITER else "user:@"
        for pair in values.expand(pairs, token):
            coded = base64.b64encode(pair.encode()).decode()
            printed = pair.replace(token, f"${{{variable}}}")
            backend.redactor.learn(coded, f'$(printf %s "{printed}" | base64 -w0)')
            yield f"Basic {coded}"
    token = backend.given[WRITER]
    yield from values.expand("@ Bearer:@ Bearer=@ Bearer@ Bearer,@", token)
    yield from (f"Token token={token}", f'Token token="{token}"', f'Bearer token="{token}"')

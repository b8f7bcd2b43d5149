"""Builds curl commands that repeat requests, with shell expressions in place of tokens."""

import base64
import re
import shlex
from collections.abc import Iterator, Mapping
from html.entities import codepoint2name
from pathlib import Path

from support.exchange import Request

LONGEST_BODY = 2000  # in bytes; curl reads longer bodies from files
LEAST = 4  # in characters; do not redact shorter secrets, which text may contain by chance
# Every request has these headers unless it replaces them. curl commands omit them, because curl
# sends similar headers by default.
ORDINARY_HEADERS = {"Accept": "*/*", "User-Agent": "flashback-contract-tests"}
# Matches the rest of a shell expression such as `${FLASHBACK_TOKEN^^}` after the variable's name
OPERATORS = r"(?:\^\^|,,|[%#]\?|%\.\*)?\}"


def base64_parts(octets: bytes) -> Iterator[str]:
    """Yield the Base64 text of these octets at each of three possible offsets in longer data."""
    for offset in range(3):
        padded = b"x" * offset + octets
        text = base64.b64encode(padded).decode().rstrip("=")
        part = text[offset + 1 : -1]  # the other characters depend on the rest of the data
        yield from {part, part.replace("+", "-").replace("/", "_")}


def _pattern_for(text: str) -> str:
    """Return a pattern that matches the text, whether or not its punctuation is escaped.

    The escapes can be those of JSON, URLs or HTML.
    """
    pattern = ""
    for char in text:
        if char.isalnum():
            pattern += char
            continue
        code = f"{ord(char):02x}"
        html = rf"&(?:#0?{ord(char)}|#x{code}|{codepoint2name.get(ord(char), 'apos')});"
        in_url = f"%(?:25)?{code}"
        pattern += rf"(?:\\{{0,7}}{re.escape(char)}|\\{{1,4}}u00{code}|{in_url}|{html})"
    return pattern


def _patterns_for(token: str) -> Iterator[str]:
    """Yield patterns for the token: unchanged, reversed, in Base64, in hex, and fully escaped."""
    octets = token.encode()
    yield _pattern_for(token)
    yield _pattern_for(token[::-1])
    for part in base64_parts(octets):
        # Also match the adjacent characters, because they contain some bits of the token.
        yield f"[\\w+/-]?{_pattern_for(part)}[\\w+/-]?=*"
    yield octets.hex("-").replace("-", "[ :]?")
    for start in (r"\\{1,4}u00", "%(?:25)?"):
        yield "".join(f"{start}{octet:02x}" for octet in octets)


class Redactor:
    """Replaces tokens and values derived from them with equivalent shell expressions."""

    def __init__(self, tokens: Mapping[str, str]) -> None:
        """Redact these tokens. `tokens` maps environment variable names to tokens."""
        self._expressions: dict[str, str] = {}
        self._pattern = re.compile("(?!)")
        # Do not redact inside these expressions: a variable's name can contain a token (`admin`).
        self._shell = rf"\$\{{(?:{'|'.join(tokens)}){OPERATORS}"
        patterns = [f"(?P<shell>{self._shell})"]
        for variable, token in tokens.items():
            self.learn(token, f"${{{variable}}}")
            if len(token) >= LEAST:
                patterns.append(f"(?P<{variable}>{'|'.join(_patterns_for(token))})")
        self._escaped = re.compile("|".join(patterns), re.IGNORECASE)

    def learn(self, secret: str, expression: str) -> None:
        """Add a secret to redact, with the shell expression that replaces it."""
        if len(secret) >= LEAST:
            self._expressions.setdefault(secret, expression)
            longest_first = sorted(self._expressions, key=len, reverse=True)
            self._pattern = re.compile("|".join(map(re.escape, longest_first)))

    def redact(self, text: str) -> str:
        """Return the text with every secret replaced by its shell expression."""

        def known(found: re.Match[str]) -> str:
            return self._expressions.get(found[0], found[0])

        def expression(found: re.Match[str]) -> str:
            return found[0] if found["shell"] else f"${{{found.lastgroup}}}"

        text = re.sub(f"{self._shell}|{self._pattern.pattern}", known, text)
        return self._escaped.sub(expression, text)

    def quote(self, text: str) -> str:
        """Quote the text as one shell word, with shell expressions in place of secrets."""
        words = ""
        end = 0
        for found in self._pattern.finditer(text):
            if found.start() > end:
                words += shlex.quote(text[end : found.start()])
            words += f'"{self._expressions[found[0]]}"'
            end = found.end()
        if end < len(text) or not words:
            words += shlex.quote(text[end:])
        return words


def needs_file(request: Request) -> bool:
    """Return whether curl must read the body from a file."""
    text = request.text
    can_be_pasted = text.isprintable() and text.encode() == request.body
    is_file_name = text.startswith("@")  # curl treats text after `@` as a file name
    return len(request.body) > LONGEST_BODY or is_file_name or not can_be_pasted


def options_for(request: Request, url: str, redactor: Redactor, body_file: Path | None) -> str:
    """Return curl's options; `body_file` contains the body if curl must read it from a file."""
    text = "-i --head" if request.method == "HEAD" else f"-i -X {request.method}"
    if "/." in request.target:
        text += " --path-as-is"
    if set("[]{}") & set(url):
        text += " --globoff"
    if request.header("Accept-Encoding"):
        text += " --compressed"
    text += f" {redactor.quote(url)}{_header_options(request, redactor)}"
    # Send the body even if it is empty, so that curl adds Content-Length.
    if request.header("Content-Length") or request.chunks is not None:
        if request.header("Content-Type") is None:
            text += " -H Content-Type:"  # prevents curl from adding this header
        body = redactor.quote(request.text)
        if body_file:
            body = shlex.quote(f"@{body_file}")
        elif not request.body:
            body = "@/dev/null"
        text += f" -H Expect: --data-binary {body}"
    return text


def _header_options(request: Request, redactor: Redactor) -> str:
    text = ""
    if request.header("Accept") is None:
        text = " -H Accept:"  # prevents curl from adding this header
    for name, value in request.headers:
        if name.lower() in ("content-length", "host") or ORDINARY_HEADERS.get(name) == value:
            continue
        # If a semicolon follows the name, curl sends a header with an empty value.
        header = redactor.quote(f"{name}: {value}" if value else f"{name};")
        if not value.isascii():
            header = f'"$(printf %s {header} | iconv -f utf-8 -t latin1)"'
        text += f" -H {header}"
    return text

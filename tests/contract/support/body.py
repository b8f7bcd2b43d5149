"""The reasons why the contract refuses a body, or leaves open whether it is refused."""

import json
from collections.abc import Iterator
from math import isfinite
from typing import Any

from support import contract, urls
from support.exchange import Request
from support.rule import Rule
from support.words import of_length, of_value

LONGEST_NUMBER = 100  # digits; RFC 8259 lets a parser refuse numbers that are too large
UNREADABLE = frozenset({400, 413, 415})
# By the message of Python's parser: the kind of error, and its description.
NOT_JSON = {
    "constant": ("constant", "`NaN` or `Infinity`, which is not JSON"),
    "Invalid control character": ("line-break", "a line break in a string, which is not JSON"),
    "Invalid \\escape": ("escape", "an escape sequence that is not JSON"),
    "Extra data": ("extra", "text after the JSON value"),
    "": ("not-json", "a body that is not JSON"),
}


def reasons_against(request: Request) -> list[Rule]:
    """Return every reason to refuse the request because of its headers or body."""
    return [*_of_media_type(request), *_of_coding(request), *_of_body(request)]


def _of_media_type(request: Request) -> Iterator[Rule]:
    value = request.header("Content-Type")
    media_type, _, parameters = (value or "").partition(";")
    words = f"`Content-Type: {value}`" if value is not None else "no `Content-Type`"
    statuses = frozenset({400, 415})
    if media_type.strip().lower() != "application/json":
        kind = "none" if value is None else "other"
        yield Rule("other-media-type", kind, words, statuses, precedes_token=True)
        return
    for parameter in filter(None, map(str.strip, parameters.split(";"))):
        if parameter.lower().replace('"', "") != "charset=utf-8":
            yield Rule("json-open", "charset", words, statuses, is_open=True, precedes_token=True)


def _of_coding(request: Request) -> Iterator[Rule]:
    coding = request.header("Content-Encoding")
    if coding is not None:
        yield _open("coding", f"`Content-Encoding: {coding}`")


def _of_body(request: Request) -> Iterator[Rule]:
    size = len(request.body)
    if size > contract.LARGEST_BODY:
        in_chunks = f" in {len(request.chunks)} chunks" if request.chunks else ""
        words = f"{size:,} bytes{in_chunks}, the limit is {contract.LARGEST_BODY:,}"
        yield Rule("body-size", "over", words, frozenset({400, 413}), precedes_token=True)
    elif size:
        yield from _of_content(request.body)
    elif request.chunks is None:
        yield Rule("body", "empty", "an empty body", UNREADABLE, precedes_token=True)
    else:
        words = "an empty body in chunks"
        yield Rule("body", "empty-in-chunks", words, UNREADABLE, precedes_token=True)


def _unreadable(kind: str, words: str) -> Rule:
    return Rule("unreadable-body", kind, words, UNREADABLE, precedes_token=True)


def _open(kind: str, words: str) -> Rule:
    return Rule("json-open", kind, words, UNREADABLE, is_open=True, precedes_token=True)


def _of_content(body: bytes) -> Iterator[Rule]:
    """Parse the body strictly by RFC 8259, and yield a rule for every violation."""
    if body.startswith(b"\xef\xbb\xbf"):
        yield _open("byte-order-mark", "a byte order mark")
        body = body[3:]
    if b"\x00" in body[:4] and body.strip(b"\x00"):
        yield _unreadable("not-utf-8", "a body in UTF-16 or UTF-32")
        return
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        yield _unreadable("not-utf-8", "a body that is not UTF-8")
        return
    parser = _Parser()
    try:
        value = parser.parse(text)
        is_text = _is_text(value)
    except RecursionError:
        yield _unreadable("nested", "a deeply nested body")
        return
    except ValueError as error:
        yield from parser.oddities
        yield _of_error(text, str(error))
        return
    yield from parser.oddities
    if not is_text:
        yield _open("lone-surrogate", "a lone surrogate")
        value = json.loads(json.dumps(value, ensure_ascii=False).encode(errors="replace"))
    yield from _of_value(value)


def _is_text(value: Any) -> bool:
    """Return whether every string in the value can be encoded as UTF-8."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _of_error(text: str, error: str) -> Rule:
    if "/*" in text or "// " in text:
        return _unreadable("comment", "a comment, which is not JSON")
    if not text.strip(" \t\r\n"):
        return _unreadable("blank", "a body of whitespace only")
    start = next(start for start in NOT_JSON if error.startswith(start))
    return _unreadable(*NOT_JSON[start])


class _Parser:
    """A JSON parser that records every construct that RFC 8259 leaves open."""

    def __init__(self) -> None:
        self.oddities: list[Rule] = []

    def parse(self, text: str) -> Any:
        return json.loads(
            text,
            object_pairs_hook=self._object,
            parse_constant=self._constant,
            parse_int=self._number,
            parse_float=self._number,
        )

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        value = dict(pairs)
        if len(value) != len(pairs):
            self.oddities.append(_open("duplicate-key", "a field twice"))
        return value

    def _number(self, digits: str) -> float:
        """Return the number, or 1e308 in its place if it is out of Python's range."""
        exponent = digits.lower().partition("e")[2].strip("+-")
        if len(digits) > LONGEST_NUMBER or len(exponent) > 3:
            self.oddities.append(_open("number", "a number that is too large"))
            digits = "1e308"
        if digits.lstrip("-").isdigit():
            return int(digits)
        number = float(digits)
        return number if isfinite(number) else 1e308

    def _constant(self, name: str) -> None:
        raise ValueError(f"constant {name}")


def _of_value(value: Any) -> Iterator[Rule]:
    if not isinstance(value, dict):
        yield Rule("body", "not-an-object", f"`{of_value(value)}` in place of a JSON object")
        return
    for field, given in value.items():
        if contract.is_left_open(field, given):
            yield Rule("null-open", field, f"`{field}`: {of_value(given)}", is_open=True)
        elif field not in contract.PROPERTIES:
            yield _of_unknown(field)
        elif keyword := contract.broken_keyword(field, given):
            yield _of_wrong(field, given, keyword)
        elif field == "endpoint" and urls.may_be_refused(given):
            words = f"`endpoint`: a host that a backend may refuse, {of_value(given)}"
            yield Rule("endpoint-open", "host", words, is_open=True)


def _of_unknown(field: str) -> Rule:
    plain = "".join(character for character in field.lower() if character.isalpha())
    words = f"the unknown field {of_value(field)}"
    for name in contract.PROPERTIES:
        if name.lower() == plain:
            return Rule("unknown-fields", "resembling", f"{words}, which resembles `{name}`")
    return Rule("unknown-fields", "other", words)


def _of_wrong(field: str, value: Any, keyword: str) -> Rule:
    """Return the rule for a value that violates this keyword of the field's schema."""
    if field == "endpoint" and keyword in ("pattern", "format"):
        return _of_endpoint(value)
    clause = contract.clause_of(keyword, field)
    kind = f"{field}-null" if value is None else f"{field}-{keyword}"
    words = f"`{field}`: {of_value(value)}"
    if keyword in ("minLength", "maxLength"):
        limit = contract.PROPERTIES[field][keyword]
        words = f"`{field}`: {of_length(value)}, `{keyword}` is {limit:,}"
    elif clause.id == "name-characters":
        words += ", which has a control character"
    return Rule(clause.id, kind, words)


def _of_endpoint(value: str) -> Rule:
    words = f"`endpoint`: {of_value(value)}"
    if any(ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0 for character in value):
        return Rule("endpoint-unsafe", "control-character", f"{words}, with a control character")
    if urls.has_userinfo(value):
        return Rule("endpoint-unsafe", "userinfo", f"{words}, with userinfo")
    if accepting := urls.standards_that_accept(value):
        words += f", a URL by {' and '.join(accepting)} only"
        return Rule("endpoint-open", "one-standard", words, is_open=True)
    kind = "other-scheme" if "://" in value[1:] and not value.lower().startswith("http") else "url"
    return Rule("endpoint-url", kind, f"{words}, not an http or https URL by any standard")

"""Reasons why a backend must or may refuse a request's query, headers or body."""

import json
from collections.abc import Iterator
from math import isfinite
from typing import Any

from support import contract, urls
from support.exchange import Request
from support.rule import Rule
from support.words import describe_length, describe_value

# A backend may refuse numbers with more digits, because RFC 8259 lets parsers limit their range.
LONGEST_NUMBER = 100
UNREADABLE = frozenset({400, 413, 415})
# The kind and description of each JSON error, keyed by the start of Python's error message.
NOT_JSON = {
    "constant": ("constant", "`NaN` or `Infinity`, which JSON does not allow"),
    "Invalid control character": ("line-break", "an unescaped line break in a string"),
    "Invalid \\escape": ("escape", "an invalid escape sequence"),
    "Extra data": ("extra", "text after the JSON value"),
    "": ("not-json", "a body that is not JSON"),
}


def reasons_against(request: Request) -> list[Rule]:
    """Return all reasons to refuse the request because of its query, headers or body."""
    return [
        *_check_media_type(request),
        *_check_coding(request),
        *_check_body(request),
        *_check_query(request),
    ]


def _check_media_type(request: Request) -> Iterator[Rule]:
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


def _check_coding(request: Request) -> Iterator[Rule]:
    coding = request.header("Content-Encoding")
    if coding is not None:
        yield _open("coding", f"`Content-Encoding: {coding}`")


def _check_query(request: Request) -> Iterator[Rule]:
    if "?" in request.target:
        statuses = frozenset(range(400, 500))
        yield Rule("query-open", "query", "a query", statuses, is_open=True, precedes_token=True)


def _check_body(request: Request) -> Iterator[Rule]:
    size = len(request.body)
    if size > contract.LARGEST_BODY:
        in_chunks = f" in {len(request.chunks)} chunks" if request.chunks else ""
        words = f"a body of {size:,} bytes{in_chunks} (the limit is {contract.LARGEST_BODY:,})"
        yield Rule("body-size", "over", words, frozenset({400, 413}), precedes_token=True)
    elif size:
        yield from _check_content(request.body)
    elif request.chunks is None:
        yield Rule("body", "empty", "an empty body", UNREADABLE, precedes_token=True)
    else:
        words = "an empty chunked body"
        yield Rule("body", "empty-in-chunks", words, UNREADABLE, precedes_token=True)


def _unreadable(kind: str, words: str) -> Rule:
    return Rule("unreadable-body", kind, words, UNREADABLE, precedes_token=True)


def _open(kind: str, words: str) -> Rule:
    return Rule("json-open", kind, words, UNREADABLE, is_open=True, precedes_token=True)


def _check_content(body: bytes) -> Iterator[Rule]:
    """Parse the body strictly according to RFC 8259; yield a rule for each reason to refuse it."""
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
        yield from parser.ambiguities
        yield _syntax_error(text, str(error))
        return
    yield from parser.ambiguities
    if not is_text:
        yield _open("lone-surrogate", "a lone surrogate")
        value = json.loads(json.dumps(value, ensure_ascii=False).encode(errors="replace"))
    yield from _check_value(value)


def _is_text(value: Any) -> bool:
    """Return whether every string in the value can be encoded as UTF-8."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _syntax_error(text: str, error: str) -> Rule:
    if "/*" in text or "// " in text:
        return _unreadable("comment", "a comment, which JSON does not allow")
    if not text.strip(" \t\r\n"):
        return _unreadable("blank", "a body that contains only whitespace")
    start = next(start for start in NOT_JSON if error.startswith(start))
    return _unreadable(*NOT_JSON[start])


class _Parser:
    """A JSON parser that records constructs that RFC 8259 lets parsers handle differently."""

    def __init__(self) -> None:
        self.ambiguities: list[Rule] = []

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
            self.ambiguities.append(_open("duplicate-key", "a duplicate field"))
        return value

    def _number(self, digits: str) -> float:
        """Return the number, or 1e308 if it is too large."""
        exponent = digits.lower().partition("e")[2].strip("+-")
        if len(digits) > LONGEST_NUMBER or len(exponent) > 3:
            self.ambiguities.append(_open("number", "a number that is too large"))
            digits = "1e308"
        if digits.lstrip("-").isdigit():
            return int(digits)
        number = float(digits)
        return number if isfinite(number) else 1e308

    def _constant(self, name: str) -> None:
        raise ValueError(f"constant {name}")


def _check_value(value: Any) -> Iterator[Rule]:
    if not isinstance(value, dict):
        yield Rule("body", "not-an-object", f"`{describe_value(value)}` instead of a JSON object")
        return
    for field, given in value.items():
        if contract.is_left_open(field, given):
            yield Rule("null-open", field, f"`{field}`: {describe_value(given)}", is_open=True)
        elif field not in contract.PROPERTIES:
            yield _unknown_field(field)
        elif keyword := contract.broken_keyword(field, given):
            yield _wrong_value(field, given, keyword)
        elif field == "endpoint" and urls.may_be_refused(given):
            words = f"`endpoint`: a host that a backend may refuse, {describe_value(given)}"
            yield Rule("endpoint-open", "host", words, is_open=True)


def _unknown_field(field: str) -> Rule:
    plain = "".join(character for character in field.lower() if character.isalpha())
    words = f"the unknown field {describe_value(field)}"
    for name in contract.PROPERTIES:
        if name.lower() == plain:
            return Rule("unknown-fields", "resembling", f"{words}, which resembles `{name}`")
    return Rule("unknown-fields", "other", words)


def _wrong_value(field: str, value: Any, keyword: str) -> Rule:
    """Return the rule for a value that violates this keyword in the field's schema."""
    if field == "endpoint" and keyword in ("pattern", "format"):
        return _wrong_endpoint(value)
    clause = contract.clause_of(keyword, field)
    kind = f"{field}-null" if value is None else f"{field}-{keyword}"
    words = f"`{field}`: {describe_value(value)}"
    if keyword in ("minLength", "maxLength"):
        limit = contract.PROPERTIES[field][keyword]
        words = f"`{field}`: {describe_length(value)} (`{keyword}` is {limit:,})"
    elif clause.id == "name-characters":
        words += ", with a control character"
    return Rule(clause.id, kind, words)


def _wrong_endpoint(value: str) -> Rule:
    words = f"`endpoint`: {describe_value(value)}"
    if any(ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0 for character in value):
        return Rule("endpoint-unsafe", "control-character", f"{words}, with a control character")
    if urls.has_userinfo(value):
        return Rule("endpoint-unsafe", "userinfo", f"{words}, with userinfo")
    if accepting := urls.standards_that_accept(value):
        words += f", a URL according to {' and '.join(accepting)} only"
        return Rule("endpoint-open", "one-standard", words, is_open=True)
    kind = "other-scheme" if "://" in value[1:] and not value.lower().startswith("http") else "url"
    return Rule("endpoint-url", kind, f"{words}, which is not an http or https URL")

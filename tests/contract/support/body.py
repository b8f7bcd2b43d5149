"""Why the contract refuses a body, or leaves it open: read from the octets that are sent."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite
from typing import Any

from support import contract, urls
from support.exchange import Request
from support.words import of_length, of_value

LONGEST_NUMBER = 100  # digits; RFC 8259 lets a parser refuse numbers that are too large
UNREADABLE = frozenset({400, 413, 415})


@dataclass(frozen=True)
class Reason:
    """Why a request is refused, or may be."""

    clause: str
    kind: str  # part of a finding's id: never made of a value
    words: str
    statuses: frozenset[int] = frozenset({400})
    is_open: bool = False  # the backend may also do as asked
    precedes_token: bool = False  # it may be judged before the token is


def reasons_against(request: Request) -> list[Reason]:
    """Return every reason that the request's headers and body give; none if they are valid."""
    return [*_of_media_type(request), *_of_coding(request), *_of_body(request)]


def _of_media_type(request: Request) -> Iterator[Reason]:
    value = request.header("Content-Type")
    media_type, _, parameters = (value or "").partition(";")
    words = f"`Content-Type: {value}`" if value is not None else "no `Content-Type`"
    statuses = frozenset({400, 415})
    if media_type.strip().lower() != "application/json":
        kind = "none" if value is None else "other"
        yield Reason("other-media-type", kind, words, statuses, precedes_token=True)
        return
    for parameter in filter(None, map(str.strip, parameters.split(";"))):
        if parameter.lower().replace('"', "") != "charset=utf-8":
            yield Reason("json-open", "charset", words, statuses, is_open=True, precedes_token=True)


def _of_coding(request: Request) -> Iterator[Reason]:
    coding = request.header("Content-Encoding")
    if coding is not None:
        words = f"`Content-Encoding: {coding}`"
        statuses = frozenset({400, 413, 415})
        yield Reason("json-open", "coding", words, statuses, is_open=True, precedes_token=True)


def _of_body(request: Request) -> Iterator[Reason]:
    size = len(request.body)
    if size > contract.LARGEST_BODY:
        in_chunks = f" in {len(request.chunks)} chunks" if request.chunks else ""
        words = f"{size:,} bytes{in_chunks}, the limit is {contract.LARGEST_BODY:,}"
        yield Reason("body-size", "over", words, frozenset({400, 413}), precedes_token=True)
        return
    if not request.body:
        in_chunks = " in chunks" if request.chunks is not None else ""
        kind = "empty-in-chunks" if in_chunks else "empty"
        yield Reason("body", kind, f"an empty body{in_chunks}", UNREADABLE, precedes_token=True)
        return
    parsed = _Parser(request.body)
    yield from parsed.reasons
    if parsed.is_json:
        yield from _of_value(parsed.value)


class _Parser:
    """Reads a body as strictly as RFC 8259 allows, and reports every violation."""

    def __init__(self, body: bytes) -> None:
        self.reasons: list[Reason] = []
        self.is_json = False
        self.value: Any = None
        if body.startswith(b"\xef\xbb\xbf"):
            self._leave_open("byte-order-mark", "a byte order mark")
            body = body[3:]
        if b"\x00" in body[:4] and body.strip(b"\x00"):
            self._refuse("not-utf-8", "a body in UTF-16 or UTF-32")
            return
        try:
            text = body.decode("utf-8")
        except UnicodeDecodeError:
            self._refuse("not-utf-8", "a body that is not UTF-8")
            return
        try:
            self.value = json.loads(
                text,
                object_pairs_hook=self._object,
                parse_constant=self._constant,
                parse_int=self._number,
                parse_float=self._number,
            )
        except RecursionError:
            self._refuse("nested", "a deeply nested body")
            return
        except ValueError as error:
            self._refuse_text(text, str(error))
            return
        self.is_json = True
        try:
            json.dumps(self.value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            self._leave_open("lone-surrogate", "a lone surrogate")
            self.value = _without_surrogates(self.value)
        except RecursionError:
            self._refuse("nested", "a deeply nested body")

    def _refuse_text(self, text: str, error: str) -> None:
        if error.startswith("constant "):
            self._refuse("constant", f"`{error.removeprefix('constant ')}`, which is not JSON")
        elif "/*" in text or "// " in text:
            self._refuse("comment", "a comment, which is not JSON")
        elif not text.strip(" \t\r\n"):
            self._refuse("blank", "a body of whitespace only")
        elif "Invalid control character" in error:
            self._refuse("line-break", "a line break in a string, which is not JSON")
        elif "Invalid \\escape" in error:
            self._refuse("escape", "an escape sequence that is not JSON")
        elif error.startswith("Extra data"):
            self._refuse("extra", "text after the JSON value")
        else:
            self._refuse("not-json", "a body that is not JSON")

    def _refuse(self, kind: str, words: str) -> None:
        reason = Reason("unreadable-body", kind, words, UNREADABLE, precedes_token=True)
        self.reasons.append(reason)

    def _leave_open(self, kind: str, words: str) -> None:
        reason = Reason("json-open", kind, words, UNREADABLE, is_open=True, precedes_token=True)
        self.reasons.append(reason)

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        value = dict(pairs)
        if len(value) != len(pairs):
            self._leave_open("duplicate-key", "a field twice")
        return value

    def _number(self, digits: str) -> float:
        """Return the number, or a small one of its type if it is too large to read."""
        exponent = digits.lower().partition("e")[2].strip("+-")
        if len(digits) > LONGEST_NUMBER or len(exponent) > 3:
            self._leave_open("number", "a number that is too large")
            digits = "0"
        if digits.lstrip("-").isdigit():
            return int(digits)
        number = float(digits)
        return number if isfinite(number) else 0.5

    def _constant(self, name: str) -> None:
        raise ValueError(f"constant {name}")


def _without_surrogates(value: Any) -> Any:
    return json.loads(json.dumps(value, ensure_ascii=False).encode(errors="replace"))


def _of_value(value: Any) -> Iterator[Reason]:
    if not isinstance(value, dict):
        yield Reason("body", "not-an-object", f"`{of_value(value)}` in place of a JSON object")
        return
    for field, given in value.items():
        if field in contract.PROPERTIES:
            yield from _of_field(field, given)
        elif contract.is_left_open(field, given):
            yield Reason("null-open", field, f"`{field}`: {of_value(given)}", is_open=True)
        else:
            yield _of_unknown(field)


def _of_unknown(field: str) -> Reason:
    plain = "".join(character for character in field.lower() if character.isalpha())
    fields = [name for name in contract.PROPERTIES if name.lower() == plain]
    if fields:
        words = f"the unknown field {of_value(field)}, which resembles `{fields[0]}`"
        return Reason("unknown-fields", "resembling", words)
    return Reason("unknown-fields", "other", f"the unknown field {of_value(field)}")


def _of_field(field: str, value: object) -> Iterator[Reason]:
    keyword = contract.broken_keyword(field, value)
    if contract.is_left_open(field, value):
        yield Reason("null-open", field, f"`{field}`: {of_value(value)}", is_open=True)
    elif keyword is None:
        if field == "endpoint" and urls.may_be_refused(str(value)):
            words = f"`endpoint`: a host that a backend may refuse, {of_value(value)}"
            yield Reason("endpoint-open", "host", words, is_open=True)
    elif keyword in ("pattern", "format") and field == "endpoint":
        yield _of_endpoint(str(value))
    else:
        clause = contract.clause_of(keyword, field)
        kind = f"{field}-null" if value is None else f"{field}-{keyword}"
        words = f"`{field}`: {of_value(value)}"
        if keyword in ("minLength", "maxLength"):
            limit = contract.PROPERTIES[field][keyword]
            words = f"`{field}`: {of_length(str(value))}, `{keyword}` is {limit:,}"
        elif clause.id == "name-characters":
            words += ", which has a control character"
        yield Reason(clause.id, kind, words)


def _of_endpoint(value: str) -> Reason:
    words = f"`endpoint`: {of_value(value)}"
    if any(ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0 for character in value):
        return Reason("endpoint-unsafe", "control-character", f"{words}, with a control character")
    if urls.has_userinfo(value):
        return Reason("endpoint-unsafe", "userinfo", f"{words}, with userinfo")
    accepting = [
        name
        for name, accepts in (("RFC 3986", urls.rfc3986_accepts), ("WHATWG", urls.whatwg_accepts))
        if accepts(value)
    ]
    if accepting:
        words += f", a URL by {' and '.join(accepting)} only"
        return Reason("endpoint-open", "one-standard", words, is_open=True)
    kind = "other-scheme" if "://" in value[1:] and not value.lower().startswith("http") else "url"
    return Reason("endpoint-url", kind, f"{words}, not an http or https URL by any standard")

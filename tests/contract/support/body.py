"""Reasons why a backend must or may refuse a request's query, headers or body."""

import json
import re
from collections.abc import Iterator
from typing import Any

from support import contract, urls
from support.exchange import Request
from support.rule import Rule, describe

LONGEST_NUMBER = 100  # digits; Python refuses to parse more than 4,300
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
UNREADABLE = frozenset({400, 413, 415})
# The kind and description of each JSON error, keyed by the start of Python's error message.
NOT_JSON = {
    "constant": ("constant", "`NaN` or `Infinity`, which JSON does not allow"),
    "Invalid control character": ("line-break", "an unescaped line break in a string"),
    "Invalid \\escape": ("escape", "an invalid escape sequence"),
    "Extra data": ("extra", "text after the JSON value"),
}


def reasons_against(request: Request) -> Iterator[Rule]:
    """Yield a rule for each reason to refuse the request's headers, body or query."""
    value = request.header("Content-Type")
    words = f"`Content-Type: {value}`" if value else "no `Content-Type`"
    media_type, _, parameters = (value or "").lower().partition(";")
    if media_type.strip() != "application/json":
        kind = "other" if value else "none"
        yield Rule("other-media-type", kind, words, frozenset({400, 415}), precedes_token=True)
    elif parameters.strip(" ;") not in ("", "charset=utf-8", 'charset="utf-8"'):
        yield _open("charset", words)
    coding = request.header("Content-Encoding")
    if coding is not None:
        yield _open("coding", f"`Content-Encoding: {coding}`")
    yield from _check_body(request)
    if "?" in request.target:
        statuses = frozenset(range(400, 500))
        yield Rule("query-open", "query", "a query", statuses, is_open=True, precedes_token=True)


def _check_body(request: Request) -> Iterator[Rule]:
    size = len(request.body)
    chunks = request.chunks
    if size > contract.LARGEST_BODY:
        in_chunks = f" in {len(chunks)} chunks" if chunks else ""
        words = f"a body of {size:,} bytes{in_chunks} (the limit is {contract.LARGEST_BODY:,})"
        yield Rule("body-size", "over", words, frozenset({400, 413}), precedes_token=True)
    elif size:
        yield from _check_content(request.body)
    elif chunks is None:
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
    if body.startswith(BYTE_ORDER_MARK):
        yield _open("byte-order-mark", "a byte order mark")
        body = body.removeprefix(BYTE_ORDER_MARK)
    if b"\x00" in body[:4] and body.strip(b"\x00"):
        yield _unreadable("not-utf-8", "a body in UTF-16 or UTF-32")
        return
    ambiguities: list[Rule] = []
    try:
        value = _parse(body.decode("utf-8"), ambiguities)
        text = json.dumps(value, ensure_ascii=False)
    except RecursionError:
        yield _unreadable("nested", "a deeply nested body")
    except UnicodeDecodeError:
        yield _unreadable("not-utf-8", "a body that is not UTF-8")
    except ValueError as error:
        yield from ambiguities
        yield _syntax_error(body, str(error))
    else:
        yield from ambiguities
        readable = text.encode(errors="replace")
        if readable != text.encode(errors="surrogatepass"):
            yield _open("lone-surrogate", "a lone surrogate")
        yield from _check_value(json.loads(readable))


def _syntax_error(body: bytes, error: str) -> Rule:
    if b"/*" in body or b"// " in body:
        return _unreadable("comment", "a comment, which JSON does not allow")
    if not body.strip(b" \t\r\n"):
        return _unreadable("blank", "a body that contains only whitespace")
    for start, (kind, words) in NOT_JSON.items():
        if error.startswith(start):
            return _unreadable(kind, words)
    return _unreadable("not-json", "a body that is not JSON")


def _parse(text: str, ambiguities: list[Rule]) -> Any:
    """Parse JSON; add a rule for each construct whose handling RFC 8259 leaves to the parser."""

    def to_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        value = dict(pairs)
        if len(value) != len(pairs):
            ambiguities.append(_open("duplicate-key", "a duplicate field"))
        return value

    def to_integer(digits: str) -> float:
        if len(digits) <= LONGEST_NUMBER:
            return int(digits)
        ambiguities.append(_open("number", "a number that is too large"))
        return 1e308

    def refuse(name: str) -> None:
        raise ValueError(f"constant {name}")

    return json.loads(
        text, object_pairs_hook=to_object, parse_constant=refuse, parse_int=to_integer
    )


def _check_value(value: Any) -> Iterator[Rule]:
    if not isinstance(value, dict):
        yield Rule("body", "not-an-object", f"`{describe(value)}` instead of a JSON object")
        return
    for field, given in value.items():
        words = f"`{field}`: {describe(given)}"
        if contract.is_left_open(field, given):
            yield Rule("null-open", field, words, is_open=True)
        elif field not in contract.PROPERTIES:
            yield _unknown_field(field)
        elif keyword := contract.broken_keyword(field, given):
            yield _wrong_value(field, given, keyword, words)
        elif field == "endpoint" and urls.may_be_refused(given):
            words = f"`endpoint`: a host that a backend may refuse, {describe(given)}"
            yield Rule("endpoint-open", "host", words, is_open=True)


def _unknown_field(field: str) -> Rule:
    words = f"the unknown field {describe(field)}"
    letters = re.sub(r"[\W\d_]", "", field.lower())
    for name in contract.PROPERTIES:
        if name.lower() == letters:
            return Rule("unknown-fields", "resembling", f"{words}, which resembles `{name}`")
    return Rule("unknown-fields", "other", words)


def _wrong_value(field: str, value: Any, keyword: str, words: str) -> Rule:
    if field == "endpoint" and keyword in ("pattern", "format"):
        return _wrong_endpoint(value, words)
    clause = contract.clause_of(keyword, field).id
    kind = f"{field}-null" if value is None else f"{field}-{keyword}"
    if keyword in ("minLength", "maxLength"):
        limit = contract.PROPERTIES[field][keyword]
        words = f"`{field}`: {len(value):,} characters (`{keyword}` is {limit:,})"
    elif clause == "name-characters":
        words += ", with a control character"
    return Rule(clause, kind, words)


def _wrong_endpoint(value: str, words: str) -> Rule:
    if CONTROL.search(value):
        return Rule("endpoint-unsafe", "control-character", f"{words}, with a control character")
    if urls.has_userinfo(value):
        return Rule("endpoint-unsafe", "userinfo", f"{words}, with userinfo")
    if urls.rfc3986_accepts(value) or urls.whatwg_accepts(value):
        words += ", a URL according to only one standard"
        return Rule("endpoint-open", "one-standard", words, is_open=True)
    is_other_scheme = "://" in value[1:] and not value.lower().startswith("http")
    kind = "other-scheme" if is_other_scheme else "url"
    return Rule("endpoint-url", kind, f"{words}, which is not an http or https URL")

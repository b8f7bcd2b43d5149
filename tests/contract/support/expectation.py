"""The response that the contract requires for a request.

The response depends on the sender, on the configuration, and on any reasons to reject the headers,
body or query.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import ada_url
import jsonschema_rs

from support import contract
from support.exchange import Request
from support.rule import DATA, LONGEST, RULES, Rule, describe

LARGE_BODY = 65536  # in bytes; some servers do not accept larger bodies
LONGEST_NUMBER = 100  # in digits; Python refuses to parse integers of more than 4,300 digits
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
RFC3986 = jsonschema_rs.Draft202012Validator({"format": "uri"}, validate_formats=True)
WEB = ("http", "https")
SURROGATE = re.compile("[\ud800-\udfff]")
VALID = frozenset({200})
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def with_rule(request: Request) -> Request:
    """Return a copy of the request with `rule`, `forbidden_by` and `reasons` set.

    If the request already has a rule, keep it; otherwise, derive the rule from the contract.
    """
    forbidden_by = None
    early: list[Rule] = []
    late: list[Rule] = []
    if request.method == "PUT":
        forbidden_by = _forbidden_by(request)
        early, late = _reasons_against(request)
    reasons = [*early, *late]
    rule = request.rule
    if not rule.id:
        rule = _derived(request, forbidden_by, early, reasons)
    if request.words not in rule.words:
        rule = replace(rule, words=f"{rule.words}; {request.words}")
    return replace(request, rule=rule, forbidden_by=forbidden_by, reasons=reasons)


def _forbidden_by(request: Request) -> Rule | None:
    """Return the rule that forbids the update regardless of the body, or None."""
    user = request.user
    place = request.place
    is_checked_first = user.statuses == {401} and place.has_documented_form
    if 200 not in place.statuses and not is_checked_first:
        return place
    return None if 200 in user.statuses else user


def _derived(
    request: Request, forbidden_by: Rule | None, early: list[Rule], reasons: list[Rule]
) -> Rule:
    if forbidden_by and not forbidden_by.has_documented_form:
        return forbidden_by
    if forbidden_by and forbidden_by.statuses == {401}:
        unauthorized = replace(forbidden_by, id=f"unauthorized/{forbidden_by.kind}")
        return _combined([unauthorized, *early])
    if forbidden_by:
        return _combined([forbidden_by, *reasons])
    valid = rule_of_valid(request)
    if all(reason.is_open for reason in reasons):
        return _combined([*reasons, valid])
    # Put the reasons that require a rejection before those that only permit one.
    reasons = sorted(reasons, key=lambda reason: reason.is_open)
    return _combined(reasons)


def _combined(rules: list[Rule]) -> Rule:
    """Return the first rule, extended to allow every status and form that any rule allows."""
    statuses: frozenset[int] = frozenset()
    for rule in rules:
        statuses |= rule.statuses
    has_documented_form = all(rule.has_documented_form for rule in rules)
    return replace(rules[0], statuses=statuses, has_documented_form=has_documented_form)


def rule_of_valid(request: Request) -> Rule:
    """Return the rule for a valid request. The rule's kind describes the request."""
    fields = request.fields
    media_type = request.header("Content-Type") or ""
    path = request.target.partition("?")[0]
    segment = path.rpartition("/")[2]
    if media_type != "application/json":
        is_lower_case = media_type.partition(";")[0] == "application/json"
        kind = "charset" if is_lower_case else "case"
        return Rule(f"media-type/{kind}", f"`Content-Type: {media_type}`", VALID)
    if segment != quote(unquote(segment), safe=""):
        words = "the id with percent-encoded characters"
        return Rule("id-encoding/percent-encoded", words, VALID)
    if request.chunks is not None:
        return Rule("chunked/in-chunks", f"a valid body in {len(request.chunks)} chunks", VALID)
    if len(request.body) > LARGE_BODY:
        kind = "largest" if len(request.body) == contract.LARGEST_BODY else "large"
        return Rule(f"body-size/{kind}", _size_of(request), VALID)
    if len(fields) == 1:
        [(name, value)] = fields.items()
        rule = rule_of_field(name, value)
        if rule.clause == "update" and not request.body.isascii():
            words = f"{rule.words}, sent as UTF-8"
            rule = replace(rule, id=f"update/{name}-unescaped", words=words)
        return rule
    kind = "fields-together" if fields else "no-fields"
    names = "`, `".join(fields) or "{}"
    return Rule(f"update/{kind}", f"`{names}`", VALID)


def _size_of(request: Request) -> str:
    size = f"a body of {len(request.body):,} bytes"
    if request.chunks:
        size += f" in {len(request.chunks)} chunks"
    return f"{size} (the limit is {contract.LARGEST_BODY:,})"


def rule_of_field(name: str, value: Any) -> Rule:
    """Return the rule for a body that contains only this field, with a valid value."""
    if not isinstance(value, str):
        value = describe(value)
    clause = "update"
    patterns = DATA["text_traits"]
    if name in contract.URLS:
        clause = "endpoint-url"
        patterns = DATA["url_traits"]
    if len(value) > 100:
        clause = "lengths"
    traits = [trait for trait in patterns if re.search(patterns[trait], value, re.DOTALL)]
    text = json.dumps(value)
    words = f"`{name}`: the valid value {text}"
    if len(text) > LONGEST:
        words = f"`{name}`: a valid value of {_length_of(value)}"
    if name in contract.URLS:
        words += ", which RFC 3986 and the WHATWG URL Standard allow"
    return Rule(f"{clause}/{name}-{traits[0]}", words, VALID)


def _length_of(text: str) -> str:
    length = f"{len(text):,} characters"
    if not text.isascii():  # a backend might count something else
        units = len(text.encode("utf-16-le", "surrogatepass")) // 2
        size = len(text.encode(errors="surrogatepass"))
        length += f" ({units:,} UTF-16 code units, {size:,} bytes)"
    return length


def _reasons_against(request: Request) -> tuple[list[Rule], list[Rule]]:
    """Return two lists of reasons to reject the request.

    The first list contains the reasons that a backend may find before it checks the token.
    """
    early = list(_check_head(request))
    size = len(request.body)
    if size > contract.LARGEST_BODY:
        early.append(Rule("body-size/over", _size_of(request), {400, 413}))
    elif size:
        value, problems = read_json(request.body)
        early += problems
        if all(problem.is_open for problem in problems):
            try:
                return early, list(_check_value(value))
            except ValueError:  # newer Python versions can parse deeper nesting than the validator
                early.append(RULES["unreadable-body/nested"])
    elif request.chunks is None:
        early.append(RULES["body/empty"])
    else:
        early.append(RULES["body/empty-in-chunks"])
    return early, []


def _check_head(request: Request) -> Iterator[Rule]:
    """Yield a rule for each reason to reject the request's headers or query."""
    value = request.header("Content-Type") or ""
    words = f"`Content-Type: {value}`"
    media_type, _, parameters = value.lower().partition(";")
    if not value:
        yield RULES["other-media-type/none"]
    elif media_type.strip() != "application/json":
        yield Rule("other-media-type/other", words, {400, 415})
    elif parameters.strip(" ;") not in ("", "charset=utf-8", 'charset="utf-8"'):
        yield replace(RULES["json-open/charset"], words=words)
    coding = request.header("Content-Encoding")
    if coding is not None:
        # The server might decode the body before the endpoint is called.
        words = f"`Content-Encoding: {coding}`"
        yield replace(RULES["json-open/coding"], words=words, has_documented_form=False)
    if "?" in request.target:
        yield RULES["query-open/query"]
    for name in ("Origin", "Referer", "X-Forwarded-Host"):
        if "other.example" in (request.header(name) or ""):
            yield RULES["origin-open/other-host"]


def read_json(body: bytes) -> tuple[Any, list[Rule]]:
    """Parse the body strictly according to RFC 8259.

    Return the value and a rule for each reason to reject the body.
    """
    reasons: list[Rule] = []
    if body.startswith(BYTE_ORDER_MARK):
        reasons.append(RULES["json-open/byte-order-mark"])
        body = body.removeprefix(BYTE_ORDER_MARK)
    value = None
    try:
        value = _parse(body.decode("utf-8"), reasons)
        text = json.dumps(value, ensure_ascii=False)
        if SURROGATE.search(text):
            reasons.append(RULES["json-open/lone-surrogate"])
            value = json.loads(SURROGATE.sub("?", text))
    except RecursionError:
        reasons.append(RULES["unreadable-body/nested"])
    except UnicodeDecodeError:
        reasons.append(RULES["unreadable-body/not-utf-8"])
    except ValueError as error:
        reasons.append(_syntax_error(body, str(error)))
    return value, reasons


def _syntax_error(body: bytes, error: str) -> Rule:
    if b"\x00" in body[:4] and body.strip(b"\x00"):
        return replace(RULES["unreadable-body/not-utf-8"], words="a body in UTF-16 or UTF-32")
    if b"/*" in body or b"// " in body:
        return RULES["unreadable-body/comment"]
    if not body.strip():
        return RULES["unreadable-body/blank"]
    for start, kind in DATA["json_errors"].items():
        if error.startswith(start):
            return RULES[f"unreadable-body/{kind}"]
    return RULES["unreadable-body/not-json"]


def _parse(text: str, ambiguities: list[Rule]) -> Any:
    """Parse JSON; add a rule for each construct that parsers are free to accept or reject."""

    def to_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        value = dict(pairs)
        if len(value) != len(pairs):
            ambiguities.append(RULES["json-open/duplicate-key"])
        return value

    def to_integer(digits: str) -> float:
        if len(digits) <= LONGEST_NUMBER:
            return int(digits)
        ambiguities.append(RULES["json-open/number"])
        return 1e308

    def reject(name: str) -> None:
        raise ValueError(f"constant {name}")

    return json.loads(
        text, object_pairs_hook=to_object, parse_constant=reject, parse_int=to_integer
    )


def _check_value(value: Any) -> Iterator[Rule]:
    if not isinstance(value, dict):
        yield Rule("body/not-an-object", f"`{describe(value)}` instead of a JSON object")
        return
    for field, given in value.items():
        words = f"`{field}`: {describe(given)}"
        if contract.is_left_open(field, given):
            yield Rule(f"null-open/{field}", words, is_open=True)
        elif field not in contract.PROPERTIES:
            yield _unknown_field(field)
        elif keyword := contract.broken_keyword(field, given):
            yield _wrong_value(field, given, keyword, words)
        elif field in contract.URLS and _may_be_rejected(given):
            words += ", whose host a backend may reject"
            yield Rule("endpoint-open/host", words, is_open=True)


def _unknown_field(field: str) -> Rule:
    words = f"the unknown field {describe(field)}"
    letters = re.sub(r"[\W\d_]", "", field.lower())
    for name in contract.PROPERTIES:
        if name.lower() == letters:
            return Rule("unknown-fields/resembling", f"{words}, which resembles `{name}`")
    return Rule("unknown-fields/other", words)


def _wrong_value(field: str, value: Any, keyword: str, words: str) -> Rule:
    if field in contract.URLS and keyword in ("pattern", "format"):
        return _wrong_endpoint(value, words)
    clause = contract.clause_of(keyword, field)
    kind = f"{field}-null" if value is None else f"{field}-{keyword}"
    if keyword in ("minLength", "maxLength") and isinstance(value, str):
        limit = contract.PROPERTIES[field][keyword]
        words = f"`{field}`: {len(value):,} characters (`{keyword}` is {limit:,})"
    elif clause == "name-characters" and CONTROL.search(value):
        words += ", with a control character"
    return Rule(f"{clause}/{kind}", words)


def _wrong_endpoint(value: str, words: str) -> Rule:
    if CONTROL.search(value):
        return Rule("endpoint-unsafe/control-character", f"{words}, with a control character")
    if _has_userinfo(value):
        return Rule("endpoint-unsafe/userinfo", f"{words}, with userinfo")
    if _rfc3986_accepts(value) or _whatwg_accepts(value):
        words += ", a URL that only one standard accepts"
        return Rule("endpoint-open/one-standard", words, is_open=True)
    is_other_scheme = "://" in value[1:] and not value.lower().startswith("http")
    kind = "other-scheme" if is_other_scheme else "url"
    return Rule(f"endpoint-url/{kind}", f"{words}, which is not an http or https URL")


def _rfc3986_accepts(value: str) -> bool:
    """Return whether the value is an absolute http or https URI with a host, per RFC 3986."""
    if not RFC3986.is_valid(value):
        return False
    try:
        parts = urlsplit(value)
    except ValueError:
        return False
    return parts.scheme.lower() in WEB and bool(parts.hostname)


def _whatwg_accepts(value: str) -> bool:
    """Return whether the value is an http or https URL, per the WHATWG URL Standard."""
    return ada_url.check_url(value) and ada_url.URL(value).protocol.rstrip(":") in WEB


def _has_userinfo(value: str) -> bool:
    """Return whether the value contains a user name or password according to either standard."""
    if _whatwg_accepts(value):
        url = ada_url.URL(value)
        if url.username or url.password:
            return True
    after_slashes = value.partition("//")[2]
    authority = re.split("[/?#]", after_slashes)[0]
    return "@" in authority


def _may_be_rejected(value: str) -> bool:
    """Return whether a backend may reject the host because it cannot be a public DNS name."""
    if not _whatwg_accepts(value):
        return True
    # This parser normalizes hosts such as `127.1` to 127.0.0.1.
    host = ada_url.URL(value).hostname.strip("[]").rstrip(".")
    try:
        ip_address(host)
    except ValueError:
        labels = host.split(".")
        are_valid = all(0 < len(label) < 64 for label in labels)
        is_public_name = are_valid and len(labels) > 1 and len(host) < 254
        return not is_public_name
    return True

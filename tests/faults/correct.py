"""Backends that differ from the mock only in ways that the contract allows."""

import base64
import json
import random
import re
from urllib.parse import urlsplit

from tests.faults.changes import Changes, combine
from tests.faults.messages import Answer, Request, page, refused
from tests.faults.validation import LARGEST_BODY

RETRY_NOW = {"Retry-After": "0"}


def _is_unencoded_json(request: Request) -> bool:
    media_type = request.media_type.partition(";")[0].strip().lower()
    return media_type == "application/json" and not request.header("Content-Encoding")


VERBOSE = Changes()


@VERBOSE.after()
def responses_have_additional_fields(request: Request, answer: Answer) -> None:
    generator = random.Random(request.count("response"))  # noqa: S311 - not a secret
    if answer.body:
        answer.set_fields(
            message="☂ " + json.dumps({"reason": "see the documentation"}),
            code=7,
            errors=[{"field": "name"}],
            timestamp="2026-11-23T08:00:00Z",
            data=None,
            traceId=generator.randbytes(32).hex(),
            at=generator.getrandbits(62),
        )
    if answer.status == 200:
        known = {"name": request.name, "endpoint": request.endpoint, "aiType": request.ai_type}
        answer.set_fields(updated=sorted(request.names), key="***", **known)
    elif answer.status == 400:
        answer.set_fields(message=f"cannot use {request.names}")


@VERBOSE.after()
def responses_have_additional_headers(request: Request, answer: Answer) -> None:
    number = request.count("request")
    generator = random.Random(number)  # noqa: S311 - not a secret
    answer.headers["X-Request-Id"] = f"{number:032x}"
    answer.headers["X-Trace"] = base64.b64encode(generator.randbytes(64)).decode()
    answer.headers["X-Digest"] = base64.b32encode(generator.randbytes(20)).decode()
    answer.headers["Set-Cookie"] = "session=; Path=/; HttpOnly"
    answer.headers["Strict-Transport-Security"] = "max-age=1"
    answer.headers["Content-Type"] = "application/json; charset=utf-8"
    if answer.status == 401:
        answer.headers["WWW-Authenticate"] = 'Bearer realm="x", error="invalid_token"'


@VERBOSE.after()
def options_returns_204(request: Request, answer: Answer) -> None:
    if request.method == "OPTIONS":
        answer.replace_with(Answer(204, b"", Allow="OPTIONS, PUT"))
    elif answer.status == 405:
        answer.headers["Allow"] = "PUT, OPTIONS"


@VERBOSE.before()
def body_is_checked_before_the_token(request: Request) -> Answer | None:
    if request.method != "PUT":
        return None
    if len(request.body) > LARGEST_BODY:
        return refused(413)
    if not _is_unencoded_json(request):
        return refused(415)
    return None if request.is_authenticated or request.is_json else refused(400)


@VERBOSE.after()
def other_methods_return_501(request: Request, answer: Answer) -> None:
    if answer.status == 405 and request.method not in ("GET", "HEAD"):
        answer.refuse(501)


TERSE = Changes()


@TERSE.after()
def messages_are_missing_or_contain_the_name(request: Request, answer: Answer) -> None:
    name = request.name
    answer.drop_field("message")
    if answer.status == 200 and name:
        answer.set_fields(message=f"{name} was updated; no longer {name[:3]}***")
    elif answer.status == 400 and name:
        answer.set_fields(message=f"{name[:2]}***{name[-2:]} cannot be the name")


@TERSE.after()
def required_headers_have_other_valid_values(_: Request, answer: Answer) -> None:
    if answer.status == 401:
        answer.set_header("WWW-Authenticate", "bearer")
    if answer.status == 405:
        answer.set_header("Allow", "GET, PUT, POST, DELETE")


@TERSE.before()
def null_and_api_key_uuid_are_accepted(request: Request) -> None:
    for name, value in request.fields.items():
        is_cleared = name in ("endpoint", "key", "secret") and value is None
        is_uuid = name == "apiKeyUuid" and isinstance(value, str | None)
        if is_cleared or is_uuid:
            request.drop_field(name)


@TERSE.after()
def options_returns_cors_headers_without_allow(request: Request, answer: Answer) -> None:
    if request.method == "OPTIONS":
        answer.replace_with(Answer(204, b""))
        answer.set_header("Access-Control-Allow-Origin", "*")
        answer.set_header("Access-Control-Allow-Methods", "PUT")


@TERSE.before()
def endpoints_are_parsed_leniently(request: Request) -> None:
    """Accept asterisks in the host and, like browsers, backslashes instead of slashes."""
    endpoint = request.endpoint
    if re.fullmatch(r"https?://[\w.*-]*\*[\w.*-]*(?:/[!-~]*)?", endpoint):
        request.set_fields(endpoint=endpoint.replace("*", "x"))
    elif re.fullmatch(r"https?:\\{1,2}[\w.-]+(?:[/\\][!-~]*)?", endpoint):
        slashed = endpoint.replace("\\", "/")
        request.set_fields(endpoint=re.sub(":/+", "://", slashed))


@TERSE.before()
def json_is_parsed_leniently(request: Request) -> None:
    """Accept a byte order mark, duplicate keys and lone surrogates, as many parsers do."""
    try:
        value = json.loads(request.body.decode("utf-8-sig"), parse_constant=_refuse_constant)
        text = json.dumps(value, ensure_ascii=False)
    except (ValueError, RecursionError):
        return
    if isinstance(value, dict) and len(request.body) <= LARGEST_BODY:
        request.set_body(text.encode("utf-8", "replace"))


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


@TERSE.before()
def content_encodings_and_charsets_are_ignored(request: Request) -> None:
    request.drop_header("Content-Encoding")
    if request.media_type.lower().startswith("application/json;"):
        request.set_header("Content-Type", "application/json")


@TERSE.before()
def ids_are_compared_as_uuids(request: Request) -> None:
    digits = request.id.strip("{}").lower().replace("-", "")
    for id in request.ids.values():
        if digits == id.replace("-", "") and "/" not in request.id:
            request.for_id(id)


STRICT = Changes()


def _host(request: Request) -> str:
    try:
        return urlsplit(request.endpoint).hostname or ""
    except ValueError:
        return ""


def _is_too_long_for_dns(host: str) -> bool:
    return len(host) > 253 or max(map(len, host.split("."))) > 63


STRICT.changes_answer(
    "",
    200,
    ip_addresses_in_endpoints_are_refused=lambda request, answer: (
        re.fullmatch(r".*:.*|[0-9.]+", _host(request)) and answer.refuse(400)
    ),
    hosts_without_a_dot_are_refused=lambda request, answer: (
        re.fullmatch(r"[^.]+\.?", _host(request)) and answer.refuse(400)
    ),
    hosts_that_are_too_long_for_dns_are_refused=lambda request, answer: (
        _is_too_long_for_dns(_host(request)) and answer.refuse(400)
    ),
)
STRICT.changes_answer("", 405, other_methods_return_404=lambda _, answer: answer.refuse(404))


@STRICT.before()
def ids_that_are_not_uuids_return_400(request: Request) -> Answer | None:
    is_uuid = re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", request.id)
    is_operation = request.method == "PUT" and request.path.startswith("/ai/llm/")
    return refused(400) if is_operation and request.is_authenticated and not is_uuid else None


@STRICT.before()
def dot_segments_are_redirected(request: Request) -> Answer | None:
    has_dots = re.search(r"/(?:\.|%2e){1,2}(?:/|$)", request.path, re.IGNORECASE)
    return Answer(307, b"", Location="/ai/") if has_dots else None


@STRICT.before()
def queries_are_refused(request: Request) -> Answer | None:
    return refused(404) if request.method == "PUT" and request.query else None


@STRICT.before()
def access_is_checked_before_the_method(request: Request) -> Answer | None:
    if request.method == "PUT" or request.role in ("owner", "admin"):
        return None
    answer = refused(403 if request.is_authenticated else 401)
    return answer.set_body(b"") if request.method == "HEAD" else answer


BEHIND_PROXY = Changes()


@BEHIND_PROXY.before()
def some_requests_return_429_or_503(request: Request) -> Answer | None:
    number = request.count("any")
    if number % 40 == 39:
        return refused(429, **RETRY_NOW)
    return page(503, "<h1>Service Unavailable</h1>", **RETRY_NOW) if number % 50 == 49 else None


@BEHIND_PROXY.after()
def other_methods_and_paths_return_html(request: Request, answer: Answer) -> None:
    if answer.status == 405 or b"nothing at this path" in answer.body:
        text = b"<!DOCTYPE html>Cannot " + request.method.encode()
        answer.set_body(b"" if request.method == "HEAD" else text)
        answer.set_header("Content-Type", "text/html; charset=utf-8")
    else:
        answer.set_header("X-Trace", "1")  # HTML pages from a proxy lack this header


@BEHIND_PROXY.before()
def unusual_targets_are_refused_by_nginx(request: Request) -> Answer | None:
    """Respond as nginx does to TRACE, long paths, and paths with NUL, dot segments or `%2F`."""
    if "%00" in request.path or "\0" in request.path:
        return _nginx_page(400)
    if request.method == "TRACE":
        return _nginx_page(405)
    if re.search(r"/\.{1,2}(?:/|$)", request.path):
        return _nginx_page(301).set_header("Location", "/ai/")
    if "%2f" in request.path.lower():
        return _nginx_page(404)
    return _nginx_page(414) if len(request.path) > 512 else None


def _nginx_page(status: int) -> Answer:
    text = f"<html><head><title>{status}</title></head><body>nginx/1.22.1</body></html>"
    return page(status, text, Server="nginx/1.22.1")


@BEHIND_PROXY.before()
def malformed_ids_are_refused_by_a_router(request: Request) -> Answer | None:
    """Respond as Fastify does to ids that are too long or are not UTF-8 after decoding."""
    is_malformed = "\ufffd" in request.id or len(request.id) > 255
    is_known_user = request.method == "PUT" and request.is_authenticated
    return Answer(400, b'{"error": "Bad Request"}') if is_malformed and is_known_user else None


@BEHIND_PROXY.before()
def paths_ignore_case_and_a_trailing_slash(request: Request) -> None:
    head, slash, id = request.path.removesuffix("/").rpartition("/")
    request.path = head.lower() + slash + id


# Each backend combines several differences, so that few full runs are needed.
CORRECT = {
    "verbose": combine(VERBOSE.values()),
    "terse and lenient": combine(TERSE.values()),
    "strict": combine(STRICT.values()),
    "busy, behind a proxy": combine(BEHIND_PROXY.values()),
}

"""Backends that differ from the mock only in ways that the contract allows."""

import base64
import json
import random
import re
from urllib.parse import urlsplit

from tests.faults.changes import as_user, on, reply, set_header, when
from tests.faults.messages import RETRY_NOW, Answer, Request, page, rejected
from tests.faults.validation import LARGEST_BODY

DOT_SEGMENTS = r"(?i)/(?:\.|%2e){1,2}(?:/|$)"


def responses_have_additional_fields(request: Request, answer: Answer) -> None:
    generator = random.Random(request.count("response"))  # noqa: S311 - not a secret
    if answer.body:
        answer.set_fields(
            message="☂ " + json.dumps({"reason": "see the documentation"}),
            code=7,
            errors=[{"field": "name", "hint": "see line 3, in name, at position (1:5)"}],
            type="https://docs.example/app/errors",
            path="/app/ai/llm/x",
            timestamp="2026-11-23T08:00:00Z",
            data=None,
            traceId=generator.randbytes(32).hex(),
            at=generator.getrandbits(62),
            total=10**150,
            quoted="\ud800",
        )
    if answer.status == 200:
        known = {"name": request.name, "endpoint": request.endpoint, "aiType": request.ai_type}
        answer.set_fields(updated=sorted(request.fields), key="***", **known)
    elif answer.status == 400:
        answer.set_fields(message=f"cannot use {request.names}", platform="openstack")


def responses_have_additional_headers(request: Request, answer: Answer) -> None:
    number = request.count("request")
    generator = random.Random(number)  # noqa: S311 - not a secret
    headers = {
        "X-Request-Id": f"{number:032x}",
        "X-Trace": base64.b64encode(generator.randbytes(64)).decode(),
        "X-Canary-Version": "2",
        "X-Digest": base64.b32encode(generator.randbytes(20)).decode(),
        "X-XSS-Protection": "1; mode=block; report=/app/xss",
        "Set-Cookie": "session=; Path=/; HttpOnly",
        "Strict-Transport-Security": "max-age=1",
        "Content-Type": "application/json; charset=utf-8",
    }
    answer.headers.update(headers)
    if answer.status == 401:
        answer.set_header("WWW-Authenticate", 'Basic realm="x", Bearer error="invalid_token"')


def options_returns_204(method: str, answer: Answer) -> None:
    if method == "OPTIONS":
        answer.replace_with(Answer(204, b"", Allow="OPTIONS, PUT"))
    elif answer.status == 405:
        answer.headers["Allow"] = "PUT, OPTIONS"


def body_is_checked_before_the_token(request: Request) -> Answer | None:
    if request.method not in ("PUT", "PATCH"):
        return None
    if len(request.body) > LARGEST_BODY:
        return rejected(413)
    media_type = request.media_type.partition(";")[0].strip().lower()
    if media_type != "application/json" or request.header("Content-Encoding"):
        return rejected(415)
    return None if request.is_authenticated or request.is_json else rejected(400)


def messages_are_missing_or_contain_the_name(name: str, answer: Answer) -> None:
    answer.drop_field("message")
    if answer.status == 200 and name:
        answer.set_fields(message=f"{name} was updated; no longer {name[:3]}***")
    elif answer.status == 400 and name:
        answer.set_fields(message=f"{name[:2]}***{name[-2:]} cannot be the name")


def null_and_api_key_uuid_are_accepted(request: Request) -> None:
    for name, value in request.fields.items():
        is_cleared = name in ("endpoint", "key", "secret") and value is None
        is_uuid = name == "apiKeyUuid" and isinstance(value, str | None)
        if is_cleared or is_uuid:
            request.drop_field(name)


def options_returns_cors_headers_without_allow(method: str, answer: Answer) -> None:
    if method == "OPTIONS":
        answer.replace_with(Answer(204, b""))
        answer.set_header("Access-Control-Allow-Origin", "*")
        answer.set_header("Access-Control-Allow-Methods", "PUT")


def endpoints_are_parsed_leniently(request: Request) -> None:
    """Accept asterisks in the host. Accept backslashes in place of slashes, as browsers do."""
    endpoint = request.endpoint
    if re.fullmatch(r"https?://[\w.*-]*\*[\w.*-]*(?:/[!-~]*)?", endpoint):
        request.set_fields(endpoint=endpoint.replace("*", "x"))
    elif re.fullmatch(r"https?:\\{1,2}[\w.-]+(?:[/\\][!-~]*)?", endpoint):
        slashed = endpoint.replace("\\", "/")
        request.set_fields(endpoint=re.sub(":/+", "://", slashed))


def json_is_parsed_leniently(request: Request) -> None:
    """Accept a byte order mark, duplicate keys and lone surrogates, as many parsers do."""
    try:
        value = json.loads(request.body.decode("utf-8-sig"), parse_constant=_reject_constant)
        text = json.dumps(value, ensure_ascii=False)
    except (ValueError, RecursionError):
        return
    if isinstance(value, dict) and len(request.body) <= LARGEST_BODY:
        request.set_body(text.encode("utf-8", "replace"))


def _reject_constant(name: str) -> None:
    raise ValueError(name)


def content_encodings_and_charsets_are_ignored(request: Request) -> None:
    request.drop_header("Content-Encoding")
    if request.media_type.lower().startswith("application/json;"):
        request.set_header("Content-Type", "application/json")


def ids_are_compared_as_uuids(request: Request) -> None:
    digits = request.id.removeprefix("urn:uuid:").strip("{}").lower().replace("-", "")
    for id in request.ids.values():
        if digits == id.replace("-", "") and "/" not in request.id:
            request.for_id(id)


def unusual_hosts_are_rejected(endpoint: str, answer: Answer) -> None:
    """Reject IP addresses, hosts without a dot, and hosts that are too long for DNS."""
    if answer.status != 200:
        return
    host = urlsplit(endpoint).hostname or ""
    is_too_long = len(host) > 253 or max(map(len, host.split("."))) > 63
    if is_too_long or re.fullmatch(r".*:.*|[0-9.]+|[^.]+\.?", host):
        answer.reject(400)


def ids_that_are_not_uuids_return_400(request: Request) -> Answer | None:
    is_uuid = re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", request.id)
    is_operation = request.method == "PUT" and request.path.startswith("/ai/llm/")
    return rejected(400) if is_operation and request.is_authenticated and not is_uuid else None


def access_is_checked_before_the_method(request: Request) -> Answer | None:
    if request.method == "PUT" or request.role in ("owner", "admin"):
        return None
    answer = rejected(403 if request.is_authenticated else 401)
    return answer.set_body(b"") if request.method == "HEAD" else answer


def some_requests_return_429_or_503(request: Request) -> Answer | None:
    number = request.count("any")
    if number % 40 == 39:
        return rejected(429, **{"Retry-After": "nan"})
    return page(503, "<h1>Service Unavailable</h1>", **RETRY_NOW) if number % 50 == 49 else None


def other_methods_and_paths_return_html(method: str, answer: Answer) -> None:
    if answer.status == 405 or b"nothing at this path" in answer.body:
        text = b'<!DOCTYPE html><script src="/app/main.4f2a.js"></script>Cannot ' + method.encode()
        answer.set_body(b"" if method == "HEAD" else text)
        answer.set_header("Content-Type", "text/html; charset=utf-8")
    else:
        answer.set_header("X-Trace", "1")  # HTML pages from a proxy lack this header


def other_paths_return_the_start_page(path: str, answer: Answer) -> None:
    if answer.status == 404 and not re.fullmatch("/ai/llm/[^/]+", path):
        answer.replace_with(page(200, "<!DOCTYPE html><title>App</title>"))


def unusual_targets_are_rejected_by_nginx(path: str, method: str) -> Answer | None:
    """Respond as nginx does to TRACE, long paths, and paths with NUL, dot segments or `%2F`."""
    if "%00" in path or "\0" in path:
        return _nginx_page(400)
    if method == "TRACE":
        return _nginx_page(405)
    if re.search(r"/\.{1,2}(?:/|$)", path):
        return _nginx_page(301).set_header("Location", "/ai/")
    if "%2f" in path.lower():
        return _nginx_page(404)
    return _nginx_page(414) if len(path) > 512 else None


def _nginx_page(status: int) -> Answer:
    text = f"<html><head><title>{status}</title></head><body>nginx/1.22.1</body></html>"
    return page(status, text, Server="nginx/1.22.1")


def malformed_ids_are_rejected_by_a_router(request: Request) -> Answer | None:
    """Respond as Fastify does to ids that, once decoded, are too long or not valid UTF-8."""
    is_malformed = "\ufffd" in request.id or len(request.id) > 255
    is_put = request.method == "PUT"
    return Answer(400, b'{"error": "Bad Request"}') if is_malformed and is_put else None


def paths_ignore_case_and_a_trailing_slash(request: Request) -> None:
    head, slash, id = request.path.removesuffix("/").rpartition("/")
    request.path = head.lower() + slash + id


# Each backend combines several differences, so that only a few full runs are needed.
CORRECT = {
    "verbose": (
        responses_have_additional_fields,
        responses_have_additional_headers,
        options_returns_204,
        body_is_checked_before_the_token,
        on(405, lambda method, answer: method not in ("GET", "HEAD") and answer.reject(501)),
        other_paths_return_the_start_page,
    ),
    "terse and lenient": (
        messages_are_missing_or_contain_the_name,
        set_header(401, "WWW-Authenticate", "bearer"),
        set_header(405, "Allow", "GET, PUT, POST, DELETE"),
        null_and_api_key_uuid_are_accepted,
        as_user(lambda authorization: authorization.split(" ")[:2] == ["Bearer", "owner-token"]),
        options_returns_cors_headers_without_allow,
        endpoints_are_parsed_leniently,
        json_is_parsed_leniently,
        content_encodings_and_charsets_are_ignored,
        ids_are_compared_as_uuids,
        # Compress responses even if the request has no Accept-Encoding, as RFC 9110 allows
        lambda answer: answer.body and answer.compress(),
    ),
    "strict": (
        unusual_hosts_are_rejected,
        on(405, lambda answer: answer.reject(404)),
        reply(400, lambda method: method == "OPTIONS"),
        reply(403, lambda header: "other.example" in header("Origin") + header("X-Forwarded-Host")),
        reply(403, lambda header: not header("User-Agent")),
        ids_that_are_not_uuids_return_400,
        when(
            lambda path: re.search(DOT_SEGMENTS, path),
            lambda: Answer(307, b"Redirecting to /app/ai/llm//x/", Location="/ai/"),
        ),
        reply(404, lambda method, query: method == "PUT" and query),
        access_is_checked_before_the_method,
        # Respond as a gateway that parses every body as JSON
        when(
            lambda method, request: method == "PUT" and not request.is_json,
            lambda: _nginx_page(400),
        ),
    ),
    "busy, behind a proxy": (
        some_requests_return_429_or_503,
        other_methods_and_paths_return_html,
        unusual_targets_are_rejected_by_nginx,
        malformed_ids_are_rejected_by_a_router,
        when(
            lambda body: len(body) > LARGEST_BODY,
            lambda: Answer(413, b""),
        ),
        when(
            lambda method, header: method == "PUT" and header("Content-Encoding"),
            lambda: Answer(415, b'{"error": "Unsupported Media Type"}'),
        ),
        paths_ignore_case_and_a_trailing_slash,
        # Respond as Slim does to a PUT that `X-HTTP-Method-Override` turns into another method
        when(
            lambda header: header("X-HTTP-Method-Override") in ("GET", "PATCH"),
            lambda: rejected(405).set_header("Allow", "PUT"),
        ),
    ),
}

# ruff: noqa: D103 - the name says what is different
"""Backends that keep the contract and differ in what it leaves open: no finding on any of them."""

import asyncio
import base64
import json
import random
import re
from typing import Any
from urllib.parse import urlsplit

from tests.faults.backend import Answer, Request, accepted, refused
from tests.faults.changes import Changes, together

LARGEST_BODY = 262144  # bytes

TALKATIVE = Changes("talkative")


@TALKATIVE.after()
def messages_are_others(_: Request, answer: Answer) -> None:
    if answer.body:
        answer.set_fields(message="☂ " + json.dumps({"why": "none of your business"}))


@TALKATIVE.after()
def answers_have_more_fields_and_headers(request: Request, answer: Answer) -> None:
    if answer.body:
        answer.set_fields(
            code=7, errors=[{"field": "name"}], timestamp="2026-11-23T08:00:00Z", data=None
        )
    answer.headers["X-Request-Id"] = f"{request.count('request'):032x}"
    answer.headers["Set-Cookie"] = "session=; Path=/; HttpOnly"
    answer.headers["Strict-Transport-Security"] = "max-age=1"


@TALKATIVE.after()
def media_type_and_challenge_have_parameters(_: Request, answer: Answer) -> None:
    answer.headers["Content-Type"] = "application/json; charset=utf-8"
    if answer.status == 401:
        answer.headers["WWW-Authenticate"] = 'Bearer realm="x", error="invalid_token"'


@TALKATIVE.on_the_wire()
def header_names_are_in_title_case(octets: bytes, transport: Any) -> None:
    head, empty, body = octets.partition(b"\r\n\r\n")
    first_line, *headers = head.split(b"\r\n")
    lines = [first_line]
    for header in headers:
        name, colon, value = header.partition(b":")
        lines.append(name.title() + colon + value)
    transport.write(b"\r\n".join(lines) + empty + body if empty else octets)


@TALKATIVE.after()
def answers_have_numbers_by_chance(request: Request, answer: Answer) -> None:
    chance = random.Random(request.count("chance"))  # noqa: S311 - no secret
    answer.headers["X-Trace"] = base64.b64encode(chance.randbytes(64)).decode()
    answer.headers["X-Digest"] = base64.b32encode(chance.randbytes(20)).decode()
    if answer.body:
        answer.set_fields(traceId=chance.randbytes(32).hex(), at=chance.getrandbits(62))


@TALKATIVE.after()
def bodies_are_described_on_success(request: Request, answer: Answer) -> None:
    if answer.status == 200:
        answer.set_fields(
            updated=sorted(request.fields), aiType=request.text("aiType") or None, key="***"
        )


@TALKATIVE.after()
def bodies_without_credentials_are_echoed(request: Request, answer: Answer) -> None:
    if answer.status == 200:
        answer.set_fields(endpoint=request.text("endpoint"), name=request.text("name"))


@TALKATIVE.after()
def names_of_fields_are_echoed_on_failure(request: Request, answer: Answer) -> None:
    if answer.status == 400:
        answer.set_fields(message=f"cannot use {request.names}")


@TALKATIVE.after()
def options_is_answered(request: Request, answer: Answer) -> None:
    if request.method == "OPTIONS":
        answer.replace_with(Answer(204, b"", Allow="OPTIONS, PUT"))
    elif answer.status == 405:
        answer.headers["Allow"] = "PUT, OPTIONS"


TERSE = Changes("terse")


@TERSE.after()
def messages_are_missing(_: Request, answer: Answer) -> None:
    if answer.body:
        answer.drop_field("message")


@TERSE.after()
def messages_tell_the_name(request: Request, answer: Answer) -> None:
    name = request.text("name")
    if answer.status == 200 and name:
        answer.set_fields(message=f"{name} was updated; no longer {name[:3]}***")
    elif answer.status == 400 and name:
        answer.set_fields(message=f"{name[:2]}***{name[-2:]} cannot be the name")


@TERSE.after()
def challenge_is_in_lower_case(_: Request, answer: Answer) -> None:
    if answer.status == 401:
        answer.set_header("WWW-Authenticate", "bearer")


@TERSE.on_the_wire()
def answers_come_in_chunks(octets: bytes, transport: Any) -> None:
    head, empty, body = octets.partition(b"\r\n\r\n")
    if octets.startswith(b"HTTP/1.1 ") and empty:
        head = re.sub(rb"(?i)\r\ncontent-length: \d+", b"\r\nTransfer-Encoding: chunked", head)
        transport.write(head + empty)
        octets = body
    if octets:
        half = len(octets) // 2
        parts = [b"%x\r\n%s\r\n" % (len(p), p) for p in (octets[:half], octets[half:]) if p]
        transport.write(b"".join(parts) + b"0\r\n\r\n")


@TERSE.after()
def not_allowed_also_names_post(_: Request, answer: Answer) -> None:
    if answer.status == 405:
        answer.set_header("Allow", "GET, PUT, POST, DELETE")


@TERSE.before()
async def some_answers_take_their_time(request: Request) -> None:
    delays = random.Random(request.count("delay"))  # noqa: S311 - no secret
    await asyncio.sleep(delays.choice([0] * 199 + [0.1]))


BUSY = Changes("busy")


@BUSY.on_the_wire()
def http_1_0_without_keep_alive(octets: bytes, transport: Any) -> None:
    transport.write(octets.replace(b"HTTP/1.1 ", b"HTTP/1.0 ", 1))
    if b"\r\n\r\n" not in octets:  # the body, and nothing after it
        transport.close()


@BUSY.after()
def every_connection_is_closed(_: Request, answer: Answer) -> None:
    answer.headers["Connection"] = "close"


@BUSY.before()
def busy_now_and_then(request: Request) -> Answer | None:
    return refused(429, **{"Retry-After": "0"}) if request.count("any") % 40 == 39 else None


@BUSY.before()
def proxy_has_no_backend_now_and_then(request: Request) -> Answer | None:
    page = Answer(503, b"<h1>Service Unavailable</h1>", **{"Retry-After": "0"})
    return page.set_header("Content-Type", "text/html") if request.count("any") % 50 == 49 else None


@BUSY.after()
def what_is_no_operation_answers_a_page(request: Request, answer: Answer) -> None:
    if answer.status == 405 or b"nothing at this path" in answer.body:
        page = b"<!DOCTYPE html>Cannot " + request.method.encode()
        answer.body = b"" if request.method == "HEAD" else page
        answer.set_header("Content-Type", "text/html; charset=utf-8")


ACCESS_FIRST = Changes("access first")


@ACCESS_FIRST.before()
def access_is_judged_before_the_body(request: Request) -> Answer | None:
    may = {"owner": ("main", "sibling"), "admin": ("main", "sibling"), "stranger": ("foreign",)}
    if (
        request.method != "PUT"
        or request.role in ("", "expired")
        or len(request.path.split("/")) != 4
    ):
        return None
    if request.id not in request.ids.values():
        return refused(404)
    allowed = [request.ids[role] for role in may.get(request.role, ())]
    return None if request.id in allowed else refused(403)


@ACCESS_FIRST.before()
def the_id_is_looked_up_last(request: Request) -> Answer | None:
    if (
        request.method == "PUT"
        and request.role == "stranger"
        and request.id in request.ids.values()
    ):
        return refused(403)
    return None


@ACCESS_FIRST.after()
def what_cannot_be_an_id_is_not_found(request: Request, answer: Answer) -> None:
    if answer.status == 400 and len(request.id) > 255:
        answer.refuse(404)


@ACCESS_FIRST.before()
def who_asks_is_judged_before_the_method(request: Request) -> Answer | None:
    if request.method == "PUT" or request.role in ("owner", "admin"):
        return None
    answer = refused(403 if request.role in ("reader", "stranger") else 401)
    answer.body = b"" if request.method == "HEAD" else answer.body
    return answer


@ACCESS_FIRST.on_the_wire()
def connections_end_without_notice(octets: bytes, transport: Any) -> None:
    transport.write(octets)
    if octets.startswith(b"{") and len(octets) % 7 == 0:
        transport.close()


BODY_FIRST = Changes("body first")


@BODY_FIRST.before()
def the_body_is_parsed_before_the_token(request: Request) -> Answer | None:
    if request.method != "PUT" or request.role not in ("", "expired"):
        return None
    try:
        json.loads(request.body.decode("utf-8"))
    except (ValueError, RecursionError):
        return refused(400)
    return None


@BODY_FIRST.before()
def size_and_headers_are_judged_before_the_token(request: Request) -> Answer | None:
    if request.method != "PUT":
        return None
    if len(request.body) > LARGEST_BODY:
        return refused(413)
    is_json = request.media_type.partition(";")[0].strip().lower() == "application/json"
    is_coded = "Content-Encoding" in request.headers
    return None if is_json and not is_coded else refused(415)


@BODY_FIRST.after()
def other_methods_are_not_implemented(request: Request, answer: Answer) -> None:
    if answer.status == 405 and request.method not in ("GET", "HEAD"):
        answer.refuse(501)


LENIENT = Changes("lenient")


@LENIENT.before()
def the_siblings_read_and_delete_for_good(request: Request) -> Answer | None:
    deleted = request.memory.setdefault("deleted", set())
    is_known = request.id in request.ids.values() and request.path.startswith("/ai/llm/")
    if not is_known or request.role in ("", "expired"):
        return None
    if request.id in deleted:
        return refused(404)
    has_access = request.role in ("owner", "admin") and request.id != request.ids["foreign"]
    if request.method == "GET":
        return accepted(request) if has_access else refused(403)
    if request.method == "DELETE" and has_access:
        deleted.add(request.id)
        return accepted(request)
    return None


@LENIENT.before()
def null_and_api_key_uuid_are_accepted(request: Request) -> None:
    fields = dict(request.fields)
    for name, value in request.fields.items():
        is_cleared = name in ("endpoint", "key", "secret") and value is None
        is_uuid = name == "apiKeyUuid" and isinstance(value, str | None)
        if is_cleared or is_uuid:
            del fields[name]
    if fields != request.fields:
        request.set_fields(fields)


@LENIENT.after()
def options_answers_cors_without_allow(request: Request, answer: Answer) -> None:
    if request.method == "OPTIONS":
        answer.replace_with(Answer(204, b""))
        answer.set_header("Access-Control-Allow-Origin", "*")
        answer.set_header("Access-Control-Allow-Methods", "PUT")


@LENIENT.before()
def hosts_with_an_asterisk_are_accepted(request: Request) -> None:
    endpoint = request.text("endpoint")
    if re.fullmatch(r"https?://[\w.*-]*\*[\w.*-]*(?:/[!-~]*)?", endpoint):
        request.set_fields({**request.fields, "endpoint": endpoint.replace("*", "x")})


@LENIENT.before()
def endpoints_are_read_as_browsers_do(request: Request) -> None:
    endpoint = request.text("endpoint")
    if re.fullmatch(r"https?:\\{1,2}[\w.-]+(?:[/\\][!-~]*)?", endpoint):
        slashed = endpoint.replace("\\", "/").replace(":/", "://").replace(":///", "://")
        request.set_fields({**request.fields, "endpoint": slashed})


@LENIENT.before()
def json_is_read_leniently(request: Request) -> None:
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


@LENIENT.before()
def content_encoding_is_ignored(request: Request) -> None:
    request.drop_header("Content-Encoding")


@LENIENT.before()
def charset_is_ignored(request: Request) -> None:
    if request.media_type.lower().startswith("application/json;"):
        request.set_header("Content-Type", "application/json")


@LENIENT.before()
def ids_in_other_spellings_are_the_same_uuid(request: Request) -> None:
    digits = request.id.strip("{}").lower().replace("-", "")
    for id in request.ids.values():
        if digits == id.replace("-", "") and "/" not in request.id:
            request.for_id(id)


STRICT = Changes("strict")


@STRICT.after()
def private_endpoints_are_refused(request: Request, answer: Answer) -> None:
    host = _host_of(request.text("endpoint"))
    is_private = re.match(r"10\.|127\.|169\.254|192\.168|::1$|localhost\.?$", host)
    if answer.status == 200 and is_private:
        answer.refuse(400)


@STRICT.after()
def endpoints_at_an_address_are_refused(request: Request, answer: Answer) -> None:
    host = _host_of(request.text("endpoint"))
    if answer.status == 200 and (":" in host or re.fullmatch(r"[0-9.]+", host)):
        answer.refuse(400)


@STRICT.after()
def endpoints_without_a_dot_are_refused(request: Request, answer: Answer) -> None:
    host = _host_of(request.text("endpoint"))
    if answer.status == 200 and host and "." not in host.rstrip("."):
        answer.refuse(400)


@STRICT.after()
def hosts_that_dns_does_not_allow_are_refused(request: Request, answer: Answer) -> None:
    host = _host_of(request.text("endpoint"))
    if answer.status == 200 and (len(host) > 253 or max(map(len, host.split("."))) > 63):
        answer.refuse(400)


def _host_of(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


@STRICT.after()
def other_media_types_and_codings_answer_415(request: Request, answer: Answer) -> None:
    is_json = request.media_type.partition(";")[0].strip().lower() == "application/json"
    is_coded = "Content-Encoding" in request.headers
    if answer.status == 400 and (is_coded or not is_json):
        answer.refuse(415)


@STRICT.after()
def other_methods_are_not_found(_: Request, answer: Answer) -> None:
    if answer.status == 405:
        answer.refuse(404)


@STRICT.before()
def ids_that_are_not_uuids_are_refused(request: Request) -> Answer | None:
    is_uuid = re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", request.id)
    is_operation = request.method == "PUT" and request.path.startswith("/ai/llm/")
    if is_operation and request.role not in ("", "expired") and not is_uuid:
        return refused(400)
    return None


@STRICT.before()
def dot_segments_are_redirected(request: Request) -> Answer | None:
    if re.search(r"/(?:\.|%2e){1,2}(?:/|$)", request.path, re.IGNORECASE):
        return Answer(307, b"", Location="/ai/")
    return None


@STRICT.before()
def identity_is_a_coding(request: Request) -> None:
    if request.headers.get("Content-Encoding") == "identity":
        request.drop_header("Content-Encoding")


BEHIND_A_PROXY = Changes("behind a proxy")


@BEHIND_A_PROXY.before()
def proxy_like_nginx(request: Request) -> Answer | None:
    """Refuse NUL and TRACE with a page, and merge slashes and dot segments by a redirect."""
    if "%00" in request.path or "\0" in request.path:
        return _page(400)
    if request.method == "TRACE":
        return _page(405)
    if re.search(r"/\.{1,2}(?:/|$)", request.path):
        return _page(301).set_header("Location", "/ai/")
    return None


@BEHIND_A_PROXY.before()
def proxy_refuses_encoded_slashes(request: Request) -> Answer | None:
    return _page(404) if "%2f" in request.path.lower() else None


@BEHIND_A_PROXY.before()
def proxy_limits_the_length_of_targets(request: Request) -> Answer | None:
    return _page(414) if len(request.path) > 512 else None


def _page(status: int) -> Answer:
    page = f"<html><head><title>{status}</title></head><body>nginx/1.22.1</body></html>"
    answer = Answer(status, page.encode(), Server="nginx/1.22.1")
    return answer.set_header("Content-Type", "text/html")


OPEN = Changes("left open")


@OPEN.after()
def other_media_types_answer_415(request: Request, answer: Answer) -> None:
    is_json = request.media_type.partition(";")[0].strip().lower() == "application/json"
    if answer.status in (400, 415) and not is_json:
        answer.refuse(415)


@OPEN.after()
def large_bodies_answer_413(request: Request, answer: Answer) -> None:
    if answer.status in (400, 413) and len(request.body) > LARGEST_BODY:
        answer.refuse(413)


@OPEN.before()
def a_trailing_slash_is_ignored(request: Request) -> None:
    request.path = request.path.removesuffix("/")


@OPEN.before()
def the_path_counts_in_any_case(request: Request) -> None:
    head, slash, id = request.path.rpartition("/")
    request.path = head.lower() + slash + id


# Tables that go together are one backend, since a whole run takes seconds.
CORRECT = {
    backend.name: backend
    for backend in (
        together("talkative, body first", TALKATIVE.values(), BODY_FIRST.values()),
        together("terse, lenient", TERSE.values(), LENIENT.values()),
        together("strict, access first", STRICT.values(), ACCESS_FIRST.values()),
        together("busy, behind a proxy", BUSY.values(), BEHIND_A_PROXY.values(), OPEN.values()),
    )
}

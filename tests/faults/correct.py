# ruff: noqa: D103 - the name says what is different
"""Backends that keep the contract and differ in what it leaves open: none of them may alarm."""

import asyncio
import base64
import json
import random
import re
from typing import Any

from tests.faults.backend import Answer, Request, refused
from tests.faults.changes import Changes

CORRECT = Changes("correct")


@CORRECT.before()
def the_mock_itself(_: Request) -> None:
    pass


@CORRECT.after()
def messages_are_others(_: Request, answer: Answer) -> None:
    if answer.body:
        answer.set_fields(message="☂ " + json.dumps({"why": "none of your business"}))


@CORRECT.after()
def messages_are_missing(_: Request, answer: Answer) -> None:
    if answer.body:
        answer.drop_field("message")


@CORRECT.after()
def answers_have_more_fields_and_headers(request: Request, answer: Answer) -> None:
    if answer.body:
        answer.set_fields(
            code=7, errors=[{"field": "name"}], timestamp="2026-11-23T08:00:00Z", data=None
        )
    answer.headers["X-Request-Id"] = f"{request.count('request'):032x}"
    answer.headers["Set-Cookie"] = "session=; Path=/; HttpOnly"
    answer.headers["Strict-Transport-Security"] = "max-age=1"


@CORRECT.after()
def media_type_and_challenge_have_parameters(_: Request, answer: Answer) -> None:
    answer.headers["Content-Type"] = "application/json; charset=utf-8"
    if answer.status == 401:
        answer.headers["WWW-Authenticate"] = 'Bearer realm="x", error="invalid_token"'


@CORRECT.before()
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


@CORRECT.before()
def the_id_is_looked_up_last(request: Request) -> Answer | None:
    if (
        request.method == "PUT"
        and request.role == "stranger"
        and request.id in request.ids.values()
    ):
        return refused(403)
    return None


@CORRECT.on_the_wire()
def http_1_0_without_keep_alive(octets: bytes, transport: Any) -> None:
    transport.write(octets.replace(b"HTTP/1.1 ", b"HTTP/1.0 ", 1))
    if b"\r\n\r\n" not in octets:  # the body, and nothing after it
        transport.close()


@CORRECT.after()
def every_connection_is_closed(_: Request, answer: Answer) -> None:
    answer.headers["Connection"] = "close"


@CORRECT.after()
def options_is_answered(request: Request, answer: Answer) -> None:
    if request.method == "OPTIONS":
        answer.replace_with(Answer(204, b"", Allow="OPTIONS, PUT"))
    elif answer.status == 405:
        answer.headers["Allow"] = "PUT, OPTIONS"


@CORRECT.before()
async def some_answers_take_their_time(request: Request) -> None:
    delays = random.Random(request.count("delay"))  # noqa: S311 - no secret
    await asyncio.sleep(delays.choice([0] * 19 + [0.1]))


@CORRECT.after()
def what_cannot_be_an_id_is_not_found(request: Request, answer: Answer) -> None:
    if answer.status == 400 and len(request.id) > 255:
        answer.replace_with(refused(404))


@CORRECT.on_the_wire()
def header_names_are_in_title_case(octets: bytes, transport: Any) -> None:
    head, empty, body = octets.partition(b"\r\n\r\n")
    first, *headers = head.split(b"\r\n")
    named = [b":".join([n.title(), v]) for n, _, v in (h.partition(b":") for h in headers)]
    transport.write(b"\r\n".join([first, *named]) + empty + body if empty else octets)


@CORRECT.after()
def what_is_no_operation_answers_a_page(request: Request, answer: Answer) -> None:
    if answer.status == 405 or b"nothing at this path" in answer.body:
        page = (
            b"" if request.method == "HEAD" else b"<!DOCTYPE html>Cannot " + request.method.encode()
        )
        answer.body = page
        answer.headers["Content-Type"] = "text/html; charset=utf-8"


@CORRECT.after()
def answers_have_numbers_by_chance(request: Request, answer: Answer) -> None:
    chance = random.Random(request.count("chance"))  # noqa: S311 - no secret
    answer.headers["X-Trace"] = base64.b64encode(chance.randbytes(64)).decode()
    answer.headers["X-Digest"] = base64.b32encode(chance.randbytes(20)).decode()
    if answer.body:
        answer.set_fields(traceId=chance.randbytes(32).hex(), at=chance.getrandbits(62))


@CORRECT.before()
def busy_now_and_then(request: Request) -> Answer | None:
    return refused(429, **{"Retry-After": "0"}) if request.count("any") % 40 == 39 else None


@CORRECT.before()
def proxy_has_no_backend_now_and_then(request: Request) -> Answer | None:
    page = Answer(503, b"<h1>Service Unavailable</h1>", **{"Retry-After": "0"})
    return page.set_header("Content-Type", "text/html") if request.count("any") % 50 == 49 else None


@CORRECT.on_the_wire()
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


@CORRECT.on_the_wire()
def connections_end_without_notice(octets: bytes, transport: Any) -> None:
    transport.write(octets)
    if octets.startswith(b"{") and len(octets) % 7 == 0:
        transport.close()


@CORRECT.before()
def who_asks_is_judged_before_the_method(request: Request) -> Answer | None:
    if request.method == "PUT" or request.role in ("owner", "admin"):
        return None
    answer = refused(403 if request.role in ("reader", "stranger") else 401)
    answer.body = b"" if request.method == "HEAD" else answer.body
    return answer


@CORRECT.after()
def messages_tell_the_name(request: Request, answer: Answer) -> None:
    name = request.text("name")
    if answer.status == 200 and name:
        answer.set_fields(message=f"{name} was updated; no longer {name[:3]}***")
    elif answer.status == 400 and name:
        answer.set_fields(message=f"{name[:2]}***{name[-2:]} cannot be the name")


@CORRECT.after()
def bodies_are_described_on_success(request: Request, answer: Answer) -> None:
    if answer.status == 200:
        answer.set_fields(
            updated=sorted(request.fields), aiType=request.text("aiType") or None, key="***"
        )

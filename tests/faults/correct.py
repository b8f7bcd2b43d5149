# ruff: noqa: D103 - the name says what is different
"""Backends that keep the contract and differ in what it leaves open: none of them may alarm."""

import asyncio
import base64
import json
import random
import re
from typing import Any

from tests.faults.harness import Answer, Asked, Changes, refused

CORRECT = Changes()


@CORRECT.before()
def the_mock_itself(_: Asked) -> None:
    pass


@CORRECT.after()
def messages_are_others(_: Asked, answer: Answer) -> None:
    if answer.body:
        answer.set(message="☂ " + json.dumps({"why": "none of your business"}))


@CORRECT.after()
def messages_are_missing(_: Asked, answer: Answer) -> None:
    if answer.body:
        answer.drop("message")


@CORRECT.after()
def answers_have_more_fields_and_headers(asked: Asked, answer: Answer) -> None:
    if answer.body:
        answer.set(code=7, errors=[{"field": "name"}], timestamp="2026-11-23T08:00:00Z", data=None)
    answer.headers["X-Request-Id"] = f"{asked.times('request'):032x}"
    answer.headers["Set-Cookie"] = "session=; Path=/; HttpOnly"
    answer.headers["Strict-Transport-Security"] = "max-age=1"


@CORRECT.after()
def media_type_and_challenge_have_parameters(_: Asked, answer: Answer) -> None:
    answer.headers["Content-Type"] = "application/json; charset=utf-8"
    if answer.status == 401:
        answer.headers["WWW-Authenticate"] = 'Bearer realm="x", error="invalid_token"'


@CORRECT.before()
def access_is_judged_before_the_body(asked: Asked) -> Answer | None:
    may = {"owner": ("main", "sibling"), "admin": ("main", "sibling"), "stranger": ("foreign",)}
    if asked.method != "PUT" or asked.who in ("", "expired") or len(asked.path.split("/")) != 4:
        return None
    if asked.id not in asked.ids.values():
        return refused(404)
    allowed = [asked.ids[role] for role in may.get(asked.who, ())]
    return None if asked.id in allowed else refused(403)


@CORRECT.before()
def the_id_is_looked_up_last(asked: Asked) -> Answer | None:
    if asked.method == "PUT" and asked.who == "stranger" and asked.id in asked.ids.values():
        return refused(403)
    return None


@CORRECT.on_the_wire()
def http_1_0_without_keep_alive(octets: bytes, transport: Any) -> None:
    transport.write(octets.replace(b"HTTP/1.1 ", b"HTTP/1.0 ", 1))
    if b"\r\n\r\n" not in octets:  # the body, and nothing after it
        transport.close()


@CORRECT.after()
def every_connection_is_closed(_: Asked, answer: Answer) -> None:
    answer.headers["Connection"] = "close"


@CORRECT.after()
def options_is_answered(asked: Asked, answer: Answer) -> None:
    if asked.method == "OPTIONS":
        answer.become(Answer(204, b"", Allow="OPTIONS, PUT"))
    elif answer.status == 405:
        answer.headers["Allow"] = "PUT, OPTIONS"


@CORRECT.before()
async def some_answers_take_their_time(asked: Asked) -> None:
    delays = random.Random(asked.times("delay"))  # noqa: S311 - no secret
    await asyncio.sleep(delays.choice([0] * 19 + [0.1]))


@CORRECT.after()
def what_cannot_be_an_id_is_not_found(asked: Asked, answer: Answer) -> None:
    if answer.status == 400 and len(asked.id) > 255:
        answer.become(refused(404))


@CORRECT.on_the_wire()
def header_names_are_in_title_case(octets: bytes, transport: Any) -> None:
    head, empty, body = octets.partition(b"\r\n\r\n")
    first, *headers = head.split(b"\r\n")
    named = [b":".join([n.title(), v]) for n, _, v in (h.partition(b":") for h in headers)]
    transport.write(b"\r\n".join([first, *named]) + empty + body if empty else octets)


@CORRECT.after()
def what_is_no_operation_answers_a_page(asked: Asked, answer: Answer) -> None:
    if answer.status == 405 or b"nothing at this path" in answer.body:
        page = b"" if asked.method == "HEAD" else b"<!DOCTYPE html>Cannot " + asked.method.encode()
        answer.body = page
        answer.headers["Content-Type"] = "text/html; charset=utf-8"


@CORRECT.after()
def answers_have_numbers_by_chance(asked: Asked, answer: Answer) -> None:
    chance = random.Random(asked.times("chance"))  # noqa: S311 - no secret
    answer.headers["X-Trace"] = base64.b64encode(chance.randbytes(64)).decode()
    answer.headers["X-Digest"] = base64.b32encode(chance.randbytes(20)).decode()
    if answer.body:
        answer.set(traceId=chance.randbytes(32).hex(), at=chance.getrandbits(62))


@CORRECT.before()
def busy_now_and_then(asked: Asked) -> Answer | None:
    return refused(429, **{"Retry-After": "0"}) if asked.times("any") % 40 == 39 else None


@CORRECT.before()
def proxy_has_no_backend_now_and_then(asked: Asked) -> Answer | None:
    page = Answer(503, b"<h1>Service Unavailable</h1>", **{"Retry-After": "0"})
    return page.head("Content-Type", "text/html") if asked.times("any") % 50 == 49 else None


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
def who_asks_is_judged_before_the_method(asked: Asked) -> Answer | None:
    if asked.method == "PUT" or asked.who in ("owner", "admin"):
        return None
    answer = refused(403 if asked.who in ("reader", "stranger") else 401)
    answer.body = b"" if asked.method == "HEAD" else answer.body
    return answer


@CORRECT.after()
def messages_tell_the_name(asked: Asked, answer: Answer) -> None:
    name = asked.text("name")
    if answer.status == 200 and name:
        answer.set(message=f"{name} was updated; no longer {name[:3]}***")
    elif answer.status == 400 and name:
        answer.set(message=f"{name[:2]}***{name[-2:]} cannot be the name")


@CORRECT.after()
def bodies_are_described_on_success(asked: Asked, answer: Answer) -> None:
    if answer.status == 200:
        answer.set(updated=sorted(asked.fields), aiType=asked.text("aiType") or None, key="***")

# ruff: noqa: D103 - the name says what is different
"""Backends that keep the contract and differ in what it leaves open: none of them may alarm."""

import asyncio
import json
import random
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
async def answers_take_their_time(asked: Asked) -> None:
    delays = random.Random(asked.times("delay"))  # noqa: S311 - no secret
    await asyncio.sleep(delays.uniform(0, 0.02))


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


@CORRECT.after(survives="the body of a 404 is judged at paths that are not the operation's, too")
def what_is_no_operation_answers_a_page(asked: Asked, answer: Answer) -> None:
    if answer.status == 405 or b"nothing at this path" in answer.body:
        page = b"" if asked.method == "HEAD" else b"<!DOCTYPE html>Cannot " + asked.method.encode()
        answer.body = page
        answer.headers["Content-Type"] = "text/html; charset=utf-8"

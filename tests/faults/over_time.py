# ruff: noqa: D103 - the name says what is wrong
"""Backends whose response depends on earlier requests."""

import asyncio
from typing import Any

from tests.faults.backend import Answer, Request, refused
from tests.faults.changes import Changes

FAULTS = Changes("behaviour over time")

FAULTS.changes_answer(
    "test_same_update_again_and_again_answers_200",
    second_same_update_conflicts=lambda request, answer: (
        request.fields and request.count(request.body) == 2 and answer.refuse(409)
    ),
    third_same_update_fails_only=lambda request, answer: (
        request.fields and request.count(request.body) == 3 and answer.refuse(500)
    ),
)
FAULTS.answers(
    "test_same_update_again_and_again_answers_200",
    500,
    hundredth_request_fails_only=lambda request: request.count("any") == 100,
)
FAULTS.answers(
    "test_same_update_again_and_again_answers_200",
    400,
    connection_gets_fifty_answers=lambda request: request.count(request.connection) > 50,
)
FAULTS.answers(
    "test_first_request_is_answered_like_any",
    500,
    first_request_fails_only=lambda request: request.count("any") == 1,
)
FAULTS.changes_answer(
    "test_answer_does_not_depend_on_what_came_before or test_near_token_answers_401",
    401,
    ten_bad_tokens_lock_the_door=lambda request, answer: (
        request.count("bad") > 10 and answer.refuse(403)
    ),
)


@FAULTS.after("test_valid_request_works_after_every_refused_one")
def good_request_fails_after_a_bad_one(request: Request, answer: Answer) -> None:
    before, request.memory["status"] = request.memory.get("status"), answer.status
    if answer.status == 200 and before == 400:
        answer.refuse(500)


@FAULTS.after("test_valid_request_works_after_every_refused_one")
def good_request_fails_after_bad_utf_8_only(request: Request, answer: Answer) -> None:
    before, request.memory["body"] = request.memory.get("body", b""), request.body
    if answer.status == 200 and b"\xff" in before:
        answer.refuse(500)


@FAULTS.after("test_answer_does_not_depend_on_what_came_before or test_valid_request_works")
def answer_is_the_one_before_for_the_same_body(request: Request, answer: Answer) -> None:
    answer.replace_with(request.memory.setdefault((request.token, request.body), answer))


@FAULTS.after("test_answer_does_not_depend_on_what_came_before")
def writer_is_forbidden_after_a_foreign_id_only(request: Request, answer: Answer) -> None:
    before, request.memory["id"] = request.memory.get("id"), request.id
    if before == request.ids["foreign"] and answer.status == 200:
        answer.refuse(403)


@FAULTS.before("test_requests_at_the_same_time_are_answered_as_alone")
async def two_at_a_time_fail(request: Request) -> Answer | None:
    if request.memory.get("busy"):
        return refused(500)
    request.memory["busy"] = True
    await asyncio.sleep(0.05)
    request.memory["busy"] = False
    return None


@FAULTS.before("test_requests_at_the_same_time_are_answered_as_alone")
async def ten_at_a_time_are_too_many_only(request: Request) -> Answer | None:
    request.memory["now"] = request.memory.get("now", 0) + 1
    await asyncio.sleep(0.01)
    request.memory["now"] -= 1
    return refused(500) if request.memory["now"] >= 10 else None


@FAULTS.before("test_unusual_value_answers_200 and name")
async def names_with_percent_signs_hang_only(request: Request) -> None:
    if "%" in request.text("name"):
        await asyncio.sleep(5)


@FAULTS.on_the_wire("test_every_response or test_unknown_id_answers_404")
def not_found_resets_the_connection(octets: bytes, transport: Any) -> None:
    if b" 404 " in octets:
        transport.abort()
    else:
        transport.write(octets)


FAULTS.changes_answer(
    "test_same_update_again_and_again_answers_200",
    200,
    fiftieth_same_update_fails_only=lambda request, answer: (
        _in_a_row(request) == 50 and answer.refuse(500)
    ),
)


def _in_a_row(request: Request) -> int:
    before, count = request.memory.get("row", (b"", 0))
    request.memory["row"] = request.body, count + 1 if before == request.body else 1
    return int(request.memory["row"][1])


@FAULTS.before("test_stranger_may_not_update")
def stranger_gets_in_at_the_twentieth_try_only(request: Request) -> None:
    if request.role == "stranger" and request.count("strange") % 20 == 0:
        request.as_user()


@FAULTS.before("test_answer_does_not_depend_on_what_came_before")
def reader_may_update_right_after_a_stranger_only(request: Request) -> None:
    before, request.memory["who"] = request.memory.get("who"), request.role
    if before == "stranger" and request.role == "reader":
        request.as_user()


@FAULTS.before("test_answer_does_not_depend_on_what_came_before")
def stranger_may_update_right_after_the_admin_only(request: Request) -> None:
    before, request.memory["who"] = request.memory.get("who"), request.role
    if before == "admin" and request.role == "stranger":
        request.as_user()

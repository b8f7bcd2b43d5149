"""Backends whose responses depend on earlier or concurrent requests."""

import asyncio

from tests.faults.changes import Condition, as_user, faults, on, reject, reply
from tests.faults.messages import Answer, Request, rejected


def token_is_remembered_for_the_connection(request: Request) -> None:
    user = request.memory.setdefault(request.connection, request.role)
    if user and not request.authorization:
        request.as_user(user)


def two_of_seventy_connections_are_reset(request: Request, answer: Answer) -> None:
    if request.count("reset") % 70 < 2:  # two, because the tests repeat a request after one reset
        answer.fault = "reset"


def every_fortieth_response_is_truncated(request: Request, answer: Answer) -> None:
    if request.count("truncated") % 40 == 0:
        answer.fault = "truncated"


def update_without_changes_returns_400(request: Request, answer: Answer) -> None:
    if answer.status == 200:
        known = request.memory.setdefault(request.id, {})
        if request.fields and request.fields.items() <= known.items():
            answer.reject(400)
        known.update(request.fields)


def _follows(first: str, second: str) -> Condition:
    """Match a request from user `second` that directly follows one from user `first`."""
    return lambda role, previous: (previous("role", role), role) == (first, second)


faults(
    "test_repeated_update_answers_200",
    two_of_seventy_connections_are_reset,
    update_without_changes_returns_400,
    every_fortieth_response_is_truncated,
    same_body_returns_409=reject(lambda fields, body, count: fields and count(body) == 2, 409),
    repeated_key_returns_418=reject(lambda key, count: key and count(key) > 1, 418),
    every_fiftieth_request_returns_500=reply(500, lambda count: count("any") % 50 == 0),
    connection_allows_fifty_requests=reply(400, lambda connection, count: count(connection) > 50),
)
faults(
    "test_first_request_answers_200",
    first_request_returns_500=reply(500, lambda count: count("any") == 1),
)
faults(
    "test_repeated_update_takes_effect_again",
    repeated_rename_is_skipped=reply(200, lambda name, id, count: name and count((name, id)) > 1),
)
faults(
    "test_valid_request_works_after_every_rejected_one",
    request_after_invalid_utf_8_returns_500=reject(
        lambda body, previous: b"\xff" in previous("body", body, b""), 500
    ),
)
faults(
    "test_answer_does_not_depend_on_earlier_requests",
    token_is_remembered_for_the_connection,
    eleventh_bad_token_returns_403=on(
        401, lambda count, answer: count("bad") > 10 and answer.reject(403)
    ),
    responses_are_cached_by_token_and_body=lambda token, body, memory, answer: answer.replace_with(
        memory.setdefault((token, body), answer)
    ),
    request_after_a_foreign_id_returns_403=reject(
        lambda id, ids, previous: (previous("id", id), id) == (ids["foreign"], ids["main"]), 403
    ),
    reader_can_update_after_a_writer=as_user(_follows("owner", "reader")),
    stranger_can_update_after_an_admin=as_user(_follows("admin", "stranger")),
    writer_cannot_update_after_an_admin=reply(403, _follows("admin", "owner")),
)


async def three_concurrent_requests_return_500(request: Request) -> Answer | None:
    request.memory["now"] = request.memory.get("now", 0) + 1
    await asyncio.sleep(0.05)
    request.memory["now"] -= 1
    return rejected(500) if request.memory["now"] >= 2 else None


async def concurrent_requests_share_the_token(request: Request) -> None:
    request.memory["user"] = request.authorization or request.memory.get("user", "")
    await asyncio.sleep(0.1)
    if request.memory["user"]:
        request.set_header("Authorization", request.memory["user"])


async def concurrent_requests_share_the_id(request: Request) -> None:
    request.memory["path"] = request.path
    await asyncio.sleep(0.1)
    request.path = request.memory["path"]


faults(
    "test_concurrent_requests_are_answered_as_if_sent_alone",
    three_concurrent_requests_return_500,
    concurrent_requests_share_the_token,
    concurrent_requests_share_the_id,
)

"""Backends whose responses depend on earlier or concurrent requests."""

import asyncio

from tests.faults.changes import Changes, Condition, as_user, reply
from tests.faults.messages import Answer, Request, refused

FAULTS = Changes()


def _follows(first: str, second: str) -> Condition:
    """Return a condition for a request from user `second` directly after one from user `first`."""
    return lambda request: (request.previous("role", request.role), request.role) == (first, second)


FAULTS.refuses(
    "test_repeated_update_answers_200",
    409,
    the_second_identical_update=lambda request: request.fields and request.count(request.body) == 2,
    a_repeated_key=lambda request: (
        "key" in request.names and request.count(str(request.fields["key"])) > 1
    ),
)
FAULTS.where(
    "test_repeated_update_answers_200",
    reply(500),
    hundredth_request_returns_500=lambda request: request.count("any") == 100,
    every_fiftieth_request_returns_500=lambda request: request.count("any") % 50 == 0,
)
FAULTS.where(
    "test_repeated_update_answers_200",
    reply(400),
    connection_is_limited_to_fifty_requests=lambda request: request.count(request.connection) > 50,
)
FAULTS.where(
    "test_member_may_update[WRITE]",
    reply(500, to="owner"),
    every_update_returns_500=lambda request: request.fields and request.method == "PUT",
)
FAULTS.where(
    "test_first_request_answers_200",
    reply(500),
    first_request_returns_500=lambda request: request.count("any") == 1,
)
FAULTS.where(
    "test_repeated_update_takes_effect_again",
    reply(200),
    repeated_renames_are_skipped=lambda request: (
        request.name and request.count((request.id, request.body)) > 1
    ),
)
FAULTS.changes_answer(
    "test_answer_does_not_depend_on_earlier_requests or test_near_token_answers_401",
    401,
    eleventh_bad_token_returns_403=lambda request, answer: (
        request.count("bad") > 10 and answer.refuse(403)
    ),
)
FAULTS.refuses(
    "test_valid_request_works_after_every_refused_one",
    500,
    requests_after_invalid_utf_8=lambda request: (
        b"\xff" in request.previous("body", request.body, b"")
    ),
)
FAULTS.changes_answer(
    "test_answer_does_not_depend_on_earlier_requests or test_valid_request_works",
    responses_are_cached_by_token_and_body=lambda request, answer: answer.replace_with(
        request.memory.setdefault((request.token, request.body), answer)
    ),
)
FAULTS.refuses(
    "test_answer_does_not_depend_on_earlier_requests",
    403,
    requests_after_a_foreign_id=lambda request: (
        request.previous("id", request.id) == request.ids["foreign"] and request.is_for("main")
    ),
)
FAULTS.where(
    "test_answer_does_not_depend_on_earlier_requests",
    as_user("owner"),
    reader_may_update_after_a_writer=_follows("owner", "reader"),
    stranger_may_update_after_an_admin=_follows("admin", "stranger"),
)
FAULTS.where(
    "test_answer_does_not_depend_on_earlier_requests",
    reply(403),
    writer_may_not_update_after_an_admin=_follows("admin", "owner"),
)
FAULTS.where(
    "test_stranger_may_not_update",
    as_user("owner"),
    every_twentieth_request_of_a_stranger_is_accepted=lambda request: (
        request.role == "stranger" and request.count("stranger") % 20 == 0
    ),
)


@FAULTS.before("test_concurrent_requests_are_answered_as_alone")
async def three_concurrent_requests_return_500(request: Request) -> Answer | None:
    request.memory["now"] = request.memory.get("now", 0) + 1
    await asyncio.sleep(0.02)
    request.memory["now"] -= 1
    return refused(500) if request.memory["now"] >= 2 else None


@FAULTS.before("test_concurrent_requests_are_answered_as_alone")
async def concurrent_requests_share_the_token(request: Request) -> None:
    request.memory["user"] = request.authorization or request.memory.get("user", "")
    await asyncio.sleep(0.05)
    if request.memory["user"]:
        request.set_header("Authorization", request.memory["user"])


@FAULTS.before("test_concurrent_requests_are_answered_as_alone or test_every_response")
async def concurrent_requests_share_the_id(request: Request) -> None:
    request.memory["path"] = request.path
    await asyncio.sleep(0.05)
    request.path = request.memory["path"]


@FAULTS.before("test_unusual_value_answers_200[name]")
async def names_with_percent_signs_cause_a_hang(request: Request) -> None:
    if "%" in request.name:
        await asyncio.sleep(5)


@FAULTS.after("test_every_response or test_unknown_id_answers_404")
def not_found_resets_the_connection(_: Request, answer: Answer) -> None:
    if answer.status == 404:
        answer.fault = "reset"

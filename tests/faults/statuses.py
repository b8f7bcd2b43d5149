"""Backends that answer with another status."""

from tests.faults.backend import Answer
from tests.faults.changes import Changes

FAULTS = Changes("status codes")

FAULTS.changes_answer(
    "test_member_may_update and WRITE or test_valid_body_answers_200",
    200,
    update_answers_202_for_secrets_only=lambda request, answer: (
        "secret" in request.names and answer.set_status(202)
    ),
)
FAULTS.changes_answer(
    "test_near_miss_answers_400 or test_invalid_body_answers_400",
    400,
    invalid_body_answers_422=lambda _, answer: answer.refuse(422),
    invalid_type_answers_422_only=lambda request, answer: (
        request.text("aiType") and answer.refuse(422)
    ),
    invalid_body_answers_500=lambda _, answer: answer.refuse(500),
    invalid_body_answers_200_without_success=lambda _, answer: answer.set_status(200),
)
FAULTS.changes_answer(
    "test_near_miss_answers_400 or test_invalid_body_answers_400",
    null_answers_500_only=lambda request, answer: (
        None in request.fields.values() and answer.refuse(500)
    ),
)
FAULTS.refuses(
    "test_media_type_counts_in_any_case",
    415,
    for_a_charset=lambda request: request.media_type != "application/json",
)
FAULTS.changes_answer(
    "test_unknown_id_answers_404 or test_every_response",
    404,
    unknown_answers_410=lambda _, answer: answer.refuse(410),
    unknown_answers_400=lambda _, answer: answer.refuse(400),
    unknown_answers_500_for_credentials_only=lambda request, answer: (
        "key" in request.names and answer.refuse(500)
    ),
)
FAULTS.changes_answer(
    "test_reader_may_not_update",
    403,
    forbidden_answers_404=lambda _, answer: answer.refuse(404),
)
FAULTS.changes_answer(
    "test_member_may_update and WRITE",
    200,
    update_answers_201=lambda _, answer: answer.set_status(201),
    update_answers_204=lambda _, answer: answer.replace_with(Answer(204, b"")),
    update_of_the_endpoint_redirects=lambda request, answer: (
        "endpoint" in request.names and answer.replace_with(Answer(303, b"", Location=request.path))
    ),
)
FAULTS.changes_answer(
    "test_member_may_update and WRITE",
    no_change_answers_304_only=lambda request, answer: (
        request.body == b"{}" and answer.replace_with(Answer(304, b""))
    ),
)
FAULTS.changes_answer(
    "test_member_may_update",
    200,
    update_of_the_sibling_answers_201_only=lambda request, answer: (
        request.is_for("sibling") and answer.set_status(201)
    ),
    update_in_chunks_answers_202_only=lambda request, answer: (
        request.is_chunked and answer.set_status(202)
    ),
    expectation_fails_only=lambda request, answer: (
        "expect" in request.headers and answer.refuse(500)
    ),
)
FAULTS.changes_answer(
    "test_every_response and statuses",
    403,
    forbidden_answers_451_only=lambda _, answer: answer.set_status(451),
)

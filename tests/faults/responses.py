"""Backends whose responses have the wrong status, headers or body."""

import json

from tests.faults.changes import Changes
from tests.faults.messages import Answer, Request
from tests.faults.validation import LARGEST_BODY

FAULTS = Changes()
FAULTS.changes_answer(
    "test_every_response[statuses]",
    403,
    forbidden_update_returns_451=lambda _, answer: answer.set_status(451),
)
FAULTS.changes_answer(
    "test_reader_may_not_update",
    403,
    forbidden_update_returns_404=lambda _, answer: answer.refuse(404),
)
FAULTS.changes_answer(
    "test_unknown_id_answers_404 or test_every_response",
    404,
    unknown_id_returns_410=lambda _, answer: answer.refuse(410),
    unknown_id_returns_400=lambda _, answer: answer.refuse(400),
)
FAULTS.changes_answer(
    "test_member_may_update",
    200,
    update_returns_204=lambda _, answer: answer.replace_with(Answer(204, b"")),
    endpoint_update_redirects=lambda request, answer: (
        request.endpoint and answer.replace_with(Answer(303, b"", Location=request.path))
    ),
    update_of_the_sibling_returns_201=lambda request, answer: (
        request.is_for("sibling") and answer.set_status(201)
    ),
    expect_header_returns_500=lambda request, answer: (
        request.header("Expect") and answer.refuse(500)
    ),
)
FAULTS.changes_answer(
    "test_member_may_update[WRITE] or test_every_response",
    response_has_no_media_type=lambda _, answer: answer.drop_header("Content-Type"),
    response_is_a_list=lambda _, answer: answer.set_body(b"[" + answer.body + b"]"),
    response_is_not_json=lambda _, answer: answer.set_body(answer.body.replace(b'"', b"'")),
    text_follows_the_json=lambda _, answer: answer.set_body(answer.body + b"\nOK"),
    response_is_utf_16=lambda _, answer: answer.set_body(answer.body.decode().encode("utf-16")),
)
FAULTS.changes_answer(
    "test_every_response[success-response] or test_every_response[error-response]",
    success_is_duplicated=lambda _, answer: answer.set_body(
        answer.body.replace(b"{", b'{"success": true, ', 1)
    ),
)
FAULTS.changes_answer(
    "test_member_may_update or test_reader_may_not_update",
    media_type_is_html_for_browsers=lambda request, answer: (
        "text/html" in request.header("Accept") and answer.set_header("Content-Type", "text/html")
    ),
    media_type_is_plain_text_for_curl=lambda request, answer: (
        "curl" in request.header("User-Agent") and answer.set_header("Content-Type", "text/plain")
    ),
)
FAULTS.changes_answer(
    "test_every_response[error-response]",
    400,
    success_is_true_in_400=lambda _, answer: answer.set_fields(success=True),
    message_is_a_list_in_400=lambda _, answer: answer.set_fields(message=["no"]),
    nan_is_in_400=lambda _, answer: answer.set_fields(row=float("nan")),
)
FAULTS.changes_answer(
    "test_every_response[error-response]",
    403,
    success_is_missing_in_403=lambda _, answer: answer.drop_field("success"),
    byte_order_mark_in_403=lambda _, answer: answer.set_body(b"\xef\xbb\xbf" + answer.body),
)
FAULTS.changes_answer(
    "test_every_response[error-response]",
    404,
    fields_are_wrapped_in_404=lambda _, answer: answer.set_body(
        json.dumps({"data": answer.fields}).encode()
    ),
    body_of_404_is_empty=lambda _, answer: answer.set_body(b""),
)
FAULTS.changes_answer(
    "test_body_over_the_limit_is_refused",
    media_type_is_html_for_an_oversized_body=lambda request, answer: (
        len(request.body) > LARGEST_BODY and answer.set_header("Content-Type", "text/html")
    ),
)
FAULTS.changes_answer(
    "test_every_response[internals]",
    400,
    stack_trace_in_400=lambda _, answer: answer.set_fields(
        stack='File "/srv/app/main.py", line 3, in put'
    ),
)
FAULTS.changes_answer(
    "test_every_response[internals]",
    404,
    sql_query_in_404=lambda _, answer: answer.set_fields(
        message="SELECT * FROM llm WHERE id = $1: no rows"
    ),
)
FAULTS.changes_answer(
    "test_every_response[success-response]",
    200,
    message_is_an_object_in_200=lambda _, answer: answer.set_fields(message={"en": "done"}),
    media_type_is_plain_text_in_200=lambda _, answer: answer.set_header(
        "Content-Type", "text/plain"
    ),
)
FAULTS.changes_answer(
    "test_every_response[success-fields]",
    200,
    success_is_one=lambda _, answer: answer.set_fields(success=1),
    success_is_false_in_200=lambda _, answer: answer.set_fields(success=False),
    id_is_missing_for_a_single_field=lambda request, answer: (
        len(request.fields) == 1 and answer.drop_field("aiLlmId")
    ),
)
FAULTS.changes_answer(
    "test_every_response[success-fields] or test_member_may_update",
    200,
    id_is_in_upper_case=lambda request, answer: answer.set_fields(aiLlmId=request.id.upper()),
    id_is_that_of_the_sibling=lambda request, answer: answer.set_fields(
        aiLlmId=request.ids["sibling"]
    ),
)
FAULTS.changes_answer(
    "test_percent_encoded_id_is_the_same",
    200,
    id_is_not_decoded=lambda request, answer: answer.set_fields(aiLlmId=request.path[8:]),
)


@FAULTS.after("test_member_may_update[WRITE]")
def response_is_truncated(request: Request, answer: Answer) -> None:
    if request.secret:
        answer.fault = "truncated"

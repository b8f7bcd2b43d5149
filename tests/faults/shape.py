"""Backends whose responses have the wrong body or headers."""

import json
from typing import Any

from tests.faults.backend import Answer
from tests.faults.changes import Changes

FAULTS = Changes("response shape")

FAULTS.changes_answer(
    "test_every_response and error-response",
    success_is_missing=lambda _, answer: answer.body and answer.drop_field("success"),
    answer_is_wrapped=lambda _, answer: answer.replace_with(
        Answer(answer.status, json.dumps({"data": answer.json}).encode())
    ),
)
FAULTS.changes_answer(
    "test_every_response and error-response",
    404,
    success_is_missing_in_404_only=lambda _, answer: answer.drop_field("success"),
    success_is_null_in_404_only=lambda _, answer: answer.set_fields(success=None),
    message_is_an_object_in_404_only=lambda _, answer: answer.set_fields(message={"en": "no"}),
    answer_of_404_is_empty_only=lambda _, answer: answer.replace_with(Answer(404, b"")),
)
FAULTS.changes_answer(
    "test_every_response and success-fields",
    200,
    success_is_a_string=lambda _, answer: answer.set_fields(success="true"),
    success_is_one=lambda _, answer: answer.set_fields(success=1),
    success_is_false_in_200=lambda _, answer: answer.set_fields(success=False),
    id_is_missing=lambda _, answer: answer.drop_field("aiLlmId"),
    id_is_missing_for_fields_alone_only=lambda request, answer: (
        len(request.fields) == 1 and answer.drop_field("aiLlmId")
    ),
)
FAULTS.changes_answer(
    "test_every_response and error-response",
    400,
    success_is_true_in_400_only=lambda _, answer: answer.set_fields(success=True),
    message_is_a_list_in_400_only=lambda _, answer: answer.set_fields(message=["no"]),
    answer_has_nan_in_400_only=lambda _, answer: answer.set_fields(row=float("nan")),
)
FAULTS.changes_answer(
    "test_every_response and error-response",
    403,
    success_is_missing_in_403_only=lambda _, answer: answer.drop_field("success"),
    answer_of_403_is_plain_text_only=lambda _, answer: answer.set_header(
        "Content-Type", "text/plain"
    ),
    answer_of_403_begins_with_a_mark_only=lambda _, answer: answer.replace_with(
        Answer(403, b"\xef\xbb\xbf" + answer.body)
    ),
)
FAULTS.changes_answer(
    "test_every_response and success-fields or test_member_may_update",
    200,
    id_is_named_id=lambda request, answer: answer.drop_field("aiLlmId").set_fields(id=request.id),
    id_is_in_upper_case=lambda request, answer: answer.set_fields(aiLlmId=request.id.upper()),
    id_is_the_siblings=lambda request, answer: answer.set_fields(aiLlmId=request.ids["sibling"]),
    id_is_a_number=lambda _, answer: answer.set_fields(aiLlmId=1),
    id_is_null_for_no_change_only=lambda request, answer: (
        request.body == b"{}" and answer.set_fields(aiLlmId=None)
    ),
    id_is_missing_for_admins_only=lambda request, answer: (
        request.role == "admin" and answer.drop_field("aiLlmId")
    ),
    id_is_missing_in_chunks_only=lambda request, answer: (
        request.is_chunked and answer.drop_field("aiLlmId")
    ),
    id_is_as_it_was_spelt_only=lambda request, answer: (
        "%" in request.path and answer.set_fields(aiLlmId=request.path.rpartition("/")[2])
    ),
)
FAULTS.changes_answer(
    "test_percent_encoded_id_is_the_same",
    200,
    id_is_not_decoded_only=lambda request, answer: answer.set_fields(aiLlmId=request.path[8:]),
)
FAULTS.changes_answer(
    "test_member_may_update and WRITE or test_every_response",
    message_is_a_number=lambda _, answer: answer.body and answer.set_fields(message=answer.status),
    answer_is_html=lambda _, answer: answer.set_header("Content-Type", "text/html"),
    answer_has_no_media_type=lambda _, answer: answer.drop_header("Content-Type"),
    answer_is_a_list=lambda _, answer: answer.replace_with(
        Answer(answer.status, json.dumps([answer.json]).encode())
    ),
    answer_is_no_json=lambda _, answer: answer.replace_with(
        Answer(answer.status, answer.body.replace(b'"', b"'"))
    ),
    answer_has_text_after_it=lambda _, answer: answer.replace_with(
        Answer(answer.status, answer.body + b"\nOK")
    ),
    answer_is_utf_16=lambda _, answer: answer.replace_with(
        Answer(answer.status, answer.body.decode().encode("utf-16"))
    ),
)
FAULTS.changes_answer(
    "test_every_response and (success-response or error-response)",
    success_is_there_twice=lambda _, answer: answer.replace_with(
        Answer(answer.status, answer.body.replace(b"{", b'{"success": true, ', 1))
    ),
)
FAULTS.changes_answer(
    "test_body_over_the_limit_is_refused",
    oversized_body_gets_a_page_only=lambda request, answer: (
        len(request.body) > 262144 and answer.set_header("Content-Type", "text/html")
    ),
)
FAULTS.changes_answer(
    "test_every_response and internals",
    400,
    trace_in_400_only=lambda _, answer: answer.set_fields(
        stack='File "/srv/app/main.py", line 3, in put'
    ),
)
FAULTS.changes_answer(
    "test_every_response and internals",
    404,
    query_in_404_only=lambda _, answer: answer.set_fields(
        message="SELECT * FROM llm WHERE id = $1: no rows"
    ),
)
FAULTS.changes_answer(
    "test_name_is_unique_in_its_workspace or test_every_response and internals",
    query_for_a_taken_name_only=lambda _, answer: (
        b"another" in answer.body
        and answer.set_fields(message="sqlite3.IntegrityError: UNIQUE constraint failed")
    ),
)


def _cut(octets: bytes, transport: Any) -> None:
    is_marked = b'"cut": true' in octets
    transport.write(octets[:-1] if is_marked else octets)
    if is_marked:
        transport.close()


FAULTS.add(
    "answer_is_cut",
    "test_member_may_update and WRITE",
    after=lambda request, answer: "secret" in request.names and answer.set_fields(cut=True),
    on_the_wire=_cut,
)


FAULTS.changes_answer(
    "test_member_may_update or test_reader_may_not_update",
    answer_for_browsers_is_a_page_only=lambda request, answer: (
        "text/html" in request.headers.get("accept", "")
        and answer.set_header("Content-Type", "text/html")
    ),
    answer_for_old_clients_is_plain_text_only=lambda request, answer: (
        "curl" in request.headers.get("user-agent", "")
        and answer.set_header("Content-Type", "text/plain")
    ),
)
FAULTS.changes_answer(
    "test_every_response and success-response",
    200,
    message_of_a_200_is_an_object_only=lambda _, answer: answer.set_fields(message={"en": "done"}),
    answer_of_a_200_is_plain_text_only=lambda _, answer: answer.set_header(
        "Content-Type", "text/plain"
    ),
)

"""Backends whose responses have the wrong status, headers or body."""

import json

from tests.faults.backend import Change
from tests.faults.changes import faults, on, reject, reply, set_header, when
from tests.faults.messages import RETRY_NOW, Answer, page


def show(message: str, status: int = 404) -> Change:
    return on(status, lambda answer: answer.set_fields(message=message))


faults(
    "test_every_response[statuses]",
    every_error_has_the_status_500=lambda answer: answer.status >= 400 and answer.set_status(500),
    forbidden_update_returns_451=on(403, lambda answer: answer.set_status(451)),
)
faults(
    "test_member_can_update",
    if_match_is_required=reply(412),
    id_is_in_upper_case=on(200, lambda id, answer: answer.set_fields(aiLlmId=id.upper())),
    sibling_id_is_returned=on(200, lambda ids, answer: answer.set_fields(aiLlmId=ids["sibling"])),
    media_type_is_html_for_browsers=lambda header, answer: (
        "text/html" in header("Accept") and answer.set_header("Content-Type", "text/html")
    ),
    media_type_is_plain_text_for_browsers=lambda header, answer: (
        "Mozilla" in header("User-Agent") and answer.set_header("Content-Type", "text/plain")
    ),
    response_has_no_media_type=lambda answer: answer.drop_header("Content-Type"),
    response_is_a_list=lambda answer: answer.set_body(b"[" + answer.body + b"]"),
    response_is_not_json=lambda answer: answer.set_body(answer.body.replace(b'"', b"'")),
    response_is_utf_16=lambda answer: answer.set_body(answer.body.decode().encode("utf-16")),
    endpoint_update_redirects=on(
        200,
        lambda endpoint, path, answer: (
            endpoint and answer.replace_with(Answer(303, b"", Location=path))
        ),
    ),
    update_of_the_sibling_returns_201=on(
        200, lambda is_for, answer: is_for("sibling") and answer.set_status(201)
    ),
    expect_header_returns_500=reject(lambda header: header("Expect"), 500),
)
faults(
    "test_every_response[error-response]",
    success_is_true_in_400=on(400, lambda answer: answer.set_fields(success=True)),
    message_is_a_list_in_400=on(400, lambda answer: answer.set_fields(message=["no"])),
    nan_is_in_400=on(400, lambda answer: answer.set_fields(row=float("nan"))),
    success_is_missing_in_403=on(403, lambda answer: answer.drop_field("success")),
    byte_order_mark_in_403=on(403, lambda answer: answer.set_body(b"\xef\xbb\xbf" + answer.body)),
    fields_are_wrapped_in_404=on(
        404, lambda answer: answer.set_body(json.dumps({"data": answer.fields}).encode())
    ),
    page_of_a_gateway_in_401=on(
        401, lambda answer: answer.replace_with(page(401, "<center>nginx</center>"))
    ),
    body_of_404_is_empty=on(404, lambda answer: answer.set_body(b"")),
)
faults(
    "test_every_response[internals]",
    database_query_in_200=show("UPDATE llm SET name = ? WHERE id = ?", 200),
    node_stack_trace_in_503=when(
        lambda count: count("any") % 20 == 19,
        lambda: page(503, "at Pool.acquire (/srv/app/pool.js:45:11)", **RETRY_NOW),
    ),
    python_stack_trace_in_404=show('File "/srv/app/main.py", line 3, in put'),
    dot_net_stack_trace_in_404=show("at Llm.Put(String id) in C:\\Llm.cs:line 3"),
    sql_query_in_404=show("SELECT *\nFROM llm\nWHERE id = $1: no rows"),
    file_path_in_a_header=set_header(404, "X-File", "/srv/a.py:3"),
    path_of_a_file_in_404=show("open /srv/backend/ai/llm/store.db: permission denied"),
    django_stack_trace_in_404=show("File &quot;/code/views.py&quot;, line 3, in put"),
    elixir_stack_trace_in_404=show("lib/llm.ex:12: Llm.put/2"),
    prisma_call_in_404=show("Invalid `prisma.aiLlm.update()` invocation"),
    mongodb_error_in_404=show("MongoServerError: E11000"),
    stack_of_an_error_in_404=on(404, lambda answer: answer.set_fields(stack=["Llm.put"])),
    lower_case_sql_query_in_404=show("select * from llm where id=?: no rows"),
)
faults(
    "test_every_response[success-response]",
    success_is_duplicated=lambda answer: answer.set_body(
        answer.body.replace(b"{", b'{"success": true, ', 1)
    ),
    every_error_has_the_status_200=lambda answer: answer.set_status(200),
    message_is_an_object_in_200=on(200, lambda answer: answer.set_fields(message={"en": "done"})),
    media_type_is_plain_text_in_200=set_header(200, "Content-Type", "text/plain"),
)
faults(
    "test_every_response[success-fields]",
    success_is_one=on(200, lambda answer: answer.set_fields(success=1)),
    success_is_false_in_200=on(200, lambda answer: answer.set_fields(success=False)),
    id_is_missing_for_a_single_field=on(
        200, lambda fields, answer: len(fields) == 1 and answer.drop_field("aiLlmId")
    ),
)


def response_is_truncated(secret: str, answer: Answer) -> None:
    if secret:
        answer.fault = "truncated"


faults("test_member_can_update[WRITE]", response_is_truncated)

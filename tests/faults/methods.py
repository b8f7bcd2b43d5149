"""Backends that update through other methods or paths."""

from tests.faults.backend import Answer, accepted, refused
from tests.faults.changes import Changes

FAULTS = Changes("methods")

FAULTS.changes_request(
    "test_other_method_answers_405",
    get_reads=lambda request: request.method == "GET" and accepted(request),
    head_is_answered=lambda request: request.method == "HEAD" and Answer(200, b""),
    post_updates=lambda request: request.method == "POST" and accepted(request),
    patch_updates=lambda request: request.method == "PATCH" and accepted(request),
    delete_deletes_only=lambda request: request.method == "DELETE" and Answer(204, b""),
    other_methods_are_not_found=lambda request: request.method != "PUT" and refused(404),
    options_allows_nothing=lambda request: request.method == "OPTIONS" and Answer(204, b""),
)
FAULTS.changes_answer(
    "test_other_method_answers_405",
    not_allowed_without_allow=lambda _, answer: (
        answer.status == 405 and answer.drop_header("Allow")
    ),
    not_allowed_but_post=lambda _, answer: (
        answer.status == 405 and answer.set_header("Allow", "PUT, POST")
    ),
    not_allowed_for_head_without_allow_only=lambda request, answer: (
        request.method == "HEAD" and answer.drop_header("Allow")
    ),
)
FAULTS.changes_request(
    "test_other_method or test_invalid_body",
    trace_echoes=lambda request: (
        request.method == "TRACE" and Answer(200, request.authorization.encode())
    ),
)
FAULTS.changes_request(
    "test_method_override_is_ignored",
    override_in_a_header=lambda request: (
        "x-http-method-override" in request.headers and accepted(request)
    ),
    override_in_the_query=lambda request: "_method=PUT" in request.query and accepted(request),
    override_to_delete_only=lambda request: (
        "DELETE" in request.headers.values() and Answer(204, b"")
    ),
)
FAULTS.changes_request(
    "test_neighbouring_path_is_no_door",
    path_with_a_slash=lambda request: request.path.endswith("/") and accepted(request),
    path_in_capitals=lambda request: request.path.startswith("/AI") and accepted(request),
    path_with_a_version_only=lambda request: request.path.startswith("/v1") and accepted(request),
    path_of_the_collection_fails=lambda request: request.path == "/ai/llm" and refused(500),
    path_with_two_slashes_only=lambda request: "llm//" in request.path and accepted(request),
)
FAULTS.changes_request(
    "test_unusual_method_is_no_update",
    unknown_method_fails_only=lambda request: request.method == "PROPFIND" and refused(500),
)
FAULTS.changes_request(
    "test_other_method_answers_405",
    delete_by_admins_only=lambda request: (
        request.method == "DELETE" and request.role == "admin" and Answer(204, b"")
    ),
    get_by_readers_only=lambda request: (
        request.method == "GET" and request.role == "reader" and accepted(request)
    ),
    get_without_a_token_only=lambda request: (
        request.method == "GET" and not request.role and accepted(request)
    ),
)

# ruff: noqa: D103 - the name says what is wrong
"""Backends that update through other methods or paths."""

from tests.faults.backend import Answer, Request, accepted, refused
from tests.faults.changes import Changes

FAULTS = Changes("methods")

FAULTS.changes_request(
    "test_other_method_answers_405",
    post_updates=lambda request: request.method == "POST" and accepted(request),
    patch_updates=lambda request: request.method == "PATCH" and accepted(request),
)
FAULTS.changes_answer(
    "test_other_method_answers_405",
    not_allowed_without_allow=lambda _, answer: (
        answer.status == 405 and answer.drop_header("Allow")
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
)
FAULTS.changes_request(
    "test_neighbouring_path_is_no_door",
    path_of_the_collection_fails=lambda request: request.path == "/ai/llm" and refused(500),
)
FAULTS.changes_request(
    "test_unusual_method_is_no_update",
    unknown_method_fails_only=lambda request: request.method == "PROPFIND" and refused(500),
)


def _update_by(request: Request, method: str) -> None:
    """Take a method for PUT."""
    if request.method == method:
        request.method = "PUT"


FAULTS.changes_request(
    "test_other_method",
    get_updates=lambda request: _update_by(request, "GET"),
    head_updates=lambda request: _update_by(request, "HEAD"),
    options_updates_only=lambda request: _update_by(request, "OPTIONS"),
    post_updates_in_deed=lambda request: _update_by(request, "POST"),
    patch_updates_in_deed=lambda request: _update_by(request, "PATCH"),
    post_by_readers_updates_only=lambda request: (
        request.method == "POST" and request.role == "reader" and accepted(request)
    ),
    get_fails_only=lambda request: request.method == "GET" and refused(500),
)
FAULTS.changes_request(
    "test_neighbouring_path",
    path_with_a_slash_needs_no_token=lambda request: (
        request.path.endswith("/") and accepted(request)
    ),
    path_in_capitals_needs_no_token=lambda request: (
        request.path.startswith("/AI") and accepted(request)
    ),
    path_with_a_version_needs_no_token_only=lambda request: (
        request.path.startswith("/v1") and accepted(request)
    ),
    path_with_two_slashes_needs_no_token_only=lambda request: (
        "llm//" in request.path and accepted(request)
    ),
)


@FAULTS.before("test_neighbouring_path")
def path_with_a_slash_lets_readers_update_only(request: Request) -> None:
    if request.path.endswith("/"):
        request.path = request.path.removesuffix("/")
        if request.role == "reader":
            request.as_user()

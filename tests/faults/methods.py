# ruff: noqa: D103 - the name says what is wrong
"""Backends that update through other methods or paths."""

from tests.faults.backend import Answer, Request
from tests.faults.changes import Changes

FAULTS = Changes("methods")

FAULTS.answers(
    "test_other_method_is_no_update",
    200,
    post_updates=lambda request: request.method == "POST",
    patch_updates=lambda request: request.method == "PATCH",
    post_by_readers_updates_only=lambda request: (
        request.method == "POST" and request.role == "reader"
    ),
)
FAULTS.changes_answer(
    "test_other_method_is_no_update",
    405,
    not_allowed_without_allow=lambda _, answer: answer.drop_header("Allow"),
)
FAULTS.changes_answer(
    "test_other_method_is_no_update",
    not_allowed_for_head_without_allow_only=lambda request, answer: (
        request.method == "HEAD" and answer.drop_header("Allow")
    ),
)
FAULTS.changes_request(
    "test_unusual_method_is_no_update",
    trace_echoes=lambda request: (
        request.method == "TRACE" and Answer(200, request.authorization.encode())
    ),
)
FAULTS.answers(
    "test_method_override_is_ignored",
    200,
    override_in_a_header=lambda request: "x-http-method-override" in request.headers,
    override_in_the_query=lambda request: "_method=PUT" in request.query,
)
FAULTS.answers(
    "test_nearby_path_has_the_same_checks",
    500,
    path_of_the_collection_fails=lambda request: request.path == "/ai/llm",
)
FAULTS.answers(
    "test_unusual_method_is_no_update",
    500,
    unknown_method_fails_only=lambda request: request.method == "PROPFIND",
)


def _update_by(request: Request, method: str) -> None:
    """Treat a method as PUT."""
    if request.method == method:
        request.method = "PUT"


FAULTS.changes_request(
    "test_other_method_does_not_rename",
    get_updates=lambda request: _update_by(request, "GET"),
    head_updates=lambda request: _update_by(request, "HEAD"),
    options_updates_only=lambda request: _update_by(request, "OPTIONS"),
)
FAULTS.changes_request(
    "test_other_method_is_no_update",
    post_updates_in_deed=lambda request: _update_by(request, "POST"),
    patch_updates_in_deed=lambda request: _update_by(request, "PATCH"),
)
FAULTS.answers(
    "test_other_method_is_no_update",
    500,
    get_fails_only=lambda request: request.method == "GET",
)
FAULTS.answers(
    "test_nearby_path_has_the_same_checks",
    200,
    path_with_a_slash_needs_no_token=lambda request: request.path.endswith("/"),
    path_in_capitals_needs_no_token=lambda request: request.path.startswith("/AI"),
    path_with_a_version_needs_no_token_only=lambda request: request.path.startswith("/v1"),
    path_with_two_slashes_needs_no_token_only=lambda request: "llm//" in request.path,
)


@FAULTS.before("test_nearby_path_has_the_same_checks")
def path_with_a_slash_lets_readers_update_only(request: Request) -> None:
    if request.path.endswith("/"):
        request.path = request.path.removesuffix("/")
        if request.role == "reader":
            request.as_user()

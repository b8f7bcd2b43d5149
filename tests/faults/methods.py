# ruff: noqa: D103 - the name says what is wrong
"""Backends that update through other methods or paths."""

from tests.faults.changes import Changes, reply
from tests.faults.messages import Answer, Request

FAULTS = Changes()


def _treat_as_put(request: Request) -> None:
    request.method = "PUT"


FAULTS.where(
    "test_other_method_does_not_rename",
    _treat_as_put,
    get_updates=lambda request: request.method == "GET",
    head_updates=lambda request: request.method == "HEAD",
    options_updates=lambda request: request.method == "OPTIONS",
)
FAULTS.where(
    "test_other_method_is_no_update",
    _treat_as_put,
    post_updates=lambda request: request.method == "POST",
    patch_updates=lambda request: request.method == "PATCH",
)
FAULTS.where(
    "test_other_method_is_no_update",
    reply(200),
    post_by_readers_updates=lambda request: request.method == "POST" and request.role == "reader",
)
FAULTS.where(
    "test_other_method_is_no_update",
    reply(500),
    get_fails=lambda request: request.method == "GET",
)
FAULTS.changes_answer(
    "test_other_method_is_no_update",
    405,
    head_gets_no_allow=lambda request, answer: (
        request.method == "HEAD" and answer.drop_header("Allow")
    ),
)
FAULTS.where(
    "test_unusual_method_is_no_update",
    lambda request: Answer(200, request.authorization.encode()),
    trace_echoes=lambda request: request.method == "TRACE",
)
FAULTS.where(
    "test_unusual_method_is_no_update",
    reply(500),
    unknown_method_fails=lambda request: request.method == "PROPFIND",
)
FAULTS.where(
    "test_method_override_is_ignored",
    reply(200),
    override_in_a_header=lambda request: request.header("X-HTTP-Method-Override"),
    override_in_the_query=lambda request: "_method=PUT" in request.query,
)
FAULTS.where(
    "test_nearby_path_has_the_same_checks",
    reply(500),
    path_of_the_collection_fails=lambda request: request.path == "/ai/llm",
)
FAULTS.where(
    "test_nearby_path_has_the_same_checks",
    reply(200),
    path_with_a_slash_needs_no_token=lambda request: request.path.endswith("/"),
    path_in_capitals_needs_no_token=lambda request: request.path.startswith("/AI"),
    path_with_a_version_needs_no_token=lambda request: request.path.startswith("/v1"),
    path_with_two_slashes_needs_no_token=lambda request: "llm//" in request.path,
)


@FAULTS.before("test_nearby_path_has_the_same_checks")
def path_with_a_slash_lets_readers_update(request: Request) -> None:
    if request.path.endswith("/"):
        request.path = request.path.removesuffix("/")
        if request.role == "reader":
            request.as_user()

"""Backends that mishandle methods other than PUT, or paths that resemble the endpoint's path."""

from tests.faults.changes import Changes, reply
from tests.faults.messages import Answer, Request

FAULTS = Changes()


def _treat_as_put(request: Request) -> None:
    request.method = "PUT"


FAULTS.where(
    "test_other_method_does_not_rename",
    _treat_as_put,
    get_performs_the_update=lambda request: request.method == "GET",
    options_performs_the_update=lambda request: request.method == "OPTIONS",
)
FAULTS.where(
    "test_other_method_is_no_update",
    _treat_as_put,
    post_performs_the_update=lambda request: request.method == "POST",
    patch_performs_the_update=lambda request: request.method == "PATCH",
)
FAULTS.where(
    "test_other_method_is_no_update",
    reply(200),
    post_by_a_reader_returns_200=lambda request: (
        request.method == "POST" and request.role == "reader"
    ),
)
FAULTS.where(
    "test_other_method_is_no_update",
    reply(500),
    get_returns_500=lambda request: request.method == "GET",
)
FAULTS.changes_answer(
    "test_other_method_is_no_update",
    405,
    head_response_has_no_allow=lambda request, answer: (
        request.method == "HEAD" and answer.drop_header("Allow")
    ),
)
FAULTS.where(
    "test_unusual_method_is_no_update",
    lambda request: Answer(200, request.authorization.encode()),
    trace_returns_the_token=lambda request: request.method == "TRACE",
)
FAULTS.where(
    "test_unusual_method_is_no_update",
    reply(500),
    unknown_method_returns_500=lambda request: request.method == "PROPFIND",
)
FAULTS.where(
    "test_method_override_is_ignored",
    reply(200),
    method_override_header_is_used=lambda request: request.header("X-HTTP-Method-Override"),
    method_override_in_the_query_is_used=lambda request: "_method=PUT" in request.query,
)
FAULTS.where(
    "test_nearby_path_has_the_same_checks",
    reply(500),
    collection_path_returns_500=lambda request: request.path == "/ai/llm",
)
FAULTS.where(
    "test_nearby_path_has_the_same_checks",
    reply(200),
    path_with_a_trailing_slash_needs_no_token=lambda request: request.path.endswith("/"),
    upper_case_path_needs_no_token=lambda request: request.path.startswith("/AI"),
    versioned_path_needs_no_token=lambda request: request.path.startswith("/v1"),
    path_with_a_double_slash_needs_no_token=lambda request: "llm//" in request.path,
)


@FAULTS.before("test_nearby_path_has_the_same_checks")
def readers_may_update_with_a_trailing_slash(request: Request) -> None:
    if request.path.endswith("/"):
        request.path = request.path.removesuffix("/")
        if request.role == "reader":
            request.as_user()

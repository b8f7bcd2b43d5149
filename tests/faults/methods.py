"""Backends that mishandle methods other than PUT, or paths that resemble the endpoint's path."""

from tests.faults.backend import Change
from tests.faults.changes import faults, on, reply, when
from tests.faults.messages import Answer, Request


def treat_as_put(method: str) -> Change:
    def change(request: Request) -> None:
        if request.method == method:
            request.method = "PUT"

    return change


def readers_can_update_with_a_trailing_slash(request: Request) -> None:
    if request.path.endswith("/"):
        request.path = request.path.removesuffix("/")
        if request.role == "reader":
            request.as_user("owner")


faults(
    "test_other_method_renames_nothing",
    get_performs_the_update=treat_as_put("GET"),
    options_performs_the_update=treat_as_put("OPTIONS"),
    get_resets_the_name=on(
        405, lambda method, is_for, rename: method == "GET" and is_for("main") and rename("unnamed")
    ),
)
faults(
    "test_other_method_updates_nothing",
    post_performs_the_update=treat_as_put("POST"),
    patch_performs_the_update=treat_as_put("PATCH"),
    merge_patch_performs_the_update=reply(
        200, lambda method, media_type: method == "PATCH" and "merge-patch" in media_type
    ),
    reader_may_post=reply(200, lambda method, role: method == "POST" and role == "reader"),
    every_method_returns_200=reply(200, lambda method: method != "PUT"),
    get_returns_500=reply(500, lambda method: method == "GET"),
    head_response_has_no_allow=on(
        405, lambda method, answer: method == "HEAD" and answer.drop_header("Allow")
    ),
)
faults(
    "test_unusual_method_updates_nothing",
    trace_returns_the_token=when(
        lambda method: method == "TRACE",
        lambda authorization: Answer(200, authorization.encode()),
    ),
    unknown_method_performs_the_update=treat_as_put("QUERY"),
    unknown_method_returns_500=reply(500, lambda method: method == "PROPFIND"),
)
faults(
    "test_method_override_is_ignored",
    method_override_header_is_used=reply(200, lambda header: header("X-HTTP-Method-Override")),
    method_override_in_the_body_is_used=reply(
        200, lambda method, text: method == "POST" and text("_method") == "PUT"
    ),
    method_override_in_the_query_is_used=reply(200, lambda query: "_method=PUT" in query),
)
faults(
    "test_similar_path_gets_the_same_checks",
    readers_can_update_with_a_trailing_slash,
    collection_path_returns_500=reply(500, lambda path: path == "/ai/llm"),
    upper_case_path_needs_no_token=reply(200, lambda path: path.startswith("/AI")),
    versioned_path_needs_no_token=reply(200, lambda path: path.startswith("/v1")),
    versioned_path_returns_xml=when(
        lambda path: path.startswith("/v1"),
        lambda: Answer(200, b"<updated/>").set_header("Content-Type", "application/xml"),
    ),
    path_with_a_double_slash_needs_no_token=reply(200, lambda path: "llm//" in path),
    id_in_upper_case_needs_no_token=reply(200, lambda id: id != id.lower()),
    percent_encoded_path_needs_no_token=reply(200, lambda path: path.startswith("/ai/%6C")),
    path_with_dot_segments_needs_no_token=reply(200, lambda path: "/../" in path),
)

# ruff: noqa: D103 - the name says what the cause is
"""A correct backend with one cause injected: `test_causes.py` says which clause each breaks."""

import json
import re
import uuid
from typing import Any

from tests.faults.backend import Answer, Request, refused
from tests.faults.changes import Changes

CAUSES = Changes("single causes")
OPEN = Changes("left open")  # by the contract, so that none is a finding
FIELDS = {"name", "aiType", "endpoint", "key", "secret"}
LARGEST_BODY = 262144


@CAUSES.after()
def no_challenge(_: Request, answer: Answer) -> None:
    answer.drop_header("WWW-Authenticate")


@CAUSES.after()
def malformed_json_answers_500(request: Request, answer: Answer) -> None:
    if answer.status == 400 and request.body and not _is_json(request.body):
        answer.replace_with(refused(500))


def _is_json(body: bytes) -> bool:
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return False
    return True


@OPEN.after()
def other_media_types_answer_415(request: Request, answer: Answer) -> None:
    is_json = request.media_type.partition(";")[0].strip().lower() == "application/json"
    if answer.status in (400, 415) and not is_json:
        answer.replace_with(refused(415))


@OPEN.after()
def large_bodies_answer_413(request: Request, answer: Answer) -> None:
    if answer.status in (400, 413) and len(request.body) > LARGEST_BODY:
        answer.replace_with(refused(413))


@CAUSES.before()
def readers_may_update(request: Request) -> None:
    if request.role == "reader" and request.id != request.ids["foreign"]:
        request.as_user("owner")


@CAUSES.before()
def names_are_not_unique(request: Request) -> None:
    if re.fullmatch(r"[^\x00-\x1f\x7f-\x9f]{1,255}", request.text("name")):
        request.set_fields({**request.fields, "name": str(uuid.uuid4())})


@CAUSES.before()
def empty_names_are_ignored(request: Request) -> None:
    _drop_fields(request, lambda name, value: name == "name" and value == "")


@CAUSES.before()
def unknown_fields_are_ignored(request: Request) -> None:
    _drop_fields(request, lambda name, _: name not in FIELDS)


def _drop_fields(request: Request, is_dropped: Any) -> None:
    fields = request.fields
    kept = {name: value for name, value in fields.items() if not is_dropped(name, value)}
    if kept != fields:
        request.set_fields(kept)


@CAUSES.before()
def an_empty_body_changes_nothing(request: Request) -> None:
    if request.method == "PUT" and not request.body:
        request.set_body(b"{}")


@OPEN.before()
def a_trailing_slash_is_ignored(request: Request) -> None:
    request.path = request.path.removesuffix("/")


@OPEN.before()
def the_path_counts_in_any_case(request: Request) -> None:
    head, slash, id = request.path.rpartition("/")
    request.path = head.lower() + slash + id

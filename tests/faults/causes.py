# ruff: noqa: D103 - the name says what the cause is
"""Single causes of findings: `test_causes.py` says which clause each breaks."""

import re
import uuid
from typing import Any

from tests.faults.backend import Answer, Request
from tests.faults.changes import Changes, together

CAUSES = Changes("single causes")
FIELDS = {"name", "aiType", "endpoint", "key", "secret"}


@CAUSES.after()
def no_challenge(_: Request, answer: Answer) -> None:
    answer.drop_header("WWW-Authenticate")


@CAUSES.after()
def malformed_json_answers_500(request: Request, answer: Answer) -> None:
    if answer.status == 400 and request.body and not request.is_json:
        answer.refuse(500)


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


# Causes of different clauses are one backend, since a whole run takes seconds.
TOGETHER: list[tuple[str, ...]] = [
    ("no_challenge", "empty_names_are_ignored", "an_empty_body_changes_nothing"),
    ("malformed_json_answers_500", "readers_may_update", "unknown_fields_are_ignored"),
    ("names_are_not_unique",),
]
BACKENDS = {
    names: together("-".join(names), [CAUSES[name] for name in names]) for names in TOGETHER
}

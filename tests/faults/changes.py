"""Functions that define faults or return changes for a mock."""

from typing import NamedTuple

from tests.faults.backend import Change, call
from tests.faults.messages import Answer, Request, accepted, rejected

# A function with the same parameters as a `Change`. It returns whether to apply the change.
Condition = Change


class Fault(NamedTuple):
    """A change that breaks at least one promise whose name starts with the value of `promises`."""

    change: Change
    promises: str


FAULTS: dict[str, Fault] = {}


def faults(promises: str, *functions: Change, **changes: Change) -> None:
    """Define one fault for each change, named after the function or keyword argument.

    Each fault breaks at least one promise whose name starts with `promises`.
    """
    for function in functions:
        changes[function.__name__] = function
    for name, change in changes.items():
        assert name not in FAULTS, f"{name} is defined twice"
        FAULTS[name] = Fault(change, promises)


def when(condition: Condition, change: Change) -> Change:
    """Apply a change to requests that match the condition."""
    return lambda request: call(condition, request) and call(change, request)


def as_user(condition: Condition, role: str = "owner") -> Change:
    """Treat requests that match the condition as requests from the user with this role."""
    return when(condition, lambda request: request.as_user(role))


def promote(role: str, condition: Condition = lambda: True) -> Change:
    """Give the user with this role the owner's permissions."""
    change = as_user(condition)
    return lambda request: request.role == role and call(change, request)


def for_id(condition: Condition, role: str = "main") -> Change:
    return when(condition, lambda request: request.for_id(request.ids[role]))


def drop_name(condition: Condition) -> Change:
    return when(condition, lambda request: request.drop_field("name"))


def ignore_body(condition: Condition) -> Change:
    return when(condition, lambda request: request.set_body(b"{}"))


def reply(status: int, condition: Condition = lambda: True) -> Change:
    """Respond with this status instead of passing the request to the mock."""
    return when(condition, lambda request: accepted(request) if status == 200 else rejected(status))


def on(status: int, change: Change) -> Change:
    """Apply a change to responses with this status."""
    return lambda request, answer: answer.status == status and call(change, request)


def set_header(status: int, name: str, value: str) -> Change:
    """Set a header of responses with this status."""
    return on(status, lambda answer: answer.set_header(name, value))


def accept(condition: Condition) -> Change:
    """Return 200 for invalid requests that match the condition."""

    def change(request: Request, answer: Answer) -> None:
        if answer.status in (400, 404, 413, 415) and call(condition, request):
            answer.replace_with(accepted(request))

    return change


def reject(condition: Condition, status: int = 400) -> Change:
    """Return this status for requests that match the condition, unless they get a 401 or 405."""

    def change(request: Request, answer: Answer) -> None:
        if answer.status not in (401, 405) and call(condition, request):
            answer.reject(status)

    return change

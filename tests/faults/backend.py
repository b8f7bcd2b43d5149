"""Serve a mock with changes, which are functions that modify its requests or responses.

A change's parameter names determine its arguments: `request` is the whole request, `answer` is the
mock's response, and any other name, such as `token`, is an attribute of the request. A change with
an `answer` parameter modifies the response. Any other change modifies the request, or returns a
response that replaces the mock's. A change can be async.
"""

import inspect
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import cache
from typing import Any

import flashback_mock
from flashback_mock.http import messages
from tests.faults.messages import Answer, Request

Change = Callable[..., Any]


@cache
def contract() -> flashback_mock.Contract:
    """Return the contract, which is cached because parsing it takes a tenth of a second."""
    return flashback_mock.Contract()


def max_length(field: str) -> int:
    """Return the maximum length of a field's value, in characters."""
    return int(contract().fields[field]["maxLength"])


def call(function: Change, request: Request, answer: Answer | None = None) -> Any:
    """Call a function, and choose each argument by the name of its parameter."""
    arguments: list[object] = []
    for name in inspect.signature(function).parameters:
        if name == "answer":
            arguments.append(answer)
        else:
            arguments.append(request if name == "request" else getattr(request, name))
    return function(*arguments)


async def apply(changes: list[Change], request: Request, answer: Answer | None) -> Answer | None:
    """Apply the changes in order until one of them returns a new answer.

    Return that answer, or the original one if no change returns an answer.
    """
    for change in changes:
        changed = call(change, request, answer)
        if inspect.isawaitable(changed):
            changed = await changed
        if not answer and isinstance(changed, Answer):
            return changed
    return answer


@contextmanager
def serving(*changes: Change) -> Generator[flashback_mock.Mock]:
    """Yield a mock with these changes. On exit, raise the first exception that a change raised."""
    before: list[Change] = []
    after: list[Change] = []
    for change in changes:
        if "answer" in inspect.signature(change).parameters:
            after.append(change)
        else:
            before.append(change)
    memory: dict[object, Any] = {}
    errors: list[Exception] = []

    def wrap(handler: messages.Handler) -> messages.Handler:
        async def respond(received: messages.Request) -> messages.Answer:
            request = Request(received, mock, memory)
            try:
                answer = await apply(before, request, None)
                if not answer:
                    original = await handler(request.for_mock())
                    answer = Answer(original.status, original.body)
                    answer.headers = original.headers
                await apply(after, request, answer)
            except Exception as error:
                errors.append(error)
                raise
            answer.drop_header("Content-Length")
            return messages.Answer(answer.status, answer.body, answer.headers, fault=answer.fault)

        return respond

    with flashback_mock.running(contract(), wrap=wrap) as mock:
        yield mock
    if errors:
        raise errors[0]

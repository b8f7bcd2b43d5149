"""Serve a mock with changes. A change is a function that modifies a request or a response.

The parameters of the function are named after the request's attributes, such as `token`; `request`
is the request itself. A change with the parameter `answer` modifies the mock's response. Any other
change modifies the request, or returns a response that replaces the mock's. A change can be async.
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


@cache
def parameters_of(function: Change) -> tuple[str, ...]:
    """Return the names of a function's parameters."""
    return tuple(inspect.signature(function).parameters)


def call(function: Change, request: Request) -> Any:
    """Call a function, passing the request attribute of the same name for each parameter."""
    return function(*[getattr(request, name) for name in parameters_of(function)])


async def apply(change: Change, request: Request) -> object:
    """Apply a change, and return its result."""
    changed = call(change, request)
    return await changed if inspect.isawaitable(changed) else changed


@contextmanager
def serving(*changes: Change) -> Generator[flashback_mock.Mock]:
    """Yield a mock with these changes. On exit, raise the first exception that a change raised."""
    after = [change for change in changes if "answer" in parameters_of(change)]
    before = [change for change in changes if change not in after]
    memory: dict[object, Any] = {}
    errors: list[Exception] = []

    with flashback_mock.running(contract()) as mock:
        handler = mock.server.handler

        async def answer(request: Request) -> Answer:
            for change in before:
                changed = await apply(change, request)
                if isinstance(changed, Answer):
                    return changed
            original = await handler(request.for_mock())
            answer = Answer(original.status, original.body)
            answer.headers = original.headers
            return answer

        async def respond(received: messages.Request) -> messages.Answer:
            request = Request(received, mock, memory)
            try:
                request.answer = await answer(request)
                for change in after:
                    await apply(change, request)
            except Exception as error:
                errors.append(error)
                raise
            return request.answer.drop_header("Content-Length")

        mock.server.handler = respond
        mock.server.max_body = 1 << 26  # some faulty backends accept bodies that are too large
        yield mock
    if errors:
        raise errors[0]

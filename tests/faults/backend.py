"""Serve the mock with a change to its requests or responses."""

import inspect
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import flashback_mock
from flashback_mock.http import messages
from tests.faults.messages import Answer, Request

# Functions of either type can be async.
# If a `Before` function returns an `Answer`, the request does not reach the mock.
Before = Callable[[Request], Any]
After = Callable[[Request, Answer], Any]


@dataclass(frozen=True)
class Change:
    """A change to the behavior of the mock.

    `promises` contains the names of promises, separated by ` or `. The change must break at least
    one of them. A name can omit the test parameter in brackets.
    """

    before: Before | None = None  # modifies the request or responds to it
    after: After | None = None  # modifies the response
    promises: str = ""


class _ChangeMiddleware:
    """Middleware that applies a change to the mock's requests and responses."""

    mock: flashback_mock.Mock  # set once the mock has started

    def __init__(self, change: Change) -> None:
        self._change = change
        self._memory: dict[object, Any] = {}

    def wrap(self, handler: messages.Handler) -> messages.Handler:
        """Return a handler that applies the change before and after it calls `handler`."""

        async def handle_with_change(received: messages.Request) -> messages.Answer:
            request = Request(received, self.mock, self._memory)
            answer = None
            if self._change.before:
                answer = await await_if_needed(self._change.before(request))
            if not isinstance(answer, Answer):
                original = await handler(request.for_mock())
                answer = Answer(original.status, original.body)
                answer.headers = original.headers
            if self._change.after:
                await await_if_needed(self._change.after(request, answer))
            answer.drop_header("Content-Length")
            return messages.Answer(answer.status, answer.body, answer.headers, fault=answer.fault)

        return handle_with_change


async def await_if_needed(value: Any) -> Any:
    """Return the value, awaiting it first if it is awaitable."""
    return await value if inspect.isawaitable(value) else value


@cache
def contract() -> flashback_mock.Contract:
    """Return the contract, which is cached because parsing it takes a tenth of a second."""
    return flashback_mock.Contract()


@contextmanager
def serving(change: Change) -> Generator[flashback_mock.Mock]:
    """Serve a fresh mock with this change on a free loopback port, and yield the mock."""
    middleware = _ChangeMiddleware(change)
    with flashback_mock.running(contract(), wrap=middleware.wrap) as mock:
        middleware.mock = mock
        yield mock

"""Serve a mock that has a fault: a change to the requests or responses."""

import inspect
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import flashback_mock
from flashback_mock.http import messages
from tests.faults.messages import Answer, Request

# These functions can be async. If `Before` returns an `Answer`, the mock gets no request.
Before = Callable[[Request], Any]
After = Callable[[Request, Answer], Any]


@dataclass(frozen=True)
class Change:
    """A change to the mock's behavior.

    `promises` is a `-k` expression; the change must break at least one of the selected promises.
    """

    before: Before | None = None  # modifies the request, or responds in place of the mock
    after: After | None = None  # modifies the response
    promises: str = ""


class _ChangeMiddleware:
    mock: flashback_mock.Mock  # set after the mock has started

    def __init__(self, change: Change) -> None:
        self._change = change
        self._memory: dict[object, Any] = {}

    def wrap(self, handler: messages.Handler) -> messages.Handler:
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
    return await value if inspect.isawaitable(value) else value


@cache
def contract() -> flashback_mock.Contract:
    """Return the contract, which is cached because parsing it takes a tenth of a second."""
    return flashback_mock.Contract()


@contextmanager
def serving(change: Change) -> Generator[flashback_mock.Mock]:
    middleware = _ChangeMiddleware(change)
    with flashback_mock.running(contract(), wrap=middleware.wrap) as mock:
        middleware.mock = mock
        yield mock

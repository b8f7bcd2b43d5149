"""The mock with a change around it: the only module that knows how the mock serves."""

import inspect
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import flashback_mock
from flashback_mock.http import messages
from tests.faults.messages import Answer, Request
from tests.faults.relay import OnTheWire, relay

Before = Callable[[Request], Any]  # returns an `Answer` to replace the mock's; may be async
After = Callable[[Request, Answer], Any]  # may be async


@dataclass(frozen=True)
class Change:
    """The difference between a backend and the mock."""

    before: Before | None = None  # changes the request, or answers it
    after: After | None = None  # changes the response
    on_the_wire: OnTheWire | None = None  # changes the bytes of the response


class _ChangedApp:
    """The mock's request handler with a change around it."""

    mock: flashback_mock.Mock  # set once the mock serves

    def __init__(self, change: Change) -> None:
        self._change = change
        self._memory: dict[object, Any] = {}

    def wrap(self, handler: messages.Handler) -> messages.Handler:
        """Return a handler that makes the change before and after the mock's handler."""

        async def changed(received: messages.Request) -> messages.Answer:
            request = Request(received, self.mock, self._memory)
            answer = await result(self._change.before(request)) if self._change.before else None
            if not isinstance(answer, Answer):
                original = await handler(request.changed())
                answer = Answer(original.status, original.body)
                answer.headers = original.headers
            if self._change.after:
                await result(self._change.after(request, answer))
            answer.drop_header("Content-Length")
            close = bool(received.incomplete)
            return messages.Answer(answer.status, answer.body, answer.headers, close=close)

        return changed


async def result(value: Any) -> Any:
    """Return the result of a function or of an async function."""
    return await value if inspect.isawaitable(value) else value


@cache
def contract() -> flashback_mock.Contract:
    """Return the contract, which takes a tenth of a second to read."""
    return flashback_mock.Contract()


@contextmanager
def serving(change: Change) -> Generator[flashback_mock.Mock]:
    """Serve a fresh mock with the change around it, on a free loopback port."""
    app = _ChangedApp(change)
    with ExitStack() as stack:
        app.mock = mock = stack.enter_context(flashback_mock.running(contract(), wrap=app.wrap))
        if change.on_the_wire:
            mock.base_url = stack.enter_context(relay(mock.base_url, change.on_the_wire))
        yield mock

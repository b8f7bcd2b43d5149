"""The two clients without operations: each closes its connections, and loops over `retry.steps`."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Self, TypeVar, cast

from .base import BaseClient
from .calls import Call, Response
from .deadlines import LimitPassedError
from .exchange import error_to_raise, outcome_of, send, send_async
from .http import httpx
from .retry import AskToken, Attempt, Outcome
from .secrets import Secret
from .settings import checked_token
from .transport import AsyncTransport, BlockingTransport, tls_context

P = TypeVar("P")


class Client(BaseClient[httpx.Client, httpx.BaseTransport]):
    """A blocking client, for any number of threads."""

    _client_type = httpx.Client
    _transport_type = httpx.BaseTransport
    _pool_type = BlockingTransport

    def _warm_up(self) -> None:
        self._connections.get(self._settings.route)  # now, so that threads share the pool

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; a call from now on is an error."""
        self._is_closed = True
        if self._is_derived:
            return
        for http in self._connections.close():
            if isinstance(http, httpx.BaseTransport):
                http.close()

    def send(self, call: Call[Any, P]) -> Response[P]:
        """Return the response to a call that a function module prepared, of any status."""
        steps = self._start(call)
        answer: Secret | Outcome | None = None
        while True:
            try:
                step = steps.send(answer)
            except StopIteration as finished:
                return cast("Response[P]", finished.value)
            if isinstance(step, Attempt):
                answer = self._attempt(call, step)
            elif isinstance(step, AskToken):
                answer = self._current_token()
            else:
                time.sleep(step.seconds)
                answer = None

    def _current_token(self) -> Secret:
        token = self._settings.token
        if isinstance(token, Secret):
            return token
        return cast("Secret", checked_token(token(), self._service))

    def _attempt(self, call: Call[Any, Any], attempt: Attempt) -> Outcome:
        try:
            http = self._connections.get(self._settings.route)
            return send(http, call, self._settings, attempt)
        except BaseException as raised:  # noqa: BLE001 - raised again, or what it means
            error = raised
        outcome = outcome_of(error, call, attempt, closed=self._connections.closed)
        if outcome is None:
            raise error_to_raise(error)
        return outcome


class AsyncClient(BaseClient[httpx.AsyncClient, httpx.AsyncBaseTransport]):
    """A client for asyncio, for any number of tasks and event loops.

    The token function may return an awaitable.
    """

    _client_type = httpx.AsyncClient
    _transport_type = httpx.AsyncBaseTransport
    _pool_type = AsyncTransport

    def _warm_up(self) -> None:
        from . import tasks  # noqa: PLC0415 - imports asyncio and anyio

        self._tasks = tasks
        if self._settings.route.is_tls:
            tls_context()  # now, since making it would block the event loop

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections of this loop; a call from now on is an error."""
        self._is_closed = True
        if self._is_derived:
            return
        for http in self._connections.close(self._tasks.running_loop()):
            if isinstance(http, httpx.AsyncBaseTransport):
                await http.aclose()

    async def send(self, call: Call[Any, P]) -> Response[P]:
        """Return the response to a call that a function module prepared, of any status."""
        steps = self._start(call)
        answer: Secret | Outcome | None = None
        while True:
            try:
                step = steps.send(answer)
            except StopIteration as finished:
                return cast("Response[P]", finished.value)
            if isinstance(step, Attempt):
                answer = await self._attempt(call, step)
            elif isinstance(step, AskToken):
                answer = await self._current_token(step)
            else:
                await self._tasks.sleep(step.seconds)
                answer = None

    async def _current_token(self, step: AskToken) -> Secret | None:
        """Return the token as it is now; None if its function takes longer than the call may."""
        token = self._settings.token
        if isinstance(token, Secret):
            return token
        try:
            value = await self._tasks.run_contained(partial(_called, token), step.ends_at)
        except LimitPassedError:
            return None
        return cast("Secret", checked_token(value, self._service))

    async def _attempt(self, call: Call[Any, Any], attempt: Attempt) -> Outcome:
        loop = self._tasks.running_loop()
        try:
            http = self._connections.get(self._settings.route, loop)
            exchange = partial(send_async, http, call, self._settings, attempt)
            return await self._tasks.run_contained(exchange, attempt.ends_at)
        except BaseException as raised:  # noqa: BLE001 - raised again, or what it means
            error = raised
        outcome = outcome_of(error, call, attempt, closed=self._connections.closed)
        if outcome is None:
            raise error_to_raise(error)
        return outcome


async def _called(function: Callable[[], Any]) -> object:
    """Return what a token function returns, or what comes of awaiting it."""
    value: object = function()
    return await cast("Awaitable[object]", value) if isinstance(value, Awaitable) else value

"""The two clients without operations: connections, and the loop over `retry.steps`."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Self, TypeVar, cast

from .base import BaseClient, check_given, is_portable
from .calls import Call, Response
from .connections import Connections
from .deadlines import LimitPassedError
from .exchange import AsyncHttp, BlockingHttp, error_to_raise, outcome_of, send, send_async
from .http import httpx
from .retry import AskToken, Attempt, Outcome
from .secrets import Secret, box
from .settings import boxed_headers, checked_token
from .transport import AsyncTransport, BlockingTransport, tls_context

P = TypeVar("P")


class Client(BaseClient):
    """A blocking client of a service, for any number of threads.

    Args:
        token: the access token, or a function that returns it, called for every call and once
            more after a 401. Default: the environment variable.
        base_url: where the service is. Default: the environment variable, else the contract's.
        timeout: seconds for a whole call, retries included; None for no limit.
        attempt_timeout: seconds for one attempt. Default: half of the time left while a retry is.
        max_retries: retries after lost connections, 408, 429 and 5xx.
        headers: sent with every request.
        allow_http: accept an http:// address that is not loopback, which shows the token to the
            network. Default: the environment variable.
        http_client: an httpx client to use; its settings are yours, and so is closing it.
        transport: an httpx transport to use.

    """

    def __init__(
        self,
        token: str | Secret | Callable[[], str | Secret] | None = None,
        *,
        base_url: str | None = None,
        timeout: float | None = 30.0,
        attempt_timeout: float | None = None,
        max_retries: int = 2,
        headers: Mapping[str, str | Secret] | None = None,
        allow_http: bool | None = None,
        http_client: httpx.Client | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """Validate the settings; raise ArgumentError."""
        if token is not None and not callable(token):
            token = box(token)
        if headers is not None:
            headers = boxed_headers(headers)
        check_given(http_client, httpx.Client, transport, httpx.BaseTransport)
        self._settings = self._validated(
            token=token,
            base_url=base_url,
            timeout=timeout,
            attempt_timeout=attempt_timeout,
            max_retries=max_retries,
            headers=headers,
            allow_http=allow_http,
            given=http_client,
        )
        self._connections: Connections[BlockingHttp] = Connections(
            http_client or transport, is_portable=is_portable(transport), new=BlockingTransport
        )
        self._connections.get(self._settings.route)  # now, so that threads share it

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
        return checked_token(box(cast("str", token())), self._service)

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


class AsyncClient(BaseClient):
    """The same for asyncio: any number of tasks and event loops. Arguments: see Client.

    The token function may return an awaitable.
    """

    def __init__(
        self,
        token: str | Secret | Callable[[], str | Secret | Awaitable[str | Secret]] | None = None,
        *,
        base_url: str | None = None,
        timeout: float | None = 30.0,
        attempt_timeout: float | None = None,
        max_retries: int = 2,
        headers: Mapping[str, str | Secret] | None = None,
        allow_http: bool | None = None,
        http_client: httpx.AsyncClient | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Validate the settings; raise ArgumentError."""
        from . import tasks  # noqa: PLC0415 - imports asyncio and anyio

        if token is not None and not callable(token):
            token = box(token)
        if headers is not None:
            headers = boxed_headers(headers)
        check_given(http_client, httpx.AsyncClient, transport, httpx.AsyncBaseTransport)
        self._tasks = tasks
        self._settings = self._validated(
            token=token,
            base_url=base_url,
            timeout=timeout,
            attempt_timeout=attempt_timeout,
            max_retries=max_retries,
            headers=headers,
            allow_http=allow_http,
            given=http_client,
        )
        if self._settings.route.is_tls:
            tls_context()  # now, since making it would block the event loop
        self._connections: Connections[AsyncHttp] = Connections(
            http_client or transport, is_portable=is_portable(transport), new=AsyncTransport
        )

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
        return checked_token(value, self._service)

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


async def _called(function: Callable[[], Any]) -> Secret:
    """Return what a token function returns, or what comes of awaiting it."""
    value: object = function()
    if isinstance(value, Awaitable):
        value = await cast("Awaitable[object]", value)
    return box(cast("str", value))

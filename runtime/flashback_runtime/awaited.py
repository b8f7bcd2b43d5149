"""How the async client sends and waits, and how a call is cancelled without harm to the pool.

Imported when the first async client is made, as asyncio and anyio take longer than all the rest.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from functools import partial
from typing import Any, TypeVar, cast

import anyio
import httpcore

from .connections import LIMITS, MAX_BODY, httpcore_proxy, httpx, tls_context
from .deadlines import TimeLimitError, within
from .errors import FlashbackError
from .proxies import Route

R = TypeVar("R")


class AsyncIO:
    """See `blocking.BlockingIO`."""

    def loop(self) -> asyncio.AbstractEventLoop:
        try:
            return asyncio.get_running_loop()
        except RuntimeError:
            raise FlashbackError(
                "the async client needs asyncio, and no asyncio loop is running;"
                " under trio call the blocking client: trio.to_thread.run_sync(client.send, call)"
            ) from None

    def new_pool(self, route: Route) -> AsyncTransport:
        return AsyncTransport(route)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def call(self, function: Callable[[], object], ends_at: float) -> object:
        return await _contained(partial(_result, function), ends_at)

    async def exchange(
        self, http: Any, request: httpx.Request, ends_at: float
    ) -> tuple[httpx.Response, bytes | None]:
        return await _contained(partial(_exchange, http, request), ends_at)


async def _exchange(http: Any, request: httpx.Request) -> tuple[httpx.Response, bytes | None]:
    response: httpx.Response
    if isinstance(http, httpx.AsyncClient):
        response = await http.send(request, stream=True, auth=None, follow_redirects=False)
    else:
        response = await http.handle_async_request(request)
    stream = cast("httpx.AsyncByteStream", response.stream)
    async with aclosing(stream):
        if response.is_stream_consumed:
            return response, None
        body = bytearray()
        async for chunk in stream:
            body += chunk
            if len(body) > MAX_BODY:
                break
        return response, bytes(body)


async def _result(function: Callable[[], object]) -> object:
    value = function()
    return await cast("Awaitable[object]", value) if isinstance(value, Awaitable) else value


async def _contained(function: Callable[[], Awaitable[R]], ends_at: float) -> R:
    """Return what the function returns, run in its own task; raise TimeLimitError if it is late.

    httpcore shields its clean-up from cancellation by anyio, not from `task.cancel()`. A native
    cancellation of the caller ends the task group's scope, which cancels the exchange the way that
    httpcore expects, and waits until it has let go of its connection.
    """
    results: list[R] = []
    failures: list[BaseException] = []
    limit = anyio.move_on_after(within(ends_at))

    async def run() -> None:
        with limit:
            try:
                results.append(await function())
            except asyncio.CancelledError:
                raise
            except BaseException as error:  # noqa: BLE001 - raised below, without a group
                failures.append(error)

    async with anyio.create_task_group() as group:
        group.start_soon(run)
    if failures:
        raise failures[0]
    if limit.cancelled_caught:
        raise TimeLimitError
    if not results:  # a hook awaited something that was cancelled
        raise asyncio.CancelledError
    return results[0]


class AsyncTransport(httpx.AsyncHTTPTransport):
    """httpx's transport for one event loop; when the loop ends, it closes the pool.

    Its `_pool` is replaced, as in `blocking.BlockingTransport`.
    """

    _held: AsyncGenerator[None] | None = None

    def __init__(self, route: Route) -> None:
        context = tls_context() if route.is_tls else None
        proxy = httpcore_proxy(route.proxy)
        self._pool = httpcore.AsyncConnectionPool(context, proxy=proxy, **LIMITS)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request; the first one also arranges to close the pool when the loop ends."""
        if self._held is None:
            self._held = self._until_the_loop_ends()
            await anext(self._held)
        return await super().handle_async_request(request)

    async def _until_the_loop_ends(self) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            await self.aclose()

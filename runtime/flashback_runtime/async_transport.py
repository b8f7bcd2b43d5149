"""The async client's connections and transport. Cancelled calls release their connections.

`AsyncClient` imports this module only in its constructor, because importing asyncio and anyio
takes longer than importing the rest of the client.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import os
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from typing import Any, cast

import anyio

from .errors import FlashbackError
from .fields import UNSET
from .secrets import Secret
from .transport import LATE, MAX_BODY, Connections, httpx, pool_options, timeout_until

# Import this module now. Otherwise, anyio would import it during the first call, which would block
# the event loop.
with suppress(ImportError):
    importlib.import_module("anyio._backends._asyncio")


class AsyncTransport(httpx.AsyncHTTPTransport):
    """An httpx transport for one event loop. It closes its pool when the loop shuts down."""

    _end_of_loop: AsyncGenerator[None] | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self._end_of_loop is None:
            # When asyncio.run() ends, it closes every async generator that has been started.
            # Closing this generator closes the pool.
            self._end_of_loop = self._close_at_end_of_loop()
            await anext(self._end_of_loop)
        return await super().handle_async_request(request)

    async def _close_at_end_of_loop(self) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            await self.aclose()


class AsyncConnections(Connections):
    """An async client's connections."""

    def owner(self) -> tuple[int, asyncio.AbstractEventLoop]:
        try:
            return os.getpid(), asyncio.get_running_loop()
        except RuntimeError:
            raise FlashbackError(
                "the async client requires asyncio, but no asyncio event loop is running;"
                " under trio, call the blocking client with trio.to_thread.run_sync()"
            ) from None

    def new_pool(self, proxy: Secret | None) -> AsyncTransport:
        for (process, loop), used in list(self._pools):
            if process == os.getpid() and loop.is_closed():
                self._pools.pop(((process, loop), used), None)
        return AsyncTransport(**pool_options(proxy))

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def call(self, function: Callable[[], Any], ends_at: float) -> Any:
        with anyio.move_on_after(timeout_until(ends_at)):
            value = function()
            return await value if inspect.isawaitable(value) else value
        return UNSET

    async def exchange(
        self, http: Any, request: httpx.Request, ends_at: float
    ) -> tuple[httpx.Response, bytes | None]:
        """Send the request in a separate task.

        httpcore shields its cleanup from anyio's cancellation, but not from `task.cancel()`. If the
        caller's task is cancelled, an anyio task group also cancels the separate task, and waits
        until that task has released its connection.
        """
        results: list[tuple[httpx.Response, bytes | None]] = []
        failures: list[BaseException] = [asyncio.CancelledError()]  # if the task never starts
        limit = anyio.move_on_after(timeout_until(ends_at))

        async def run() -> None:
            with limit:
                try:
                    results.append(await _exchange(http, request))
                except BaseException as error:  # noqa: BLE001 - re-raised below, outside the group
                    failures.append(error)

        async with anyio.create_task_group() as group:
            group.start_soon(run)
        if results:
            return results[0]
        if limit.cancel_called and isinstance(failures[-1], asyncio.CancelledError):
            raise httpx.ReadTimeout(LATE)
        raise failures[-1]


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

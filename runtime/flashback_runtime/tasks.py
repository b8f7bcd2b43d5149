"""Run one exchange in its own task, so that no cancellation corrupts the pool.

httpcore shields its clean-up from cancellation by anyio, not from `task.cancel()`. A native
cancellation of the caller ends the task group's scope, which cancels the exchange the way that
httpcore expects, and waits until it has let go of its connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

from . import deadlines
from .errors import FlashbackError

T = TypeVar("T")


async def run_contained(exchange: Callable[[], Awaitable[T]], ends_at: float) -> T:
    """Return what the exchange returns, or raise what it raises; LimitPassedError if it is late."""
    results: list[T] = []
    failures: list[BaseException] = []

    async def run() -> None:
        with anyio.move_on_after(deadlines.within(ends_at, None)):
            try:
                results.append(await exchange())
            except asyncio.CancelledError:
                raise
            except BaseException as error:  # noqa: BLE001 - raised below, without a group
                failures.append(error)

    async with anyio.create_task_group() as group:
        group.start_soon(run)
    if failures:
        raise failures[0]
    if not results:
        raise deadlines.LimitPassedError
    return results[0]


def running_loop() -> asyncio.AbstractEventLoop:
    """Return the running asyncio loop; raise FlashbackError under trio."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        raise FlashbackError(
            "the async client needs asyncio, and no asyncio loop is running;"
            " under trio call the blocking client: trio.to_thread.run_sync(client.send, call)"
        ) from None


async def sleep(seconds: float) -> None:
    """Wait for so long."""
    await asyncio.sleep(seconds)

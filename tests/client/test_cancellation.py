"""Late and cancelled calls leave nothing in the pool, and nothing is sent after them."""

from __future__ import annotations

import asyncio
import random
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from flashback_client import AsyncFlashbackClient, errors
from tests.client.support import ID, SECRET, TOKEN, UPDATED
from tests.client.wire import answer, serving, waits_for_close

if TYPE_CHECKING:
    import socket

    from tests.client.wire import Request

CALLERS = 60
SECONDS = 2.0
Leave = Callable[[AsyncFlashbackClient, float], Coroutine[Any, Any, None]]


def answers_late(connection: socket.socket, _: Request, __: int) -> None:
    """Answer after 20 to 200 ms."""
    time.sleep(random.uniform(0.02, 0.2))  # noqa: S311 - no cryptography
    connection.sendall(answer(200, UPDATED))


async def by_deadline(client: AsyncFlashbackClient, limit: float) -> None:
    """One call with this timeout."""
    with suppress(errors.ApiTimeoutError):
        await client.with_options(timeout=limit).update_ai_llm(ID, secret=SECRET)


async def by_caller(client: AsyncFlashbackClient, limit: float) -> None:
    """One call that the caller cancels after this time."""
    with suppress(asyncio.TimeoutError):
        await asyncio.wait_for(client.update_ai_llm(ID, secret=SECRET), limit)


@pytest.mark.parametrize("leave", [by_deadline, by_caller])
def test_late_calls_leave_the_pool_empty(leave: Leave) -> None:
    """60 calls limited to 50 to 250 ms, answered after 20 to 200 ms, leave no connection busy."""

    async def load(url: str) -> None:
        async with AsyncFlashbackClient(TOKEN, base_url=url, max_retries=0) as client:
            until = time.monotonic() + SECONDS

            async def caller() -> None:
                while time.monotonic() < until:
                    await leave(client, random.uniform(0.05, 0.25))  # noqa: S311 - a load

            await asyncio.gather(*(caller() for _ in range(CALLERS)))
            left = [connection for pool in pools() for connection in pool.connections]
            assert [connection for connection in left if not connection.is_idle()] == []
            assert len(left) <= 20
            updated = await client.with_options(timeout=10).update_ai_llm(ID)
            assert updated.success is True

    with serving(answers_late) as wire:
        asyncio.run(load(wire.url))


def pools() -> list[Any]:
    """Return the async pools of this process, found through the garbage collector."""
    import gc

    import httpcore

    return [found for found in gc.get_objects() if type(found) is httpcore.AsyncConnectionPool]


def test_cancelled_call_ends_at_once_and_shows_no_request() -> None:
    """The caller's cancellation propagates without httpx frames, and the connection closes."""

    async def call(url: str) -> None:
        async with AsyncFlashbackClient(TOKEN, base_url=url) as client:
            task = asyncio.create_task(client.update_ai_llm(ID, secret=SECRET))
            await asyncio.to_thread(wire.wait_for_request)
            task.cancel()
            with pytest.raises(asyncio.CancelledError) as caught:
                await task
            assert [frame for frame in caught.traceback if "httpx" in str(frame.path)] == []
            assert await asyncio.to_thread(wire.all_end)

    with serving(waits_for_close) as wire:
        asyncio.run(call(wire.url))
        assert len(wire.requests) == 1


def test_cancellation_inside_a_hook_is_no_timeout() -> None:
    """A hook that awaits a cancelled task cancels the call; nothing is sent or retried."""

    async def hook(_: httpx.Request) -> None:
        raise asyncio.CancelledError

    async def call() -> None:
        hooks: dict[str, list[Any]] = {"request": [hook]}
        async with httpx.AsyncClient(event_hooks=hooks) as given:
            await AsyncFlashbackClient(TOKEN, http_client=given).update_ai_llm(ID)

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(call())


def test_cancelled_call_stops_sending() -> None:
    """After the cancellation, no more of the body is sent in the background."""
    received: list[int] = []
    stop = threading.Event()

    def behave(_: socket.socket, request: Request, __: int) -> None:
        received.append(len(request.body))
        stop.wait(5)

    async def call(url: str) -> None:
        client = AsyncFlashbackClient(TOKEN, base_url=url)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(client.update_ai_llm(ID, key="k" * 8192), 0.2)
        stop.set()
        left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        assert left == []
        await client.aclose()

    with serving(behave) as wire:
        asyncio.run(call(wire.url))
        assert len(received) == 1


def test_timeouts_of_asyncio_nest() -> None:
    """asyncio.timeout around a call works, and a cancelled task group cancels it."""

    async def call(url: str) -> None:
        async with AsyncFlashbackClient(TOKEN, base_url=url) as client:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await client.update_ai_llm(ID)
            task = asyncio.current_task()
            assert task is not None
            assert task.cancelling() == 0
            with pytest.raises(ExceptionGroup):
                await in_group(client)

    with serving(waits_for_close) as wire:
        asyncio.run(call(wire.url))


async def in_group(client: AsyncFlashbackClient) -> None:
    """A task group that fails during a call of one of its tasks."""
    async with asyncio.TaskGroup() as group:
        group.create_task(client.update_ai_llm(ID))
        await asyncio.sleep(0.05)
        raise LookupError


def test_under_trio_one_sentence_says_what_to_do() -> None:
    """The async client needs asyncio; the error names the blocking client."""
    trio = pytest.importorskip("trio")

    async def call() -> None:
        await AsyncFlashbackClient(TOKEN, base_url="http://127.0.0.1:1").update_ai_llm(ID)

    with pytest.raises(errors.FlashbackError, match=r"needs asyncio.*trio\.to_thread\.run_sync"):
        trio.run(call)
    assert "trio" in sys.modules

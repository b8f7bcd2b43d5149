"""Late and cancelled calls release their connections and stop sending."""

from __future__ import annotations

import asyncio
import gc
import random
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import httpcore
import httpx
import pytest

from flashback_client import AsyncFlashbackClient, errors
from tests.client.support import ID, SECRET, TOKEN, UPDATED, update_async
from tests.client.wire import answer, serving, waits_for_close

if TYPE_CHECKING:
    import socket

    from tests.client.wire import Request

CALLERS = 60
SECONDS = 2.0
Leave = Callable[[AsyncFlashbackClient, float], Coroutine[Any, Any, None]]


def answers_late(connection: socket.socket, _: Request, __: int) -> None:
    """Answer after 20 to 200 ms."""
    time.sleep(random.uniform(0.02, 0.2))  # noqa: S311 - not cryptography
    connection.sendall(answer(200, UPDATED))


async def by_deadline(client: AsyncFlashbackClient, limit: float) -> None:
    """Make a call with this timeout."""
    with suppress(errors.ApiTimeoutError):
        await client.with_options(timeout=limit).update_ai_llm(ID, secret=SECRET)


async def by_caller(client: AsyncFlashbackClient, limit: float) -> None:
    """Make a call that the caller cancels after this time."""
    with suppress(asyncio.TimeoutError):
        await asyncio.wait_for(client.update_ai_llm(ID, secret=SECRET), limit)


@pytest.mark.parametrize("leave", [by_deadline, by_caller])
def test_late_calls_leave_no_connection_busy(leave: Leave) -> None:
    """After 60 callers with limits of 50 to 250 ms, no connection is busy and calls work."""

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
    """Return the async pools of this process, found by the garbage collector."""
    return [found for found in gc.get_objects() if type(found) is httpcore.AsyncConnectionPool]


def test_cancelled_call_closes_its_connection() -> None:
    """The cancellation propagates at once, without frames of httpx in its traceback."""

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


def test_cancellation_inside_a_hook_is_not_a_timeout() -> None:
    """A hook that raises CancelledError cancels the call."""

    async def hook(_: httpx.Request) -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        update_async(None, http_client=httpx.AsyncClient(event_hooks={"request": [hook]}))


def test_cancelled_call_stops_sending() -> None:
    """After a cancellation, no task continues to send the request."""
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
        assert asyncio.all_tasks() == {asyncio.current_task()}
        await client.aclose()

    with serving(behave) as wire:
        asyncio.run(call(wire.url))
        assert len(received) == 1


def test_timeouts_and_task_groups_of_asyncio_work() -> None:
    """`asyncio.timeout` and a failing task group cancel a call."""

    async def fail_in_group(client: AsyncFlashbackClient) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(client.update_ai_llm(ID))
            await asyncio.sleep(0.05)
            raise LookupError

    async def call(url: str) -> None:
        async with AsyncFlashbackClient(TOKEN, base_url=url) as client:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await client.update_ai_llm(ID)
            task = asyncio.current_task()
            assert task is not None
            assert task.cancelling() == 0
            with pytest.raises(ExceptionGroup):
                await fail_in_group(client)

    with serving(waits_for_close) as wire:
        asyncio.run(call(wire.url))


def test_error_under_trio_names_the_blocking_client() -> None:
    """The async client requires asyncio; the error says what to call instead."""
    trio = pytest.importorskip("trio")

    async def call() -> None:
        await AsyncFlashbackClient(TOKEN, base_url="http://127.0.0.1:1").update_ai_llm(ID)

    with pytest.raises(errors.FlashbackError, match=r"requires asyncio.*trio\.to_thread\.run_sync"):
        trio.run(call)
    assert "trio" in sys.modules

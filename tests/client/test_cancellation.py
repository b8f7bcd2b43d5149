"""Calls that time out or are cancelled release their connections and stop sending data."""

import asyncio
import gc
import random
import socket
import time
from contextlib import suppress

import httpcore
import httpx
import pytest
import trio

from flashback_client import AsyncFlashbackClient, errors
from tests.client.support import ID, OK, SECRET, TOKEN, check_no_frames, update_async
from tests.client.wire import Request, never_respond, serving

CALLERS = 60
SECONDS = 2.0


def respond_late(connection: socket.socket, _: Request) -> None:
    """Respond after a random delay of 20 to 200 ms."""
    time.sleep(random.uniform(0.02, 0.2))  # noqa: S311 - not cryptography
    connection.sendall(OK)


@pytest.mark.parametrize(("timeout_factor", "cancel_factor"), [(1, 100), (100, 1)])
def test_aborted_calls_release_their_connections(timeout_factor: int, cancel_factor: int) -> None:
    """No connection stays busy after many calls have timed out or been cancelled."""

    async def load(url: str) -> None:
        async with AsyncFlashbackClient(TOKEN, base_url=url, max_retries=0) as client:
            until = time.monotonic() + SECONDS

            async def caller() -> None:
                while time.monotonic() < until:
                    limit = random.uniform(0.05, 0.25)  # noqa: S311 - not cryptography
                    limited = client.with_options(timeout=limit * timeout_factor)
                    with suppress(TimeoutError, errors.ApiTimeoutError):
                        async with asyncio.timeout(limit * cancel_factor):
                            await limited.update_ai_llm(ID, secret=SECRET)

            async with asyncio.TaskGroup() as group:
                callers = [group.create_task(caller()) for _ in range(CALLERS)]
            assert not any(task.cancelling() for task in callers)
            for pool in gc.get_objects():
                if type(pool) is httpcore.AsyncConnectionPool:
                    assert len(pool.connections) <= 20
                    assert all(connection.is_idle() for connection in pool.connections)
            updated = await client.with_options(timeout=10).update_ai_llm(ID)
            assert updated.success is True

    with serving(respond_late) as server:
        asyncio.run(load(server.url))


def test_cancelled_call_closes_its_connection() -> None:
    """A cancelled call closes its connection, and the traceback contains no httpx frames."""

    async def call(url: str) -> None:
        async with AsyncFlashbackClient(TOKEN, base_url=url) as client:
            task = asyncio.create_task(client.update_ai_llm(ID, secret=SECRET))
            await asyncio.to_thread(server.wait_for_request)
            task.cancel()
            with pytest.raises(asyncio.CancelledError) as caught:
                await task
            check_no_frames(caught.value, "httpx")
            assert asyncio.all_tasks() == {asyncio.current_task()}
            assert await asyncio.to_thread(server.all_closed)

    with serving(never_respond) as server:
        asyncio.run(call(server.url))
        assert len(server.requests) == 1


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
def test_cancelled_inner_task_cancels_the_call() -> None:
    """If a program cancels every task except the caller's, the call raises CancelledError."""

    async def call() -> None:
        task = asyncio.create_task(AsyncFlashbackClient(TOKEN).update_ai_llm(ID))
        await asyncio.sleep(0)
        (inner,) = asyncio.all_tasks() - {task, asyncio.current_task()}
        inner.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(call())
    gc.collect()  # trigger the ignored warning now, not during a later test


def test_cancellation_inside_a_hook_is_not_a_timeout() -> None:
    """A CancelledError from an event hook cancels the call and is not reported as a timeout."""

    async def hook(_: httpx.Request) -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        update_async(None, http_client=httpx.AsyncClient(event_hooks={"request": [hook]}))


def test_error_under_trio_suggests_using_a_thread() -> None:
    """Under trio, the async client's error suggests calling the blocking client in a thread."""

    async def call() -> None:
        await AsyncFlashbackClient(TOKEN, base_url="http://127.0.0.1:1").update_ai_llm(ID)

    with pytest.raises(errors.FlashbackError, match=r"requires asyncio.*trio\.to_thread\.run_sync"):
        trio.run(call)

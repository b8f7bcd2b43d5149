"""Helpers for the client tests: credentials, an in-memory service and functions that make calls."""

import asyncio
import inspect
import pickle
import signal
import traceback
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import httpx
import yaml

from flashback_client import AsyncFlashbackClient, FlashbackClient
from tests.client.wire import http_response

TOKEN = "Token-of-the-Test"
SECRET = "s3cret/of the-test"
ID = "550e8400-e29b-41d4-a716-446655440000"
CONTRACT: Any = yaml.safe_load((Path(__file__).parents[2] / "openapi.yaml").read_text("utf-8"))
SERVER: str = CONTRACT["servers"][0]["url"]
URL = f"{SERVER}/ai/llm/{ID}"
OPERATION = CONTRACT["paths"]["/ai/llm/{id}"]["put"]
FIELDS = inspect.signature(FlashbackClient.update_ai_llm).parameters.keys() - {"self", "id"}
UPDATED: dict[str, object] = {"success": True, "aiLlmId": ID, "message": "updated"}
OK = http_response(200, UPDATED)


class Service(httpx.MockTransport):
    """An in-memory service that returns the given responses in order, and 200 from then on."""

    def __init__(self, *outcomes: httpx.Response | Exception) -> None:
        """Use these outcomes for the first requests. Responses are returned; errors are raised."""
        self.outcomes: list[httpx.Response | Exception] = list(outcomes)
        self.requests: list[httpx.Request] = []
        super().__init__(self._handle)

    def _handle(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        outcome = self.outcomes.pop(0) if self.outcomes else httpx.Response(200, json=UPDATED)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


Target = httpx.MockTransport | str | None


def blocking(target: Target = None, **settings: Any) -> FlashbackClient:
    """Return a blocking client for a service or a base URL; by default, it does not retry."""
    return FlashbackClient(**_settings(target, {"max_retries": 0, **settings}))


def update_blocking(target: Target, id: str = ID, **arguments: Any) -> Any:
    """Make one blocking call; arguments that are not request fields configure the client."""
    fields = _pop_fields(arguments)
    with FlashbackClient(**_settings(target, arguments)) as client:
        return client.update_ai_llm(id, **fields)


def update_async(target: Target, id: str = ID, **arguments: Any) -> Any:
    """Make the same call as `update_blocking`, but with the async client."""
    fields = _pop_fields(arguments)

    async def call() -> Any:
        async with AsyncFlashbackClient(**_settings(target, arguments)) as client:
            return await client.update_ai_llm(id, **fields)

    return asyncio.run(call())


def _pop_fields(arguments: dict[str, Any]) -> dict[str, Any]:
    return {name: arguments.pop(name) for name in FIELDS if name in arguments}


def _settings(target: Target, settings: dict[str, Any]) -> dict[str, Any]:
    name = "base_url" if isinstance(target, str) else "transport"
    return {"token": TOKEN, name: target, **settings}


def sent_headers(requests: Sequence[Any], name: str) -> list[str | None]:
    """Return this header's value in each request, with None for a request that lacks it."""
    return [request.headers.get(name) for request in requests]


def format_traceback(error: BaseException) -> str:
    """Return the tracebacks of the error and its context, with each frame's local variables."""
    text = ""
    for member in filter(None, (error, error.__context__)):
        captured = traceback.TracebackException.from_exception(member, capture_locals=True)
        text += "".join(captured.format())
    return text


def check_no_frames(error: BaseException, package: str) -> None:
    """Check that no frame in the error's traceback belongs to the package with this name."""
    for frame in traceback.extract_tb(error.__traceback__):
        assert f"/{package}/" not in frame.filename


def interrupting(error: BaseException) -> AbstractContextManager[None]:
    """Raise the error from a signal handler in the main thread after 0.3 s."""

    def interrupt(_: int, __: object) -> None:
        raise error

    return alarm(interrupt)


@contextmanager
def alarm(handler: Callable[[int, FrameType | None], object]) -> Generator[None]:
    """Call the signal handler in the main thread after 0.3 s."""
    previous = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        yield
    finally:
        # Stop the timer, because the default handler for SIGALRM would end the process.
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def pickled(value: Any) -> Any:
    """Pickle and unpickle the object, and return the copy."""
    return pickle.loads(pickle.dumps(value))  # noqa: S301

"""Helpers of the client tests: credentials, an in-memory service, one call by either client."""

from __future__ import annotations

import asyncio
import pickle
from pathlib import Path
from typing import Any

import httpx
import yaml

from flashback_client import AsyncFlashbackClient, FlashbackClient

TOKEN = "token-of-the-test"
SECRET = "s3cret/of the-test"
ID = "550e8400-e29b-41d4-a716-446655440000"
URL = f"https://backend.flashback.tech/ai/llm/{ID}"
CONTRACT: Any = yaml.safe_load((Path(__file__).parents[2] / "openapi.yaml").read_text("utf-8"))
OPERATION = CONTRACT["paths"]["/ai/llm/{id}"]["put"]
UPDATED: dict[str, object] = {"success": True, "aiLlmId": ID, "message": "updated"}


class Service(httpx.MockTransport):
    """An in-memory service: gives its answers in turn, then success, and records the requests."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        """Give these answers first; raise those that are exceptions."""
        self.answers: list[httpx.Response | Exception] = list(answers)
        self.requests: list[httpx.Request] = []
        super().__init__(self._handle)

    def _handle(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        given = self.answers.pop(0) if self.answers else httpx.Response(200, json=UPDATED)
        if isinstance(given, Exception):
            raise given
        return given


def blocking(transport: httpx.BaseTransport | None = None, **options: Any) -> FlashbackClient:
    """A blocking client, without retries unless the test asks for them."""
    options.setdefault("max_retries", 0)
    return FlashbackClient(TOKEN, transport=transport, **options)


def update_blocking(service: httpx.BaseTransport | None, id_: str = ID, **fields: Any) -> Any:
    """One call by the blocking client; `options` are its settings."""
    options = fields.pop("options", {})
    with FlashbackClient(TOKEN, transport=service, **options) as client:
        return client.update_ai_llm(id_, **fields)


def update_awaited(service: httpx.AsyncBaseTransport | None, id_: str = ID, **fields: Any) -> Any:
    """One call by the async client; `options` are its settings."""
    options = fields.pop("options", {})

    async def call() -> Any:
        async with AsyncFlashbackClient(TOKEN, transport=service, **options) as client:
            return await client.update_ai_llm(id_, **fields)

    return asyncio.run(call())


def pickled(value: Any) -> Any:
    """Pickle and unpickle an object."""
    return pickle.loads(pickle.dumps(value))  # noqa: S301

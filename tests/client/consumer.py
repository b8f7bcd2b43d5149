"""How a service uses the client: what the type checkers must accept without an ignore."""

from __future__ import annotations

import httpx
from flashback_client import AiType, AsyncFlashbackClient, FlashbackClient, FlashbackError, errors
from flashback_client.api.ai_llm import update_ai_llm
from flashback_client.models import ErrorResponse, UpdateAiLlmRequest
from flashback_client.types import UNSET, Response


def rotate(flashback: FlashbackClient, config: str, secret: str) -> str | None:
    """The service's message, or what went wrong."""
    try:
        updated = flashback.with_options(timeout=5).update_ai_llm(config, secret=secret)
    except errors.ApiStatusError as error:
        return error.message if error.status_code == 404 else str(error.headers.get("date"))
    except FlashbackError as error:
        return f"{error.method} {error.path} {error.attempts}"
    return updated.message or None


async def switch(flashback: AsyncFlashbackClient, config: str) -> bool:
    """Whether the provider was switched."""
    await flashback.update_ai_llm(config, ai_type="ANTHROPIC", endpoint="https://api.anthropic.com")
    updated = await flashback.update_ai_llm(config, ai_type=AiType.OTHER, name=UNSET)
    return updated.success is True


def by_module(config: str) -> str:
    """The generator's own manner."""
    with FlashbackClient(lambda: "token", http_client=httpx.Client(), max_retries=0) as client:
        body = UpdateAiLlmRequest(ai_type="AWS", key="k")
        response = update_ai_llm.sync_detailed(config, client=client, body=body)
        parsed: Response[object] | ErrorResponse | object = response.parsed
        return f"{response.status_code} {parsed}"

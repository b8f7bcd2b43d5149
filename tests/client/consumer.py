"""Example service code that must pass strict type checking without any `type: ignore` comments."""

import httpx

from flashback_client import (
    UNSET,
    AiType,
    AiTypeText,
    AsyncFlashbackClient,
    FlashbackClient,
    FlashbackError,
    Response,
    Secret,
    errors,
)
from flashback_client.api.ai_llm import update_ai_llm
from flashback_client.models import ErrorResponse, UpdateAiLlmRequest, UpdateAiLlmResponse


def describe(error: FlashbackError) -> str | None:
    """Describe a failed call with the attributes of its error."""
    if isinstance(error, errors.ApiStatusError):
        return error.message or error.headers["date"]
    if isinstance(error.__cause__, httpx.ReadError):
        return "lost"
    return f"{error.method} {error.url} {error.attempts}"


async def switch(flashback: AsyncFlashbackClient, config: str, provider: AiTypeText) -> bool:
    """Switch the provider and return whether the update succeeded."""
    await flashback.update_ai_llm(config, ai_type=provider, endpoint="https://api.anthropic.com")
    updated = await flashback.update_ai_llm(config, ai_type=AiType("OTHER"), name=UNSET)
    return updated.success is True


def call_function_module(config: str) -> str:
    """Call a generated module's function, which returns unsuccessful responses without raising."""
    with FlashbackClient(lambda: "token", http_client=httpx.Client(), max_retries=0) as client:
        body = UpdateAiLlmRequest(ai_type="AWS", key="k", secret=Secret("s"))
        response: Response[ErrorResponse | UpdateAiLlmResponse] = update_ai_llm.sync_detailed(
            config, client=client, body=body
        )
        return f"{response.raise_for_status().request_id} {response.attempts} {response.parsed}"

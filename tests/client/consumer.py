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


def rotate(flashback: FlashbackClient, config: str, secret: str) -> str | None:
    """Rotate a secret and return the service's message or a description of the failure."""
    try:
        updated = flashback.with_options(timeout=5).update_ai_llm(config, secret=secret)
    except errors.ArgumentError as error:
        return error.field
    except errors.RateLimitError as error:
        return f"in {error.retry_after or 0} s"
    except errors.ApiStatusError as error:
        return error.message if error.status_code == 404 else error.headers["date"]
    except errors.ApiConnectionError as error:
        return "cut" if isinstance(error.__cause__, httpx.ReadError) else "lost"
    except FlashbackError as error:
        return f"{error.method} {error.url} {error.attempts} {error.maybe_applied}"
    return updated.message or None


async def switch(flashback: AsyncFlashbackClient, config: str, provider: AiTypeText) -> bool:
    """Switch the provider and return whether the update succeeded."""
    await flashback.update_ai_llm(config, ai_type=provider, endpoint="https://api.anthropic.com")
    updated = await flashback.update_ai_llm(config, ai_type=AiType("OTHER"), name=UNSET)
    return updated.success is True


def for_tenant(flashback: FlashbackClient, token: Secret, url: str) -> FlashbackClient:
    """Return a client that shares this client's connections but belongs to another tenant."""
    return flashback.with_options(token=token, base_url=url, headers={"X-Tenant": "two"})


def call_function_module(config: str) -> str:
    """Call a generated module's function, which also returns unsuccessful responses."""
    with FlashbackClient(lambda: "token", http_client=httpx.Client(), max_retries=0) as client:
        body = UpdateAiLlmRequest(ai_type="AWS", key="k", secret=Secret("s"))
        response: Response[ErrorResponse | UpdateAiLlmResponse] = update_ai_llm.sync_detailed(
            config, client=client, body=body
        )
        return f"{response.raise_for_status().request_id} {response.attempts} {response.parsed}"

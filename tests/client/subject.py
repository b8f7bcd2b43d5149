"""The client under test by one interface, so that the plain generator's output can be tried too.

CLIENT_UNDER_TEST=<folder> puts another `flashback_client` first; what the plain output gets wrong
is what test_hazards.py states.
"""

from __future__ import annotations

import importlib
from typing import Any

package: Any = importlib.import_module("flashback_client")
errors: Any = importlib.import_module("flashback_client.errors")
models: Any = importlib.import_module("flashback_client.models")
operation: Any = importlib.import_module("flashback_client.api.ai_llm.update_ai_llm")
PLAIN = not hasattr(package, "FlashbackClient")
Error: type[Exception] = errors.UnexpectedStatus if PLAIN else errors.FlashbackError

TOKEN = "token-of-the-test"
SECRET = "s3cret/of the-test"
ID = "550e8400-e29b-41d4-a716-446655440000"


def client(url: str | None = None, token: Any = TOKEN, **options: Any) -> Any:
    """A blocking client, without retries unless the test asks for them."""
    if not PLAIN:
        return package.FlashbackClient(token, base_url=url, **{"max_retries": 0, **options})
    httpx_args = {key: options.pop(key) for key in ("transport",) if key in options}
    given = options.pop("http_client", None)
    options.pop("max_retries", None)
    made = package.AuthenticatedClient(url, token=token, httpx_args=httpx_args, **options)
    return made if given is None else made.set_httpx_client(given)


def body(**fields: Any) -> Any:
    """The request's body."""
    return models.UpdateAiLlmRequest(**fields)


def update(client: Any, id: Any = ID, **fields: Any) -> Any:
    """One blocking call with these fields."""
    if PLAIN:
        return operation.sync(id, client=client, body=body(**fields))
    return client.update_ai_llm(id, **fields)


async def aupdate(client: Any, id: Any = ID, **fields: Any) -> Any:
    """One awaited call with these fields."""
    if PLAIN:
        return await operation.asyncio(id, client=client, body=body(**fields))
    return await client.update_ai_llm(id, **fields)


def aclient(url: str, **options: Any) -> Any:
    """A client to await."""
    if PLAIN:
        return package.AuthenticatedClient(url, token=TOKEN)
    return package.AsyncFlashbackClient(TOKEN, base_url=url, **{"max_retries": 0, **options})

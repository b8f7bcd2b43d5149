"""The client against the mock backend, over real HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from flashback_client import FlashbackClient, errors

if TYPE_CHECKING:
    from flashback_mock import Mock


def connected(mock: Mock, role: str) -> FlashbackClient:
    """A client with this user's token."""
    return FlashbackClient(mock.tokens[role], base_url=mock.base_url, max_retries=0)


@pytest.mark.parametrize("role", ["owner", "admin"])
def test_writers_and_admins_may_update(mock: Mock, role: str) -> None:
    """WRITE and ADMIN rotate credentials, and the response names the configuration."""
    with connected(mock, role) as client:
        updated = client.update_ai_llm(mock.ids["main"], ai_type="ANTHROPIC", key="k", secret="s")
    assert (updated.success, updated.ai_llm_id) == (True, mock.ids["main"])


@pytest.mark.parametrize(
    ("role", "config", "kind"),
    [
        ("expired", "main", errors.AuthenticationError),
        ("reader", "main", errors.PermissionDeniedError),
        ("stranger", "main", errors.PermissionDeniedError),
        ("owner", "unknown", errors.NotFoundError),
    ],
)
def test_everybody_else_is_refused(
    mock: Mock, role: str, config: str, kind: type[errors.ApiStatusError]
) -> None:
    """Each refusal is an error of its own class, with the service's message."""
    with connected(mock, role) as client, pytest.raises(kind) as caught:
        client.update_ai_llm(mock.ids.get(config, config), name="n")
    assert caught.value.message


def test_taken_name_is_a_bad_request(mock: Mock) -> None:
    """A rule that only the service can check raises its 400."""
    taken = "Anthropic in staging"
    with connected(mock, "owner") as client, pytest.raises(errors.BadRequestError, match="name"):
        client.update_ai_llm(mock.ids["main"], name=taken)

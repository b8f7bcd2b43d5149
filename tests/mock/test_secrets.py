"""Tokens and credentials stay out of what the mock prints and answers."""

import httpx
import pytest

import flashback_mock

CANARY = "canary-3f9c1e77"


def test_nothing_prints_a_token_or_a_credential(mock: flashback_mock.Mock) -> None:
    """The reprs of a running mock and of its fixtures show neither."""
    printed = repr(mock) + repr(mock.fixtures) + repr(mock.store)
    for secret in (*mock.tokens.values(), "made-up"):
        assert secret not in printed


@pytest.mark.parametrize(
    ("id", "body"),
    [
        (CANARY, {"secret": CANARY}),
        (CANARY, {"secret": CANARY, "unknown": 1}),
        (f"x-{CANARY}", {"secret": CANARY}),
        (f"x-{CANARY}", {"secret": CANARY, "aiType": "BAD"}),
        (f"x-{CANARY}", {"secret": CANARY, "name": "x" * (1 << 18)}),
        ("owner-token", {}),
        ("x-owner-token", {}),
        ("admin-token", {}),
    ],
)
def test_request_id_that_contains_a_secret_is_not_used(
    http: httpx.Client, mock: flashback_mock.Mock, id: str, body: dict[str, object]
) -> None:
    """A request id that is or contains a credential or the token is neither returned nor kept."""
    answer = http.put(mock.ids["main"], json=body, headers={"X-Request-Id": id})
    assert id not in answer.headers["X-Request-Id"]
    assert id not in mock.requests[-1].request_id

"""Authentication: only a known bearer token opens the door."""

from collections.abc import Callable
from typing import Any

import pytest
from asking import Asker
from backend import EXPIRED, WRITER, Backend, BrokenPromiseError

pytestmark = pytest.mark.clause("401", "ours: RFC 6750")


def expect_challenge(ask: Asker, **asked: Any) -> None:
    """Expect 401 whose challenge names the bearer scheme."""
    exchange = ask.expect(401, **asked)
    if not exchange.response.headers.get("WWW-Authenticate", "").lower().startswith("bearer"):
        raise BrokenPromiseError("expected WWW-Authenticate: Bearer in a 401")


def test_no_token_answers_401(ask: Asker) -> None:
    """A request without a token answers 401 with a challenge."""
    expect_challenge(ask, token=None)


def test_wrong_token_answers_401(ask: Asker, backend: Backend) -> None:
    """A token that is nearly right, or none of the backend's at all, answers 401."""
    token = backend.given[WRITER]
    for wrong in ("wrong", token + "x", token[:-1], token.swapcase(), "x" + token):
        expect_challenge(ask, token=None, headers={"Authorization": f"Bearer {wrong}"})


def test_other_scheme_answers_401(ask: Asker, backend: Backend) -> None:
    """A good token under another scheme, or under none, answers 401."""
    for scheme in ("Basic ", "Token ", "Bearer: ", ""):
        header = scheme + backend.given[WRITER]
        expect_challenge(ask, token=None, headers={"Authorization": header})


@pytest.mark.clause("scheme in any case", "page: RFC 9110")
def test_scheme_counts_in_any_case(ask: Asker, backend: Backend) -> None:
    """The scheme's name counts in any case."""
    for scheme in ("bearer", "BEARER", "bEaReR"):
        header = f"{scheme} {backend.given[WRITER]}"
        ask.expect(200, token=None, headers={"Authorization": header})


def test_expired_token_answers_401(ask: Asker, need: Callable[[str], None]) -> None:
    """An expired token answers 401."""
    need(EXPIRED)
    expect_challenge(ask, token=EXPIRED)


def test_401_comes_before_everything_else(ask: Asker) -> None:
    """A request without a token answers 401 whatever its id and its body."""
    bodies: list[Any] = [{}, {"name": ""}, b"{", []]
    for body in bodies:
        for id in (None, "no-such-configuration"):
            expect_challenge(ask, token=None, id=id, body=body)

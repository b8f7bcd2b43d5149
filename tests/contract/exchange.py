"""One request and its answer, and what can be wrong with them."""

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

import contract
import requests

LONGEST_PAUSE = 10.0  # seconds, whatever Retry-After says


class NoVerdictError(BaseException):
    """The backend cannot be judged; the message names the cure.

    No `Exception`, so that nothing between here and pytest takes it for a finding.
    """


class BrokenPromiseError(AssertionError):
    """The backend did not answer as the contract says."""


@dataclass(frozen=True)
class Exchange:
    """One request and its answer."""

    request: requests.PreparedRequest
    response: requests.Response  # without a status if none came
    base: str  # the backend's URL

    @property
    def status(self) -> int:
        """The answer's status."""
        return self.response.status_code

    def field(self, name: str) -> object:
        """A field of the answer's body; None if the body is no JSON object that has it."""
        try:
            return dict(self.response.json()).get(name)
        except (ValueError, TypeError):
            return None

    @property
    def sent(self) -> bytes:
        """The request's body."""
        body: Any = self.request.body or b""  # or a tuple of chunks
        return bytes(body if isinstance(body, bytes) else b"".join(body))

    @property
    def given(self) -> dict[str, str]:
        """The fields that were sent; those only that are text."""
        try:
            fields = dict(json.loads(self.sent))
        except (ValueError, TypeError, RecursionError):
            return {}
        return {name: value for name, value in fields.items() if isinstance(value, str)}

    @property
    def id(self) -> str | None:
        """The id that was asked for; None on any other path."""
        prefix, _, last = (self.request.url or "").partition("?")[0].rpartition("/")
        if not last or prefix != self.base + contract.PATH.rpartition("/")[0]:
            return None
        return unquote_to_bytes(last).decode(errors="replace")

    @property
    def busy(self) -> bool:
        """Whether the backend, or a proxy before it, had no time for the request."""
        no_backend = self.status in (502, 503, 504)
        json = "json" in self.response.headers.get("Content-Type", "")
        return self.status == 429 or (no_backend and not json)

    def pause_asked_for(self, default: float) -> float:
        """How many seconds to wait before asking again."""
        try:
            asked = float(self.response.headers.get("Retry-After", ""))
        except ValueError:
            asked = default
        return min(max(asked, 0.0), LONGEST_PAUSE)

    @property
    def of_operation(self) -> bool:
        """Whether the contract says how the answer looks."""
        asked = self.request.method == "PUT" and self.id is not None
        return asked and self.status in contract.STATUSES

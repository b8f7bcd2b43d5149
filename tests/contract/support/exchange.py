"""One request, its response, and the user and the configuration that it is about."""

import json
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Self

LONGEST_PAUSE = 10.0  # seconds, even if Retry-After asks for more


class NoVerdictError(BaseException):
    """The backend cannot be judged; the message says why, and `cure` says what to do.

    Not an `Exception`, so that neither hypothesis nor a test treats it as a finding.
    """

    def __init__(self, reason: str, cure: str = "") -> None:
        """Store the reason and the remedy."""
        super().__init__(reason)
        self.reason = reason
        self.cure = cure


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


@dataclass(frozen=True)
class User:
    """The sender of a request: a role, or a kind of invalid token."""

    kind: str  # part of a finding's id
    words: str
    is_valid: bool = True
    may_update: bool = True
    clause: str = "update"  # broken by a 2xx if the user may not update


@dataclass(frozen=True)
class Place:
    """The configuration that a request names."""

    kind: str
    words: str
    id: str = ""  # of one's own configuration
    statuses: frozenset[int] = frozenset()  # allowed refusals; empty for one's own configuration
    clause: str = "update"
    is_open: bool = False  # the contract leaves open which component answers


@dataclass(frozen=True, kw_only=True)
class Request:
    """A request, exactly as it is sent: no library adds or normalizes anything."""

    method: str = "PUT"
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes = b""
    chunks: tuple[bytes, ...] | None = None
    user: User
    place: Place
    words: str = ""  # what else is special about the request
    on_new_connection: bool = False

    def header(self, name: str) -> str | None:
        """Return the first header of the name."""
        for header, value in self.headers:
            if header.lower() == name.lower():
                return value
        return None

    def again(self) -> Self:
        """Return the same request, to be sent on a new connection."""
        return replace(self, on_new_connection=True)

    @cached_property
    def fields(self) -> dict[str, Any]:
        """The body's fields; none if it is not a JSON object."""
        value = _parsed(self.body)
        return value if isinstance(value, dict) else {}

    @cached_property
    def text_fields(self) -> dict[str, str]:
        """The fields whose values are strings."""
        return {name: value for name, value in self.fields.items() if isinstance(value, str)}


@dataclass(frozen=True)
class Response:
    """A complete response."""

    status: int
    reason: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        """Return the header's values, joined as RFC 9110 says, or None."""
        values = [value for header, value in self.headers if header.lower() == name.lower()]
        return ", ".join(values) if values else None

    @property
    def succeeded(self) -> bool:
        """Whether the status is a 2xx."""
        return 200 <= self.status < 300

    @property
    def media_type(self) -> str:
        """The media type without parameters, in lower case."""
        return (self.header("Content-Type") or "").partition(";")[0].strip().lower()

    @property
    def text(self) -> str:
        """The body as text, with U+FFFD for octets that are not UTF-8."""
        return self.body.decode(errors="replace")

    @cached_property
    def value(self) -> Any:
        """The body's JSON value; None if it is not JSON."""
        return _parsed(self.body)

    def field(self, name: str) -> object:
        """Return a field of the body; None if the body is not a JSON object that has it."""
        return self.value.get(name) if isinstance(self.value, dict) else None

    @property
    def is_too_busy(self) -> bool:
        """Whether the backend, or a proxy in front of it, was too busy for the request."""
        from_a_proxy = self.status in (502, 503, 504) and "json" not in self.media_type
        return self.status == 429 or from_a_proxy

    def pause(self, default: float) -> float:
        """Return how many seconds to wait before asking again."""
        try:
            asked = float(self.header("Retry-After") or "")
        except ValueError:
            asked = default
        return min(max(asked, 0.0), LONGEST_PAUSE)


@dataclass(frozen=True)
class Exchange:
    """A request and its response, or why there was none."""

    request: Request
    response: Response | None
    failure: str = ""
    never_sent: bool = field(default=False)  # no connection was established

    @property
    def status(self) -> int:
        """The response's status; 0 without a response."""
        return self.response.status if self.response else 0

    @property
    def succeeded(self) -> bool:
        """Whether there was a response with a 2xx status."""
        return self.response is not None and self.response.succeeded

    @property
    def got(self) -> str:
        """Describe the outcome in a word or two."""
        return str(self.status) if self.response else "no response"

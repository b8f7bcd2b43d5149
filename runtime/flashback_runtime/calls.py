"""A call of one operation, and the possible outcomes of an attempt."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Mapping
from email.message import Message
from email.utils import parsedate_to_datetime
from typing import Any, Final, Generic, NamedTuple, Self, TypeVar, cast

from .errors import (
    ApiStatusError,
    FlashbackError,
    Headers,
    UnexpectedServerError,
    UnexpectedStatusError,
)
from .fields import UNSET
from .secrets import Secret, redact

S = TypeVar("S")
P = TypeVar("P")
E = TypeVar("E", bound=FlashbackError)

_KEPT_BODY: Final = 1 << 16  # bytes of the body that an error carries
_IDEMPOTENT: Final = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"})


class Call(NamedTuple, Generic[S, P]):
    """One call: S is what the operation returns on success, P any documented body."""

    method: str
    path: str
    parse: Callable[[Response[Any]], P | None]
    secured: bool
    successes: tuple[int, ...]
    errors: Mapping[int, type[ApiStatusError]]
    body: Any = UNSET
    media_type: str = "application/json"
    params: Mapping[str, Any] | None = None
    headers: Mapping[str, str] | None = None
    cookies: dict[str, str] | None = None

    @property
    def is_idempotent(self) -> bool:
        """Whether the operation is idempotent."""
        return self.method in _IDEMPOTENT

    def result(self, response: Response[P]) -> S:
        """Return what the operation returns; raise the error of any other status."""
        return cast("S", response.raise_for_status().parsed)

    def error(self, kind: type[E], text: str, *, url: str, attempts: int, **facts: Any) -> E:
        """Return an error whose text names the request, its attempts and what may have happened."""
        details = f"{attempts} attempt{'' if attempts == 1 else 's'}"
        if facts["maybe_applied"]:
            details += ", may have been applied"
        if facts.get("request_id"):
            details += f", request id {facts['request_id']}"
        known = {"method": self.method, "url": url, "path": self.path, "attempts": attempts}
        return kind(f"{self.method} {url}: {text} ({details})", known | facts)


class Failure(NamedTuple):
    """Why no complete response came."""

    text: str
    cause: Exception | None
    timed_out: bool
    sent: bool
    """Whether the service may have received the request."""
    final: bool = False


class Response(Generic[P]):
    """A response of any status, with its body parsed where the contract documents it."""

    def __init__(
        self,
        call: Call[Any, P],
        url: str,
        status_code: int,
        headers: Mapping[str, str],
        content: bytes,
    ) -> None:
        self.call = call
        self.url = url
        self.status_code = status_code
        self.headers = headers
        """Lookups accept any case."""
        self.content = content
        """The body, decompressed, at most 1 MiB of it."""
        self.parsed: P | None = None
        self.problem: str | None = None
        """Why the body could not be parsed, if it could not."""
        self.attempts = 1
        self.maybe_applied = False
        """Whether an earlier attempt of the same call may have been applied."""

    def __repr__(self) -> str:
        return f"Response({self.status_code}, {self.parsed!r}, attempts={self.attempts})"

    @property
    def request_id(self) -> str | None:
        """The service's id for this request, for its logs."""
        found = self.headers.get("x-request-id") or self.headers.get("request-id", "")
        return printable(found) or None

    @property
    def retry_after(self) -> float | None:
        """Seconds that the service asks to wait, in either form of the Retry-After header."""
        value = self.headers.get("retry-after", "")
        if re.fullmatch(r"[0-9]+(\.[0-9]+)?", value):
            return float(value[:9])
        try:
            return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
        except (ValueError, OverflowError):
            return None

    @property
    def text(self) -> str:
        """The body in the charset that the service names, else UTF-8; never fails."""
        message = Message()
        message["content-type"] = self.headers.get("content-type", "")
        try:
            return self.content.decode(message.get_content_charset("utf-8"), "replace")
        except (LookupError, ValueError):  # httpx's own text raises for names such as hex, idna
            return self.content.decode("utf-8", "replace")

    def json(self) -> Any:
        """Return the body as JSON, with or without a byte order mark; raise ValueError."""
        return json.loads(self.content)

    def parse(self) -> None:
        """Set `parsed` to the body as the contract documents it, or `problem` to why it is not."""
        try:
            self.parsed = self.call.parse(self)
        except (AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
            self.problem = f"{type(error).__name__}: {error}"

    def raise_for_status(self) -> Self:
        """Return this response if it is a success; raise the error of its status if not."""
        status = self.status_code
        if status in self.call.successes:
            return self
        other = UnexpectedServerError if status >= 500 else UnexpectedStatusError
        raise self.error(self.call.errors.get(status, other), self._message())

    def error(self, kind: type[E], message: str | None) -> E:
        """Return the error of this response, whose content and headers are redacted."""
        text = f"{self.status_code} {message}" if message else f"{self.status_code}"
        if 300 <= self.status_code < 400:
            location = printable(self.headers.get("location", ""))
            text = f"{text}; redirects are not followed, it points to {location}"
        return self.call.error(
            kind,
            text,
            url=self.url,
            attempts=self.attempts,
            maybe_applied=self.maybe_applied,
            status_code=self.status_code,
            message=message,
            request_id=self.request_id,
            retry_after=self.retry_after,
            headers=dict(self.headers),
            body=self.content[:_KEPT_BODY].decode("latin-1"),
        )

    def _message(self) -> str | None:
        """Return the service's error message, for documented and undocumented bodies."""
        message = getattr(self.parsed, "message", None)
        if not message:
            try:
                message = self.json().get("message")
            except (ValueError, RecursionError, AttributeError):
                return None
        return printable(message) if isinstance(message, str) else None

    def redact(self, secrets: Iterable[Secret]) -> None:
        """Redact these secrets in body and headers, since an error may carry them."""
        known = list(secrets)
        body = redact(self.content.decode("utf-8", "surrogateescape"), known)
        self.content = body.encode("utf-8", "surrogateescape")
        names = self.headers.keys()
        self.headers = Headers({name: redact(self.headers[name], known) for name in names})


def printable(text: str) -> str:
    """Return at most 500 characters, without any that could forge a log line."""
    return "".join(char if char.isprintable() else " " for char in text[:500])

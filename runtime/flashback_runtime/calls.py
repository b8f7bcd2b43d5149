"""A call of one operation, and the response to it."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Mapping
from email.message import Message
from email.utils import parsedate_to_datetime
from typing import Any, Final, Generic, NamedTuple, Self, TypeVar, cast

from attrs import define, field

from .errors import ApiStatusError, Headers, UnexpectedServerError, UnexpectedStatusError
from .fields import UNSET
from .secrets import Secret, redact

S = TypeVar("S")
P = TypeVar("P")
E = TypeVar("E", bound=Exception)

MAX_BODY: Final = 1 << 20  # bytes after decompression; documented responses are far smaller
_KEPT_BODY: Final = 1 << 16  # bytes of it that an error carries
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

    def facts(self, url: str, attempts: int, *, maybe_applied: bool) -> dict[str, Any]:
        """Return the attributes that all errors of this call share."""
        return {
            "method": self.method,
            "url": url,
            "path": self.path,
            "attempts": attempts,
            "maybe_applied": maybe_applied,
        }

    def result(self, response: Response[P]) -> S:
        """Return what the operation returns; raise the error of any other status."""
        return cast("S", response.raise_for_status().parsed)


@define(eq=False)
class Response(Generic[P]):
    """A response of any status, with its body parsed where the contract documents it."""

    status_code: int
    content: bytes = field(repr=False)
    """The body, decompressed, at most 1 MiB of it."""
    raw_headers: list[tuple[bytes, bytes]] = field(repr=False)
    call: Call[Any, P] = field(repr=False)
    url: str = ""
    problem: str | None = None
    """Why the body could not be parsed, if it could not."""
    parsed: P | None = None
    attempts: int = 1
    maybe_applied: bool = False
    """Whether an earlier attempt of the same call may have been applied."""

    @property
    def headers(self) -> Headers:
        """Headers by name; several of one name are joined by commas."""
        joined = Headers()
        for raw_name, raw_value in self.raw_headers:
            name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
            joined[name] = f"{joined[name]}, {value}" if name in joined else value
        return joined

    @property
    def request_id(self) -> str | None:
        """The service's id for this request, for its logs."""
        headers = self.headers
        found: str | None = headers.get("x-request-id") or headers.get("request-id")
        return found

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
        except LookupError:
            return self.content.decode("utf-8", "replace")

    def json(self) -> Any:
        """Return the body as JSON, a byte order mark or not; raise ValueError."""
        return json.loads(self.content)

    def raise_for_status(self) -> Self:
        """Return this response if it is a success; raise the error of its status if not."""
        if self.status_code in self.call.successes:
            return self
        raise self.error(error_class(self.call, self.status_code), service_message(self))

    def error(self, kind: type[E], message: str | None) -> E:
        """Return the error of this response, whose content and headers are redacted."""
        headers = self.headers
        text = f"{self.call.method} {self.url}: {self.status_code}"
        if message:
            text = f"{text} {message}"
        if 300 <= self.status_code < 400:
            location = printable(headers.get("location", ""))
            text = f"{text}; redirects are not followed, it points to {location}"
        request_id = printable(self.request_id or "") or None
        facts = {
            **self.call.facts(self.url, self.attempts, maybe_applied=self.maybe_applied),
            "status_code": self.status_code,
            "message": message,
            "request_id": request_id,
            "retry_after": self.retry_after,
            "headers": dict(headers),
            "body": self.content[:_KEPT_BODY].decode("latin-1"),
        }
        details = f", request id {request_id}" if request_id else ""
        details = attempts_in_words(self.attempts, maybe_applied=self.maybe_applied) + details
        return kind(f"{text} ({details})", facts)

    def redact(self, secrets: Iterable[Secret]) -> None:
        """Mask these secrets in body and headers, which an error may carry."""
        known = list(secrets)
        body = redact(self.content.decode("utf-8", "surrogateescape"), known)
        self.content = body.encode("utf-8", "surrogateescape")
        self.raw_headers = [
            (name, redact(value.decode("latin-1"), known).encode("latin-1", "replace"))
            for name, value in self.raw_headers
        ]


def error_class(call: Call[Any, Any], status: int) -> type[ApiStatusError]:
    """Return the class of a documented status, else that of any other."""
    if status in call.errors:
        return call.errors[status]
    return UnexpectedServerError if status >= 500 else UnexpectedStatusError


def service_message(response: Response[Any]) -> str | None:
    """Return the service's error message, for documented and undocumented bodies."""
    message = getattr(response.parsed, "message", None)
    if not message:
        try:
            message = response.json().get("message")
        except (ValueError, RecursionError, AttributeError):
            return None
    return printable(message) if isinstance(message, str) else None


def printable(text: str) -> str:
    """Return at most 500 characters, none of which could fake a line of a log."""
    return "".join(char if char.isprintable() else " " for char in text[:500])


def attempts_in_words(count: int, *, maybe_applied: bool) -> str:
    """Return `1 attempt`, or `2 attempts, may have been applied`."""
    plural = "" if count == 1 else "s"
    return f"{count} attempt{plural}{', may have been applied' if maybe_applied else ''}"

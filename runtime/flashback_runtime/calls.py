"""A call, its state while it runs, and the outcomes of its attempts: a response or a failure."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable, Mapping
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
from .secrets import Secret, cut_frames, redact, secrets_in
from .settings import Settings
from .transport import Connections

S = TypeVar("S")
P = TypeVar("P")
E = TypeVar("E", bound=FlashbackError)

_MAX_ERROR_BODY: Final = 1 << 16  # bytes
_IDEMPOTENT: Final = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"})


class Call(NamedTuple, Generic[S, P]):
    """A call that a generated module prepared.

    S is the type that the operation returns on success, P the type of any documented body.
    """

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
        """Whether repeating the request is safe."""
        return self.method in _IDEMPOTENT

    def result(self, response: Response[P]) -> S:
        """Return the body of a success; raise the error of any other status."""
        return cast("S", response.raise_for_status().parsed)


class RunningCall:
    """The state of a call that is being sent."""

    def __init__(self, call: Call[Any, Any], settings: Settings, connections: Connections) -> None:
        self.call = call
        self.settings = settings
        self.connections = connections
        self.url = settings.base_url + call.path
        self.handled = sys.exception()
        """The exception that the caller is handling, to which exceptions of the call are linked."""
        self.started = time.monotonic()
        self.deadline = self.started + settings.timeout
        self.tokens: list[Secret] = []
        self.attempts = 0
        self.retries = 0
        self.maybe_applied = False

    def error(self, kind: type[E], text: str, **facts: Any) -> E:
        """Return the error; its text names the request, the attempts and the request ID."""
        details = f"{self.attempts} attempt{'' if self.attempts == 1 else 's'}"
        if self.maybe_applied:
            details += ", may have been applied"
        if facts.get("request_id"):
            details += f", request id {facts['request_id']}"
        known = {
            "method": self.call.method,
            "url": self.url,
            "path": self.call.path,
            "attempts": self.attempts,
            "maybe_applied": self.maybe_applied,
        }
        return kind(f"{self.call.method} {self.url}: {text} ({details})", known | facts)

    def __getstate__(self) -> dict[str, Any]:
        # A pickle has only what the errors of a response need, and thereby no credential.
        state = {name: vars(self)[name] for name in ("url", "attempts", "maybe_applied")}
        return {"call": self.call._replace(body=UNSET), **state}

    def secrets(self) -> list[Secret]:
        """Return the credentials that this call has sent."""
        return [*self.tokens, *secrets_in(self.call.body)]

    def redacted(self, text: str) -> str:
        """Return the text without the credentials of this call."""
        try:
            return redact(text, self.secrets())
        except BaseException as error:  # of a signal handler
            cut_frames(error, self.handled)
            raise


class Failure(NamedTuple):
    """The outcome of an attempt that got no complete response."""

    text: str
    cause: Exception | None
    timed_out: bool
    sent: bool
    """Whether the service may have received the request."""


class Response(Generic[P]):
    """A response of any status. `parsed` is its body if the contract documents the status."""

    def __init__(
        self, running: RunningCall, status_code: int, headers: Mapping[str, str], content: bytes
    ) -> None:
        self._running = running
        self.status_code = status_code
        self.headers = headers
        """Lookups ignore case."""
        self.content = content
        """The first MiB of the decoded body."""
        self.parsed: P | None = None
        self.problem: str | None = None
        """The reason why the body cannot be parsed."""
        self.attempts = running.attempts
        self.maybe_applied = running.maybe_applied
        """Whether the update may have been applied by an earlier attempt."""

    def __repr__(self) -> str:
        return f"Response({self.status_code}, {self.parsed!r}, attempts={self.attempts})"

    @property
    def request_id(self) -> str | None:
        """The service's ID of this request."""
        found = self.headers.get("x-request-id") or self.headers.get("request-id", "")
        return printable(found) or None

    @property
    def retry_after(self) -> float | None:
        """The seconds to wait. The Retry-After header contains seconds or a date."""
        value = self.headers.get("retry-after", "")
        if re.fullmatch(r"[0-9]+(\.[0-9]+)?", value):
            return float(value[:9])
        try:
            return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
        except (ValueError, OverflowError):
            return None

    @property
    def text(self) -> str:
        """The body as text, in the charset of the Content-Type or in UTF-8."""
        message = Message()
        message["content-type"] = self.headers.get("content-type", "")
        try:
            return self.content.decode(message.get_content_charset("utf-8"), "replace")
        except (LookupError, ValueError):  # not a charset, such as `hex`
            return self.content.decode("utf-8", "replace")

    def json(self) -> Any:
        """Return the parsed JSON of the body, with or without a byte order mark.

        Raise ValueError.
        """
        return json.loads(self.content)

    def parse(self) -> None:
        """Set `parsed` to the body as the contract documents it, or set `problem`."""
        try:
            self.parsed = self._running.call.parse(self)
        except (AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
            self.problem = f"{type(error).__name__}: {error}"

    def raise_for_status(self) -> Self:
        """Return this response if its status is a success; raise the error for any other status."""
        call = self._running.call
        if self.status_code in call.successes:
            return self
        undocumented = UnexpectedServerError if self.status_code >= 500 else UnexpectedStatusError
        raise self.error(call.errors.get(self.status_code, undocumented), self._message())

    def error(self, kind: type[E], message: str | None) -> E:
        """Return an error with the facts of this response."""
        text = f"{self.status_code} {message}" if message else f"{self.status_code}"
        if 300 <= self.status_code < 400:
            location = printable(self.headers.get("location", ""))
            text = f"{text}; redirects are not followed, this one leads to {location}"
        return self._running.error(
            kind,
            text,
            status_code=self.status_code,
            message=message,
            request_id=self.request_id,
            retry_after=self.retry_after,
            headers=dict(self.headers),
            body=self.content[:_MAX_ERROR_BODY].decode("latin-1"),
        )

    def _message(self) -> str | None:
        try:
            message = self.json()["message"]
        except (LookupError, RecursionError, TypeError, ValueError):
            return None
        return printable(message) if isinstance(message, str) else None

    def redact(self) -> None:
        """Redact the credentials of the call in body and headers, since errors contain them."""
        redacted = self._running.redacted
        body = redacted(self.content.decode("utf-8", "surrogateescape"))
        self.content = body.encode("utf-8", "surrogateescape")
        as_json = self.content.decode(json.detect_encoding(self.content), "replace")
        for text in (as_json, self.text, self.content.decode("latin-1")):
            if redacted(text) != text:
                self.content = b"***"
        names = self.headers.keys()
        self.headers = Headers({name: redacted(self.headers[name]) for name in names})


def printable(text: str) -> str:
    """Return the first 500 characters, with line breaks and control characters made spaces."""
    return "".join(char if char.isprintable() else " " for char in text[:500])

"""Calls, the state of a running call, and responses."""

from __future__ import annotations

import codecs
import json
import re
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from copy import copy
from datetime import UTC
from email.utils import parsedate_to_datetime
from threading import TIMEOUT_MAX
from typing import Any, Generic, NamedTuple, Self, TypeVar, cast

from .errors import ApiStatusError, FlashbackError, UnexpectedServerError, UnexpectedStatusError
from .fields import UNSET
from .secrets import REDACTED, Secret, exception_chain, redact, secrets_in
from .settings import Settings, proxy_credentials
from .transport import Connections, httpx

S = TypeVar("S")
P = TypeVar("P")
E = TypeVar("E", bound=FlashbackError)

_MAX_ERROR_BODY = 1 << 16  # bytes
_OTHER_CHARSETS = ("latin-1", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
# Load the codecs now. During a call, this would fail if no file descriptor is free.
for _charset in (*_OTHER_CHARSETS, "utf-8-sig"):  # `json.loads` uses utf-8-sig
    codecs.lookup(_charset)
_SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


class Call(NamedTuple, Generic[S, P]):
    """A call that a generated module has prepared.

    S is the type of the successful response body. P is the union of all documented body types.
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
    headers: Mapping[str, Any] = {}

    @property
    def is_safe(self) -> bool:
        return self.method in _SAFE

    @property
    def is_idempotent(self) -> bool:
        return self.is_safe or self.method in {"PUT", "DELETE"}

    def result(self, response: Response[P]) -> S:
        """Return the parsed body if the status indicates success; otherwise, raise an error."""
        return cast("S", response.raise_for_status().parsed)


class RunningCall:
    """The state of a call in progress."""

    def __init__(self, call: Call[Any, Any], settings: Settings, connections: Connections) -> None:
        self.call = call
        self.settings = settings
        self.connections = connections
        self.url = settings.base_url + call.path
        self.handled = exception_chain(sys.exception())
        """The exceptions that the caller is handling. Python chains this call's errors to them."""
        self.started = time.monotonic()
        self.deadline = self.started + settings.timeout
        self.tokens: list[Secret] = []
        self.attempts = 0
        self.retries = 0
        self.tunnel_status: int | None = None
        """The status with which a proxy rejected the last attempt's request for a tunnel."""
        self.maybe_applied = False

    def error(self, kind: type[E], text: str, **attributes: Any) -> E:
        """Return an error whose text includes the method, URL, attempt count and request id."""
        details = f"{self.attempts} attempts"
        if self.attempts == 1:
            details = "1 attempt"
        if self.maybe_applied:
            details += ", may have been applied"
        if attributes.get("request_id"):
            details += f", request id {attributes['request_id']}"
        known = {
            "method": self.call.method,
            "url": self.url,
            "path": self.call.path,
            "attempts": self.attempts,
            "maybe_applied": self.maybe_applied,
        }
        return kind(f"{self.target}: {text} ({details})", known | attributes)

    def status_error(self, response: Response[Any]) -> ApiStatusError:
        """Return the error for an unsuccessful response."""
        status = response.status_code
        undocumented = UnexpectedServerError if status >= 500 else UnexpectedStatusError
        kind = self.call.errors.get(status, undocumented)
        message = None
        with suppress(LookupError, RecursionError, TypeError, ValueError):
            message = response.json()["message"]
        text = printable(message) if isinstance(message, str) else None
        return self.response_error(kind, response, text)

    def response_error(self, kind: type[E], response: Response[Any], message: str | None) -> E:
        """Return an error with the response's status, message, headers and (truncated) body."""
        text = str(response.status_code)
        if message:
            text += f" {message}"
        location = printable(response.headers.get("location", ""))
        if location and 300 <= response.status_code < 400:
            text = f"{text}; redirects are not followed (Location: {location})"
        return self.error(
            kind,
            text,
            status_code=response.status_code,
            message=message,
            request_id=response.request_id,
            retry_after=response.retry_after,
            headers=dict(response.headers),
            body=response.content[:_MAX_ERROR_BODY].decode("latin-1"),
        )

    @property
    def target(self) -> str:
        return f"{self.call.method} {self.url}"

    def redacted(self, text: str) -> str:
        credentials = [*self.tokens, *secrets_in(self.call.body)]
        if self.settings.proxy:
            credentials += proxy_credentials(self.settings.proxy)
        return redact(text, credentials)

    def redact_response(self, response: Response[Any]) -> None:
        """Replace credentials in the response's body and headers.

        If the body is not UTF-8 and contains a credential, replace the whole body.
        """
        text = response.content.decode("utf-8", "replace")
        cleaned = self.redacted(text)
        if cleaned != text:
            response.content = cleaned.encode()
        has_more = cleaned != text and "\ufffd" in text
        for charset in _OTHER_CHARSETS:
            view = response.content.decode(charset, "replace")
            has_more |= view != cleaned and self.redacted(view) != view
        if has_more:
            response.content = REDACTED.encode()
        redacted: list[tuple[str, str]] = []
        for field in httpx.Headers(response.headers).raw:
            [(name, value)] = httpx.Headers([field]).multi_items()  # fields can differ in encoding
            redacted.append((name, self.redacted(value)))
        response.headers = httpx.Headers(redacted, "utf-8")


class Response(Generic[P]):
    """A response with any status. `parsed` is set if the contract documents the status."""

    maybe_applied: bool = False
    """Whether an earlier attempt may have applied the update."""
    parsed: P | None = None
    error: ApiStatusError | None = None
    """The error that `raise_for_status` raises."""

    def __init__(
        self, status_code: int, headers: Mapping[str, str], content: bytes, attempts: int
    ) -> None:
        self.status_code = status_code
        self.headers = headers
        """The response headers. Lookups are case-insensitive."""
        self.content = content
        """The decoded body, limited to 1 MiB."""
        self.attempts = attempts
        self.problem: str | None = None
        """The reason the body could not be parsed."""

    def __repr__(self) -> str:
        return f"Response({self.status_code}, {self.parsed!r}, attempts={self.attempts})"

    @property
    def request_id(self) -> str | None:
        """The id that the service assigned to this request."""
        found = self.headers.get("x-request-id") or self.headers.get("request-id", "")
        return printable(found) or None

    @property
    def retry_after(self) -> float | None:
        """The number of seconds to wait, based on the Retry-After header (seconds or a date)."""
        value = self.headers.get("retry-after", "")
        if re.fullmatch(r"[0-9]+(\.[0-9]+)?", value):
            seconds = float(value)
        else:
            try:
                date = parsedate_to_datetime(value)
                date = date.replace(tzinfo=date.tzinfo or UTC)  # asctime dates have no time zone
                seconds = date.timestamp() - time.time()
            except (ValueError, OverflowError):
                return None
        return min(max(0.0, seconds), TIMEOUT_MAX)  # `time.sleep` rejects longer times

    @property
    def text(self) -> str:
        """The body as text, decoded as UTF-8 or, if it is not UTF-8, as Latin-1."""
        try:
            return self.content.decode()
        except UnicodeDecodeError:
            return self.content.decode("latin-1")

    def json(self) -> Any:
        """Parse the body as JSON. Raise ValueError if it is not valid JSON."""
        return json.loads(self.content)

    def raise_for_status(self) -> Self:
        """Return this response if its status indicates success; otherwise, raise an error."""
        if self.error is not None:
            raise copy(self.error)  # raising the original would change its traceback
        return self


def printable(text: str) -> str:
    """Return the first 500 characters, with each unprintable character replaced by a space."""
    return "".join(char if char.isprintable() else " " for char in text[:500])

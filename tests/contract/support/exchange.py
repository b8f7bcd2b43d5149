"""Requests and responses."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

from support.rule import NO_RULE, Rule

UUID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
Headers = tuple[tuple[str, str], ...]
LONGEST_PAUSE = 10.0  # in seconds; a longer Retry-After is reduced to this value


@dataclass(eq=False)
class NoVerdictError(BaseException):
    """Raised if the run has to end without a verdict; contains the reason and a remedy.

    It derives from `BaseException` so that Hypothesis does not treat it as a failing example.
    """

    reason: str
    cure: str = ""


class _Message:
    """The interface that requests and responses share."""

    headers: Headers
    body: bytes

    def header(self, name: str) -> str | None:
        """Return the header's values joined with commas (RFC 9110), or None if there are none."""
        values = [value for header, value in self.headers if header.lower() == name.lower()]
        return ", ".join(values) if values else None

    @property
    def text(self) -> str:
        """The body as text, with U+FFFD in place of octets that are not valid UTF-8."""
        return self.body.decode(errors="replace")

    @cached_property
    def value(self) -> Any:
        """The body as parsed JSON, or None if it is not JSON."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None

    @property
    def fields(self) -> dict[str, Any]:
        """The fields in the body; empty if the body is not a JSON object."""
        return self.value if isinstance(self.value, dict) else {}


@dataclass(frozen=True, kw_only=True, eq=False)
class Request(_Message):
    """A request exactly as it is sent, except for the `Host` header."""

    method: str = "PUT"
    target: str
    headers: Headers
    body: bytes = b""
    chunks: tuple[bytes, ...] | None = None
    user: Rule = NO_RULE  # the rule for requests from this user
    place: Rule = NO_RULE  # the rule for requests to this configuration
    id: str = ""  # empty if the tests must not update the configuration
    rule: Rule = NO_RULE  # the rule for the response; if empty, `with_rule` derives it
    forbidden_by: Rule | None = None  # the access rule that forbids the update, if any
    reasons: Sequence[Rule] = ()  # other reasons to reject the request
    words: str = ""  # additional description
    on_new_connection: bool = False
    earlier: "tuple[Request, ...]" = ()  # to reproduce the response, send these first

    def again(self) -> Self:
        """Return a copy of the request, to be sent on a new connection."""
        return replace(self, on_new_connection=True)

    @property
    def access(self) -> Rule | None:
        """The access rule that a 2xx would violate, if any."""
        return None if 200 in self.rule.statuses else self.forbidden_by

    @property
    def size(self) -> int:
        """The total length of the target and the body."""
        return len(self.target) + len(self.body)

    @cached_property
    def text_fields(self) -> dict[str, str]:
        """The fields whose values are strings."""
        return {name: value for name, value in self.fields.items() if isinstance(value, str)}


@dataclass(frozen=True)
class Exchange(_Message):
    """A request and its response, or the reason why there was no complete response."""

    request: Request
    status: int = 0  # 0 if there was no response
    reason: str = ""
    headers: Headers = ()
    body: bytes = b""
    failure: str = ""
    never_sent: bool = False  # whether connecting failed
    timed_out: bool = False
    ignores_success: bool = False  # whether `success` is false even for valid updates
    is_incomplete: bool = False  # whether the response ended early or could not be decompressed

    @property
    def got(self) -> str:
        """The status as text, or `no response`."""
        return str(self.status or "no response")

    @property
    def succeeded(self) -> bool:
        """Whether there was a response with a 2xx status."""
        return 200 <= self.status < 300

    @property
    def is_accepted(self) -> bool:
        """Whether the update was accepted.

        An HTML page does not count. Nor does a 200 with `success: false`, unless valid updates
        return that, too.
        """
        says_failure = (self.status, self.fields.get("success")) == (200, False)
        may_be_update = self.succeeded and not self.is_page
        return may_be_update and (self.ignores_success or not says_failure)

    @property
    def media_type(self) -> str:
        """The response's media type without parameters, in lower case."""
        content_type = self.header("Content-Type") or ""
        return content_type.partition(";")[0].strip().lower()

    @property
    def is_page(self) -> bool:
        """Whether the body is an HTML page. A body in another XML format is not."""
        is_xml = self.media_type.endswith("xml") and self.media_type != "application/xhtml+xml"
        return self.text.lstrip().startswith("<") and not is_xml

    @property
    def is_too_busy(self) -> bool:
        """Whether the backend or a proxy was too busy to process the request."""
        from_a_proxy = self.status in (502, 503, 504) and "json" not in self.media_type
        return self.status == 429 or from_a_proxy

    def pause(self, default: float) -> float:
        """Return how many seconds to wait before a retry."""
        try:
            asked = float(self.header("Retry-After") or "")
        except ValueError:
            asked = default
        return min(max(0.0, asked), LONGEST_PAUSE)  # the result is 0 if `asked` is NaN

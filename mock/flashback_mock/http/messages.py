"""Data classes for requests and responses, independent of the HTTP server."""

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPMethod, HTTPStatus

from multidict import CIMultiDict

from flashback_mock.control.journal import Entry
from flashback_mock.fixtures import BEARER_TOKEN

# Without re.ASCII, re.IGNORECASE would also match letters such as the long s.
BEARER = re.compile(f"[ \t]*bearer +({BEARER_TOKEN.pattern})[ \t]*", re.IGNORECASE | re.ASCII)
METHODS = frozenset(HTTPMethod)
ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=str)


@dataclass(eq=False)
class HttpError(Exception):
    """Raised to refuse a request. The message contains no values from the request.

    If `reason` is set, it is logged instead of the message.
    """

    status: int
    message: str
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    reason: str = ""


@dataclass(slots=True)
class Request:
    """A request and its log entry. `peer` is the client's address.

    If the body could not be received completely, `incomplete` is the error to return.
    """

    method: str
    target: str
    headers: CIMultiDict[str]
    body: bytes = b""
    incomplete: HttpError | None = None
    peer: object = None
    entry: Entry = field(init=False)

    def __post_init__(self) -> None:
        """Create the log entry.

        An unknown method could be a misplaced token, so it is logged as `other`.
        """
        self.entry = Entry(self.method if self.method in METHODS else "other")

    @property
    def path(self) -> str:
        """Return the percent-encoded path, or an empty string if the target has no path."""
        path = self.target.partition("?")[0].partition("#")[0]
        if path.startswith("/"):
            return path
        _, scheme, rest = path.partition("://")  # absolute form, such as http://host/path
        _, slash, path = rest.partition("/")
        return slash + path if scheme else ""

    @property
    def query(self) -> str:
        """Return the percent-encoded query."""
        return self.target.partition("?")[2].partition("#")[0]

    @property
    def token(self) -> str:
        """Return the bearer token, or an empty string if there is not exactly one."""
        headers = self.headers.getall("Authorization", [])
        match = BEARER.fullmatch(headers[0]) if len(headers) == 1 else None
        return match[1] if match else ""


@dataclass(slots=True)
class Answer:
    """A response to send after `delay` seconds, with the planned `fault`, if any."""

    status: int
    body: bytes = b""
    headers: CIMultiDict[str] = field(default_factory=CIMultiDict[str])
    delay: float = 0
    fault: str = ""


Handler = Callable[[Request], Awaitable[Answer]]


def json_answer(status: int, content: object, headers: Mapping[str, str] | None = None) -> Answer:
    """Return a response with a JSON body."""
    answer = Answer(status, ENCODER.encode(content).encode())
    answer.headers["Content-Type"] = "application/json"
    if status == HTTPStatus.UNAUTHORIZED:
        answer.headers["WWW-Authenticate"] = "Bearer"  # RFC 6750
    answer.headers.update(headers or {})
    return answer


def error_answer(status: int, message: str, headers: Mapping[str, str] | None = None) -> Answer:
    """Return an error response with the body that the contract specifies."""
    return json_answer(status, {"success": False, "message": message}, headers)

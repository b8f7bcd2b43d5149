"""Data classes for requests and responses, independent of the HTTP server."""

import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from http import HTTPMethod, HTTPStatus
from typing import cast

from multidict import CIMultiDict

from flashback_mock.control.journal import Entry
from flashback_mock.fixtures import BEARER_TOKEN

# Without re.ASCII, re.IGNORECASE would also match letters such as the long s.
BEARER = re.compile(f"[ \t]*bearer +({BEARER_TOKEN.pattern})[ \t]*", re.IGNORECASE | re.ASCII)
METHODS = frozenset(HTTPMethod)
# The path and the query of a request target, which can be an absolute URL.
TARGET = re.compile("(?:[^/?#]+://[^/?#]*)?(/[^?#]*)?(?:[?]([^#]*))?")
ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=str)


@dataclass(eq=False)
class HttpError(Exception):
    """Raised to reject a request. The message contains no values from the request.

    If `reason` is set, it is logged instead of the message.
    """

    status: int
    message: str
    reason: str = ""


@dataclass(slots=True, repr=False)
class Request:
    """A request and its log entry. `path` and `query` are percent-encoded and can be empty.

    `peer` is the client's address. If the body could not be received completely, `incomplete` is
    the error to return.
    """

    method: str
    target: str
    headers: CIMultiDict[str]
    body: bytes = b""
    incomplete: HttpError | None = None
    peer: object = None
    path: str = field(init=False)
    query: str = field(init=False)
    entry: Entry = field(init=False)

    def __post_init__(self) -> None:
        """Split the target and create the log entry.

        An unknown method could be a misplaced token, so it is logged as `other`.
        """
        split = cast("re.Match[str]", TARGET.match(self.target))
        self.path, self.query = split.groups("")
        self.entry = Entry(self.method if self.method in METHODS else "other")

    @property
    def token(self) -> str:
        """Return the bearer token, or an empty string if it is missing, repeated or invalid."""
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


def json_answer(status: int, content: object) -> Answer:
    """Return a response with a JSON body."""
    headers = CIMultiDict({"Content-Type": "application/json"})
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"  # RFC 6750
    return Answer(status, ENCODER.encode(content).encode(), headers)


def error_answer(status: int, message: str) -> Answer:
    """Return an error response with the body that the contract specifies."""
    return json_answer(status, {"success": False, "message": message})


def success_answer(id: str, message: str) -> Answer:
    """Return the response to a successful update."""
    return json_answer(200, {"success": True, "aiLlmId": id, "message": message})

"""Requests and answers as plain data, independent of the server."""

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from time import perf_counter
from typing import Literal

from multidict import CIMultiDict

from flashback_mock.fixtures import BEARER_TOKEN

# ASCII: otherwise, letters such as the long s would match, too.
BEARER = re.compile(f"[ \t]*bearer +({BEARER_TOKEN.pattern})[ \t]*", re.IGNORECASE | re.ASCII)
ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=str)

Cut = Literal["", "size", "time", "syntax"]


@dataclass(slots=True)
class Request:
    """A request as it was received.

    `cut` says why the body is incomplete, if it is; `peer` is the client's address.
    """

    method: str
    target: str
    headers: CIMultiDict[str]
    body: bytes = b""
    cut: Cut = ""
    peer: object = None
    started: float = field(default_factory=perf_counter)
    time: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def path(self) -> str:
        """Return the path, still percent-encoded; empty if the target has none."""
        path = self.target.partition("?")[0].partition("#")[0]
        if path.startswith("/"):
            return path
        _, scheme, rest = path.partition("://")  # the absolute form (RFC 9112)
        _, slash, path = rest.partition("/")
        return slash + path if scheme else ""

    @property
    def query(self) -> str:
        """Return the query, still percent-encoded."""
        return self.target.partition("?")[2].partition("#")[0]

    @property
    def token(self) -> str:
        """Return the bearer token; empty unless exactly one `Authorization` header has one."""
        given = self.headers.getall("Authorization", [])
        match = BEARER.fullmatch(given[0]) if len(given) == 1 else None
        return match[1] if match else ""


@dataclass(slots=True)
class Answer:
    """A response, and how the server sends it.

    `delay` is in seconds, `fault` one of `control.plans.FAULTS`; `close` ends the connection.
    """

    status: int
    body: bytes = b""
    headers: CIMultiDict[str] = field(default_factory=CIMultiDict[str])
    delay: float = 0
    fault: str = ""
    close: bool = False


Handler = Callable[[Request], Awaitable[Answer]]


@dataclass(eq=False)
class HttpError(Exception):
    """The request is refused with this status; the message contains no value of the request.

    `reason` is logged instead of the message, if it is set.
    """

    status: int
    message: str
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    reason: str = ""


def json_answer(status: int, content: object, headers: Mapping[str, str] | None = None) -> Answer:
    """Return an answer whose body is `content` as JSON."""
    answer = Answer(status, ENCODER.encode(content).encode())
    answer.headers["Content-Type"] = "application/json"
    if status == HTTPStatus.UNAUTHORIZED:
        answer.headers["WWW-Authenticate"] = "Bearer"  # RFC 6750
    answer.headers.update(headers or {})
    return answer


def error_answer(status: int, message: str, headers: Mapping[str, str] | None = None) -> Answer:
    """Return an error with the contract's body."""
    return json_answer(status, {"success": False, "message": message}, headers)

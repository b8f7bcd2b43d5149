"""One attempt at a call: build the request, send it, and read the response.

This module's stack frames hold requests, including credentials, in plain text. Therefore,
`secrets.cut_frames` removes these frames from exception tracebacks.
"""

from __future__ import annotations

import json
import time
import zlib
from typing import Any, Final

from .calls import Failure, Response, RunningCall
from .errors import FlashbackError
from .fields import UNSET
from .secrets import (
    Secret,
    cut_frames,
    exception_chain,
    has_user_frame,
    interrupted_library,
    redact,
    root_cause,
)
from .transport import MAX_BODY, TimeLimitError, httpx, seconds_left, timeout_until

_CONNECT_TIMEOUT: Final = 5.0
# The connect timeout is shorter than the attempt's time limit so that the error can say that the
# request was not sent.
_CONNECT_SHARE: Final = 0.9
_UNSENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
_LIBRARY_ERRORS: Final = (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL)
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


async def attempt(
    running: RunningCall, token: Secret | None, ends_at: float
) -> Response[Any] | Failure:
    """Send the request once, and return the outcome.

    Exceptions from the caller's own hooks, transport and signal handlers propagate.
    """
    running.attempts += 1
    try:
        return await _exchange(running, token, ends_at)
    except BaseException as raised:  # noqa: BLE001 - re-raised or returned as a Failure below
        error = raised
    root = root_cause(error, running.handled)
    # If a signal handler raises TimeoutError, httpcore mistakes it for one of its own timeouts.
    is_interrupted = isinstance(root, TimeoutError) and interrupted_library(root)
    cut_frames(error, running.handled)
    if _is_hook_error(error, running):
        raise error
    if isinstance(error, TimeLimitError):
        error = httpx.ReadTimeout("no complete response within the time limit")
    if isinstance(error, httpx.HTTPStatusError):  # a hook called raise_for_status()
        return _response(running, error.response, None)
    is_library_error = isinstance(error, _LIBRARY_ERRORS)
    if is_library_error and is_interrupted:
        raise root
    is_closed = running.connections.closed
    is_expected = isinstance(error, OSError) or is_closed
    is_ours = is_library_error or (is_expected and not has_user_frame(error))
    if not isinstance(error, Exception) or not is_ours:
        raise error
    _redact_chain(error, running)
    return Failure(
        "the client was closed during the call" if is_closed else _describe(error, root),
        error,
        timed_out=isinstance(error, httpx.TimeoutException),
        sent=not isinstance(error, (*_UNSENT, FlashbackError)),
    )


async def _exchange(running: RunningCall, token: Secret | None, ends_at: float) -> Response[Any]:
    http = running.connections.get(running.settings.route)
    request = _request(running, http, token, ends_at)
    response, body = await running.connections.exchange(http, request, ends_at)
    return _response(running, response, body)


def _request(
    running: RunningCall, http: object, token: Secret | None, ends_at: float
) -> httpx.Request:
    """Return the request for one attempt, with its timeouts limited to the remaining time."""
    call = running.call
    headers = {name: value.reveal() for name, value in running.settings.headers.items()}
    headers.update(call.headers or {})
    if token is not None:
        headers["authorization"] = f"Bearer {token.reveal()}"
    content = None
    if call.body is not UNSET:
        headers["content-type"] = call.media_type
        value = call.body.to_dict() if hasattr(call.body, "to_dict") else call.body
        content = _encode(value).encode()
    options: dict[str, Any] = {
        "params": call.params,
        "headers": headers,
        "cookies": call.cookies,
    }
    if isinstance(http, (httpx.Client, httpx.AsyncClient)):
        timeouts = _timeouts(http.timeout.as_dict(), ends_at)
        options["extensions"] = {"timeout": timeouts, "flashback": running}
        return http.build_request(call.method, running.url, content=content, **options)
    options["extensions"] = {"timeout": _timeouts({"connect": _CONNECT_TIMEOUT}, ends_at)}
    # Without an explicit stream, httpx builds the headers twice, which takes 10% of a call's time.
    options["stream"] = httpx.ByteStream(content or b"")
    headers["host"] = running.settings.host
    if content is not None:
        headers["content-length"] = str(len(content))
    request = httpx.Request(call.method, running.url, **options)
    request.read()  # some transports and tools read `request.content`
    return request


def _timeouts(given: dict[str, float | None], ends_at: float) -> dict[str, float | None]:
    """Return the given httpx timeouts, each limited to the remaining time."""
    connect_deadline = time.monotonic() + seconds_left(ends_at) * _CONNECT_SHARE
    return {
        "connect": timeout_until(connect_deadline, given.get("connect")),
        "pool": timeout_until(connect_deadline, given.get("pool")),
        "read": timeout_until(ends_at, given.get("read")),
        "write": timeout_until(ends_at, given.get("write")),
    }


def _response(running: RunningCall, response: httpx.Response, body: bytes | None) -> Response[Any]:
    """Return the response with its decoded body, truncated to MAX_BODY bytes."""
    encoding = response.headers.get("content-encoding", "").lower()
    problem = None
    if body is None:
        try:
            body = response.content  # httpx has already decoded the body
        except httpx.StreamError:
            body = b""
            problem = "an event hook closed or consumed the response without reading it"
    elif encoding in {"gzip", "x-gzip", "deflate"}:
        try:
            body = zlib.decompressobj(wbits=47).decompress(body, MAX_BODY + 1)
        except zlib.error:
            body = b""
            problem = f"the body is not valid {encoding} data"
    elif encoding not in {"", "identity"}:
        body = b""
        problem = "the Content-Encoding is not supported"
    if len(body) > MAX_BODY:
        problem = f"the body is larger than {MAX_BODY} bytes"
    content = body[:MAX_BODY]
    result: Response[Any] = Response(running, response.status_code, response.headers, content)
    result.problem = problem
    return result


def _is_hook_error(error: BaseException, running: RunningCall) -> bool:
    """Return whether the error comes from a request that an event hook sent."""
    if not isinstance(running.connections.given, (httpx.Client, httpx.AsyncClient)):
        return False
    if not isinstance(error, (httpx.RequestError, httpx.HTTPStatusError)):
        return False
    try:
        request = error.request
    except RuntimeError:  # the error has no request
        return False
    return request.extensions.get("flashback") is not running


def _redact_chain(error: BaseException, running: RunningCall) -> None:
    """Redact the messages in the exception chain, and replace the attached requests."""
    secrets = running.secrets()
    for member in exception_chain(error, running.handled):
        member.args = tuple(
            redact(argument, secrets) if isinstance(argument, str) else argument
            for argument in member.args
        )
        if isinstance(member, httpx.RequestError):
            member.request = httpx.Request(running.call.method, "/")


def _describe(error: BaseException, root: BaseException) -> str:
    """Return the error's class name and message, plus the root cause's message if it differs."""
    text = f"{type(error).__name__}: {error}".removesuffix(": ")
    reason = str(root) if isinstance(root, Exception) else ""  # cancellations have no message
    return text if reason in text else f"{text} ({reason})"

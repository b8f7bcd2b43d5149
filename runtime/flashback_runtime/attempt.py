"""One attempt at a call: build the request, send it, and read the response.

This module's stack frames hold requests, including credentials, in plain text. Therefore,
`secrets.cut_frames` removes these frames from exception tracebacks.
"""

from __future__ import annotations

import inspect
import json
import signal
import time
import zlib
from contextlib import suppress
from traceback import walk_tb
from types import FrameType
from typing import Any

from .calls import Response, RunningCall, printable
from .errors import ApiConnectionError, ApiTimeoutError, ArgumentTypeError
from .fields import UNSET, as_text
from .secrets import Secret, cut_frames, exception_chain
from .transport import MAX_BODY, httpx, timeout_until

_CONNECT_TIMEOUT = 5.0
# The maximum share of an attempt's time that can be spent on connecting. This limit makes a slow
# connection fail with a connect timeout, which proves that the request was not sent.
_CONNECT_SHARE = 0.9
_UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
_CLIENTS = (httpx.Client, httpx.AsyncClient)
_UNWRAPPED = ("h2.", "socksio.")  # httpx does not wrap all exceptions from these packages


_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


async def attempt(
    running: RunningCall, token: Secret | None, ends_at: float
) -> Response[Any] | ApiConnectionError:
    """Send the request once. Return the response, or the error if no complete response arrives.

    Exceptions from the caller's own hooks, transports and signal handlers propagate.
    """
    running.attempts += 1
    request = None
    try:
        http = running.connections.get(running.settings.proxy)
        request = _request(running, http, token, ends_at)
        response, body = await running.connections.exchange(http, request, ends_at)
        return _response(running, response, body)
    except Exception as raised:  # noqa: BLE001 - returned as an outcome or raised again
        error = raised
    return _outcome(running, request, error)


def _request(
    running: RunningCall, http: object, token: Secret | None, ends_at: float
) -> httpx.Request:
    call = running.call
    settings = running.settings
    headers = {
        "accept": "application/json",
        "accept-encoding": "identity",
        "user-agent": settings.service.user_agent,
    }
    for name, secret in settings.headers.items():
        headers[name] = secret.reveal()
    for name, value in call.headers.items():
        headers[name.lower()] = as_text(value)
    if token is not None:
        headers["authorization"] = "Bearer " + token.reveal()
    content = None
    if call.body is not UNSET:
        headers["content-type"] = call.media_type
        content = _encoded(call.body)
    elif call.method in {"PATCH", "POST", "PUT"}:
        content = b""  # some servers reject these methods if the request has no Content-Length
    options: dict[str, Any] = {"params": call.params, "headers": headers}
    if isinstance(http, _CLIENTS):
        options["extensions"] = {"timeout": _timeouts(http.timeout.as_dict(), ends_at)}
        return http.build_request(call.method, running.url, content=content, **options)
    options["extensions"] = {"timeout": _timeouts({"connect": _CONNECT_TIMEOUT}, ends_at)}
    # Without an explicit stream, httpx builds the headers twice, which takes 10% of a call's time.
    options["stream"] = httpx.ByteStream(content or b"")
    headers["host"] = settings.host
    if content is not None:
        headers["content-length"] = str(len(content))
    # httpx processes headers faster as bytes.
    options["headers"] = [(name.encode(), value.encode()) for name, value in headers.items()]
    request = httpx.Request(call.method, running.url, **options)
    request.read()  # sets `request.content`, which some transports and tools read
    return request


def _encoded(body: Any) -> bytes:
    with suppress(AttributeError, RecursionError, TypeError, ValueError):
        return _encode(body.to_dict()).encode()
    # Raise a new error, because the frames of the suppressed error hold credentials.
    problem = "cannot be serialized as JSON; check the values in nested fields"
    raise ArgumentTypeError.about("body", problem)


def _timeouts(given: dict[str, float | None], ends_at: float) -> dict[str, float | None]:
    """Return the given httpx timeouts, each limited to the attempt's remaining time."""
    now = time.monotonic()
    connects_by = now + (ends_at - now) * _CONNECT_SHARE
    return {
        "connect": timeout_until(connects_by, given.get("connect")),
        "pool": timeout_until(connects_by, given.get("pool")),
        "read": timeout_until(ends_at, given.get("read")),
        "write": timeout_until(ends_at, given.get("write")),
    }


def _response(running: RunningCall, response: httpx.Response, body: bytes | None) -> Response[Any]:
    """Decode the body, truncate it to MAX_BODY bytes, and return the response."""
    headers = response.headers
    encoding = headers.get("content-encoding", "").lower()
    problem = None
    if body is None:
        body = b""
        with suppress(httpx.StreamError):  # raised if no event hook has read the body
            body = response.content  # httpx has already decoded the body
    elif encoding not in {"", "identity"}:
        name = printable(running.redacted(encoding))
        problem = f"the body cannot be decoded (Content-Encoding: {name})"
        encoded = body
        body = b""  # an encoded body cannot be searched for credentials
        if encoding in {"gzip", "x-gzip", "deflate"}:
            with suppress(zlib.error):
                # With wbits=47, zlib accepts both gzip and deflate.
                body = zlib.decompressobj(wbits=47).decompress(encoded, MAX_BODY + 1)
                problem = None
    if len(body) > MAX_BODY:
        problem = f"the body is larger than {MAX_BODY} bytes"
    result = Response[Any](response.status_code, headers, body[:MAX_BODY], running.attempts)
    result.problem = problem
    return result


def _outcome(
    running: RunningCall, request: httpx.Request | None, error: Exception
) -> Response[Any] | ApiConnectionError:
    """Return the outcome for the error that an attempt raised, or re-raise the error."""
    chain = exception_chain(error, running.handled)
    root = chain[-1]
    cut_frames(chain)
    # The remaining traceback frames belong to the caller's own hooks and transports.
    is_closed = running.connections.closed
    is_lost = isinstance(error, OSError) or type(error).__module__.startswith(_UNWRAPPED)
    if isinstance(error, httpx.HTTPError):
        if isinstance(running.connections.given, _CLIENTS) and _is_from_hook(error, request):
            raise error
        # httpcore mistakes an OSError from a signal handler for a socket error.
        if isinstance(root, OSError) and _is_from_signal_handler(root):
            raise root
        if isinstance(error, httpx.HTTPStatusError):  # from raise_for_status() in a hook
            return _response(running, error.response, None)
    elif error.__traceback__ or not (is_lost or is_closed):
        raise error
    running.tunnel_status = _tunnel_status(error)  # before the error is redacted
    for member in chain:
        _redact(running, member)
    text = f"{type(error).__name__}: {error}".removesuffix(": ")
    # A CancelledError is not an Exception. Its message, which is not added here, would only name a
    # cancel scope.
    if isinstance(root, Exception) and str(root) not in text:
        text += f" ({root})"
    if is_closed:
        text = "the client was closed during the call"
    if request is not None and not isinstance(error, _UNSENT):
        running.maybe_applied |= not running.call.is_safe
    kind = ApiTimeoutError if isinstance(error, httpx.TimeoutException) else ApiConnectionError
    failure = running.error(kind, printable(running.redacted(text)))
    failure.__cause__ = error
    return failure


def _tunnel_status(error: Exception) -> int | None:
    status = str(error)[:3]  # httpcore's text starts with the status of the response to CONNECT
    is_rejected = isinstance(error, httpx.ProxyError) and status.isdecimal()
    return int(status) if is_rejected else None


def _redact(running: RunningCall, error: BaseException) -> None:
    arguments = list(error.args)
    for index, argument in enumerate(arguments):
        redacted = running.redacted(str(argument))
        if redacted != str(argument):
            arguments[index] = redacted
    error.args = tuple(arguments)
    if isinstance(error, OSError) and error.strerror:  # `str(error)` uses it instead of `args`
        error.strerror = running.redacted(error.strerror)
    if isinstance(error, httpx.RequestError):
        error.request = httpx.Request(running.call.method, "/")


def _is_from_signal_handler(error: OSError) -> bool:
    """Return whether the error comes from a signal handler.

    Recognize a handler by its code or by its argument, which is the interrupted frame.
    """
    handlers = map(signal.getsignal, signal.valid_signals())
    codes = {getattr(handler, "__code__", None) for handler in handlers}
    for frame, _ in walk_tb(error.__traceback__):
        names, varargs, _, variables = inspect.getargvalues(frame)
        arguments = [variables.get(name) for name in names]
        others = variables.get(varargs or "")
        if type(others) is tuple:
            arguments += others
        # Do not use isinstance(), because `__class__` can be a property with side effects.
        if frame.f_code in codes or FrameType in map(type, arguments):
            return True
    return False


def _is_from_hook(error: httpx.HTTPError, request: httpx.Request | None) -> bool:
    """Return whether the error comes from a request that an event hook sent."""
    try:
        return error.request is not request
    except RuntimeError:  # the error has no request
        return False

"""One attempt: build the request, send it, read the response.

Frames of this module hold requests in clear; `tracebacks` cuts them from every exception.
"""

from __future__ import annotations

import json
import time
import zlib
from typing import Any, Final, cast

from . import deadlines
from .calls import MAX_BODY, Call, Response
from .errors import FlashbackError
from .fields import UNSET
from .retry import Attempt, Failure
from .secrets import redact, secrets_in
from .settings import Settings
from .tracebacks import chain, cut_frames, passes_user_code, root_cause
from .transport import httpx

_CONNECT_TIMEOUT: Final = 5.0
# Connecting gives up a little before the attempt, so that the error says nothing was sent.
_CONNECT_SHARE: Final = 0.9
_UNSENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
_LIBRARY_ERRORS: Final = (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL)
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def send(
    http: httpx.Client | httpx.BaseTransport,
    call: Call[Any, Any],
    settings: Settings,
    attempt: Attempt,
) -> Response[Any]:
    """Return the response to one blocking attempt; raise what httpx and its hooks raise."""
    deadlines.attempt.ends_at = attempt.ends_at
    request = _request(call, settings, attempt, http)
    if isinstance(http, httpx.Client):
        response = http.send(request, stream=True, auth=None, follow_redirects=False)
    else:
        response = http.handle_request(request)
    stream = cast("httpx.SyncByteStream", response.stream)
    body = bytearray()
    try:
        if not response.is_stream_consumed:  # by a hook or a mock
            for chunk in stream:
                body += chunk
                if not _goes_on(body, attempt):
                    break
    finally:
        stream.close()
    return _response(call, request, response, body)


async def send_async(
    http: httpx.AsyncClient | httpx.AsyncBaseTransport,
    call: Call[Any, Any],
    settings: Settings,
    attempt: Attempt,
) -> Response[Any]:
    """Return the response to one awaited attempt; raise what httpx and its hooks raise."""
    request = _request(call, settings, attempt, http)
    if isinstance(http, httpx.AsyncClient):
        response = await http.send(request, stream=True, auth=None, follow_redirects=False)
    else:
        response = await http.handle_async_request(request)
    stream = cast("httpx.AsyncByteStream", response.stream)
    body = bytearray()
    try:
        if not response.is_stream_consumed:  # by a hook or a mock
            async for chunk in stream:
                body += chunk
                if not _goes_on(body, attempt):
                    break
    finally:
        await stream.aclose()
    return _response(call, request, response, body)


def outcome_of(
    error: BaseException, call: Call[Any, Any], attempt: Attempt, *, closed: bool
) -> Response[Any] | Failure:
    """Return what an attempt that raised means for the call; raise the error if it is not about it.

    No frame in the error shows a credential.
    """
    cut_frames(error)
    if isinstance(error, deadlines.LimitPassedError):
        error = httpx.ReadTimeout("no complete response within the time limit")
    if isinstance(error, httpx.HTTPStatusError):  # raised by a hook, raise_for_status
        return _response(call, error.request, error.response)
    root = root_cause(error)
    if isinstance(root, OSError) and root is not error and passes_user_code(root):
        # A signal handler's TimeoutError, which httpcore took for its own.
        raise root if isinstance(error, _LIBRARY_ERRORS) else error
    is_library_error = isinstance(error, _LIBRARY_ERRORS)
    is_system_error = isinstance(error, OSError) and not passes_user_code(error)
    is_closing = closed and isinstance(error, Exception) and not passes_user_code(error)
    if not isinstance(error, Exception) or not (is_library_error or is_system_error or is_closing):
        raise error
    _redact_chain(error, call, attempt)
    return Failure(
        "the client was closed during the call" if closed else _in_words(error, root),
        error,
        timed_out=isinstance(error, httpx.TimeoutException),
        sent=not isinstance(error, (*_UNSENT, FlashbackError)),
        final=closed,
    )


def _request(
    call: Call[Any, Any],
    settings: Settings,
    attempt: Attempt,
    http: object,
) -> httpx.Request:
    """Return the request of one attempt, with the time left as its limits."""
    client = http if isinstance(http, (httpx.Client, httpx.AsyncClient)) else None
    headers = {name: value.reveal() for name, value in settings.headers.items()}
    headers.update(call.headers or {})
    if attempt.token is not None:
        headers["authorization"] = f"Bearer {attempt.token.reveal()}"
    options: dict[str, Any] = {
        "params": call.params,
        "headers": headers,
        "cookies": call.cookies,
        "extensions": {"timeout": _limits(attempt, client)},
    }
    url = settings.base_url + call.path
    content = None
    if call.body is not UNSET:
        headers["content-type"] = call.media_type
        value = call.body.to_dict() if hasattr(call.body, "to_dict") else call.body
        content = _encode(value).encode()
    if client is not None:
        return client.build_request(call.method, url, content=content, **options)
    if content is None:
        return httpx.Request(call.method, url, **options)
    # A stream with its headers set: httpx would build the headers twice, a tenth of a call.
    headers["host"] = settings.host
    headers["content-length"] = str(len(content))
    request = httpx.Request(call.method, url, stream=httpx.ByteStream(content), **options)
    request.read()  # for transports and tools that look at `request.content`
    return request


def _limits(
    attempt: Attempt, client: httpx.Client | httpx.AsyncClient | None
) -> dict[str, float | None]:
    """Return httpx's limits of each phase: those of a client handed in, within the time left."""
    given: dict[str, float | None] = {"connect": _CONNECT_TIMEOUT}
    if client is not None:
        given = client.timeout.as_dict()
    whole = attempt.ends_at
    early = time.monotonic() + deadlines.left(whole) * _CONNECT_SHARE
    return {
        "connect": deadlines.within(early, given.get("connect")),
        "pool": deadlines.within(early, given.get("pool")),
        "read": deadlines.within(whole, given.get("read")),
        "write": deadlines.within(whole, given.get("write")),
    }


def _goes_on(body: bytearray, attempt: Attempt) -> bool:
    """Return whether to read on; raise when the time is over."""
    if time.monotonic() > attempt.ends_at:
        raise httpx.ReadTimeout("the time limit passed while the body was read")
    return len(body) <= MAX_BODY


def _response(
    call: Call[Any, Any],
    request: httpx.Request,
    response: httpx.Response,
    body: bytes | bytearray = b"",
) -> Response[Any]:
    """Return the response with its Content-Encoding undone, cut off after MAX_BODY bytes."""
    content = bytes(body)
    encoding = response.headers.get("content-encoding", "")
    problem = None
    if response.is_stream_consumed:  # httpx has undone the encoding
        content = response.content
        encoding = ""
    if encoding.lower() in {"gzip", "x-gzip", "deflate"}:
        try:
            content = zlib.decompressobj(wbits=47).decompress(content, MAX_BODY + 1)
        except zlib.error:
            content = b""
            problem = f"the body is not {encoding}"
    elif encoding.lower() not in {"", "identity"}:
        content = b""
        problem = "a Content-Encoding that was not asked for"
    if len(content) > MAX_BODY:
        content = content[:MAX_BODY]
        problem = f"the body is larger than {MAX_BODY} bytes"
    return Response(
        status_code=response.status_code,
        content=content,
        raw_headers=response.headers.raw,
        call=call,
        url=str(request.url),
        problem=problem,
    )


def _redact_chain(error: BaseException, call: Call[Any, Any], attempt: Attempt) -> None:
    """Mask credentials in the texts of these errors, and drop the requests that they carry."""
    secrets = list(secrets_in(call.body))
    if attempt.token is not None:
        secrets.append(attempt.token)
    for member in chain(error):
        member.args = tuple(
            redact(argument, secrets) if isinstance(argument, str) else argument
            for argument in member.args
        )
        if isinstance(member, httpx.RequestError):
            member.request = httpx.Request(call.method, "/")


def _in_words(error: BaseException, root: BaseException) -> str:
    """Return the error's name and text, with the system's reason where it says none."""
    text = f"{type(error).__name__}: {error}".removesuffix(": ")
    reason = str(root)
    return text if reason in text else f"{text} ({reason})"

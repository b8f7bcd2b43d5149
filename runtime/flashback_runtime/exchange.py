"""One attempt: build the request, send it, read the response.

Frames of this module hold requests in clear; `tracebacks` cuts them from every exception.
"""

from __future__ import annotations

import json
import time
import zlib
from typing import Any, Final

from .calls import Call, Failure, Response
from .connections import MAX_BODY, Connections, httpx
from .deadlines import TimeLimitError, left, within
from .errors import FlashbackError
from .fields import UNSET
from .secrets import Secret, redact, secrets_in
from .settings import Settings
from .tracebacks import chain, cut_frames, passes_user_code, root_cause

_CONNECT_TIMEOUT: Final = 5.0
# Connecting gives up a little before the attempt, so that the error says nothing was sent.
_CONNECT_SHARE: Final = 0.9
_UNSENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
_LIBRARY_ERRORS: Final = (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL)
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


async def attempt(
    call: Call[Any, Any],
    settings: Settings,
    connections: Connections,
    token: Secret | None,
    ends_at: float,
) -> Response[Any] | Failure:
    """Return the outcome of the attempt; raise errors of the caller's own code.

    No frame of an error that is raised here shows a credential.
    """
    try:
        return await _exchange(call, settings, connections, token, ends_at)
    except BaseException as raised:  # noqa: BLE001 - raised again, or translated
        error = raised
    cut_frames(error)
    if isinstance(error, TimeLimitError):
        error = httpx.ReadTimeout("no complete response within the time limit")
    if isinstance(error, httpx.HTTPStatusError):  # raised by a hook, raise_for_status
        return _response(call, settings, error.response, None)
    root = root_cause(error)
    if isinstance(root, OSError) and root is not error and passes_user_code(root):
        # A signal handler's TimeoutError, which httpcore took for its own.
        raise root if isinstance(error, _LIBRARY_ERRORS) else error
    is_library_error = isinstance(error, _LIBRARY_ERRORS)
    is_expected = isinstance(error, OSError) or connections.closed
    is_ours = isinstance(error, Exception) and is_expected and not passes_user_code(error)
    if not isinstance(error, Exception) or not (is_library_error or is_ours):
        raise error
    secrets = [*secrets_in(call.body), *([] if token is None else [token])]
    _redact_chain(error, secrets, call.method)
    return Failure(
        "the client was closed during the call" if connections.closed else _in_words(error, root),
        error,
        timed_out=isinstance(error, httpx.TimeoutException),
        sent=not isinstance(error, (*_UNSENT, FlashbackError)),
        final=connections.closed,
    )


async def _exchange(
    call: Call[Any, Any],
    settings: Settings,
    connections: Connections,
    token: Secret | None,
    ends_at: float,
) -> Response[Any]:
    http = connections.get(settings.route)
    request = _request(call, settings, http, token, ends_at)
    response, body = await connections.io.exchange(http, request, ends_at)
    return _response(call, settings, response, body)


def _request(
    call: Call[Any, Any], settings: Settings, http: object, token: Secret | None, ends_at: float
) -> httpx.Request:
    """Return the request of one attempt, with the time left as its limits."""
    headers = {name: value.reveal() for name, value in settings.headers.items()}
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
    url = settings.base_url + call.path
    if isinstance(http, (httpx.Client, httpx.AsyncClient)):
        options["extensions"] = {"timeout": _limits(http.timeout.as_dict(), ends_at)}
        return http.build_request(call.method, url, content=content, **options)
    options["extensions"] = {"timeout": _limits({"connect": _CONNECT_TIMEOUT}, ends_at)}
    # A stream with its headers set: httpx would build the headers twice, a tenth of a call.
    headers["host"] = settings.host
    if content is not None:
        headers["content-length"] = str(len(content))
    request = httpx.Request(call.method, url, stream=httpx.ByteStream(content or b""), **options)
    request.read()  # for transports and tools that look at `request.content`
    return request


def _limits(given: dict[str, float | None], ends_at: float) -> dict[str, float | None]:
    """Return httpx's limits of each phase: those given, within the time left."""
    early = time.monotonic() + left(ends_at) * _CONNECT_SHARE
    return {
        "connect": within(early, given.get("connect")),
        "pool": within(early, given.get("pool")),
        "read": within(ends_at, given.get("read")),
        "write": within(ends_at, given.get("write")),
    }


def _response(
    call: Call[Any, Any], settings: Settings, response: httpx.Response, body: bytes | None
) -> Response[Any]:
    """Return the response with its Content-Encoding decoded, cut off after MAX_BODY bytes."""
    encoding = response.headers.get("content-encoding", "").lower()
    problem = None
    if body is None:
        try:
            body = response.content  # httpx has already decoded the body
        except httpx.StreamError:
            body = b""
            problem = "a hook closed or consumed the response without reading it"
    elif encoding in {"gzip", "x-gzip", "deflate"}:
        try:
            body = zlib.decompressobj(wbits=47).decompress(body, MAX_BODY + 1)
        except zlib.error:
            body = b""
            problem = f"the body is not {encoding}"
    elif encoding not in {"", "identity"}:
        body = b""
        problem = "a Content-Encoding that was not asked for"
    if len(body) > MAX_BODY:
        problem = f"the body is larger than {MAX_BODY} bytes"
    content = body[:MAX_BODY]
    made: Response[Any]
    url = settings.base_url + call.path
    made = Response(call, url, response.status_code, response.headers, content)
    made.problem = problem
    return made


def _redact_chain(error: BaseException, secrets: list[Secret], method: str) -> None:
    """Redact credentials in the texts of these errors, and drop the requests that they carry."""
    for member in chain(error):
        member.args = tuple(
            redact(argument, secrets) if isinstance(argument, str) else argument
            for argument in member.args
        )
        if isinstance(member, httpx.RequestError):
            member.request = httpx.Request(method, "/")


def _in_words(error: BaseException, root: BaseException) -> str:
    """Return the error's name and text, and the system's reason if the text gives none."""
    text = f"{type(error).__name__}: {error}".removesuffix(": ")
    reason = str(root) if isinstance(root, Exception) else ""  # a cancellation has none
    return text if reason in text else f"{text} ({reason})"

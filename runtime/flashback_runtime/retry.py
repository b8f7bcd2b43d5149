"""The retry policy: which outcomes to retry, how long to wait, and what a call returns.

This module does not use a retry library, because deadlines, the Retry-After header and token
renewal would still require custom code.
"""

from __future__ import annotations

import random
import time
from math import inf
from typing import Any, cast

from .attempt import attempt
from .calls import Call, Response, RunningCall, printable
from .errors import ApiConnectionError, ApiTimeoutError, ArgumentError, ResponseDecodeError
from .fields import Unset, as_secret
from .secrets import Secret, cut_frames, exception_chain
from .settings import check_token

RETRIED_STATUSES = frozenset({408, 429, *range(500, 600)})
# The maximum wait before the first retry, in seconds. This maximum doubles with each further retry.
_FIRST_BACKOFF = 0.5
_MAX_BACKOFF = 8.0  # seconds
# The longest Retry-After, in seconds, that a call without a deadline honors.
_MAX_WAIT = 3600.0
_NOT_SENT = "the time limit expired before the request was sent"


async def send(running: RunningCall) -> Response[Any]:
    """Send the call, retry it if necessary, and return the response, regardless of its status.

    Retry an idempotent operation after a lost connection or a 408, 429 or 5xx response. Retry any
    operation if its request was not sent. Retry once after a 401 response if the token function
    returns a different token. Raise ApiConnectionError if no complete response was received, and
    ResponseDecodeError if a successful response does not match the contract.
    """
    try:
        return _parsed(running, await _attempts(running))
    except BaseException as error:  # the caller's hooks and signal handlers can raise anything
        cut_frames(exception_chain(error, running.handled))
        raise


async def _attempts(running: RunningCall) -> Response[Any]:
    """Make attempts until one succeeds or no retry is allowed, and return the last response."""
    token = await _token(running)
    can_renew_token = callable(running.settings.token)
    logger = running.settings.service.logger
    while True:
        if time.monotonic() >= running.deadline:
            raise running.error(ApiTimeoutError, _NOT_SENT)
        outcome = await attempt(running, token, _attempt_limit(running))
        result: object = outcome
        if isinstance(outcome, Response):
            result = f"{running.target}: {outcome.status_code}"
            running.maybe_applied |= _may_have_been_applied(running.call, outcome.status_code)
            if can_renew_token and outcome.status_code == 401:
                can_renew_token = False
                rejected = token
                token = await _token(running)
                if token != rejected:
                    continue
        delay = _delay(running, outcome)
        if delay is None:
            milliseconds = (time.monotonic() - running.started) * 1000
            logger.debug("%s, %.1f ms, attempts: %d", result, milliseconds, running.attempts)
            if isinstance(outcome, Response):
                return outcome
            try:
                raise outcome
            finally:
                del outcome, result  # the error's traceback refers to this frame
        running.retries += 1
        logger.warning("%s, retrying in %.2f s", result, delay)
        await running.connections.sleep(delay)


async def _token(running: RunningCall) -> Secret | None:
    """Return the token, or None if the operation does not require one.

    Errors raised here say whether an earlier attempt may have applied the update.
    """
    token = running.settings.token
    if not running.call.secured:
        return None
    if not isinstance(token, Secret):
        # Wrap the value immediately so that no traceback shows an invalid token.
        result = as_secret(
            cast("str | Unset", await running.connections.call(token, running.deadline))
        )
        if isinstance(result, Unset) or time.monotonic() >= running.deadline:
            raise running.error(ApiTimeoutError, _NOT_SENT)
        token = result
        try:
            check_token(token, running.settings.service)
        except ArgumentError as error:
            raise running.error(type(error), str(error), field=error.field) from None
    running.tokens.append(token)
    return token


def _attempt_limit(running: RunningCall) -> float:
    """Return the attempt's deadline. By default, leave half of the time for a possible retry."""
    now = time.monotonic()
    limit = running.settings.attempt_timeout
    can_retry = running.retries < running.settings.max_retries and running.call.is_idempotent
    if limit == inf and can_retry:
        limit = (running.deadline - now) / 2
    return min(running.deadline, now + limit)


def _may_have_been_applied(call: Call[Any, Any], status: int) -> bool:
    """Return whether a response with this status may mean that the update was applied.

    A documented status shows whether the update was applied. An undocumented 3xx or 4xx status
    means that it was not applied.
    """
    is_documented = status in call.errors or status in call.successes
    return not (call.is_safe or is_documented or 300 <= status < 500)


def _delay(running: RunningCall, outcome: Response[Any] | ApiConnectionError) -> float | None:
    """Return the number of seconds to wait before the next retry, or None to stop retrying."""
    if _is_rejected(running, outcome):
        return None
    if running.connections.closed or running.retries >= running.settings.max_retries:
        return None
    was_sent = isinstance(outcome, Response) or running.maybe_applied
    if was_sent and not running.call.is_idempotent:
        return None
    backoff = min(_MAX_BACKOFF, _FIRST_BACKOFF * 2 ** min(running.retries, 10))
    delay = random.uniform(0, backoff)  # noqa: S311 - not used for cryptography
    if isinstance(outcome, Response):
        delay = max(delay, outcome.retry_after or 0.0)
    seconds_left = running.deadline - time.monotonic()
    return delay if delay < min(_MAX_WAIT, seconds_left) else None


def _is_rejected(running: RunningCall, outcome: Response[Any] | ApiConnectionError) -> bool:
    """Return whether the service, or a proxy that was asked for a tunnel, rejected the request."""
    status = running.tunnel_status
    if isinstance(outcome, Response):
        status = outcome.status_code
    return status is not None and status not in RETRIED_STATUSES


def _parsed(running: RunningCall, response: Response[Any]) -> Response[Any]:
    """Parse the body and return the response; raise ResponseDecodeError if the body is invalid."""
    response.maybe_applied = running.maybe_applied
    if response.status_code not in running.call.successes:
        running.redact_response(response)
        response.error = running.status_error(response)
    if response.problem is None:
        try:
            response.parsed = running.call.parse(response)
        except (AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
            response.problem = f"{type(error).__name__}: {error}".removesuffix(": ")
    if response.problem is not None and response.error is None:
        running.redact_response(response)
        running.maybe_applied = not running.call.is_safe
        problem = printable(running.redacted(response.problem))
        message = f"body does not match the contract: {problem}"
        raise running.response_error(ResponseDecodeError, response, message)
    return response

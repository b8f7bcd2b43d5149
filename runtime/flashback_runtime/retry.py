"""The retry policy: which outcomes to retry, how long to wait, and what a call returns.

This module does not use a retry library, because deadlines, the Retry-After header and token
renewal would still require custom code.
"""

from __future__ import annotations

import logging
import random
import time
from math import inf
from typing import Any, Final

from .attempt import attempt
from .calls import Call, Failure, Response, RunningCall, printable
from .errors import (
    ApiConnectionError,
    ApiTimeoutError,
    ArgumentError,
    FlashbackError,
    ResponseDecodeError,
)
from .secrets import Secret
from .settings import checked_token
from .transport import TimeLimitError

Outcome = Response[Any] | Failure

RETRIED_STATUSES: Final = frozenset({408, 429, *range(500, 600)})
# The maximum wait before the first retry, in seconds. It doubles with each further retry.
_FIRST_BACKOFF: Final = 0.5
_MAX_BACKOFF: Final = 8.0  # seconds
# The longest Retry-After, in seconds, that a call without a deadline honors.
_MAX_WAIT: Final = 3600.0
_NOT_SENT: Final = Failure(
    "the time limit passed before the request was sent", None, timed_out=True, sent=False
)


async def send(running: RunningCall) -> Response[Any]:
    """Send the call, retry it if necessary, and return the response, whatever its status.

    Retry an idempotent operation after a lost connection, 408, 429 or 5xx. Retry any operation
    if its request was not sent. Retry once after a 401 if the token function returns a different
    token. Raise ApiConnectionError if no complete response was received, and
    ResponseDecodeError if a successful response does not match the contract.
    """
    call = running.call
    outcome: Outcome = _NOT_SENT
    token = await _token(running) if call.secured else None
    can_renew_token = call.secured and callable(running.settings.token)
    while time.monotonic() < running.deadline and (token is not None or not call.secured):
        outcome = await attempt(running, token, _attempt_limit(running))
        running.maybe_applied |= _may_have_been_applied(call, outcome)
        if can_renew_token and isinstance(outcome, Response) and outcome.status_code == 401:
            can_renew_token = False
            rejected = token
            token = await _renewed_token(running)
            if token != rejected:
                continue
        delay = _delay(running, outcome)
        if delay is None or delay >= min(_MAX_WAIT, running.deadline - time.monotonic()):
            break
        running.retries += 1
        _log(running, logging.WARNING, outcome, "retrying in %.2f s", delay)
        await running.connections.sleep(delay)
    milliseconds = (time.monotonic() - running.started) * 1000
    _log(running, logging.DEBUG, outcome, "%.1f ms, attempts: %d", milliseconds, running.attempts)
    return _result(running, outcome)


async def _token(running: RunningCall) -> Secret | None:
    """Return the token, or None if the token function exceeds the deadline."""
    token = running.settings.token
    if not isinstance(token, Secret):
        try:
            value = await running.connections.call(token, running.deadline)
        except TimeLimitError:
            return None
        token = checked_token(value, running.settings.service)
    running.tokens.append(token)
    return token


async def _renewed_token(running: RunningCall) -> Secret | None:
    """Return the token for a retry.

    The errors raised here say whether the update may have been applied.
    """
    try:
        return await _token(running)
    except ArgumentError as error:
        raise running.error(ArgumentError, str(error), field=error.field) from None
    except Exception as error:
        error.add_note(str(running.error(FlashbackError, "the token function failed")))
        raise


def _attempt_limit(running: RunningCall) -> float:
    """Return the deadline for the next attempt.

    Without `attempt_timeout`, an attempt gets half of the remaining time if another retry is
    possible, and all of it otherwise.
    """
    now = time.monotonic()
    limit = running.settings.attempt_timeout
    can_retry = running.retries < running.settings.max_retries and running.call.is_idempotent
    if limit == inf and can_retry:
        limit = (running.deadline - now) / 2
    return min(running.deadline, now + limit)


def _may_have_been_applied(call: Call[Any, Any], outcome: Outcome) -> bool:
    """Return whether the service may have applied the update without confirming it.

    A documented status is unambiguous. A 3xx or 4xx, even an undocumented one, always means that
    the update was not applied.
    """
    if isinstance(outcome, Failure):
        return outcome.sent
    status = outcome.status_code
    is_documented = status in call.errors or status in call.successes
    return not is_documented and not 300 <= status < 500


def _delay(running: RunningCall, outcome: Outcome) -> float | None:
    """Return the seconds to wait before the next retry, or None to stop retrying."""
    if running.retries >= running.settings.max_retries:
        return None
    if isinstance(outcome, Failure):
        can_retry = running.call.is_idempotent or not outcome.sent
        can_retry = can_retry and not running.connections.closed
    else:
        can_retry = running.call.is_idempotent and outcome.status_code in RETRIED_STATUSES
    if not can_retry:
        return None
    minimum = outcome.retry_after if isinstance(outcome, Response) else None
    backoff = min(_MAX_BACKOFF, _FIRST_BACKOFF * 2 ** min(running.retries, 10))
    jitter = random.uniform(0, backoff)  # noqa: S311 - not used for cryptography
    return max(minimum or 0.0, jitter)


def _result(running: RunningCall, outcome: Outcome) -> Response[Any]:
    """Return the parsed response; raise an error for a failure or an invalid body."""
    if isinstance(outcome, Failure):
        kind = ApiTimeoutError if outcome.timed_out else ApiConnectionError
        raise running.error(kind, printable(running.redacted(outcome.text))) from outcome.cause
    outcome.maybe_applied = running.maybe_applied
    is_success = outcome.status_code in running.call.successes
    if not is_success:
        outcome.redact()
    if outcome.problem is None:
        outcome.parse()
    if is_success and outcome.problem is not None:
        outcome.redact()
        running.maybe_applied = True
        problem = printable(running.redacted(outcome.problem))
        raise outcome.error(ResponseDecodeError, f"body does not match the contract: {problem}")
    return outcome


def _log(running: RunningCall, level: int, outcome: Outcome, text: str, *values: float) -> None:
    logger = running.settings.service.logger
    if logger.isEnabledFor(level):
        result = outcome.text if isinstance(outcome, Failure) else str(outcome.status_code)
        redacted = printable(running.redacted(result))
        template = f"%s %s: %s, {text}"
        logger.log(level, template, running.call.method, running.url, redacted, *values)

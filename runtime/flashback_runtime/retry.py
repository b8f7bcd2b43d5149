"""The retry policy: which outcomes are retried, when, and how a call ends.

A retry library would not help: the deadline, Retry-After and the renewal of a token would still
be decided here.
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
_FIRST_BACKOFF: Final = 0.5  # seconds; the maximum wait before the first retry, doubled each time
_MAX_BACKOFF: Final = 8.0  # seconds
_MAX_WAIT: Final = 3600.0  # seconds; the longest Retry-After that a call without deadline waits for
_NOT_SENT: Final = Failure(
    "the time limit passed before the request was sent", None, timed_out=True, sent=False
)


async def send(running: RunningCall) -> Response[Any]:
    """Return the response of any status; raise ApiConnectionError or ResponseDecodeError.

    Lost connections, 408, 429 and 5xx are retried if the operation is idempotent or the request
    was not sent. A 401 is retried once if a token function then returns a different token.
    """
    call = running.call
    outcome: Outcome = _NOT_SENT
    token = await _token(running) if call.secured else None
    can_renew_token = call.secured and callable(running.settings.token)
    while time.monotonic() < running.deadline and (token is not None or not call.secured):
        outcome = await attempt(running, token, _attempt_limit(running))
        running.maybe_applied |= _may_be_applied(call, outcome)
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
    """Return the token; None if the token function exceeds the deadline."""
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
    """Return the token for a retry; its errors say whether the update may have been applied."""
    try:
        return await _token(running)
    except ArgumentError as error:
        raise running.error(ArgumentError, str(error), field=error.field) from None
    except Exception as error:
        error.add_note(str(running.error(FlashbackError, "the token function failed")))
        raise


def _attempt_limit(running: RunningCall) -> float:
    """Return the deadline of an attempt: after half of the time left if a retry is possible."""
    now = time.monotonic()
    limit = running.settings.attempt_timeout
    can_retry = running.retries < running.settings.max_retries and running.call.is_idempotent
    if limit == inf and can_retry:
        limit = (running.deadline - now) / 2
    return min(running.deadline, now + limit)


def _may_be_applied(call: Call[Any, Any], outcome: Outcome) -> bool:
    """Return whether the service may have applied the update without saying so.

    A documented status says whether it did. No 3xx or 4xx, documented or not, applies an update.
    """
    if isinstance(outcome, Failure):
        return outcome.sent
    status = outcome.status_code
    is_documented = status in call.errors or status in call.successes
    return not is_documented and not 300 <= status < 500


def _delay(running: RunningCall, outcome: Outcome) -> float | None:
    """Return the seconds to wait before a retry; None if there is no retry."""
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
    """Return the parsed response; raise an error for a failure or an undocumented body."""
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
        raise outcome.error(ResponseDecodeError, f"not what the contract documents: {problem}")
    return outcome


def _log(running: RunningCall, level: int, outcome: Outcome, text: str, *values: float) -> None:
    logger = running.settings.service.logger
    if logger.isEnabledFor(level):
        words = outcome.text if isinstance(outcome, Failure) else str(outcome.status_code)
        shown = printable(running.redacted(words))
        template = f"%s %s: %s, {text}"
        logger.log(level, template, running.call.method, running.url, shown, *values)

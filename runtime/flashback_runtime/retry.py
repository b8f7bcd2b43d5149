"""The retry policy: which outcomes are retried, when, and what a call ends with.

`steps` decides and does no I/O: it yields what to do next, and a client does it, blocking or
awaited. No retry library: the deadline, Retry-After and the second token would still be decided
here, and a library would leave little more than the loop, twice.
"""

from __future__ import annotations

import json
import logging
import random
import time
from collections.abc import Generator
from math import inf
from typing import Any, Final, NamedTuple, TypeVar

from .calls import Call, Response, attempts_in_words, printable
from .errors import ApiConnectionError, ApiTimeoutError, ResponseDecodeError
from .secrets import Secret, redact, secrets_in
from .settings import Settings

P = TypeVar("P")

RETRIED_STATUSES: Final = frozenset({408, 429, *range(500, 600)})
_FIRST_BACKOFF: Final = 0.5  # seconds at most before the first retry, doubled for each further one
_MAX_BACKOFF: Final = 8.0
_MAX_WAIT: Final = 3600.0  # seconds of Retry-After, where the call has no deadline


class AskToken(NamedTuple):
    """Get the current token; send back a Secret, or None if the deadline passed."""

    ends_at: float


class Attempt(NamedTuple):
    """Send the request once, give up at `ends_at`, and send back a Response or a Failure."""

    token: Secret | None
    ends_at: float


class Sleep(NamedTuple):
    """Wait before the next attempt."""

    seconds: float


class Failure(NamedTuple):
    """Why no complete response came."""

    text: str
    cause: Exception | None
    timed_out: bool = False
    sent: bool = True
    """Whether the service may have received the request."""
    final: bool = False


_NOT_SENT: Final = Failure(
    "the time limit passed before the request was sent", None, timed_out=True, sent=False
)
Step = AskToken | Attempt | Sleep
Outcome = Response[Any] | Failure


class _Progress:
    """The state of a running call."""

    def __init__(self, call: Call[Any, Any], settings: Settings, deadline: float) -> None:
        self.call = call
        self.settings = settings
        self.deadline = deadline
        self.url = settings.base_url + call.path
        self.tokens: list[Secret] = []
        self.attempts = 0
        self.retries = 0
        self.maybe_applied = False
        self.started = time.monotonic()

    def secrets(self) -> list[Secret]:
        return [*self.tokens, *secrets_in(self.call.body)]

    def redact(self, text: str) -> str:
        return redact(text, self.secrets())

    def know(self, token: Secret | None) -> None:
        if token is not None:
            self.tokens.append(token)

    def note(self, outcome: Outcome) -> None:
        self.attempts += 1
        self.maybe_applied |= _maybe_applied(self.call, outcome)

    def attempt_ends_at(self) -> float:
        """Return the attempt's limit: half of the time left while it could be retried."""
        now = time.monotonic()
        limit = self.settings.attempt_timeout
        can_retry = self.retries < self.settings.max_retries and self.call.is_idempotent
        if limit == inf and can_retry:
            limit = (self.deadline - now) / 2
        return min(self.deadline, now + limit)


def steps(
    call: Call[Any, P], settings: Settings, deadline: float
) -> Generator[Step | Response[P], Any, None]:
    """Yield what to do, and last the response; raise ApiConnectionError or ResponseDecodeError.

    Lost connections, 408, 429 and 5xx are retried if the operation is idempotent or the request
    was not sent; a 401 is, once, if the token is a function that returns another one then.
    """
    progress = _Progress(call, settings, deadline)
    token: Secret | None = None
    renewable = call.secured and callable(settings.token)
    if call.secured:
        token = yield AskToken(deadline)
        progress.know(token)
    outcome: Outcome = _NOT_SENT
    while deadline > time.monotonic() and (token is not None or not call.secured):
        outcome = yield Attempt(token, progress.attempt_ends_at())
        progress.note(outcome)
        if renewable and isinstance(outcome, Response) and outcome.status_code == 401:
            renewable = False
            refused = token
            token = yield AskToken(deadline)
            progress.know(token)
            if token != refused:
                continue
        delay = _delay(progress, outcome)
        if delay is None or delay >= min(_MAX_WAIT, deadline - time.monotonic()):
            break
        progress.retries += 1
        _log(progress, logging.WARNING, outcome, "again in %.2f s", delay)
        yield Sleep(delay)
    milliseconds = (time.monotonic() - progress.started) * 1000
    end = "%.1f ms, attempts: %d"
    _log(progress, logging.DEBUG, outcome, end, milliseconds, progress.attempts)
    if isinstance(outcome, Failure):
        raise _connection_error(progress, outcome)
    yield _finished(progress, outcome)


def _maybe_applied(call: Call[Any, Any], outcome: Outcome) -> bool:
    """Return whether the update may have been applied although it was not confirmed.

    A documented status says what happened, a 3xx or 4xx that it did not.
    """
    if isinstance(outcome, Failure):
        return outcome.sent
    if outcome.status_code in call.errors or outcome.status_code in call.successes:
        return False
    return not 300 <= outcome.status_code < 500


def _delay(progress: _Progress, outcome: Outcome) -> float | None:
    """Return the seconds to wait before a retry; None if there is none."""
    if progress.retries >= progress.settings.max_retries:
        return None
    backoff = min(_MAX_BACKOFF, _FIRST_BACKOFF * 2 ** min(progress.retries, 10))
    jittered = random.uniform(0, backoff)  # noqa: S311 - full jitter, not cryptography
    is_idempotent = progress.call.is_idempotent
    if isinstance(outcome, Failure):
        return jittered if not outcome.final and (is_idempotent or not outcome.sent) else None
    if not is_idempotent or outcome.status_code not in RETRIED_STATUSES:
        return None
    return max(jittered, outcome.retry_after or 0.0)


def _finished(progress: _Progress, response: Response[P]) -> Response[P]:
    """Return the response, parsed; raise ResponseDecodeError for a success that cannot be."""
    response.attempts = progress.attempts
    response.maybe_applied = progress.maybe_applied
    is_success = response.status_code in progress.call.successes
    if not is_success:
        response.redact(progress.secrets())
    if response.problem is None:
        response.parsed, response.problem = _parsed(response)
    if is_success and response.problem is not None:
        response.redact(progress.secrets())
        response.maybe_applied = True
        problem = printable(progress.redact(response.problem))
        raise response.error(ResponseDecodeError, f"not what the contract documents: {problem}")
    return response


def _parsed(response: Response[Any]) -> tuple[Any, str | None]:
    """Return the body as the contract documents it, or what is wrong with it."""
    try:
        return response.call.parse(response), None
    except (json.JSONDecodeError, UnicodeDecodeError):
        return None, "the body is not JSON"
    except RecursionError:
        return None, "the body is nested too deeply"
    except KeyError as error:
        return None, f"{error} is missing"
    except (TypeError, ValueError, AttributeError) as error:
        return None, str(error)


def _connection_error(progress: _Progress, failure: Failure) -> ApiConnectionError:
    text = printable(progress.redact(failure.text))
    attempts = progress.attempts
    details = attempts_in_words(attempts, maybe_applied=progress.maybe_applied)
    facts = progress.call.facts(progress.url, attempts, maybe_applied=progress.maybe_applied)
    kind = ApiTimeoutError if failure.timed_out else ApiConnectionError
    error = kind(f"{progress.call.method} {progress.url}: {text} ({details})", facts)
    error.__cause__ = failure.cause
    return error


def _log(progress: _Progress, level: int, outcome: Outcome, text: str, *values: float) -> None:
    """Log a line with method, URL and outcome, and then the text."""
    logger = progress.settings.service.logger
    if not logger.isEnabledFor(level):
        return
    words = str(outcome.status_code) if isinstance(outcome, Response) else outcome.text
    shown = printable(progress.redact(words))
    template = f"%s %s: %s, {text}"
    logger.log(level, template, progress.call.method, progress.url, shown, *values)

"""The retry policy: which outcomes are retried, when, and how a call ends.

No retry library: the deadline, Retry-After and the second token would still be decided here.
"""

from __future__ import annotations

import logging
import random
import time
from math import inf
from typing import Any, Final, TypeVar, cast

from .calls import Call, Failure, Response, printable
from .connections import IO, Connections
from .deadlines import TimeLimitError
from .errors import (
    ApiConnectionError,
    ApiTimeoutError,
    ArgumentError,
    FlashbackError,
    ResponseDecodeError,
)
from .exchange import attempt
from .secrets import Secret, redact, secrets_in
from .settings import Settings, checked_token

P = TypeVar("P")
E = TypeVar("E", bound=FlashbackError)
Outcome = Response[Any] | Failure

RETRIED_STATUSES: Final = frozenset({408, 429, *range(500, 600)})
_FIRST_BACKOFF: Final = 0.5  # seconds at most before the first retry, doubled for each further one
_MAX_BACKOFF: Final = 8.0
_MAX_WAIT: Final = 3600.0  # seconds of Retry-After, where the call has no deadline
_NOT_SENT: Final = Failure(
    "the time limit passed before the request was sent", None, timed_out=True, sent=False
)


async def send(call: Call[Any, P], settings: Settings, connections: Connections) -> Response[P]:
    """Return the response of any status; raise ApiConnectionError or ResponseDecodeError.

    Lost connections, 408, 429 and 5xx are retried if the operation is idempotent or the request
    was not sent; a 401 is retried once, if the token is a function that then returns another one.
    """
    io = connections.io
    progress = _Progress(call, settings)
    deadline = progress.started + settings.timeout
    outcome: Outcome = _NOT_SENT
    token: Secret | None = None
    renewable = call.secured and callable(settings.token)
    if call.secured:
        token = progress.know(await _current_token(settings, io, deadline))
    while time.monotonic() < deadline and (token is not None or not call.secured):
        limit = progress.attempt_limit(deadline)
        outcome = await attempt(call, settings, connections, token, limit)
        progress.note(outcome)
        if renewable and isinstance(outcome, Response) and outcome.status_code == 401:
            renewable = False
            refused = token
            token = progress.know(await _renewed_token(progress, io, deadline))
            if token != refused:
                continue
        delay = progress.delay(outcome)
        if delay is None or delay >= min(_MAX_WAIT, deadline - time.monotonic()):
            break
        progress.retries += 1
        progress.log(logging.WARNING, outcome, "again in %.2f s", delay)
        await io.sleep(delay)
    milliseconds = (time.monotonic() - progress.started) * 1000
    end = "%.1f ms, attempts: %d"
    progress.log(logging.DEBUG, outcome, end, milliseconds, progress.attempts)
    return cast("Response[P]", progress.finish(outcome))


async def _current_token(settings: Settings, io: IO, deadline: float) -> Secret | None:
    """Return the token; None if the token function exceeds the deadline."""
    if isinstance(settings.token, Secret):
        return settings.token
    try:
        value = await io.call(settings.token, deadline)
    except TimeLimitError:
        return None
    return cast("Secret", checked_token(value, settings.service))


async def _renewed_token(progress: _Progress, io: IO, deadline: float) -> Secret | None:
    """Return the token for a retry; its errors say what an earlier attempt may have done."""
    try:
        return await _current_token(progress.settings, io, deadline)
    except ArgumentError as error:
        raise progress.error(ArgumentError, str(error), field=error.field) from None
    except Exception as error:
        error.add_note(str(progress.error(FlashbackError, "the token function failed")))
        raise


class _Progress:
    """The state of a running call, and the decisions that depend on it."""

    def __init__(self, call: Call[Any, Any], settings: Settings) -> None:
        self.call = call
        self.settings = settings
        self.url = settings.base_url + call.path
        self.tokens: list[Secret] = []
        self.attempts = 0
        self.retries = 0
        self.maybe_applied = False
        self.started = time.monotonic()

    def know(self, token: Secret | None) -> Secret | None:
        """Return the token, which is redacted from now on."""
        if token is not None:
            self.tokens.append(token)
        return token

    def attempt_limit(self, deadline: float) -> float:
        """Return when an attempt must end: after half of the time left if it can be retried."""
        now = time.monotonic()
        limit = self.settings.attempt_timeout
        can_retry = self.retries < self.settings.max_retries and self.call.is_idempotent
        if limit == inf and can_retry:
            limit = (deadline - now) / 2
        return min(deadline, now + limit)

    def note(self, outcome: Outcome) -> None:
        """Count the attempt; it may have been applied unless its status says otherwise.

        A 3xx or 4xx says that it was not, documented or not.
        """
        self.attempts += 1
        if isinstance(outcome, Failure):
            self.maybe_applied |= outcome.sent
            return
        status = outcome.status_code
        is_documented = status in self.call.errors or status in self.call.successes
        self.maybe_applied |= not is_documented and not 300 <= status < 500

    def delay(self, outcome: Outcome) -> float | None:
        """Return the seconds to wait before a retry; None if there is none."""
        if self.retries >= self.settings.max_retries:
            return None
        if isinstance(outcome, Failure):
            can_retry = not outcome.final and (self.call.is_idempotent or not outcome.sent)
        else:
            can_retry = self.call.is_idempotent and outcome.status_code in RETRIED_STATUSES
        if not can_retry:
            return None
        least = outcome.retry_after if isinstance(outcome, Response) else None
        backoff = min(_MAX_BACKOFF, _FIRST_BACKOFF * 2 ** min(self.retries, 10))
        return max(least or 0.0, random.uniform(0, backoff))  # noqa: S311 - jitter, not cryptography

    def finish(self, outcome: Outcome) -> Response[Any]:
        """Return the parsed response; raise an error if there is none or it is undocumented."""
        if isinstance(outcome, Failure):
            kind = ApiTimeoutError if outcome.timed_out else ApiConnectionError
            raise self.error(kind, self._shown(outcome.text)) from outcome.cause
        outcome.attempts = self.attempts
        outcome.maybe_applied = self.maybe_applied
        is_success = outcome.status_code in self.call.successes
        if not is_success:
            outcome.redact(self._secrets())
        if outcome.problem is None:
            outcome.parse()
        if is_success and outcome.problem is not None:
            outcome.redact(self._secrets())
            outcome.maybe_applied = True
            problem = self._shown(outcome.problem)
            raise outcome.error(ResponseDecodeError, f"not what the contract documents: {problem}")
        return outcome

    def error(self, kind: type[E], text: str, **facts: Any) -> E:
        """Return an error that says what the attempts so far may have done."""
        known = {"attempts": self.attempts, "maybe_applied": self.maybe_applied, **facts}
        return self.call.error(kind, text, url=self.url, **known)

    def _secrets(self) -> list[Secret]:
        return [*self.tokens, *secrets_in(self.call.body)]

    def _shown(self, text: str) -> str:
        return printable(redact(text, self._secrets()))

    def log(self, level: int, outcome: Outcome, text: str, *values: float) -> None:
        """Log a line with method, URL and outcome, and then the text."""
        logger = self.settings.service.logger
        if logger.isEnabledFor(level):
            words = outcome.text if isinstance(outcome, Failure) else str(outcome.status_code)
            template = f"%s %s: %s, {text}"
            logger.log(level, template, self.call.method, self.url, self._shown(words), *values)

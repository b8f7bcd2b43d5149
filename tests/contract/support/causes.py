"""Remembers accepted invalid updates, because valid updates may fail after one of them."""

from support.exchange import Exchange, Request
from support.expectation import rule_of_valid

AFTER_INVALID = ", although similar updates succeeded before the backend accepted an invalid one"


class InvalidUpdates:
    """The latest invalid update that the backend accepted for each configuration."""

    def __init__(self) -> None:
        """Start without any updates."""
        self._latest: dict[str, Request] = {}  # by id
        # The latest invalid update when a valid one last succeeded, by id and kind of valid update
        self._before: dict[tuple[str, str], Request | None] = {}
        self._causes: dict[str, Request] = {}  # by finding id

    def remember(self, exchange: Exchange) -> None:
        """Remember an update that the backend accepted."""
        request = exchange.request
        if not exchange.is_accepted or not request.id:
            return
        if any(not reason.is_open for reason in request.reasons):
            self._latest[request.id] = request
        elif not request.reasons:
            self._before[_key(request)] = self._latest.get(request.id)

    def cause_of(self, finding: str, exchange: Exchange) -> Request | None:
        """Return the invalid update after which valid updates like this one fail, if any."""
        request = exchange.request
        latest = self._latest.get(request.id)
        is_valid = request.rule.must_succeed and not request.reasons
        if exchange.status < 500 or not latest or not is_valid:
            return None
        if self._before.get(_key(request), latest) is latest:
            return None
        return self._causes.setdefault(finding, latest)


def _key(request: Request) -> tuple[str, str]:
    return request.id, rule_of_valid(request).id

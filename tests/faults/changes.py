"""Define changes to the mock, either as keyword arguments or with decorators."""

from collections.abc import Callable, Iterable
from typing import Any

from tests.faults.backend import After, Before, Change, await_if_needed
from tests.faults.messages import Answer, Request, accepted, refused

Condition = Callable[[Request], Any]


class Changes(dict[str, Change]):
    """A dictionary that maps names to changes.

    The decorators `before` and `after` register the decorated function as a change. The other
    methods register one change for each keyword argument.
    """

    def before(self, promises: str = "") -> Callable[[Before], None]:
        """Register a change that modifies requests, or responds to them in place of the mock."""

        def register(change: Any) -> None:
            self._add(change.__name__, Change(before=change, promises=promises))

        return register

    def after(self, promises: str = "") -> Callable[[After], None]:
        """Register a change that modifies the mock's responses."""

        def register(change: Any) -> None:
            self._add(change.__name__, Change(after=change, promises=promises))

        return register

    def changes_request(self, promises: str, **changes: Before) -> None:
        """Register changes that modify requests, or respond to them in place of the mock."""
        for name, change in changes.items():
            self._add(name, Change(before=change, promises=promises))

    def changes_answer(self, promises: str, status: int = 0, /, **changes: After) -> None:
        """Register changes to responses with this status, or to all responses if `status` is 0."""
        for name, change in changes.items():

            def change_matching(request: Request, answer: Answer, change: After = change) -> object:
                return change(request, answer) if status in (0, answer.status) else None

            self._add(name, Change(after=change_matching, promises=promises))

    def where(self, promises: str, change: Before, /, **conditions: Condition) -> None:
        """For each condition, register this change for the requests that match the condition."""
        for name, condition in conditions.items():

            def change_matching(request: Request, condition: Condition = condition) -> object:
                return change(request) if condition(request) else None

            self._add(name, Change(before=change_matching, promises=promises))

    def accepts(self, promises: str, **conditions: Condition) -> None:
        """Register changes that return 200 for invalid requests that match a condition."""
        for name, condition in conditions.items():

            def accept(request: Request, answer: Answer, condition: Condition = condition) -> None:
                if answer.status in (400, 404, 413, 415) and condition(request):
                    answer.accept(request)

            self._add(f"accepts_{name}", Change(after=accept, promises=promises))

    def refuses(self, promises: str, status: int = 400, /, **conditions: Condition) -> None:
        """Register changes that return this status for requests that match a condition."""
        for name, condition in conditions.items():

            def refuse(request: Request, answer: Answer, condition: Condition = condition) -> None:
                if answer.status not in (401, 405) and condition(request):
                    answer.refuse(status)

            self._add(f"returns_{status}_for_{name}", Change(after=refuse, promises=promises))

    def _add(self, name: str, change: Change) -> None:
        assert name not in self, f"{name} is defined twice"
        self[name] = change


def as_user(role: str) -> Before:
    return lambda request: request.as_user(role)


def promote(role: str) -> Before:
    """Return a change that gives this user the owner's permissions."""
    return lambda request: request.role == role and request.as_user("owner")


def for_configuration(role: str) -> Before:
    return lambda request: request.for_id(request.ids[role])


def reply(status: int, to: str | None = None) -> Before:
    """Return a change that sends this status to all users, or only to one user if `to` is set."""

    def change(request: Request) -> Answer | None:
        if to not in (None, request.role):
            return None
        return accepted(request) if status == 200 else refused(status)

    return change


def combine(changes: Iterable[Change]) -> Change:
    changes = list(changes)

    async def before(request: Request) -> Answer | None:
        for change in changes:
            if change.before:
                answer = await await_if_needed(change.before(request))
                if isinstance(answer, Answer):
                    return answer
        return None

    async def after(request: Request, answer: Answer) -> None:
        for change in changes:
            if change.after:
                await await_if_needed(change.after(request, answer))

    return Change(before, after)

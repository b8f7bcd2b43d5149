"""Define changes to the mock, either as keyword arguments or with decorators."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from tests.faults.backend import After, Before, Change, await_if_needed
from tests.faults.messages import Answer, Request, accepted, refused
from tests.faults.relay import OnTheWire

Condition = Callable[[Request], Any]


@dataclass(frozen=True)
class NamedChange(Change):
    """A change with a name and the promises that it breaks.

    `promises` is a `-k` expression. The change must break at least one of the selected promises.
    """

    name: str = ""
    promises: str = ""


class Changes(dict[str, NamedChange]):
    """A dictionary that maps names to changes.

    The decorators `before`, `after` and `on_the_wire` register the decorated function as a
    change. The methods `changes_request`, `changes_answer`, `where`, `accepts` and `refuses`
    register one change for each keyword argument.
    """

    def before(self, promises: str = "") -> Callable[[Before], Before]:
        """Register a change that modifies requests, or responds to them in place of the mock."""
        return self._decorator(promises, "before")

    def after(self, promises: str = "") -> Callable[[After], After]:
        """Register a change that modifies the mock's responses."""
        return self._decorator(promises, "after")

    def on_the_wire(self, promises: str = "") -> Callable[[OnTheWire], OnTheWire]:
        """Register a change that modifies the raw bytes of the mock's responses."""
        return self._decorator(promises, "on_the_wire")

    def changes_request(self, promises: str, **changes: Before) -> None:
        """Register changes that modify requests, or respond to them in place of the mock."""
        for name, change in changes.items():
            self.add(name, promises, before=change)

    def changes_answer(self, promises: str, status: int = 0, /, **changes: After) -> None:
        """Register changes that modify responses with this status; 0 means all responses."""
        for name, change in changes.items():

            def change_matching(request: Request, answer: Answer, change: After = change) -> object:
                return change(request, answer) if status in (0, answer.status) else None

            self.add(name, promises, after=change_matching)

    def where(self, promises: str, change: Before, /, **conditions: Condition) -> None:
        """Register a change for each condition: apply `change` only to requests that match it."""
        for name, condition in conditions.items():

            def change_matching(request: Request, condition: Condition = condition) -> object:
                return change(request) if condition(request) else None

            self.add(name, promises, before=change_matching)

    def accepts(self, promises: str, **conditions: Condition) -> None:
        """Register changes that return 200 for invalid requests that match a condition."""
        for name, condition in conditions.items():

            def accept(request: Request, answer: Answer, condition: Condition = condition) -> None:
                if answer.status in (400, 404, 413, 415) and condition(request):
                    answer.accept(request)

            self.add(f"accepts_{name}", promises, after=accept)

    def refuses(self, promises: str, status: int = 400, /, **conditions: Condition) -> None:
        """Register changes that return this status for requests that match a condition."""
        for name, condition in conditions.items():

            def refuse(request: Request, answer: Answer, condition: Condition = condition) -> None:
                if answer.status not in (401, 405) and condition(request):
                    answer.refuse(status)

            self.add(f"returns_{status}_for_{name}", promises, after=refuse)

    def add(self, name: str, promises: str, **functions: Any) -> None:
        """Register a change that consists of one or more functions."""
        assert name not in self, f"{name} is defined twice"
        self[name] = NamedChange(name=name, promises=promises, **functions)

    def _decorator(self, promises: str, kind: str) -> Callable[[Any], Any]:
        def register(change: Any) -> Any:
            self.add(change.__name__, promises, **{kind: change})
            return change

        return register


def as_user(role: str) -> Before:
    """Return a change that replaces the token with this user's token."""
    return lambda request: request.as_user(role)


def promote(role: str) -> Before:
    """Return a change that gives this user the owner's permissions."""
    return lambda request: request.role == role and request.as_user("owner")


def for_configuration(role: str) -> Before:
    """Return a change that replaces the id with this configuration's id."""
    return lambda request: request.for_id(request.ids[role])


def reply(status: int, to: str | None = None) -> Before:
    """Return a change that responds with this status in place of the mock.

    If `to` is a user's role, only that user's requests get this response.
    """

    def change(request: Request) -> Answer | None:
        if to not in (None, request.role):
            return None
        return accepted(request) if status == 200 else refused(status)

    return change


def combine(name: str, changes: Iterable[NamedChange]) -> NamedChange:
    """Return a single change that applies these changes in order."""
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

    on_the_wire = [change.on_the_wire for change in changes if change.on_the_wire]
    assert len(on_the_wire) <= 1, f"{name}: only one of the changes can modify bytes on the wire"
    return NamedChange(before, after, next(iter(on_the_wire), None), name=name)

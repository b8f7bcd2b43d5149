"""Tables of changed backends: each is one expression, or a small function under a decorator."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from tests.faults.backend import After, Before, Change, result
from tests.faults.messages import Answer, Request, accepted, refused
from tests.faults.relay import OnTheWire

Condition = Callable[[Request], Any]


@dataclass(frozen=True)
class NamedChange(Change):
    """A named change, and the promises of which it must break at least one."""

    name: str = ""
    promises: str = ""  # an expression for -k; if it selects one promise, the fault proves its need


class Changes(dict[str, NamedChange]):
    """Changed backends by name.

    The decorators `before`, `after` and `on_the_wire` add the function that they decorate. Each
    other method adds one backend for each keyword argument.
    """

    def before(self, promises: str = "") -> Callable[[Before], Before]:
        """Change a request before the mock sees it, or answer instead of the mock."""
        return self._decorator(promises, "before")

    def after(self, promises: str = "") -> Callable[[After], After]:
        """Change the mock's response."""
        return self._decorator(promises, "after")

    def on_the_wire(self, promises: str = "") -> Callable[[OnTheWire], OnTheWire]:
        """Change the bytes of the mock's response."""
        return self._decorator(promises, "on_the_wire")

    def changes_request(self, promises: str, **changes: Before) -> None:
        """Change requests, as `before` does."""
        for name, change in changes.items():
            self.add(name, promises, before=change)

    def changes_answer(self, promises: str, status: int = 0, /, **changes: After) -> None:
        """Change the responses with this status, or all responses, as `after` does."""
        for name, change in changes.items():

            def change_some(request: Request, answer: Answer, change: After = change) -> object:
                return change(request, answer) if status in (0, answer.status) else None

            self.add(name, promises, after=change_some)

    def where(self, promises: str, change: Before, /, **conditions: Condition) -> None:
        """Make the same change to each request for which the condition holds."""
        for name, condition in conditions.items():

            def change_some(request: Request, condition: Condition = condition) -> object:
                return change(request) if condition(request) else None

            self.add(name, promises, before=change_some)

    def accepts(self, promises: str, **conditions: Condition) -> None:
        """Answer 200 to a body or an id that the mock refuses, where the condition holds."""
        for name, condition in conditions.items():

            def accept(request: Request, answer: Answer, condition: Condition = condition) -> None:
                if answer.status in (400, 404, 413, 415) and condition(request):
                    answer.accept(request)

            self.add(f"accepts_{name}", promises, after=accept)

    def refuses(self, promises: str, status: int = 400, /, **conditions: Condition) -> None:
        """Replace the status of the mock's response where the condition holds."""
        for name, condition in conditions.items():

            def refuse(request: Request, answer: Answer, condition: Condition = condition) -> None:
                if answer.status not in (401, 405) and condition(request):
                    answer.refuse(status)

            self.add(f"answers_{status}_{name}", promises, after=refuse)

    def add(self, name: str, promises: str, **functions: Any) -> None:
        """Add a backend that is made of one or more functions."""
        assert name not in self, f"{name} is defined twice"
        self[name] = NamedChange(name=name, promises=promises, **functions)

    def _decorator(self, promises: str, kind: str) -> Callable[[Any], Any]:
        def add(change: Any) -> Any:
            self.add(change.__name__, promises, **{kind: change})
            return change

        return add


def as_user(role: str) -> Before:
    """Return a change that treats a request as another user's."""
    return lambda request: request.as_user(role)


def promote(role: str) -> Before:
    """Return a change that treats a user's requests as the owner's."""
    return lambda request: request.role == role and request.as_user("owner")


def for_configuration(role: str) -> Before:
    """Return a change that treats the id as that of another configuration."""
    return lambda request: request.for_id(request.ids[role])


def reply(status: int, to: str | None = None) -> Before:
    """Return a change that answers instead of the mock, to one user or to all."""

    def change(request: Request) -> Answer | None:
        if to not in (None, request.role):
            return None
        return accepted(request) if status == 200 else refused(status)

    return change


def together(name: str, changes: Iterable[NamedChange]) -> NamedChange:
    """Return one change that makes all these changes, in their order."""
    changes = list(changes)

    async def before(request: Request) -> Answer | None:
        for change in changes:
            answer = await result(change.before(request)) if change.before else None
            if isinstance(answer, Answer):
                return answer
        return None

    async def after(request: Request, answer: Answer) -> None:
        for change in changes:
            if change.after:
                await result(change.after(request, answer))

    on_the_wire = [change.on_the_wire for change in changes if change.on_the_wire]
    assert len(on_the_wire) <= 1, f"{name}: at most one change on the wire"
    return NamedChange(before, after, next(iter(on_the_wire), None), name=name)

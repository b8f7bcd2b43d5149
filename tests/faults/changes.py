"""Tables of changed backends: each is one expression, or a small function under a decorator."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from tests.faults.backend import (
    After,
    Answer,
    Before,
    Change,
    OnTheWire,
    Request,
    accepted,
    refused,
    result,
)

Condition = Callable[[Request], Any]


@dataclass(frozen=True)
class NamedChange(Change):
    """A named change, and the promises of which at least one must break."""

    name: str = ""
    family: str = ""
    promises: str = ""  # an expression for -k; if it selects one promise, this shows its need


class Changes(dict[str, NamedChange]):
    """The changed backends of one family, by name.

    The decorators `before`, `after` and `on_the_wire` add the function that they decorate; the
    other methods add one backend for each keyword argument.
    """

    def __init__(self, family: str) -> None:
        """Start an empty table."""
        super().__init__()
        self.family = family

    def before(self, promises: str = "") -> Callable[[Before], Before]:
        """Change a request before the mock sees it, or answer instead of the mock."""
        return self._decorator(promises, "before")

    def after(self, promises: str = "") -> Callable[[After], After]:
        """Change the mock's answer."""
        return self._decorator(promises, "after")

    def on_the_wire(self, promises: str = "") -> Callable[[OnTheWire], OnTheWire]:
        """Change the bytes that are sent."""
        return self._decorator(promises, "on_the_wire")

    def changes_request(self, promises: str, **changes: Before) -> None:
        """Change requests, as `before` does."""
        for name, change in changes.items():
            self.add(name, promises, before=change)

    def grants(self, promises: str, user: str = "owner", /, **conditions: Condition) -> None:
        """Treat the request as another user's where the condition holds."""
        for name, condition in conditions.items():

            def change(request: Request, condition: Condition = condition) -> None:
                if condition(request):
                    request.as_user(user)

            self.add(name, promises, before=change)

    def grants_to(self, role: str, promises: str, /, **conditions: Condition) -> None:
        """Treat a user's request as the owner's where the condition holds."""
        for name, condition in conditions.items():

            def is_granted(request: Request, condition: Condition = condition) -> object:
                return request.role == role and condition(request)

            self.grants(promises, **{name: is_granted})

    def takes_id_for(self, promises: str, role: str, /, **conditions: Condition) -> None:
        """Treat the id as that of another configuration where the condition holds."""
        for name, condition in conditions.items():

            def change(request: Request, condition: Condition = condition) -> None:
                if condition(request):
                    request.for_id(request.ids[role])

            self.add(name, promises, before=change)

    def answers(self, promises: str, status: int, /, **conditions: Condition) -> None:
        """Answer instead of the mock where the condition holds."""
        for name, condition in conditions.items():

            def change(request: Request, condition: Condition = condition) -> Answer | None:
                if not condition(request):
                    return None
                return accepted(request) if status == 200 else refused(status)

            self.add(name, promises, before=change)

    def changes_answer(self, promises: str, status: int = 0, /, **changes: After) -> None:
        """Change answers, of one status or of all, as `after` does."""
        for name, change in changes.items():

            def change_some(request: Request, answer: Answer, change: After = change) -> object:
                return change(request, answer) if status in (0, answer.status) else None

            self.add(name, promises, after=change_some)

    def accepts(self, promises: str, **conditions: Condition) -> None:
        """Answer 200 in place of a 4xx for the body or the id where the condition holds."""
        for name, condition in conditions.items():

            def change(request: Request, answer: Answer, condition: Condition = condition) -> None:
                if answer.status in (400, 404, 413, 415) and condition(request):
                    answer.accept(request)

            self.add(f"accepts_{name}", promises, after=change)

    def refuses(self, promises: str, status: int = 400, /, **conditions: Condition) -> None:
        """Answer `status` in place of the mock's answer where the condition holds."""
        for name, condition in conditions.items():

            def change(request: Request, answer: Answer, condition: Condition = condition) -> None:
                if answer.status not in (401, 405) and condition(request):
                    answer.refuse(status)

            self.add(f"answers_{status}_{name}", promises, after=change)

    def add(self, name: str, promises: str, **functions: Any) -> None:
        """Add a backend that is made of one function or more."""
        assert name not in self, f"{name} is defined twice"
        self[name] = NamedChange(name=name, family=self.family, promises=promises, **functions)

    def _decorator(self, promises: str, kind: str) -> Callable[[Any], Any]:
        def add(change: Any) -> Any:
            self.add(change.__name__, promises, **{kind: change})
            return change

        return add


def together(name: str, *tables: Iterable[NamedChange]) -> NamedChange:
    """Return one change that makes all changes of the tables, in their order."""
    changes = [change for table in tables for change in table]

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

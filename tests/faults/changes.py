"""Tables of changed backends: each is one expression, or a small function under a decorator."""

import re
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
)


@dataclass(frozen=True)
class NamedChange(Change):
    """A change with a name, and the promises of which one must break."""

    name: str = ""
    family: str = ""
    promises: str = (
        ""  # an expression for pytest's -k; one promise: the fault shows that it is needed
    )
    survives: str = ""  # why the contract tests do not catch it yet

    def named(self, promises: Iterable[str]) -> list[str]:
        """Return those of the promises that `-k` would select."""
        choice = re.sub(r"\b(?!(?:and|or|not)\b)\w+", r"('\g<0>'.lower() in p)", self.promises)
        return [promise for promise in promises if eval(choice, {"p": promise.lower()})]  # noqa: S307


class Changes(dict[str, NamedChange]):
    """The changed backends of one family, by name.

    The decorators `before`, `after` and `on_the_wire` add the function that they decorate; the
    other methods add one backend for each keyword argument.
    """

    def __init__(self, family: str) -> None:
        """Start an empty table."""
        super().__init__()
        self.family = family

    def before(self, promises: str = "", survives: str = "") -> Callable[[Before], Before]:
        """Change a request before the mock sees it, or answer in the mock's place."""
        return self._decorator(promises, survives, "before")

    def after(self, promises: str = "", survives: str = "") -> Callable[[After], After]:
        """Change the mock's answer."""
        return self._decorator(promises, survives, "after")

    def on_the_wire(self, promises: str = "") -> Callable[[OnTheWire], OnTheWire]:
        """Change the bytes that are sent."""
        return self._decorator(promises, "", "on_the_wire")

    def changes_request(self, promises: str, survives: str = "", **changes: Before) -> None:
        """Change requests, as `before` does."""
        for name, change in changes.items():
            self.add(name, promises, survives, before=change)

    def changes_answer(self, promises: str, survives: str = "", **changes: After) -> None:
        """Change answers, as `after` does."""
        for name, change in changes.items():
            self.add(name, promises, survives, after=change)

    def accepts(
        self, promises: str, survives: str = "", **conditions: Callable[[Request], Any]
    ) -> None:
        """Answer 200 in place of a 400 or 404 where the condition holds."""
        for name, condition in conditions.items():

            def change(request: Request, answer: Answer, condition: Before = condition) -> None:
                if answer.status in (400, 404) and condition(request):
                    answer.replace_with(accepted(request))

            self.add(f"accepts_{name}", promises, survives, after=change)

    def refuses(
        self, promises: str, status: int = 400, survives: str = "", **conditions: Before
    ) -> None:
        """Answer `status` in place of the mock's answer where the condition holds."""
        for name, condition in conditions.items():

            def change(request: Request, answer: Answer, condition: Before = condition) -> None:
                if answer.status not in (401, 405) and condition(request):
                    answer.replace_with(refused(status))

            self.add(f"answers_{status}_{name}", promises, survives, after=change)

    def add(self, name: str, promises: str, survives: str = "", **functions: Any) -> None:
        """Add a backend that is made of one function or more."""
        assert name not in self, f"{name} is there twice"
        self[name] = NamedChange(
            name=name, family=self.family, promises=promises, survives=survives, **functions
        )

    def _decorator(self, promises: str, survives: str, kind: str) -> Callable[[Any], Any]:
        def add(change: Any) -> Any:
            self.add(change.__name__, promises, survives, **{kind: change})
            return change

        return add

"""Rules of a contract for fields and parameters."""

from __future__ import annotations

import re
from enum import Enum
from math import inf
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote

from attrs import frozen

from .errors import ArgumentError, ArgumentTypeError
from .secrets import Secret
from .unset import UNSET

if TYPE_CHECKING:
    from attrs import Attribute


@frozen
class Rule:
    """What the contract says about one value. Its errors name the rule, never the value."""

    kind: type[object] = object
    min_length: int = 0
    max_length: float = inf
    pattern: str | None = None
    words: str | None = None
    minimum: float = -inf
    maximum: float = inf
    const: object = UNSET

    def __call__(self, _: object, attribute: Attribute[Any], value: object) -> None:
        """Check a field of a model, as attrs validators do."""
        if value is not UNSET:
            self.check(attribute.name, value)

    def check(self, name: str, value: object) -> None:
        """Raise ArgumentError when the value breaks the rule.

        No frame that raises holds what was in a box.
        """
        if problem := self._wrong_kind(value):
            raise ArgumentTypeError.about(name, problem)
        if problem := self._broken_rule(value):
            raise ArgumentError.about(name, problem)

    def _wrong_kind(self, value: object) -> str | None:
        opened = _opened(value)
        kinds = (int, float) if self.kind is float else self.kind
        is_bool_for_number = isinstance(opened, bool) and self.kind in (int, float)
        if isinstance(opened, kinds) and not is_bool_for_number:
            return None
        if isinstance(opened, str) and issubclass(self.kind, Enum):
            return None  # a text that is not a member is a broken rule
        hint = "; leave it out instead" if opened is None else ""
        return f"must be {self.kind.__name__}, not {type(opened).__name__}{hint}"

    def _broken_rule(self, value: object) -> str | None:
        opened = _opened(value)
        if issubclass(self.kind, Enum):
            members = ", ".join(str(member.value) for member in self.kind)
            return None if isinstance(opened, self.kind) else f"must be one of {members}"
        if self.const is not UNSET and (type(opened), opened) != (type(self.const), self.const):
            return f"must be {self.const!r}"
        if isinstance(opened, str):
            return self._broken_length(len(opened)) or self._broken_text(opened)
        if isinstance(opened, list):
            return self._broken_length(len(cast("list[object]", opened)))
        if isinstance(opened, (int, float)):
            return self._broken_number(opened)
        return None

    def _broken_length(self, length: int) -> str | None:
        if length < self.min_length:
            return f"must be at least {self.min_length} long, not {length}"
        if length > self.max_length:
            return f"must be at most {self.max_length} long, not {length}"
        return None

    def _broken_text(self, text: str) -> str | None:
        if not text.isascii() and re.search("[\ud800-\udfff]", text):
            return "must not contain a lone surrogate"
        # fullmatch, since `$` accepts a line break at the end
        if self.pattern is not None and not re.fullmatch(self.pattern, text):
            return self.words or f"must match {self.pattern}"
        return None

    def _broken_number(self, number: float) -> str | None:
        if number < self.minimum:
            return f"must be at least {self.minimum}"
        if number > self.maximum:
            return f"must be at most {self.maximum}"
        return None


def _opened(value: object) -> object:
    return value.reveal() if isinstance(value, Secret) else value


def segment(name: str, value: object, rule: Rule) -> str:
    """Return the value as one segment of a path, percent-encoded; raise ArgumentError."""
    rule.check(name, value)
    text = str(value)
    if text in {"", ".", ".."}:
        raise ArgumentError.about(name, "must not be empty, '.' or '..': that is another path")
    return quote(text, safe="")

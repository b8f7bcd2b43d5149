"""Values of fields and parameters: UNSET, boxes for credentials, and the rules of a contract."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import Enum
from math import inf
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar, cast, overload
from urllib.parse import quote

from .errors import ArgumentError, ArgumentTypeError
from .secrets import Secret

if TYPE_CHECKING:
    from attrs import Attribute

U = TypeVar("U")


class Unset(Enum):
    """The type of UNSET: a field that is left out. Copies are the same instance."""

    UNSET = "UNSET"

    def __bool__(self) -> Literal[False]:
        return False

    def __repr__(self) -> str:
        return self.value


UNSET: Final = Unset.UNSET


@overload
def box(value: Unset) -> Unset: ...
@overload
def box(value: str | Secret) -> Secret: ...
@overload
def box(value: str | Secret | Unset) -> Secret | Unset: ...
def box(value: str | Secret | Unset) -> Secret | Unset:
    """Return the value in a box; UNSET and boxes stay as they are.

    A value of a wrong type is boxed as well: it may still be a credential.
    """
    return value if isinstance(value, (Secret, Unset)) else Secret(value)


def box_values(mapping: U, names: Iterable[str] | None = None) -> U | dict[str, Any]:
    """Return a copy with the values of these names in boxes; by default all values.

    Anything but a mapping is returned as it is.
    """
    if not isinstance(mapping, Mapping):
        return mapping
    boxed = dict(cast("Mapping[str, Any]", mapping))
    for name in boxed if names is None else boxed.keys() & set(names):
        boxed[name] = box(boxed[name])
    return boxed


class Rule:
    """What the contract says about one value. Its errors name the rule, never the value."""

    def __init__(  # by hand: attrs would add a millisecond to the import
        self,
        kind: type[object] = object,
        *,
        min_length: int = 0,
        max_length: float = inf,
        pattern: str | None = None,
        words: str | None = None,
        minimum: float = -inf,
        maximum: float = inf,
        const: object = UNSET,
    ) -> None:
        self.kind = kind
        self.min_length = min_length
        self.max_length = max_length
        self.pattern = pattern
        self.words = words
        self.minimum = minimum
        self.maximum = maximum
        self.const = const

    def __call__(self, _: object, attribute: Attribute[Any], value: object) -> None:
        """Check a field of a model, as attrs validators do."""
        if value is not UNSET:
            self.check(attribute.name, value)

    def check(self, name: str, value: object) -> None:
        """Raise ArgumentError when the value breaks the rule.

        The frame that raises holds no revealed credential.
        """
        if problem := self._wrong_type(_revealed(value)):
            raise ArgumentTypeError.about(name, problem)
        if problem := self._broken_rule(_revealed(value)):
            raise ArgumentError.about(name, problem)

    def _wrong_type(self, value: object) -> str | None:
        kinds: tuple[type[object], ...] = (self.kind,)
        if self.kind is float:
            kinds = (int, float)
        elif issubclass(self.kind, Enum):
            kinds = (str,)  # not every text is a member, see below
        is_bool_for_number = isinstance(value, bool) and self.kind in {int, float}
        if isinstance(value, kinds) and not is_bool_for_number:
            return None
        kind = "number" if self.kind is float else self.kind.__name__
        hint = "; leave it out instead" if value is None else ""
        return f"must be of type {kind}, not {type(value).__name__}{hint}"

    def _broken_rule(self, value: object) -> str | None:
        if self.const is not UNSET and (type(value), value) != (type(self.const), self.const):
            return f"must be {self.const!r}"
        if isinstance(value, (str, list)):
            text = cast("str", value)
            return self._broken_length(len(text)) or self._broken_text(text)
        if isinstance(value, (int, float)) and value < self.minimum:
            return f"must be at least {self.minimum}"
        if isinstance(value, (int, float)) and value > self.maximum:
            return f"must be at most {self.maximum}"
        return None

    def _broken_length(self, length: int) -> str | None:
        if length < self.min_length:
            return f"must be at least {self.min_length} long, not {length}"
        if length > self.max_length:
            return f"must be at most {self.max_length} long, not {length}"
        return None

    def _broken_text(self, text: object) -> str | None:
        if not isinstance(text, str):
            return None
        if issubclass(self.kind, Enum) and not isinstance(text, self.kind):
            return f"must be one of {', '.join(str(member.value) for member in self.kind)}"
        if not text.isascii() and re.search("[\ud800-\udfff]", text):
            return "must not contain a lone surrogate"
        # fullmatch, since `$` accepts a line break at the end
        if self.pattern is not None and not re.fullmatch(self.pattern, text):
            return self.words or f"must match {self.pattern}"
        return None


def _revealed(value: object) -> object:
    return value.reveal() if isinstance(value, Secret) else value


def segment(name: str, value: object, rule: Rule) -> str:
    """Return the value as one segment of a path, percent-encoded; raise ArgumentError."""
    rule.check(name, value)
    text = str(value)
    if text in {"", ".", ".."}:
        raise ArgumentError.about(name, "must not be empty, '.' or '..', which change the path")
    return quote(text, safe="")

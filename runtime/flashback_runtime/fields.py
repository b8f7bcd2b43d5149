"""Values of fields and parameters: UNSET, boxes for credentials, and the rules of a contract."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import Enum
from math import inf
from typing import TYPE_CHECKING, Any, Final, Literal, Self, cast, final, overload
from urllib.parse import quote

from attrs import frozen

from .errors import ArgumentError, ArgumentTypeError
from .secrets import Secret

if TYPE_CHECKING:
    from attrs import Attribute


_WRONG_TYPE: Final = "must be of type"


@final
class Unset:
    """The type of UNSET: a field that is left out. There is one, in copies and pickles too."""

    __slots__ = ()
    _only: Self | None = None

    def __new__(cls) -> Self:
        """Return the only one."""
        if cls._only is None:
            cls._only = super().__new__(cls)
        return cls._only

    def __bool__(self) -> Literal[False]:
        return False

    def __repr__(self) -> str:
        return "UNSET"

    def __reduce__(self) -> str:
        return "UNSET"


UNSET: Final = Unset()


@overload
def box(value: Unset) -> Unset: ...
@overload
def box(value: str | Secret) -> Secret: ...
@overload
def box(value: str | Secret | Unset) -> Secret | Unset: ...
def box(value: str | Secret | Unset) -> Secret | Unset:
    """Return the value in a box; UNSET and boxes stay as they are.

    A value of a wrong type is boxed as well: it may be a credential all the same.
    """
    return value if isinstance(value, (Secret, Unset)) else Secret(value)


def box_values(mapping: Mapping[str, Any], names: Iterable[str] | None = None) -> dict[str, Any]:
    """Return a copy with the values of these names in boxes, or with all of them."""
    boxed = dict(mapping)
    for name in boxed if names is None else boxed.keys() & set(names):
        boxed[name] = box(boxed[name])
    return boxed


@frozen(eq=False, repr=False)  # which take time to make
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

        The frame that raises holds no revealed credential.
        """
        problem = self._problem(value.reveal() if isinstance(value, Secret) else value)
        if problem is None:
            return
        if problem.startswith(_WRONG_TYPE):
            raise ArgumentTypeError.about(name, problem)
        raise ArgumentError.about(name, problem)

    def _problem(self, value: object) -> str | None:
        kind = self.kind
        if issubclass(kind, Enum):
            return self._wrong_member(value, kind)
        kinds = (int, float) if kind is float else kind
        is_bool_for_number = isinstance(value, bool) and kind in {int, float}
        if not isinstance(value, kinds) or is_bool_for_number:
            return self._wrong_type(value)
        if self.const is not UNSET and (type(value), value) != (type(self.const), self.const):
            return f"must be {self.const!r}"
        if isinstance(value, (int, float)):
            return self._broken_number(value)
        if isinstance(value, (str, list)):
            text = cast("str", value)
            return self._broken_length(len(text)) or self._broken_text(text)
        return None

    def _wrong_member(self, value: object, kind: type[Enum]) -> str | None:
        if isinstance(value, kind):
            return None
        if not isinstance(value, str):
            return self._wrong_type(value)
        return f"must be one of {', '.join(str(member.value) for member in kind)}"

    def _wrong_type(self, value: object) -> str:
        hint = "; leave it out instead" if value is None else ""
        kind = "number" if self.kind is float else self.kind.__name__
        return f"{_WRONG_TYPE} {kind}, not {type(value).__name__}{hint}"

    def _broken_length(self, length: int) -> str | None:
        if length < self.min_length:
            return f"must be at least {self.min_length} long, not {length}"
        if length > self.max_length:
            return f"must be at most {self.max_length} long, not {length}"
        return None

    def _broken_text(self, text: object) -> str | None:
        if not isinstance(text, str):
            return None
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


def segment(name: str, value: object, rule: Rule) -> str:
    """Return the value as one segment of a path, percent-encoded; raise ArgumentError."""
    rule.check(name, value)
    text = str(value)
    if text in {"", ".", ".."}:
        raise ArgumentError.about(name, "must not be empty, '.' or '..', which change the path")
    return quote(text, safe="")

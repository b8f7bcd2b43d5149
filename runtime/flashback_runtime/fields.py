"""Field and parameter values: UNSET, credentials, and validation against the contract's rules."""

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
    """The type of UNSET, which marks fields that are not sent.

    This class is an enum so that UNSET stays the same object when it is copied or unpickled.
    """

    UNSET = "UNSET"

    def __bool__(self) -> Literal[False]:
        return False

    def __repr__(self) -> str:
        return self.value


UNSET: Final = Unset.UNSET


@overload
def as_secret(value: Unset) -> Unset: ...
@overload
def as_secret(value: str | Secret) -> Secret: ...
@overload
def as_secret(value: str | Secret | Unset) -> Secret | Unset: ...
def as_secret(value: str | Secret | Unset) -> Secret | Unset:
    """Wrap the value in a Secret. Return UNSET and Secret objects unchanged.

    Values of the wrong type are also wrapped, because they might contain a credential.
    """
    return value if isinstance(value, (Secret, Unset)) else Secret(plain(value))


def plain(value: Any) -> Any:
    """Convert a string-enum member to str. Return other values unchanged."""
    return str.__str__(value) if isinstance(value, str) else value


def as_secrets(mapping: U, names: Iterable[str] | None = None) -> U | dict[str, Any]:
    """Return a copy of the mapping with its values wrapped in Secret objects.

    If `names` is given, wrap only the values for these keys. Return UNSET unchanged, and wrap
    anything else that is not a mapping.
    """
    if not isinstance(mapping, Mapping):
        return cast("U", as_secret(cast("Any", mapping)))
    wrapped = dict(cast("Mapping[str, Any]", mapping))
    for name in wrapped if names is None else wrapped.keys() & set(names):
        wrapped[name] = as_secret(wrapped[name])
    return wrapped


class Rule:
    """The contract's rules for one value. Validation errors do not show the value."""

    def __init__(  # written by hand because attrs would add a millisecond to the import time
        self,
        kind: type[object] = object,
        *,
        min_length: int = 0,
        max_length: float = inf,
        pattern: str | None = None,
        message: str | None = None,
        minimum: float = -inf,
        maximum: float = inf,
        const: object = UNSET,
    ) -> None:
        self.kind = kind
        self.min_length = min_length
        self.max_length = max_length
        self.pattern = pattern
        self.message = message
        self.minimum = minimum
        self.maximum = maximum
        self.const = const

    def __call__(self, _: object, attribute: Attribute[Any], value: object) -> None:
        """Validate a model field. attrs calls this method as a validator."""
        if value is not UNSET:
            self.check(attribute.name, value)

    def check(self, name: str, value: object) -> None:
        """Raise ArgumentError if the value violates a rule.

        The error is raised in this frame, which holds credentials only as Secret objects.
        """
        if problem := self._wrong_type(_revealed(value)):
            raise ArgumentTypeError.about(name, problem)
        if problem := self._broken_rule(_revealed(value)):
            raise ArgumentError.about(name, problem)

    def _wrong_type(self, value: object) -> str | None:
        accepted: tuple[type[object], ...] = (self.kind,)
        if self.kind is float:
            accepted = (int, float)
        elif issubclass(self.kind, Enum):
            accepted = (str,)  # _broken_text checks whether the text is a member
        is_bool_for_number = isinstance(value, bool) and self.kind in {int, float}
        if isinstance(value, accepted) and not is_bool_for_number:
            return None
        kind = "number" if self.kind is float else self.kind.__name__
        hint = "; leave it out instead" if value is None else ""
        return f"must be of type {kind}, not {type(value).__name__}{hint}"

    def _broken_rule(self, value: object) -> str | None:
        if self.const is not UNSET and (type(value), value) != (type(self.const), self.const):
            return f"must be {self.const!r}"
        if isinstance(value, str):
            return self._broken_length(len(value)) or self._broken_text(value)
        if isinstance(value, list):
            return self._broken_length(len(cast("list[object]", value)))
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

    def _broken_text(self, text: str) -> str | None:
        if issubclass(self.kind, Enum) and not isinstance(text, self.kind):
            return f"must be one of {', '.join(str(member.value) for member in self.kind)}"
        if not text.isascii() and re.search("[\ud800-\udfff]", text):
            return "must not contain a lone surrogate"
        # Use `fullmatch`, because `$` also matches before a trailing line break.
        if self.pattern is not None and not re.fullmatch(self.pattern, text):
            return self.message or f"must match {self.pattern}"
        return None


def _revealed(value: object) -> object:
    return value.reveal() if isinstance(value, Secret) else value


def segment(name: str, value: object, rule: Rule) -> str:
    """Validate the value, and return it as one percent-encoded path segment."""
    rule.check(name, value)
    text = str(plain(value))
    if text in {"", ".", ".."}:
        problem = "must not be empty, '.' or '..', because these values change the path"
        raise ArgumentError.about(name, problem)
    return quote(text, safe="")

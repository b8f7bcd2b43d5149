"""Field and parameter values: UNSET, credentials, and validation against the contract's rules."""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Mapping
from datetime import date, datetime
from enum import Enum
from math import inf
from types import NoneType
from typing import Any, Final, Literal, TypeVar, cast, overload
from urllib.parse import quote

from .errors import ArgumentError, ArgumentTypeError
from .secrets import MASK, Secret

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
# Error messages use these names for the types.
_TYPE_NAMES: dict[type[object], str] = {float: "number", Secret: "str", type(None): "None"}


@overload
def as_secret(value: str | Secret) -> Secret: ...
@overload
def as_secret(value: str | Secret | Unset) -> Secret | Unset: ...
@overload
def as_secret(value: str | Secret | Unset | None) -> Secret | Unset | None: ...
def as_secret(value: str | Secret | Unset | None) -> Secret | Unset | None:
    """Wrap the value in a Secret. Return UNSET and None unchanged.

    Values of the wrong type are also wrapped, because they might contain a credential.
    """
    return value if isinstance(value, (Secret, Unset, NoneType)) else Secret(value)


def as_body(value: U, model: type[object]) -> U:
    """Return a model unchanged. Wrap other values, because they might contain a credential."""
    return value if isinstance(value, model) else cast("U", as_secret(cast("str", value)))


def as_plain(value: object) -> object:
    """Return the text of a Secret. Return other values unchanged."""
    return value.reveal() if isinstance(value, Secret) else value


def as_secrets(mapping: U, plain: Collection[str] = ()) -> U | dict[str, Any]:
    """Return a copy of the mapping with its values wrapped in Secret objects.

    Do not wrap values whose key is in `plain`. If the argument is UNSET, return it unchanged.
    If it is neither UNSET nor a mapping, wrap the whole argument.
    """
    if not isinstance(mapping, Mapping):
        return cast("U", as_secret(cast("str", mapping)))
    wrapped = dict(cast("Mapping[str, Any]", mapping))
    for name, value in wrapped.items():
        if name not in plain:
            wrapped[name] = as_secret(value)
    return wrapped


class Rule:
    """The contract's rules for one value. Validation errors do not show the value."""

    def __init__(
        self,
        *kinds: type[object] | str,
        min_length: int = 0,
        max_length: float = inf,
        minimum: float = -inf,
        maximum: float = inf,
        pattern: str | None = None,
        message: str | None = None,
        const: object = UNSET,
        items: Rule | None = None,
    ) -> None:
        """Store the rules. `kinds` are the valid types and the names of the valid models."""
        self.kinds = tuple(kind for kind in kinds if not isinstance(kind, str))
        self.models = [kind for kind in kinds if isinstance(kind, str)]
        self.min_length = min_length
        self.max_length = max_length
        self.minimum = minimum
        self.maximum = maximum
        self.pattern = pattern
        self.message = message
        self.const = const
        self.items = items
        # The types of credentials and enum members are checked later, in `_broken_text`.
        types = [str if issubclass(kind, (Enum, Secret)) else kind for kind in self.kinds]
        self._types = (*types, int) if float in types else tuple(types)

    def __call__(self, _: object, attribute: Any, value: Any) -> None:
        """Validate a model field. attrs calls this method as a validator."""
        is_optional = attribute.default is UNSET
        if is_optional and value is None and not self._has_type(value):
            problem = f"{self._wrong_type(value)}; an omitted field is UNSET"
            raise ArgumentTypeError.about(attribute.name, problem)
        if value is not UNSET or not is_optional:
            self.check(attribute.name, value)

    def check(self, name: str, value: object) -> None:
        """Raise ArgumentError if the value violates a rule."""
        if error := self.error(name, value):
            raise error

    def error(self, name: str, value: object) -> ArgumentError | None:
        """Return an ArgumentError if the value violates a rule, and None otherwise.

        This method does not raise the error, because its frame can hold a credential.
        """
        if isinstance(value, Secret) and str not in self.kinds:
            value = value.reveal()
        if not self._has_type(value):
            return ArgumentTypeError.about(name, self._wrong_type(value))
        if broken := self._broken_rule(value):
            return ArgumentError.about(name, broken)
        if self.items and isinstance(value, list):
            for index, item in enumerate(cast("list[object]", value)):
                if error := self.items.error(f"{name}[{index}]", item):
                    return error
        return None

    def _wrong_type(self, value: object) -> str:
        names = [_TYPE_NAMES.get(kind, kind.__name__) for kind in self.kinds]
        names += self.models
        return f"must be of type {' or '.join(names)}, not {type(value).__name__}"

    def _has_type(self, value: object) -> bool:
        types = self._types
        if isinstance(value, (bool, datetime)):  # a bool is an int, and a datetime is a date
            types = tuple(kind for kind in types if kind not in {int, date})
        if isinstance(value, types):
            return True
        return any(base.__name__ in self.models for base in type(value).__mro__)

    def _broken_rule(self, value: object) -> str | None:
        if self.const is not UNSET and (type(value), value) != (type(self.const), self.const):
            return f"must be {self.const!r}"
        if isinstance(value, str):
            return self._broken_length(len(value), "characters") or self._broken_text(value)
        if isinstance(value, list):
            return self._broken_length(len(cast("list[object]", value)), "items")
        if isinstance(value, (int, float)):
            return self._broken_number(value)
        return None

    def _broken_length(self, length: int, unit: str) -> str | None:
        if self.min_length <= length <= self.max_length:
            return None
        limits = f"{self.min_length} to {self.max_length}"
        if self.max_length == inf:
            limits = f"{self.min_length} or more"
        return f"must contain {limits} {unit}, not {length}"

    def _broken_number(self, number: float) -> str | None:
        if not -inf < number < inf:
            return "must be a finite number"
        if number < self.minimum:
            return f"must be at least {self.minimum}"
        if number > self.maximum:
            return f"must be at most {self.maximum}"
        return None

    def _broken_enum(self, text: str) -> str:
        values: list[str] = []
        for kind in self.kinds:
            if issubclass(kind, Enum):
                members = [str(member.value) for member in kind]
                if text in members:  # an item of a list, or the value of a nullable field
                    return f"must be {kind.__name__}({text!r}), not {text!r}"
                values += members
        return f"must be one of {', '.join(values)}"

    def _broken_text(self, text: str) -> str | None:
        if Secret not in self.kinds and not isinstance(text, self.kinds):
            return self._broken_enum(text)
        if Secret in self.kinds and text == MASK:  # str() of a Secret or pydantic.SecretStr
            return "must not be asterisks; pass the Secret itself or secret.reveal()"
        if not text.isascii() and re.search("[\ud800-\udfff]", text):
            return "must not contain a lone surrogate"
        # `$` also matches before a final line break, so text that ends with a line break could be
        # accepted by mistake. An additional line break prevents this.
        if self.pattern is not None and not _compiled(self.pattern).search(f"{text}\n"):
            return self.message or f"must match {self.pattern}"
        return None


@functools.cache  # faster than the cache in `re`
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.ASCII)


def segment(name: str, value: object, rule: Rule) -> str:
    """Validate the value, and return it as one percent-encoded path segment."""
    rule.check(name, value)
    if value in {"", ".", ".."}:
        problem = "must not be empty, '.' or '..', because these values change the path"
        raise ArgumentError.about(name, problem)
    return quote(as_text(value), safe="")


def as_text(value: object) -> str:
    """Return a parameter's value as it is sent in a path or header."""
    # For a member of a string enum, `str()` can return the name.
    return value if isinstance(value, str) else str(value)

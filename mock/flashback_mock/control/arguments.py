"""Check values against annotations: callers over HTTP have no type checker."""

from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

MAX_SECONDS = 3600.0


def check_types(given: Mapping[str, Any], annotations: Mapping[str, Any]) -> None:
    """Raise `ValueError` for a name without an annotation, or a value of another type."""
    for name, value in given.items():
        if name not in annotations:
            # The name is the caller's, and could be a misplaced credential.
            known = ", ".join(annotations) or "none"
            raise ValueError(f"expected fields from {known}, got another one")
        types = _types(annotations[name])
        is_misused_bool = isinstance(value, bool) and bool not in types  # a bool is an int
        if is_misused_bool or not isinstance(value, types):
            raise ValueError(f"{name}: must be of type {types[0].__name__}")


def _types(annotation: Any) -> tuple[type, ...]:
    """Return the classes of the values that an annotation allows."""
    origin = get_origin(annotation)
    if origin in (Union, UnionType):
        return tuple(kind for part in get_args(annotation) for kind in _types(part))
    if origin is Literal:
        return (str,)
    if origin is tuple:
        return (list, tuple)  # JSON has lists
    if annotation is float:
        return (float, int)
    return (origin or annotation or NoneType,)


def check_seconds(name: str, seconds: float) -> None:
    """Raise `ValueError` if a time is not a number, negative or over an hour."""
    check_types({name: seconds}, {name: float})
    if not 0 <= seconds <= MAX_SECONDS:
        raise ValueError(f"{name}: must be from 0 to {MAX_SECONDS:.0f} seconds")

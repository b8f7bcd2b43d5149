"""What a part of a document is: JSON that has not been judged is a mapping, a list, or neither."""

from __future__ import annotations

from typing import Any, TypeGuard


def is_mapping(value: object) -> TypeGuard[dict[str, Any]]:
    """Whether it is an object of JSON."""
    return isinstance(value, dict)


def is_list(value: object) -> TypeGuard[list[Any]]:
    """Whether it is an array of JSON."""
    return isinstance(value, list)


def mapping(value: object, key: str) -> dict[str, Any]:
    """The mapping under a key of something that may be a mapping, else an empty one."""
    held: object = value.get(key) if is_mapping(value) else None
    return held if is_mapping(held) else {}


def listed(value: object, key: str) -> list[Any]:
    """The list under a key of something that may be a mapping, else an empty one."""
    held: object = value.get(key) if is_mapping(value) else None
    return held if is_list(held) else []

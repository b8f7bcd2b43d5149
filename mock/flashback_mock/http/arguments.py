"""Arguments of the Python controls as JSON: names in camelCase, times in milliseconds."""

import re
from collections.abc import Mapping
from typing import Any, cast

from flashback_mock.control.arguments import MAX_SECONDS, check_types

MILLISECONDS = ("delay", "duration", "fixedDelay", "timeout")  # seconds in Python
MAX_MILLISECONDS = int(MAX_SECONDS * 1000)


def json_name(name: str) -> str:
    """Return the JSON key of an argument."""
    return re.sub("_([a-z])", lambda match: match[1].upper(), name)


def from_json(place: str, content: Any, kinds: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments that an object contains; `kinds` are their types by JSON key.

    Raise `ValueError` that names the JSON key, or `place` if it is not an object.
    """
    if not isinstance(content, dict):
        raise ValueError(f"{place}: must be a JSON object")
    fields = cast("dict[str, Any]", content)
    check_types(fields, kinds)
    arguments: dict[str, Any] = {}
    for key, value in fields.items():
        name = re.sub("[A-Z]", lambda match: f"_{match[0].lower()}", key)
        arguments[name] = _seconds(key, value) if key in MILLISECONDS else value
    return arguments


def to_json(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments as a JSON object."""
    fields: dict[str, Any] = {}
    for name, value in arguments.items():
        key = json_name(name)
        fields[key] = round(value * 1000, 3) if key in MILLISECONDS else value
    return fields


def _seconds(key: str, milliseconds: float) -> float:
    if not 0 <= milliseconds <= MAX_MILLISECONDS:
        raise ValueError(f"{key}: must be from 0 to {MAX_MILLISECONDS} milliseconds")
    return milliseconds / 1000

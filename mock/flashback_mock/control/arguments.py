"""Validation of the names, types and ranges of arguments that are passed in Python or JSON."""

import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, Literal, get_args, get_origin

# The types that an annotation allows, and a description that suits both Python and JSON. Any other
# annotation allows only the type it names.
KINDS: dict[Any, tuple[Any, str]] = {
    bool: (bool, "a boolean"),
    dict: (dict, "a mapping of names to values"),
    float: (float | int, "a number"),
    int: (int, "an integer"),
    str: (str, "a string"),
    tuple: (list | tuple, "a list"),
}
# These arguments are times, given in seconds in Python and in milliseconds in JSON.
TIMES = ("delay", "duration", "fixedDelay", "timeout")
MAX_SECONDS = 600.0
LONGEST_NAME = 50  # in characters; comparing longer names would take too long
SURROGATE = re.compile("[\ud800-\udfff]")  # lone surrogates cannot be encoded in UTF-8


def check_types(
    given: Mapping[str, Any], annotations: Mapping[str, Any], *other_names: str
) -> None:
    """Raise `ValueError` if a name is unknown or a value does not match its annotation.

    A time must be between 0 and 600 seconds. The error for an unknown name lists the valid names,
    which include `other_names`. The error quotes the unknown name only if the name resembles a
    valid one, because any other name could be a misplaced credential.
    """
    for name, value in given.items():
        if name not in annotations:
            known = [*other_names, *annotations]
            place = ""
            if get_close_matches(str(name)[:LONGEST_NAME], known, n=1):
                place = f"{name}: "
            raise ValueError(f"{place}unknown field; the known fields are {', '.join(known)}")
        annotation = annotations[name]
        kind = get_origin(annotation) or annotation
        if kind is Literal:
            if value not in get_args(annotation):
                raise ValueError(f"{name}: must be one of {', '.join(get_args(annotation))}")
            continue
        is_misused_bool = isinstance(value, bool) and kind is not bool  # a bool is also an int
        allowed, description = KINDS.get(kind, (kind, f"of type {kind.__name__}"))
        if is_misused_bool or not isinstance(value, allowed):
            raise ValueError(f"{name}: must be {description}")
        if isinstance(value, str) and SURROGATE.search(value):
            raise ValueError(f"{name}: contains a lone surrogate")
        if name in TIMES and not 0 <= value <= MAX_SECONDS:
            raise ValueError(f"{name}: must be between 0 and 10 minutes")

"""Checks of the names, types and ranges of arguments, given in Python or in JSON."""

import re
from collections.abc import Mapping
from typing import Any, Literal, get_args, get_origin

# These annotations allow several types. Any other annotation allows only the type it names.
ACCEPTED: dict[Any, tuple[type, ...]] = {float: (float, int), tuple: (list, tuple)}
# These arguments are times, given in seconds in Python and in milliseconds in JSON.
TIMES = ("delay", "duration", "fixedDelay", "timeout")
MAX_SECONDS = 600.0
# A name of letters and underscores is probably misspelled. Any other could be a credential.
QUOTABLE = re.compile("[A-Za-z_]{1,30}")
SURROGATE = re.compile("[\ud800-\udfff]")  # lone surrogates cannot be encoded in UTF-8


def check_types(
    given: Mapping[str, Any], annotations: Mapping[str, Any], *other_names: str
) -> None:
    """Raise `ValueError` if a name is unknown or a value does not match its annotation.

    A time must be between 0 and 600 seconds. The error for an unknown name lists the valid names,
    which include `other_names`. It quotes the unknown name unless that could be a credential.
    """
    for name, value in given.items():
        if name not in annotations:
            known = ", ".join([*other_names, *annotations])
            place = f"{name}: " if QUOTABLE.fullmatch(str(name)) else ""
            raise ValueError(f"{place}unknown field; the known fields are {known}")
        annotation = annotations[name]
        kind = get_origin(annotation) or annotation
        if kind is Literal:
            if value not in get_args(annotation):
                raise ValueError(f"{name}: must be one of {', '.join(get_args(annotation))}")
            continue
        is_misused_bool = isinstance(value, bool) and kind is not bool  # a bool is also an int
        accepted = ACCEPTED.get(kind, (kind,))
        if is_misused_bool or not isinstance(value, accepted):
            raise ValueError(f"{name}: must be of type {accepted[0].__name__}")
        if isinstance(value, str) and SURROGATE.search(value):
            raise ValueError(f"{name}: contains a lone surrogate")
        if name in TIMES and not 0 <= value <= MAX_SECONDS:
            raise ValueError(f"{name}: must be between 0 and 10 minutes")

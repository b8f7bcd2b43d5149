"""Argument checks, and a decorator that runs `Mock` methods in the mock's event loop."""

import asyncio
import re
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import CancelledError
from contextlib import suppress
from functools import update_wrapper, wraps
from inspect import Parameter, signature
from threading import get_ident
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Literal,
    ParamSpec,
    TypeVar,
    get_args,
    get_origin,
)

from flashback_mock.stores.errors import NotFoundError
from flashback_mock.tracebacks import without_frames

if TYPE_CHECKING:
    from .mock import Mock

P = ParamSpec("P")
T = TypeVar("T")
AsyncMethod = Callable[Concatenate["Mock", P], Coroutine[Any, Any, T]]
VARIADIC = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
# These annotations allow several types. Any other annotation allows only the type it names.
ACCEPTED: dict[Any, tuple[type, ...]] = {float: (float, int), tuple: (list, tuple)}
# These arguments are times, given in seconds in Python and in milliseconds in JSON.
TIMES = ("delay", "duration", "fixedDelay", "timeout")
MAX_SECONDS = 600.0
SURROGATE = re.compile("[\ud800-\udfff]")  # lone surrogates cannot be encoded in UTF-8


def control(method: AsyncMethod[P, T]) -> Callable[Concatenate["Mock", P], T]:
    """Return a blocking method that runs a coroutine method in the mock's event loop.

    The blocking method raises `ValueError` if an argument is missing, unknown or of the wrong type,
    if no configuration has the id, or if a name is taken. Code in the event loop must await the
    method's `__wrapped__` instead.
    """
    expected = signature(method)
    parameters = list(expected.parameters.values())[1:]
    # Each method checks its variadic arguments itself.
    types = {item.name: item.annotation for item in parameters if item.kind not in VARIADIC}

    @wraps(method)
    async def checked(mock: "Mock", /, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            bound = expected.bind(mock, *args, **kwargs).arguments
        except TypeError:  # the error could quote a credential that was passed by mistake
            names = ", ".join(item.name for item in parameters) or "no arguments"
            raise ValueError(f"missing or unexpected argument; expected {names}") from None
        check_types({name: bound[name] for name in types if name in bound}, types)
        try:
            return await method(mock, *args, **kwargs)
        except NotFoundError:
            raise NotFoundError(
                f"id: no configuration has this id; the ids in the fixtures are {mock.ids}"
            ) from None

    @without_frames
    def call(mock: "Mock", /, *args: P.args, **kwargs: P.kwargs) -> T:
        if mock.loop is not None:
            if mock.thread == get_ident():  # waiting here would block the event loop forever
                raise RuntimeError("this call would block the event loop; use asyncio.to_thread")
            work = checked(mock, *args, **kwargs)
            with suppress(CancelledError):
                return asyncio.run_coroutine_threadsafe(work, mock.loop).result()
        raise RuntimeError(
            "the mock has stopped; use it inside its `with` block, in the process that started it"
        )

    return update_wrapper(call, checked)


def check_types(
    given: Mapping[str, Any], annotations: Mapping[str, Any], *other_names: str
) -> None:
    """Raise `ValueError` if a name is unknown or a value does not match its annotation.

    A time must be between 0 and 600 seconds. The error for an unknown name lists the valid names,
    which include `other_names`.
    """
    for name, value in given.items():
        if name not in annotations:
            # Do not quote the unknown name, which could be a misplaced credential.
            known = ", ".join([*other_names, *annotations])
            raise ValueError(f"unknown field; the known fields are {known}")
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

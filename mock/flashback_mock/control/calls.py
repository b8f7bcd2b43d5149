"""How a method of `Mock` is called: with checked arguments, in the event loop that serves."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import CancelledError
from contextlib import suppress
from functools import update_wrapper, wraps
from inspect import Parameter, Signature, signature
from typing import TYPE_CHECKING, Any, Concatenate, Literal, ParamSpec, TypeVar, get_origin

from flashback_mock.stores import NAME_TAKEN, NameTakenError, NotFoundError, UnauthorizedError
from flashback_mock.tracebacks import without_frames

if TYPE_CHECKING:
    from .mock import Mock

P = ParamSpec("P")
T = TypeVar("T")
AsyncMethod = Callable[Concatenate["Mock", P], Coroutine[Any, Any, T]]
VARIADIC = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
ACCEPTED: dict[Any, tuple[type, ...]] = {  # by annotation, if it accepts more than its own class
    float: (float, int),
    tuple: (list, tuple),  # JSON has lists
    Mapping: (dict, Mapping),
    Literal: (str,),
}
MAX_SECONDS = 3600.0
UNKNOWN_ID = "id: no configuration has it; the fixtures' ids are"


class UnknownIdError(ValueError):
    """No configuration has this id."""


def control(method: AsyncMethod[P, T]) -> Callable[Concatenate["Mock", P], T]:
    """Return a blocking version of a coroutine method, which runs it in the serving thread.

    It raises `ValueError` for missing, unknown and mistyped arguments, and for an unknown id or
    token. Code in the event loop awaits the result's `__wrapped__` instead.
    """
    own = signature(method)
    annotations = _annotations(own)

    @wraps(method)
    async def checked(mock: "Mock", /, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            given = own.bind(mock, *args, **kwargs).arguments
        except TypeError:  # its message could quote a misplaced credential
            raise ValueError(_misuse(own, len(args), kwargs)) from None
        check_types({name: given[name] for name in annotations if name in given}, annotations)
        try:
            return await method(mock, *args, **kwargs)
        except NotFoundError:
            raise UnknownIdError(f"{UNKNOWN_ID} {mock.ids}") from None
        except NameTakenError:
            raise ValueError(NAME_TAKEN) from None
        except UnauthorizedError:
            raise ValueError("token: is unknown") from None
        except UnicodeError:
            raise ValueError("an argument has characters that cannot be encoded") from None

    @without_frames
    def call(mock: "Mock", /, *args: P.args, **kwargs: P.kwargs) -> T:
        if mock.loop is not None:
            work = checked(mock, *args, **kwargs)
            with suppress(CancelledError):
                return asyncio.run_coroutine_threadsafe(work, mock.loop).result()
        raise RuntimeError("the mock has stopped; use it before its block ends")

    return update_wrapper(call, checked)


def _misuse(own: Signature, count: int, named: Mapping[str, Any]) -> str:
    """Return what is wrong with a call with `count` positional and these `named` arguments."""
    parameters = list(own.parameters.values())[1:]
    for parameter in parameters[count:]:
        is_required = parameter.default is Parameter.empty and parameter.kind not in VARIADIC
        if is_required and parameter.name not in named:
            return f"{parameter.name}: is missing"
    names = ", ".join(parameter.name for parameter in parameters)
    return f"expected only {names}" if names else "expected no fields"


def _annotations(own: Signature) -> dict[str, Any]:
    """Return the annotations of the named arguments; a method checks its variadic ones."""
    annotations: dict[str, Any] = {}
    for name, parameter in list(own.parameters.items())[1:]:
        if parameter.kind not in VARIADIC:
            annotations[name] = parameter.annotation
    return annotations


def check_types(
    given: Mapping[str, Any], annotations: Mapping[str, Any], *other_names: str
) -> None:
    """Raise `ValueError` for a name without an annotation, or a value of another type.

    Callers over HTTP have no type checker. Errors also list `other_names`, checked elsewhere.
    """
    for name, value in given.items():
        if name not in annotations:
            # The name is the caller's, and could be a misplaced credential.
            names = ", ".join([*other_names, *annotations])
            raise ValueError(f"expected fields from {names}, got another one")
        kind = get_origin(annotations[name]) or annotations[name]
        is_misused_bool = isinstance(value, bool) and kind is not bool  # a bool is an int
        accepted = ACCEPTED.get(kind, (kind,))
        if is_misused_bool or not isinstance(value, accepted):
            raise ValueError(f"{name}: must be of type {accepted[0].__name__}")


def check_seconds(name: str, seconds: float) -> None:
    """Raise `ValueError` for a time that is not a number, negative, or over an hour."""
    check_types({name: seconds}, {name: float})
    if not 0 <= seconds <= MAX_SECONDS:
        raise ValueError(f"{name}: must be at least 0, and at most one hour")

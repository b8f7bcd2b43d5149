"""How a method of `Mock` is called: with checked arguments, in the event loop that serves."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from functools import update_wrapper, wraps
from inspect import Parameter, signature
from types import NoneType, UnionType
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Literal,
    ParamSpec,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from flashback_mock.stores import NAME_TAKEN, NameTakenError, NotFoundError, UnauthorizedError
from flashback_mock.tracebacks import without_frames

if TYPE_CHECKING:
    from .mock import Mock

P = ParamSpec("P")
T = TypeVar("T")
AsyncMethod = Callable[Concatenate["Mock", P], Coroutine[Any, Any, T]]
VARIADIC = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
MAX_SECONDS = 3600.0


class UnknownIdError(ValueError):
    """No configuration has this id."""


def control(method: AsyncMethod[P, T]) -> Callable[Concatenate["Mock", P], T]:
    """Return a blocking version of a coroutine method, which runs it in the serving thread.

    It raises `ValueError` for missing, unknown and mistyped arguments, and for an unknown id or
    token. Code in the event loop awaits the result's `__wrapped__` instead.
    """
    arguments = _Arguments(method)

    @wraps(method)
    async def checked(mock: "Mock", /, *args: P.args, **kwargs: P.kwargs) -> T:
        arguments.check(mock, *args, **kwargs)
        try:
            return await method(mock, *args, **kwargs)
        except NotFoundError:
            known = f"the fixtures' ids are {mock.ids}"
            raise UnknownIdError(f"id: no configuration has it; {known}") from None
        except NameTakenError:
            raise ValueError(NAME_TAKEN) from None
        except UnauthorizedError:
            raise ValueError("token: is unknown") from None

    @without_frames
    def call(mock: "Mock", /, *args: P.args, **kwargs: P.kwargs) -> T:
        if mock.loop is None:
            raise RuntimeError("the mock has stopped; use it before its block ends")
        work = checked(mock, *args, **kwargs)
        return asyncio.run_coroutine_threadsafe(work, mock.loop).result()

    return update_wrapper(call, checked)


class _Arguments:
    """The named arguments of a method; the method itself checks its variadic ones."""

    def __init__(self, method: Callable[..., object]) -> None:
        self._signature = signature(method)
        self._annotations: dict[str, Any] = {}
        self._described: list[str] = []
        hints = get_type_hints(method)
        for name, parameter in list(self._signature.parameters.items())[1:]:
            is_variadic = parameter.kind in VARIADIC
            if not is_variadic:
                self._annotations[name] = hints[name]
            is_optional = is_variadic or parameter.default is not Parameter.empty
            self._described.append(f"{name} (optional)" if is_optional else name)

    def check(self, /, *args: object, **kwargs: object) -> None:
        """Raise `ValueError` if an argument is missing, unknown or of another type."""
        try:
            given = self._signature.bind(*args, **kwargs).arguments
        except TypeError:  # its message could quote a misplaced credential
            raise ValueError(f"expected {', '.join(self._described) or 'no fields'}") from None
        named = {name: given[name] for name in given if name in self._annotations}
        check_types(named, self._annotations)


def check_types(given: Mapping[str, Any], annotations: Mapping[str, Any]) -> None:
    """Raise `ValueError` for a name without an annotation, or a value of another type.

    Callers over HTTP have no type checker.
    """
    for name, value in given.items():
        if name not in annotations:
            # The name is the caller's, and could be a misplaced credential.
            raise ValueError(f"expected fields from {', '.join(annotations)}, got another one")
        types = _types(annotations[name])
        is_misused_bool = isinstance(value, bool) and bool not in types  # a bool is an int
        if is_misused_bool or not isinstance(value, types):
            raise ValueError(f"{name}: must be of type {types[0].__name__}")


def check_seconds(name: str, seconds: float) -> None:
    """Raise `ValueError` for a time that is not a number, negative, or over an hour."""
    check_types({name: seconds}, {name: float})
    if not 0 <= seconds <= MAX_SECONDS:
        raise ValueError(f"{name}: must be from 0 to {MAX_SECONDS:.0f} seconds")


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

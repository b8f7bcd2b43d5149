"""Calls from a test's thread into the event loop that serves."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import update_wrapper, wraps
from inspect import Parameter, signature
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar, get_type_hints

from flashback_mock.stores import NAME_TAKEN, NameTakenError, NotFoundError, UnauthorizedError
from flashback_mock.tracebacks import without_frames

from .arguments import check_types

if TYPE_CHECKING:
    from .mock import Mock

P = ParamSpec("P")
T = TypeVar("T")
AsyncMethod = Callable[Concatenate["Mock", P], Coroutine[Any, Any, T]]
VARIADIC = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)


class UnknownIdError(ValueError):
    """No configuration has this id."""


def control(method: AsyncMethod[P, T]) -> Callable[Concatenate["Mock", P], T]:
    """Make a coroutine method blocking: the serving thread runs it while the caller waits.

    Raise `ValueError` for an argument of another type, and for an unknown id or token. `/__admin`
    awaits the method's `__wrapped__`.
    """
    own = signature(method)
    variadic = {name for name, one in own.parameters.items() if one.kind in VARIADIC}
    annotations = get_type_hints(method)

    @wraps(method)
    async def described(mock: "Mock", /, *args: P.args, **kwargs: P.kwargs) -> T:
        given = own.bind(mock, *args, **kwargs).arguments
        named = annotations.keys() & given.keys() - variadic
        check_types({name: given[name] for name in named}, annotations)
        try:
            return await method(mock, *args, **kwargs)
        except NotFoundError:
            known = f"the fixtures' are {mock.ids}"
            raise UnknownIdError(f"id: no configuration has it; {known}") from None
        except NameTakenError:
            raise ValueError(NAME_TAKEN) from None
        except UnauthorizedError:
            raise ValueError("token: is unknown") from None

    @without_frames
    def call(mock: "Mock", /, *args: P.args, **kwargs: P.kwargs) -> T:
        if mock.loop is None:
            raise RuntimeError("the mock has stopped; use it before its block ends")
        work = described(mock, *args, **kwargs)
        return asyncio.run_coroutine_threadsafe(work, mock.loop).result()

    return update_wrapper(call, described)

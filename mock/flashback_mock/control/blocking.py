"""A decorator that runs `Mock` methods in the mock's event loop."""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError
from contextlib import suppress
from functools import update_wrapper, wraps
from inspect import Parameter, signature
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from flashback_mock.stores.errors import NotFoundError
from flashback_mock.tracebacks import without_frames

from .arguments import check_types

if TYPE_CHECKING:
    from .mock import Mock

P = ParamSpec("P")
T = TypeVar("T")
AsyncMethod = Callable[Concatenate["Mock", P], Coroutine[Any, Any, T]]
VARIADIC = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)


def blocking(method: AsyncMethod[P, T]) -> Callable[Concatenate["Mock", P], T]:
    """Return a blocking method that runs a coroutine method in the mock's event loop.

    The blocking method raises `ValueError` if an argument is missing, unknown or of the wrong type,
    if no configuration has the id, or if a name is taken. Code in the event loop must await the
    method's `__wrapped__` instead.
    """
    expected = signature(method)
    parameters = list(expected.parameters.values())[1:]
    # Each method checks its variadic arguments itself.
    types = {item.name: item.annotation for item in parameters if item.kind not in VARIADIC}
    described = ", ".join(map(str, parameters)) or "no arguments"

    @wraps(method)
    async def checked(mock: "Mock", /, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            bound = expected.bind(mock, *args, **kwargs).arguments
        except TypeError:  # the error could quote a credential that was passed by mistake
            raise ValueError(f"missing or unexpected argument; expected {described}") from None
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
            work = checked(mock, *args, **kwargs)
            with suppress(CancelledError):
                return asyncio.run_coroutine_threadsafe(work, mock.loop).result()
        raise RuntimeError(
            "the mock has stopped; use it inside its `with` block, in the process that started it"
        )

    return update_wrapper(call, checked)

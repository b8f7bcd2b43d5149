"""Errors whose traceback contains no local variable with a credential."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

__tracebackhide__ = True  # pytest then shows only the line of the test


def without_frames(function: Callable[P, T]) -> Callable[P, T]:
    """Remove our frames from the function's errors: `pytest --showlocals` would print them."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except Exception as raised:  # noqa: BLE001 - raised again below
            error = raised
        del args, kwargs
        error.__context__ = None  # it has frames, too
        raise error.with_traceback(None)

    return call

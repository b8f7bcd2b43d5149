"""Errors that hold no frame in which a credential could be seen."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

__tracebackhide__ = True  # pytest then shows only the test's own line


def without_frames(function: Callable[P, T]) -> Callable[P, T]:
    """Drop our frames from the function's errors: `pytest --showlocals` would print them."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except Exception as raised:  # noqa: BLE001 - it is raised again
            error = raised
        del args, kwargs
        raise error.with_traceback(None)

    return call

"""Errors that hold no frame in which a credential could be seen."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

__tracebackhide__ = True  # pytest shows where a test called, not how it came to be refused


def without_frames(function: Callable[P, T]) -> Callable[P, T]:
    """The function, whose errors keep no frame of ours: `pytest --showlocals` would print it."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except Exception as raised:  # noqa: BLE001 - whatever it is, it is raised again
            error = raised
        del args, kwargs
        raise error.with_traceback(None)

    return call

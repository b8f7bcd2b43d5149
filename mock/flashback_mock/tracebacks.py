"""A decorator that keeps local variables with credentials out of tracebacks."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

__tracebackhide__ = True  # makes pytest hide this module's frames


def without_frames(function: Callable[P, T]) -> Callable[P, T]:
    """Return a function that raises errors without the mock's own stack frames.

    Otherwise, `pytest --showlocals` would print the local variables in these frames.
    """

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except Exception as raised:  # noqa: BLE001 - re-raised below
            error = raised
        del args, kwargs
        error.__context__ = None  # the earlier exception's traceback would show these frames
        raise error.with_traceback(None)

    return call

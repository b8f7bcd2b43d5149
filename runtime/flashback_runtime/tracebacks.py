"""Tracebacks without the frames that hold a request in clear while it is built and sent."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import TracebackType
from typing import Final, cast

# Libraries between the request builder and the socket, and the modules that open a box.
_LIBRARIES: Final = sys.stdlib_module_names | {
    *("anyio", "h11", "h2", "hpack", "httpcore", "httpx", "hyperframe", "idna", "sniffio"),
    *("socksio", "trio", "uvloop"),
}
_OPENERS: Final = frozenset(
    f"{__package__}.{module}" for module in ("awaited", "blocking", "exchange", "secrets")
)


def cut_frames(error: BaseException) -> None:
    """Drop the frames of libraries and of the request builder, from chained exceptions too.

    Frames of a user's own hook or transport stay: they show the line that failed.
    """
    for member in chain(error):
        member.__traceback__ = _without_libraries(member.__traceback__)


def chain(error: BaseException) -> Iterator[BaseException]:
    """Yield the error, its causes, contexts and group members, without repetition."""
    waiting = [error]
    seen: set[int] = set()
    while waiting:
        member = waiting.pop()
        if id(member) in seen:
            continue
        seen.add(id(member))
        yield member
        linked = [member.__cause__, member.__context__, *_members(member)]
        waiting.extend(other for other in linked if other is not None)


def root_cause(error: BaseException) -> BaseException:
    """Return the first error of the chain: what the system or a hook raised."""
    seen = {id(error)}
    while True:
        deeper = next(iter(_members(error)), error.__cause__ or error.__context__)
        if deeper is None or id(deeper) in seen:
            return error
        seen.add(id(deeper))
        error = deeper


def _members(error: BaseException) -> tuple[BaseException, ...]:
    if isinstance(error, BaseExceptionGroup):
        return cast("BaseExceptionGroup[BaseException]", error).exceptions
    return ()


def passes_user_code(error: BaseException) -> bool:
    """Return whether a frame that is neither a library's nor ours is in the traceback."""
    traceback = error.__traceback__
    while traceback is not None:
        if not _is_library(traceback) and _module(traceback).partition(".")[0] != __package__:
            return True
        traceback = traceback.tb_next
    return False


def _without_libraries(traceback: TracebackType | None) -> TracebackType | None:
    kept: list[TracebackType] = []
    while traceback is not None:
        if not _is_library(traceback):
            kept.append(traceback)
        traceback = traceback.tb_next
    rebuilt: TracebackType | None = None
    for frame in reversed(kept):
        rebuilt = TracebackType(rebuilt, frame.tb_frame, frame.tb_lasti, frame.tb_lineno)
    return rebuilt


def _is_library(traceback: TracebackType) -> bool:
    module = _module(traceback)
    return module in _OPENERS or module.partition(".")[0] in _LIBRARIES


def _module(traceback: TracebackType) -> str:
    return str(traceback.tb_frame.f_globals.get("__name__", ""))

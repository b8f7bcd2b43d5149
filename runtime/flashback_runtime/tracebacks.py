"""Remove the frames that hold a request in clear text, while it is built and sent."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import pairwise
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
        kept = [entry for entry in _entries(member) if not _is_library(entry)]
        member.__traceback__ = kept[0] if kept else None
        for entry, following in pairwise([*kept, None]):
            if entry is not None:
                entry.tb_next = following


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
    return any(
        not _is_library(entry) and _module(entry).partition(".")[0] != __package__
        for entry in _entries(error)
    )


def _entries(error: BaseException) -> list[TracebackType]:
    entries: list[TracebackType] = []
    entry = error.__traceback__
    while entry is not None:
        entries.append(entry)
        entry = entry.tb_next
    return entries


def _is_library(traceback: TracebackType) -> bool:
    module = _module(traceback)
    return module in _OPENERS or module.partition(".")[0] in _LIBRARIES


def _module(traceback: TracebackType) -> str:
    return str(traceback.tb_frame.f_globals.get("__name__", ""))

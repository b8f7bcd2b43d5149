"""Credentials: an opaque box for them, and how to remove them from text and from tracebacks.

Crash reporters send the `str` values of local variables as they are. Therefore, no local variable
of a frame in an exception's traceback may hold a credential as `str`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Final, cast, final
from urllib.parse import quote, quote_plus

MASK: Final = "**********"
# The libraries between the code that builds a request and the socket.
_LIBRARIES: Final = sys.stdlib_module_names | {
    *("anyio", "h11", "h2", "hpack", "httpcore", "httpx", "hyperframe", "idna", "sniffio"),
    *("socksio", "trio", "uvloop"),
}
# The modules of this package whose frames hold requests or credentials as text.
_REVEALING_MODULES: Final = frozenset(
    f"{__package__}.{module}" for module in ("async_transport", "attempt", "secrets", "transport")
)


@final
class Secret:
    """A box for a credential. Its `repr` and `str` show asterisks; `reveal()` returns the text."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        """Put the text into the box."""
        self._text = text

    def reveal(self) -> str:
        """Return the text. Do not keep it in a variable while something may raise."""
        return self._text

    def __repr__(self) -> str:
        return f"Secret({MASK!r})"

    def __str__(self) -> str:
        return MASK

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)


def secrets_in(value: object) -> Iterator[Secret]:
    """Yield the boxes in a model or list, including those of nested models."""
    if isinstance(value, Secret):
        yield value
    elif isinstance(value, list):
        for item in cast("list[object]", value):
            yield from secrets_in(item)
    else:
        for attribute in getattr(type(value), "__attrs_attrs__", ()):
            yield from secrets_in(getattr(value, attribute.name))


def redact(text: str, secrets: Iterable[Secret]) -> str:
    """Return the text with these secrets replaced by asterisks, in any common encoding."""
    known = {secret.reveal() for secret in secrets}
    for secret in sorted(known - {""}, key=len, reverse=True):
        for form in sorted(_encodings(secret), key=len, reverse=True):
            text = text.replace(form, "***")
    return text


def _encodings(secret: str) -> set[str]:
    """Return the text as it is, and as JSON, HTML, a URL, a form or Python source contains it."""
    as_json = {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
    as_php_json = {text.replace("/", "\\/") for text in as_json}
    as_url = {quote(secret), quote(secret, safe=""), quote_plus(secret)}
    return {secret, _escape_html(secret), repr(secret)[1:-1]} | as_json | as_php_json | as_url


def _escape_html(text: str) -> str:
    """Return the same as `html.escape`, whose import fails when no file descriptor is free."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text.replace('"', "&quot;").replace("'", "&#x27;")


def cut_frames(error: BaseException) -> None:
    """Remove the frames that may hold a request from the tracebacks of the exception chain.

    The frames of the caller's own hook or transport remain, so that the failing line is shown.
    """
    for member in exception_chain(error):
        following = None
        for entry in reversed(_entries(member)):
            if not _may_hold_request(entry):
                entry.tb_next = following
                following = entry
        member.__traceback__ = following


def exception_chain(error: BaseException) -> Iterator[BaseException]:
    """Yield the exception and everything it is linked to: causes, contexts, members of groups."""
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
    """Return the first exception of the chain, which the operating system or a hook raised."""
    seen = {id(error)}
    while True:
        earlier = next(iter(_members(error)), error.__cause__ or error.__context__)
        if earlier is None or id(earlier) in seen:
            return error
        seen.add(id(earlier))
        error = earlier


def passes_user_code(error: BaseException) -> bool:
    """Return whether the traceback has a frame of neither a library nor this package."""
    return any(
        not _may_hold_request(entry) and _module(entry).partition(".")[0] != __package__
        for entry in _entries(error)
    )


def _members(error: BaseException) -> tuple[BaseException, ...]:
    if isinstance(error, BaseExceptionGroup):
        return cast("BaseExceptionGroup[BaseException]", error).exceptions
    return ()


def _entries(error: BaseException) -> list[TracebackType]:
    entries: list[TracebackType] = []
    entry = error.__traceback__
    while entry is not None:
        entries.append(entry)
        entry = entry.tb_next
    return entries


def _may_hold_request(entry: TracebackType) -> bool:
    module = _module(entry)
    return module in _REVEALING_MODULES or module.partition(".")[0] in _LIBRARIES


def _module(entry: TracebackType) -> str:
    return str(entry.tb_frame.f_globals.get("__name__", ""))

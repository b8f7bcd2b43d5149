"""Credentials: an opaque box for them, and how to remove them from text and from tracebacks.

Crash reporters send the `str` values of local variables as they are. Therefore, no local variable
of a frame in an exception's traceback may hold a credential as `str`.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Final, cast, final
from urllib.parse import unquote, unquote_plus

MASK: Final = "**********"
# The libraries between the code that builds a request and the socket, tracing tools included.
_LIBRARIES: Final = sys.stdlib_module_names | {
    *("anyio", "h11", "h2", "hpack", "httpcore", "httpx", "hyperframe", "idna", "sniffio"),
    *("gevent", "socksio", "trio", "uvloop"),
    *("elasticapm", "opentelemetry", "sentry_sdk", "wrapt"),
}
# The modules of this package whose frames hold requests or credentials as text.
_REVEALING_MODULES: Final = frozenset(
    f"{__package__}.{module}"
    for module in ("async_transport", "attempt", "calls", "secrets", "transport")
)
_ESCAPE: Final = re.compile(
    r"\\u(?P<json>[0-9A-Fa-f]{4})|&#[Xx](?P<hex>[0-9A-Fa-f]{1,5});|&#(?P<decimal>[0-9]{1,6});"
    r"|&(?P<name>amp|apos|gt|lt|quot);|\\(?P<quoted>.)"
)
_CONTROL_CHARACTERS: Final = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_HTML_NAMES: Final = {"amp": "&", "apos": "'", "gt": ">", "lt": "<", "quot": '"'}


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
    """Return the text with these secrets replaced by asterisks.

    If the text contains a secret in another encoding, or encoded twice, replace all of it.
    """
    known = {secret.reveal() for secret in secrets} - {""}
    for secret in sorted(known, key=len, reverse=True):
        text = text.replace(secret, "***")
        text = text.replace(json.dumps(secret)[1:-1], "***")
    decoded = text
    for _ in range(2):
        decoded = _ESCAPE.sub(_character, decoded.replace("\\x", "%"))  # Python's bytes have \x
        decoded = decoded.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        forms = (unquote(decoded), unquote_plus(decoded))
        if any(secret in form for secret in known for form in forms):
            return "***"
        decoded = forms[0]
    return text


def _character(escape: re.Match[str]) -> str:
    if escape["name"]:
        return _HTML_NAMES[escape["name"]]
    if escape["quoted"]:
        return _CONTROL_CHARACTERS.get(escape["quoted"], escape["quoted"])
    if escape["decimal"]:
        return chr(int(escape["decimal"]))
    return chr(int(escape["json"] or escape["hex"], 16))


def cut_frames(error: BaseException, handled: BaseException | None) -> None:
    """Remove the frames that may hold a request from the tracebacks of the exception chain.

    The frames of the caller's own hook or transport remain, so that the failing line is shown.
    """
    for member in exception_chain(error, handled):
        following = None
        for entry in reversed(_entries(member)):
            if not _may_hold_request(entry):
                entry.tb_next = following
                following = entry
        member.__traceback__ = following


def exception_chain(error: BaseException, handled: BaseException | None) -> Iterator[BaseException]:
    """Yield the exception and everything it is linked to: causes, contexts, members of groups.

    Leave out the exceptions that the caller was handling when the call began.
    """
    waiting = [error]
    seen = _ids(handled)
    while waiting:
        member = waiting.pop()
        if id(member) in seen:
            continue
        seen.add(id(member))
        yield member
        linked = [member.__cause__, member.__context__, *_members(member)]
        waiting.extend(other for other in linked if other is not None)


def root_cause(error: BaseException, handled: BaseException | None) -> BaseException:
    """Return the first exception of the chain, which the operating system or a hook raised."""
    seen = {id(error)} | _ids(handled)
    while True:
        earlier = next(iter(_members(error)), error.__cause__ or error.__context__)
        if earlier is None or id(earlier) in seen:
            return error
        seen.add(id(earlier))
        error = earlier


def passes_user_code(error: BaseException) -> bool:
    """Return whether the traceback has a frame of neither a library nor this package."""
    return any(map(_is_user_code, _entries(error)))


def interrupted_library(error: BaseException) -> bool:
    """Return whether user code raised the error while a library ran, as a signal handler does."""
    entries = _entries(error)
    return bool(entries) and _may_hold_request(entries[0]) and _is_user_code(entries[-1])


def _is_user_code(entry: TracebackType) -> bool:
    return not _may_hold_request(entry) and _module(entry).partition(".")[0] != __package__


def _ids(handled: BaseException | None) -> set[int]:
    """Return the ids of the handled exception and of those that were being handled before it."""
    found = set[int]()
    while handled is not None and id(handled) not in found:
        found.add(id(handled))
        handled = handled.__context__
    return found


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

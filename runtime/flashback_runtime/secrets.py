"""The Secret class, and functions that remove credentials from text and from tracebacks.

Crash reporters upload local variables of type `str` unmodified. Therefore, tracebacks must not
contain frames that hold a credential in such a variable.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Final, cast, final
from urllib.parse import unquote, unquote_plus

MASK: Final = "**********"  # the repr and str of every Secret
REDACTED: Final = "***"  # replaces a credential in text
# The libraries that handle a request on its way to the socket, including tracing tools.
_LIBRARIES: Final = sys.stdlib_module_names | {
    *("anyio", "h11", "h2", "hpack", "httpcore", "httpx", "hyperframe", "idna", "sniffio"),
    *("gevent", "socksio", "trio", "uvloop"),
    *("elasticapm", "opentelemetry", "sentry_sdk", "wrapt"),
}
# The modules in this package with frames that hold requests or credentials in plain text.
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
    """A wrapper for a credential. `repr` and `str` show asterisks; `reveal()` returns the text."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        """Wrap the text."""
        self._text = text

    def reveal(self) -> str:
        """Return the text. Do not store it in a local variable of a function that can raise."""
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
    """Yield the Secret objects in a model or list, including nested models."""
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

    If the text contains a secret in another encoding, or doubly encoded, replace the whole text.
    """
    known = {secret.reveal() for secret in secrets} - {""}
    for secret in sorted(known, key=len, reverse=True):
        text = text.replace(secret, REDACTED)
        text = text.replace(json.dumps(secret)[1:-1], REDACTED)
    decoded = text
    for _ in range(2):
        # The repr of a bytes object contains escapes such as \x2f. Decode them like %2f.
        decoded = _ESCAPE.sub(_unescape, decoded.replace("\\x", "%"))
        decoded = decoded.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        forms = (unquote(decoded), unquote_plus(decoded))
        if any(secret in form for secret in known for form in forms):
            return REDACTED
        decoded = forms[0]
    return text


def _unescape(escape: re.Match[str]) -> str:
    if escape["name"]:
        return _HTML_NAMES[escape["name"]]
    if escape["quoted"]:
        return _CONTROL_CHARACTERS.get(escape["quoted"], escape["quoted"])
    if escape["decimal"]:
        return chr(int(escape["decimal"]))
    return chr(int(escape["json"] or escape["hex"], 16))


def cut_frames(error: BaseException, handled: BaseException | None) -> None:
    """Remove the frames that might hold a request from all tracebacks in the exception chain.

    Frames in the caller's own hooks and transports remain so that the traceback still shows the
    failing line.
    """
    for member in exception_chain(error, handled):
        following = None
        for entry in reversed(_entries(member)):
            if not _may_hold_request(entry):
                entry.tb_next = following
                following = entry
        member.__traceback__ = following


def exception_chain(error: BaseException, handled: BaseException | None) -> Iterator[BaseException]:
    """Yield the exception and all linked exceptions: causes, contexts and group members.

    Skip the exceptions that the caller was already handling when the call started.
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
    """Return the exception that started the chain, such as an OSError or a hook's exception."""
    seen = {id(error)} | _ids(handled)
    while True:
        earlier = next(iter(_members(error)), error.__cause__ or error.__context__)
        if earlier is None or id(earlier) in seen:
            return error
        seen.add(id(earlier))
        error = earlier


def has_user_frame(error: BaseException) -> bool:
    """Return whether the traceback contains a frame outside this package and its libraries."""
    return any(map(_is_user_code, _entries(error)))


def interrupted_library(error: BaseException) -> bool:
    """Return whether user code, such as a signal handler, raised the error inside a library."""
    entries = _entries(error)
    return bool(entries) and _may_hold_request(entries[0]) and _is_user_code(entries[-1])


def _is_user_code(entry: TracebackType) -> bool:
    return not _may_hold_request(entry) and _module(entry).partition(".")[0] != __package__


def _ids(handled: BaseException | None) -> set[int]:
    """Return the ids of the handled exception and all exceptions in its context chain."""
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

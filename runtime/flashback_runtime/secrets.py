"""The Secret class, and functions that remove credentials from text and from tracebacks.

Crash reporters upload local variables of type `str` unmodified. Therefore, tracebacks must not
contain frames that hold a credential in such a variable.
"""

from __future__ import annotations

import html
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Any, cast, final
from urllib.parse import unquote

MASK = "**********"  # the repr and str of every Secret
REDACTED = "***"  # shown in place of credentials
# Packages that send or trace requests, and modules of the standard library: their stack frames can
# contain requests or credentials in plain text.
_HIDDEN = sys.stdlib_module_names | {
    *("anyio", "h11", "h2", "hpack", "httpcore", "httpx", "hyperframe", "idna", "sniffio"),
    *("eventlet", "gevent", "socks", "socksio", "trio", "uvloop"),
    *("aws_xray_sdk", "ddtrace", "elasticapm", "newrelic", "opentelemetry", "sentry_sdk", "wrapt"),
    *("flashback_runtime.async_transport", "flashback_runtime.attempt", "flashback_runtime.calls"),
    *("flashback_runtime.secrets", "flashback_runtime.transport"),
}
_JSON_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|x([0-9A-Fa-f]{2})|(.))")
# `html.unescape` raises ValueError for a character reference with thousands of digits.
_LONG_REFERENCE = re.compile("&#[0-9]{1000,}")
_CONTROL_CHARACTERS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


@final
class Secret:
    """A wrapper for a credential. `repr` and `str` show asterisks; `reveal()` returns the text.

    The text is not an attribute, because some crash reporters record the attributes of objects.
    """

    __slots__ = ("_reveal",)

    def __init__(self, text: str | Secret) -> None:
        plain = text.reveal() if isinstance(text, Secret) else text
        self._reveal: Callable[[], str] = lambda: plain

    def reveal(self) -> str:
        """Return the text. Do not store it in a local variable of a function that can raise."""
        return self._reveal()

    def __reduce__(self) -> tuple[Any, ...]:
        return Secret, (self.reveal(),)

    def __repr__(self) -> str:
        return f"Secret({MASK!r})"

    def __str__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return format(MASK, spec)

    def __bool__(self) -> bool:
        return bool(self.reveal())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other.reveal() == self.reveal()

    def __hash__(self) -> int:
        return hash(self.reveal())


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

    If the text contains a secret in an encoded form, replace the whole text.
    """
    known = {secret.reveal().strip() for secret in secrets} - {""}
    for secret in sorted(known, key=len, reverse=True):
        text = text.replace(secret, REDACTED)
    for decoded in _decoded(text):
        spaced = decoded.replace("+", " ")  # in form data, `+` is a space
        for secret in known:
            if secret.replace("+", " ") in spaced:
                return REDACTED
    return text


def _decoded(text: str) -> Iterator[str]:
    yield _unescape_html(text)  # a secret can contain backslashes that are not escapes
    for decode in (_unescape_json, _unescape_html, unquote) * 2:
        text = decode(text)
        yield text


def _unescape_html(text: str) -> str:
    return html.unescape(_LONG_REFERENCE.sub("", text))


def _unescape_json(text: str) -> str:
    text = _JSON_ESCAPE.sub(_unescape, text)
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _unescape(escape: re.Match[str]) -> str:
    code, byte, character = escape.groups()
    if byte:  # Convert \x2f (from the repr of a bytes object) to %2f, which unquote() decodes.
        return f"%{byte}"
    if code:
        return chr(int(code, 16))
    return _CONTROL_CHARACTERS.get(character, character)


def cut_frames(chain: Iterable[BaseException]) -> None:
    """Remove frames that might hold a request from the tracebacks of these exceptions.

    Frames in the caller's own hooks and transports remain so that the traceback still shows the
    failing line.
    """
    for error in chain:
        entries: list[TracebackType] = []
        entry = error.__traceback__
        while entry is not None:
            entries.append(entry)
            entry = entry.tb_next
        error.__traceback__ = None
        for entry in reversed(entries):
            module = str(entry.tb_frame.f_globals.get("__name__", ""))
            if module not in _HIDDEN and module.partition(".")[0] not in _HIDDEN:
                entry.tb_next = error.__traceback__
                error.__traceback__ = entry


def exception_chain(
    error: BaseException | None, handled: Iterable[BaseException] = ()
) -> list[BaseException]:
    """Return the exception and all linked exceptions: causes, contexts and group members.

    The last exception is the root cause, such as an OSError. The result omits the linked exceptions
    in `handled`, which the caller was already handling when the call started.
    """
    chain: list[BaseException] = []
    seen = set(map(id, handled)) - {id(error)}
    waiting = [error]
    while waiting:
        member = waiting.pop()
        if member is not None and id(member) not in seen:
            seen.add(id(member))
            chain.append(member)
            waiting += [member.__cause__, member.__context__]
            if isinstance(member, BaseExceptionGroup):
                waiting += cast("BaseExceptionGroup[BaseException]", member).exceptions
    return chain

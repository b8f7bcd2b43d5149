"""Credentials: the box that holds them, and their redaction from text that others wrote.

Crash reporters keep the `str` values of captured locals as they are, so a credential must not be
a `str` in any frame that an exception can pass. Only `redact` and the request builder open a box.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, cast, final
from urllib.parse import quote, quote_plus

MASK: Final = "**********"


@final
class Secret:
    """An opaque box: `repr`, `str` and `format` show asterisks, `reveal()` returns the text."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        """Box the text."""
        self._text = text

    def reveal(self) -> str:
        """Return the text; keep it out of variables of frames that may raise."""
        return self._text

    def __repr__(self) -> str:
        return f"Secret({MASK!r})"

    def __str__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return format(MASK, spec)

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)


def secrets_in(value: object) -> Iterator[Secret]:
    """Yield every box in a model, mapping or list, nested ones included."""
    if isinstance(value, Secret):
        yield value
    elif isinstance(value, (list, tuple)):
        for item in cast("list[object]", value):
            yield from secrets_in(item)
    elif isinstance(value, Mapping):
        yield from secrets_in(list(cast("Mapping[str, object]", value).values()))
    else:
        for attribute in getattr(type(value), "__attrs_attrs__", ()):
            yield from secrets_in(getattr(value, attribute.name))


def redact(text: str, secrets: Iterable[Secret]) -> str:
    """Return the text without these secrets, in any form that services and libraries write."""
    known = {secret.reveal() for secret in secrets}
    for secret in sorted(known - {""}, key=len, reverse=True):
        for form in sorted(_forms(secret), key=len, reverse=True):
            text = text.replace(form, "***")
    return text


def _forms(plain: str) -> set[str]:
    """Return the text as it is, and as written in JSON, HTML, URLs, forms and Python source."""
    quoted = {json.dumps(plain)[1:-1], json.dumps(plain, ensure_ascii=False)[1:-1]}
    slashed = {text.replace("/", "\\/") for text in quoted}
    encoded = {quote(plain), quote(plain, safe=""), quote_plus(plain)}
    return {plain, _html(plain), repr(plain)[1:-1]} | quoted | slashed | encoded


def _html(text: str) -> str:
    """Escape like `html.escape`, whose import fails when no file descriptor is left."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text.replace('"', "&quot;").replace("'", "&#x27;")

"""How values travel: JSON in bodies, text in parameters and headers, where `5` has two readings."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

from scripts.compatibility.json_values import is_list, is_mapping, mapping_at

if TYPE_CHECKING:
    from collections.abc import Iterator

NUMBER = r"^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$"
# Every text of a value of the type, as the schema of a string.
TEXTS: dict[str, Any] = {
    "integer": {"type": "string", "pattern": NUMBER},
    "number": {"type": "string", "pattern": NUMBER},
    "boolean": {"enum": ["true", "false"]},
    "null": {"enum": ["null", ""]},
}
# Java's and Python's dates begin with the year 1; surrogates are not characters.
UNUSABLE = re.compile(r"^0000-|[\ud800-\udfff]")
SAFE = re.compile(r"""[!#-+\--:<-\[\]-~ ]*""")  # in headers and cookies: no `"`, `,`, `;`, `\\`
ITEMS = 10  # of a list: all mixed readings are tried


@dataclass(frozen=True)
class Carrier:
    """Where a value travels: `body`, `query`, `path`, `header` or `cookie`."""

    where: str

    @property
    def is_text(self) -> bool:
        """Return whether only text travels here."""
        return self.where != "body"

    def sendable(self, schema: Any) -> Any:
        """Return the schema without what can never be sent: a path segment is not empty."""
        if self.where != "path":
            return schema
        definitions = mapping_at(schema, "$defs")
        return {"allOf": [schema, {"not": {"const": ""}}], "$defs": definitions}

    def can_carry(self, value: Any) -> bool:
        """Return whether the value can be sent here, in the default style.

        In text, null and the empty list mean absence, and objects lose their limits; lists are
        only sent in queries, where each item is a field.
        """
        if not self.is_text:
            return all(map(_is_usable, leaves(value)))
        if is_list(value):
            is_short = len(value) <= ITEMS or value == value[:1] * len(value)
            is_sent = self.where == "query" and bool(value) and is_short
            return is_sent and all(not is_list(item) and self.can_carry(item) for item in value)
        if value is None or is_mapping(value) or not _is_usable(value):
            return False
        if not isinstance(value, str) or self.where == "query":
            return True
        if self.where == "path":
            return value not in {"", ".", ".."} and "," not in value
        return bool(SAFE.fullmatch(value)) and value == value.strip()

    def readings(self, value: Any) -> list[Any]:
        """Return the values that a receiver may take this value for."""
        if not self.is_text:
            return [value]
        items = value if is_list(value) else [value]
        if len(items) > ITEMS:  # all the same, and read alike
            return [[reading] * len(items) for reading in _both(text(items[0]))]
        lists = [list(choice) for choice in product(*(_both(text(item)) for item in items))]
        single = [choice[0] for choice in lists if len(choice) == 1]
        return [*single, *lists]


def leaves(value: Any) -> Iterator[Any]:
    """Yield every scalar in a value, names of fields included."""
    if is_mapping(value):
        for name, inner in value.items():
            yield name
            yield from leaves(inner)
    elif is_list(value):
        for item in value:
            yield from leaves(item)
    else:
        yield value


def _is_usable(leaf: Any) -> bool:
    if isinstance(leaf, float):
        return math.isfinite(leaf)
    return not isinstance(leaf, str) or not UNUSABLE.search(leaf)


def text(value: Any) -> str:
    """Return the text that is sent for a scalar."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def parsed(value: str) -> Any:
    """Return the number, boolean or null that a text reads as, else the text."""
    if value in {"true", "false", "null"} or re.fullmatch(NUMBER, value):
        return json.loads(value)
    return value


def _both(value: str) -> list[Any]:
    other = parsed(value)
    return [value] if isinstance(other, str) else [value, other]

"""What can be sent: JSON in a body, text elsewhere, where `5` may be a number or a string."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scripts.compatibility.shapes import is_list, is_mapping, mapping

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scripts.compatibility.schemas import Schema

NUMBER = r"^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$"
# Every text that a value of the type can be sent as.
TEXTS: dict[str, Schema] = {
    "integer": {"type": "string", "pattern": NUMBER},
    "number": {"type": "string", "pattern": NUMBER},
    "boolean": {"enum": ["true", "false"]},
    "null": {"enum": ["null", ""]},
}


@dataclass(frozen=True)
class Domain:
    """Where a value travels: `body`, `query`, `path`, `header` or `cookie`."""

    where: str

    @property
    def is_text(self) -> bool:
        """Whether only text travels here, so that a value has more than one reading."""
        return self.where != "body"

    def narrowed(self, schema: Schema) -> Schema:
        """The schema without what can never be sent: a segment of a path is not empty."""
        if self.where != "path":
            return schema
        definitions = mapping(schema, "$defs")
        return {"allOf": [schema, {"not": {"const": ""}}], "$defs": definitions}

    def can_carry(self, value: Any) -> bool:
        """Whether the value can be sent here at all."""
        return all(self._can_carry(each) for each in leaves(value))

    def _can_carry(self, leaf: Any) -> bool:
        if isinstance(leaf, float) and not math.isfinite(leaf):
            return False
        if not isinstance(leaf, str):
            return True
        if self.where in {"header", "cookie"}:
            return leaf == leaf.strip() and leaf.isprintable() and leaf.isascii()
        return (leaf != "" or self.where != "path") and not re.search(r"[\ud800-\udfff]", leaf)

    def readings(self, value: Any) -> list[Any]:
        """The values that a receiver may take it for."""
        if not self.is_text:
            return [value]
        if is_mapping(value):
            known = value
            return [
                {name: text(each) for name, each in known.items()},
                {name: parsed(each) for name, each in known.items()},
            ]
        if is_list(value):
            known_list = value
            single = self.readings(known_list[0]) if len(known_list) == 1 else []
            return [
                [text(each) for each in known_list],
                [parsed(each) for each in known_list],
                *single,
            ]
        return [text(value), parsed(value), [text(value)], [parsed(value)]]


def leaves(value: Any) -> Iterator[Any]:
    """Every scalar in a value, names of fields included."""
    if is_mapping(value):
        for name, each in value.items():
            yield name
            yield from leaves(each)
    elif is_list(value):
        for each in value:
            yield from leaves(each)
    else:
        yield value


def text(value: Any) -> str:
    """The value as it is sent outside of bodies."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def parsed(value: Any) -> Any:
    """The number, truth value or null that a text spells, else the text."""
    told = text(value)
    if told in {"true", "false", "null"} or re.fullmatch(NUMBER, told):
        return json.loads(told)
    return value

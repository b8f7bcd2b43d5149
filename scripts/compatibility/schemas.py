"""A schema that stands on its own: references inlined, words left out, marks kept apart."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import jsonschema_rs

from scripts.compatibility.documents import DIALECTS
from scripts.compatibility.findings import is_prose
from scripts.compatibility.shapes import is_list, is_mapping

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scripts.compatibility.references import References

ONE = frozenset(
    {
        *("additionalProperties", "contains", "else", "if", "items", "not", "propertyNames"),
        *("then", "unevaluatedItems", "unevaluatedProperties"),
    }
)
MANY = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
NAMED = frozenset({"dependentSchemas", "patternProperties", "properties"})
IN_PLACE = frozenset({"allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas"})
ASSERTIONS = frozenset(
    {
        *("type", "enum", "const", "multipleOf", "maximum", "exclusiveMaximum", "minimum"),
        *("exclusiveMinimum", "maxLength", "minLength", "pattern", "maxItems", "minItems"),
        *("uniqueItems", "maxContains", "minContains", "maxProperties", "minProperties"),
        *("required", "dependentRequired", "format"),
    }
)
WORDS = frozenset(
    {
        *("title", "description", "example", "examples", "$comment", "externalDocs", "xml"),
        *("nullable", "$defs", "$schema", "definitions", "x-rule"),
    }
)
# In OpenAPI's own registry these say which numbers there are; jsonschema_rs takes them for words.
RANGES = {
    "int32": {"minimum": -(2**31), "maximum": 2**31 - 1},
    "int64": {"minimum": -(2**63), "maximum": 2**63 - 1},
}
# What is a URI is a URI reference too, and so on. `password` only asks for stars on a screen;
# `float` and `double` say how a number is kept, not which one it may be.
IMPLIED = {
    "uri": ("uri", "uri-reference", "iri", "iri-reference"),
    "uri-reference": ("uri-reference", "iri-reference"),
    "iri": ("iri", "iri-reference"),
    "email": ("email", "idn-email"),
    "password": (),
    "float": (),
    "double": (),
}
Schema = dict[str, Any] | bool
Mark = tuple[str, str]  # where in the value, and the keyword


@dataclass
class Closed:
    """A schema on its own, what annotates its parts, and values that its author shows."""

    schema: Schema
    marks: dict[Mark, list[str]] = field(default_factory=dict)
    places: set[str] = field(default_factory=set)
    examples: list[Any] = field(default_factory=list)
    opaque: list[str] = field(default_factory=list)  # what decides validity, not understood

    @property
    def text(self) -> str:
        """The schema as canonical JSON, with what is not understood."""
        return json.dumps(
            [self.schema, *self.opaque] if self.opaque else self.schema, sort_keys=True
        )


def close(references: References, schema: Any) -> Closed:
    """The schema on its own; raises CannotCompareError."""
    closing = _Closing(references)
    made = closing.close(schema, "")
    if closing.definitions:
        made = {"allOf": [made], "$defs": closing.definitions}
    try:
        jsonschema_rs.Draft202012Validator(made, validate_formats=True)
    except (jsonschema_rs.ValidationError, ValueError) as error:
        what = str(error).partition("\n")[0]
        raise references.wrong(f"a schema is no JSON Schema 2020-12 ({what}); mend it") from None
    closing.closed.schema = made
    return closing.closed


class _Closing:
    def __init__(self, references: References) -> None:
        self.references = references
        self.definitions: dict[str, Schema] = {}
        self.names: dict[str, str] = {}
        self.closed = Closed(schema=True)

    def close(self, schema: Any, place: str) -> Schema:
        if isinstance(schema, bool):
            return schema
        if not is_mapping(schema):
            raise self.references.wrong(f"{str(schema)[:40]!r} is no schema; mend it")
        known = schema
        self.closed.places.add(place)
        made = {
            keyword: self.part(keyword, value, place)
            for keyword, value in known.items()
            if keyword in ASSERTIONS or keyword in ONE | MANY | NAMED
        }
        for keyword, value in known.items():
            self.mark(keyword, value, place)
        extra = [*_formats(made)]
        if "$ref" in known:
            extra.append(self.reference(known["$ref"], place))
        if len(extra) == 1 and not made:
            return extra[0]
        return made if not extra else {**made, "allOf": [*made.get("allOf", []), *extra]}

    def part(self, keyword: str, value: Any, place: str) -> Any:
        """The keyword's value with the schemas in it closed."""
        if keyword in ONE:
            return self.close(value, place + _step(keyword, "*"))
        if keyword in MANY:
            return [self.close(each, place + _step(keyword, str(i))) for i, each in _listed(value)]
        if keyword in NAMED:
            if not is_mapping(value):
                raise self.references.wrong(f"{keyword} {str(value)[:40]!r} is no mapping; mend it")
            items = value
            return {
                name: self.close(each, place + _step(keyword, name)) for name, each in items.items()
            }
        return value

    def reference(self, reference: str, place: str) -> Schema:
        """What is meant, inlined; a name of our own where it holds itself."""
        target = self.references.target(reference)
        if reference in _reached(self.references, target, in_place=True):
            self.references.follow({"$ref": reference})
            raise self.references.wrong(f"$ref {reference!r} is made of itself; say what it is")
        if reference not in _reached(self.references, target):
            return self.close(target, place)
        if reference not in self.names:
            name = self.names[reference] = f"r{len(self.names) + 1}"
            self.definitions[name] = self.close(target, f"{place}<{name}>")
        return {"$ref": f"#/$defs/{self.names[reference]}"}

    def mark(self, keyword: str, value: Any, place: str) -> None:
        """Keeps what annotates or is not understood; values that are shown become examples."""
        if keyword in {"examples", "default", "example"}:
            shown = value if keyword == "examples" and is_list(value) else [value]
            self.closed.examples += shown
        odd = keyword == "$schema" and value not in DIALECTS
        if odd or (keyword.startswith("$") and keyword not in WORDS | {"$ref"}):
            self.closed.opaque.append(f"{place} {keyword} {value}")
        if keyword in ASSERTIONS | ONE | MANY | NAMED | WORDS | {"$ref"}:
            return
        if value is not False and not (keyword.startswith("x-") and is_prose(value)):
            told = json.dumps(value, sort_keys=True, default=str)
            self.closed.marks.setdefault((place, keyword), []).append(told)


def _formats(made: dict[str, Any]) -> Iterator[Schema]:
    """What a format implies; takes the format itself out where the implied ones say it all."""
    name = made.get("format")
    if name in RANGES:
        del made["format"]
        yield {"anyOf": [{"not": {"type": "integer"}}, RANGES[name]]}
    elif name in IMPLIED:
        del made["format"]
        yield from ({"format": each} for each in IMPLIED[name])


def _step(keyword: str, name: str) -> str:
    """How a place in the value goes on: branches of a schema are no place of their own."""
    if keyword == "properties":
        return f".{name}"
    if keyword in {"items", "prefixItems", "contains", "unevaluatedItems"}:
        return f"[{name}]"
    return "" if keyword in IN_PLACE else f".<{keyword} {name}>"


def _listed(value: Any) -> list[tuple[int, Any]]:
    return list(enumerate(value)) if is_list(value) else []


def _reached(references: References, schema: Any, *, in_place: bool = False) -> set[str]:
    """Every reference that is met from here; with `in_place`, not in the parts of a value."""
    met: set[str] = set()
    waiting = [schema]
    while waiting:
        for reference, inner in _next(waiting.pop(), in_place=in_place):
            if reference is None:
                waiting.append(inner)
            elif reference not in met:
                met.add(reference)
                waiting.append(references.target(reference))
    return met


def _next(schema: Any, *, in_place: bool) -> Iterator[tuple[str | None, Any]]:
    if not is_mapping(schema):
        return
    for keyword, value in schema.items():
        if keyword == "$ref":
            yield value, None
        elif in_place and keyword not in IN_PLACE:
            continue
        elif keyword in ONE:
            yield None, value
        elif keyword in MANY:
            yield from ((None, each) for _, each in _listed(value))
        elif keyword in NAMED and is_mapping(value):
            yield from ((None, each) for each in value.values())

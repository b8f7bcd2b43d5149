"""Self-contained schemas: references inlined, annotations separated, one form for each side."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import jsonschema_rs

from scripts.compatibility.documents import DIALECTS
from scripts.compatibility.values import canonical_json, is_list, is_mapping, mapping_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scripts.compatibility.documents import Contract

Schema = dict[str, Any] | bool
Mark = tuple[str, str]  # a place in the value, and a keyword
ONE = {
    *("additionalProperties", "contains", "else", "if", "items", "not", "propertyNames"),
    *("then", "unevaluatedItems", "unevaluatedProperties"),
}
MANY = {"allOf", "anyOf", "oneOf", "prefixItems"}
NAMED = {"dependentSchemas", "patternProperties", "properties"}
# Keywords whose schemas apply to the same value, not to a part of it.
IN_PLACE = {"allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas"}
CONDITIONS = IN_PLACE | {"dependentRequired", "patternProperties"}
ASSERTIONS = {
    *("type", "enum", "const", "multipleOf", "maximum", "exclusiveMaximum", "minimum"),
    *("exclusiveMinimum", "maxLength", "minLength", "pattern", "maxItems", "minItems"),
    *("uniqueItems", "maxContains", "minContains", "maxProperties", "minProperties"),
    *("required", "dependentRequired", "format"),
}
WORDS = {
    *("title", "description", "example", "examples", "$comment", "externalDocs", "xml"),
    *("nullable", "$defs", "$ref", "$schema", "definitions"),
}
HIDDEN = {"readOnly", "writeOnly"}
MEANINGFUL = "x-left-open"  # all other extensions are words
# OpenAPI's format registry: these are ranges, which jsonschema_rs does not check.
RANGES = {
    "int32": {"minimum": -(2**31), "maximum": 2**31 - 1},
    "int64": {"minimum": -(2**63), "maximum": 2**63 - 1},
}
# These say how a value is shown or stored, not which values there are.
NO_ASSERTIONS = {"password", "float", "double"}


@dataclass
class Closed:
    """A schema without references, with the annotations of its parts."""

    schema: Schema = True
    marks: dict[Mark, list[str]] = field(default_factory=dict[Mark, list[str]])
    places: set[str] = field(default_factory=set[str])
    examples: list[Any] = field(default_factory=list[Any])
    opaque: list[str] = field(default_factory=list[str])  # assertions that are not understood

    @property
    def text(self) -> str:
        """Return the schema and what is not understood as canonical JSON."""
        return canonical_json([self.schema, self.opaque])


def close(contract: Contract, schema: Any, where: str) -> Closed:
    """Return the self-contained schema; raise CannotCompareError, which names the place."""
    closing = _Closing(contract, where)
    closing.closed.schema = closing.close(schema, "")
    return closing.closed


def must_be_valid(contract: Contract, schema: Schema, where: str) -> None:
    """Raise CannotCompareError, which names the place, if this is not JSON Schema."""
    try:
        jsonschema_rs.Draft202012Validator(view(schema, "", sending=True), validate_formats=True)
    except (jsonschema_rs.ValidationError, ValueError) as error:
        what = str(error).partition("\n")[0]
        raise contract.error(f"{where}: not a valid JSON Schema 2020-12 ({what}); fix it") from None


class _Closing:
    def __init__(self, contract: Contract, where: str) -> None:
        self.contract = contract
        self.where = where
        self.inside: list[str] = []  # references being inlined
        self.closed = Closed()

    def error(self, what: str) -> Exception:
        return self.contract.error(f"{self.where}: {what}")

    def close(self, schema: Any, place: str) -> Schema:
        if isinstance(schema, bool):
            return schema
        if not is_mapping(schema):
            raise self.error(f"{str(schema)[:40]!r} is not a schema; fix it")
        self.closed.places.add(place)
        made: dict[str, Any] = {}
        for keyword, value in schema.items():
            if keyword in ASSERTIONS or (keyword in HIDDEN and value is True):
                made[keyword] = value
            elif keyword in ONE | MANY | NAMED:
                made[keyword] = self.part(keyword, value, place)
            self.annotate(keyword, value, place)
        if "$ref" in schema:
            target = self.reference(schema["$ref"], place)
            if not made:
                return target
            made["allOf"] = [*made.get("allOf", []), target]
        return made

    def part(self, keyword: str, value: Any, place: str) -> Any:
        """Return a keyword's value with the schemas in it made self-contained."""
        expected = list if keyword in MANY else dict if keyword in NAMED else object
        if not isinstance(value, expected):
            raise self.error(f"{keyword} {str(value)[:40]!r} has the wrong type; fix it")
        return mapped(
            keyword, value, lambda name, part: self.close(part, place + _step(keyword, name))
        )

    def reference(self, reference: str, place: str) -> Schema:
        """Return the target, inlined; a recursive one is not compared."""
        if reference in self.inside:
            up = len(self.inside) - self.inside.index(reference)
            self.closed.opaque.append(f"{place} is recursive: {up} up")
            return True
        self.inside.append(reference)
        made = self.close(self.contract.resolve(reference), place)
        self.inside.pop()
        return made

    def annotate(self, keyword: str, value: Any, place: str) -> None:
        """Keep annotations and unknown keywords; their values become examples."""
        if keyword in {"example", "default"}:
            self.closed.examples.append(value)
        elif keyword == "examples" and is_list(value):
            self.closed.examples += value
        odd = keyword == "$schema" and value not in DIALECTS
        if odd or (keyword.startswith("$") and keyword not in WORDS):
            self.closed.opaque.append(f"{place} {keyword} {value}")
            return
        is_known = keyword in ASSERTIONS | ONE | MANY | NAMED | WORDS
        is_word = keyword.startswith("x-") and keyword != MEANINGFUL
        is_absent = value is False and keyword != "default"
        if not (is_known or is_word or is_absent):
            self.closed.marks.setdefault((place, keyword), []).append(canonical_json(value))


def _step(keyword: str, name: str) -> str:
    """Return the place of a subschema in the value; in-place keywords keep the place."""
    if keyword == "properties":
        return f".{name}"
    if keyword in {"items", "prefixItems", "contains", "unevaluatedItems"}:
        return f"[{name}]"
    return "" if keyword in IN_PLACE else f".<{keyword} {name}>"


def mapped(keyword: str, value: Any, change: Callable[[str, Any], Any]) -> Any:
    """Return a keyword's value with `change` applied to each schema in it and its name or index."""
    if keyword in ONE:
        return change("*", value)
    if keyword in MANY:
        return [change(str(i), item) for i, item in enumerate(value)]
    if keyword in NAMED:
        return {name: change(name, item) for name, item in value.items()}
    return value


def subschemas(*schemas: Any) -> Iterator[dict[str, Any]]:
    """Yield the schemas and all schemas in them, except boolean ones."""
    for schema in filter(is_mapping, schemas):
        yield schema
        for keyword, value in schema.items():
            if keyword in ONE:
                yield from subschemas(value)
            elif keyword in MANY:
                yield from subschemas(*value)
            elif keyword in NAMED:
                yield from subschemas(*value.values())


def view(schema: Schema, hidden: str, *, sending: bool) -> Schema:
    """Return the schema as one side of a message sees it, with formats as assertions.

    A field with the mark `hidden` (readOnly in requests, writeOnly in responses) is never sent,
    and never required: the sender's schema refuses it, the receiver's accepts anything.
    """
    if not is_mapping(schema):
        return schema
    made: dict[str, Any] = {}
    for keyword, value in schema.items():
        if keyword not in HIDDEN:
            made[keyword] = mapped(
                keyword, value, lambda _, part: view(part, hidden, sending=sending)
            )
    names = _hidden_fields(schema, hidden)
    if names and "required" in made:
        made["required"] = [name for name in made["required"] if name not in names]
    for name in names:
        made["properties"][name] = not sending
    if made.get("additionalProperties") is False and "patternProperties" not in made:
        fields = mapping_at(made, "properties")
        made["properties"] = {name: part for name, part in fields.items() if part is not False}
    if made.get("format") in RANGES:
        bounds = {"anyOf": [{"not": {"type": "integer"}}, RANGES[made.pop("format")]]}
        made["allOf"] = [*made.get("allOf", []), bounds]
    elif made.get("format") in NO_ASSERTIONS:
        del made["format"]
    return made


def _hidden_fields(schema: dict[str, Any], hidden: str) -> set[str]:
    fields = mapping_at(schema, "properties")
    return {name for name in fields if mapping_at(fields, name).get(hidden)}


def is_ambiguous(schema: Schema, hidden: str) -> bool:
    """Return whether a field with the mark is combined with alternatives or conditions."""
    for part in subschemas(schema):
        combined = [part[keyword] for keyword in part.keys() & CONDITIONS]
        is_marked = f'"{hidden}": true' in canonical_json(combined)
        if combined and (is_marked or _hidden_fields(part, hidden)):
            return True
    return False

"""Schemas on their own: references inlined, annotations kept apart, seen from either side."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import jsonschema_rs

from scripts.compatibility.documents import DIALECTS
from scripts.compatibility.values import canonical_json, is_list, is_mapping, mapping_at

if TYPE_CHECKING:
    from collections.abc import Callable

    from scripts.compatibility.documents import Contract

Schema = dict[str, Any] | bool
Mark = tuple[str, str]  # a place in the value, and a keyword
ONE = frozenset(
    {
        *("additionalProperties", "contains", "else", "if", "items", "not", "propertyNames"),
        *("then", "unevaluatedItems", "unevaluatedProperties"),
    }
)
MANY = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
NAMED = frozenset({"$defs", "dependentSchemas", "patternProperties", "properties"})
# Keywords whose schemas apply to the same value, not to a part of it.
IN_PLACE = frozenset({"allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas"})
CONDITIONS = IN_PLACE | {"dependentRequired", "patternProperties"}
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
        *("nullable", "$defs", "$schema", "definitions"),
    }
)
HIDDEN = ("readOnly", "writeOnly")
MEANINGFUL = {"x-left-open"}  # all other extensions are words
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

    schema: Schema
    marks: dict[Mark, list[str]] = field(default_factory=dict[Mark, list[str]])
    places: set[str] = field(default_factory=set[str])
    examples: list[Any] = field(default_factory=list[Any])
    opaque: list[str] = field(default_factory=list[str])  # assertions that are not understood

    @property
    def text(self) -> str:
        """Return the schema and its unknown keywords as canonical JSON."""
        return canonical_json([self.schema, self.opaque])


def close(contract: Contract, schema: Any, where: str) -> Closed:
    """Return the schema on its own; raise CannotCompareError, which names the place."""
    closing = _Closing(contract, where)
    made = closing.close(schema, "")
    if closing.definitions and is_mapping(made):
        made = {**made, "$defs": closing.definitions}
    try:
        jsonschema_rs.Draft202012Validator(view(made, "", sending=True), validate_formats=True)
    except (jsonschema_rs.ValidationError, ValueError) as error:
        what = str(error).partition("\n")[0]
        raise closing.error(f"not a valid JSON Schema 2020-12 ({what}); fix it") from None
    closing.closed.schema = made
    return closing.closed


class _Closing:
    def __init__(self, contract: Contract, where: str) -> None:
        self.contract = contract
        self.where = where
        self.definitions: dict[str, Schema] = {}
        self.names: dict[str, str] = {}  # of the references that are recursive
        self.open: dict[str, int] = {}  # references being inlined, and how deep in the value
        self.depth = 0
        self.closed = Closed(schema=True)

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
            elif keyword in (ONE | MANY | NAMED) - {"$defs"}:
                made[keyword] = self.part(keyword, value, place)
            self.annotate(keyword, value, place)
        if "$ref" in schema:
            target = self.reference(schema["$ref"], place)
            if not made:
                return target
            made["allOf"] = [*made.get("allOf", []), target]
        return made

    def part(self, keyword: str, value: Any, place: str) -> Any:
        """Return a keyword's value with the schemas in it closed."""
        is_named = keyword in NAMED
        if (keyword in MANY and not is_list(value)) or (is_named and not is_mapping(value)):
            raise self.error(f"{keyword} {str(value)[:40]!r} has the wrong type; fix it")
        self.depth += keyword not in IN_PLACE
        names: Any = value if is_named else range(len(value)) if keyword in MANY else "*"
        steps = iter([place + _step(keyword, str(name)) for name in names])
        made = mapped(keyword, value, lambda schema: self.close(schema, next(steps)))
        self.depth -= keyword not in IN_PLACE
        return made

    def reference(self, reference: str, place: str) -> Schema:
        """Return the target, inlined; a recursive one as a reference to a definition."""
        if reference in self.open:
            if self.open[reference] == self.depth:
                raise self.error(f"$ref {reference!r} consists of itself; define it")
            name = self.names.setdefault(reference, f"r{len(self.names) + 1}")
            return {"$ref": f"#/$defs/{name}"}
        self.open[reference] = self.depth
        made = self.close(self.contract.resolve(reference), place)
        del self.open[reference]
        if reference in self.names:
            self.definitions[self.names[reference]] = made
        return made

    def annotate(self, keyword: str, value: Any, place: str) -> None:
        """Keep annotations and unknown keywords; their values become examples."""
        if keyword in {"examples", "default", "example"}:
            self.closed.examples += value if keyword == "examples" and is_list(value) else [value]
        odd = keyword == "$schema" and value not in DIALECTS
        if odd or (keyword.startswith("$") and keyword not in WORDS | {"$ref"}):
            self.closed.opaque.append(f"{place} {keyword} {value}")
            return
        is_known = keyword in ASSERTIONS | ONE | MANY | NAMED | WORDS | {"$ref"}
        is_word = keyword.startswith("x-") and keyword not in MEANINGFUL
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


def view(schema: Schema, hidden: str, *, sending: bool) -> Schema:
    """Return the schema as one side of a message sees it, with formats as assertions.

    A field with the mark `hidden` (readOnly in requests, writeOnly in responses) is never sent,
    and never required: the sender's schema refuses it, the receiver's accepts anything.
    """
    if not is_mapping(schema):
        return schema
    names = _hidden_fields(schema, hidden)
    made: dict[str, Any] = {}
    for keyword, value in schema.items():
        if keyword not in HIDDEN:
            made[keyword] = mapped(keyword, value, lambda part: view(part, hidden, sending=sending))
    if names and "required" in made:
        made["required"] = [name for name in made["required"] if name not in names]
    for name in names:
        made["properties"][name] = not sending
    if "anyOf" not in made and _exclude_each_other(made.get("oneOf", ())):
        made["anyOf"] = made.pop("oneOf")  # the same, and easier to compare
    fields = made.get("properties", {})
    if made.get("additionalProperties") is False and "patternProperties" not in made:
        made |= {"properties": {n: part for n, part in fields.items() if part is not False}}
    if made.get("format") in RANGES:
        bounds = {"anyOf": [{"not": {"type": "integer"}}, RANGES[made.pop("format")]]}
        made["allOf"] = [*made.get("allOf", []), bounds]
    elif made.get("format") in NO_ASSERTIONS:
        del made["format"]
    return made


def mapped(keyword: str, value: Any, change: Callable[[Schema], Schema]) -> Any:
    """Return a keyword's value with each schema in it changed."""
    if keyword in ONE:
        return change(value)
    if keyword in MANY:
        return [change(item) for item in value]
    if keyword in NAMED:
        return {name: change(item) for name, item in value.items()}
    return value


def _exclude_each_other(branches: Any) -> bool:
    """Return whether a required field has other constants in each branch."""
    tags: list[dict[str, Any]] = []
    for branch in branches:
        if not is_mapping(branch) or branch.get("type") != "object":
            return False
        fields = mapping_at(branch, "properties")
        required = branch.get("required", ())
        constants = {name: mapping_at(fields, name).get("const") for name in required}
        tags.append({name: text for name, text in constants.items() if isinstance(text, str)})
    names = set[str].intersection(*map(set, tags)) if tags else set()
    return any(len({tag[name] for tag in tags}) == len(tags) for name in names)


def aligned(left: Schema, right: Schema) -> tuple[Schema, Schema]:
    """Return the same schemas, with the same fields where `additionalProperties` has a schema."""
    if not (is_mapping(left) and is_mapping(right)):
        return left, right
    names = dict.fromkeys((*mapping_at(left, "properties"), *mapping_at(right, "properties")))
    one = _with_fields(left, names)
    two = _with_fields(right, names)
    for keyword in one.keys() & two.keys() & (ONE | MANY | NAMED):
        if keyword in ONE:
            one[keyword], two[keyword] = aligned(one[keyword], two[keyword])
            continue
        parts = dict(one[keyword] if keyword in NAMED else enumerate(one[keyword]))
        others = dict(two[keyword] if keyword in NAMED else enumerate(two[keyword]))
        for name in parts.keys() & others.keys():
            parts[name], others[name] = aligned(parts[name], others[name])
        one[keyword] = parts if keyword in NAMED else list(parts.values())
        two[keyword] = others if keyword in NAMED else list(others.values())
    return one, two


def _with_fields(schema: dict[str, Any], names: dict[str, None]) -> dict[str, Any]:
    """Return a copy in which each name is a field, if `additionalProperties` has a schema."""
    rest = schema.get("additionalProperties")
    if not is_mapping(rest) or "patternProperties" in schema or not names:
        return dict(schema)
    fields = mapping_at(schema, "properties")
    return {**schema, "properties": {name: fields.get(name, rest) for name in names}}


def _hidden_fields(schema: dict[str, Any], hidden: str) -> set[str]:
    fields = mapping_at(schema, "properties")
    return {name for name in fields if mapping_at(fields, name).get(hidden)}


def is_ambiguous(part: Any, hidden: str) -> bool:
    """Return whether a field with the mark is combined with alternatives or conditions."""
    if is_list(part):
        return any(is_ambiguous(item, hidden) for item in part)
    if not is_mapping(part):
        return False
    combined = [part[keyword] for keyword in part.keys() & CONDITIONS]
    if combined and (_hidden_fields(part, hidden) or _has_mark(combined, hidden)):
        return True
    return any(is_ambiguous(inner, hidden) for inner in part.values())


def _has_mark(part: Any, hidden: str) -> bool:
    """Return whether any schema in a part has the mark; a field may have the same name."""
    inner = part.values() if is_mapping(part) else part if is_list(part) else ()
    is_marked = is_mapping(part) and part.get(hidden) is True
    return is_marked or any(_has_mark(value, hidden) for value in inner)

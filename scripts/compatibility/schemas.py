"""Prepare JSON Schemas for comparison: inline references and separate the annotations."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from math import prod
from typing import TYPE_CHECKING, Any, TypeVar

import jsonschema_rs
from jsonschema_rs.canonical import Containment

from scripts.compatibility.values import DIALECTS, canonical_json, is_list, is_mapping, mapping_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scripts.compatibility.documents import Contract

T = TypeVar("T")
Schema = dict[str, Any] | bool
DRAFT = jsonschema_rs.Draft202012
AnnotationKey = tuple[str, str]  # the path to the annotated part of a value, and the keyword
# Keywords that have a schema, a list of schemas, or a map of schemas as their value.
SCHEMA_KEYWORDS = {
    *("additionalProperties", "contains", "else", "if", "items", "not", "propertyNames"),
    *("then", "unevaluatedItems", "unevaluatedProperties"),
}
SCHEMA_LIST_KEYWORDS = {"allOf", "anyOf", "oneOf", "prefixItems"}
SCHEMA_MAP_KEYWORDS = {"dependentSchemas", "patternProperties", "properties"}
# Keywords whose subschemas apply to the whole value, not to a part of it.
IN_PLACE = {"allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas"}
CONDITIONS = IN_PLACE | {"dependentRequired", "patternProperties"}
ASSERTIONS = {
    *("type", "enum", "const", "multipleOf", "maximum", "exclusiveMaximum", "minimum"),
    *("exclusiveMinimum", "maxLength", "minLength", "pattern", "maxItems", "minItems"),
    *("uniqueItems", "maxContains", "minContains", "maxProperties", "minProperties"),
    *("required", "dependentRequired", "format"),
}
COMPARED = ASSERTIONS | SCHEMA_KEYWORDS | SCHEMA_LIST_KEYWORDS | SCHEMA_MAP_KEYWORDS
WORDS = {
    *("title", "description", "example", "examples", "$comment", "externalDocs", "xml"),
    *("nullable", "$defs", "$schema", "definitions"),
}
HIDDEN = {"readOnly", "writeOnly"}
# Larger canonical forms would take seconds to compute.
MAX_ALTERNATIVES = 100
# The time to compute a difference grows with the fourth power of the number of subschemas.
MAX_SUBSCHEMAS = 100
ALTERNATIVES = "alternatives"  # the schemas that a discriminator selects by name
MEANINGFUL = "x-left-open"  # all other extensions count as documentation
# OpenAPI's format registry defines these formats as ranges, which jsonschema_rs does not check.
RANGES = {
    "int32": {"minimum": -(2**31), "maximum": 2**31 - 1},
    "int64": {"minimum": -(2**63), "maximum": 2**63 - 1},
}
# These formats describe how a value is displayed or stored. They do not restrict the value.
NO_ASSERTIONS = {"password", "float", "double"}


@dataclass
class PreparedSchema:
    """A schema with its references inlined, and its annotations."""

    schema: Schema  # only assertions, readOnly and writeOnly
    annotations: dict[AnnotationKey, list[str]] = field(
        default_factory=dict[AnnotationKey, list[str]]
    )
    places: set[str] = field(default_factory=set[str])
    opaque: list[str] = field(default_factory=list[str])  # assertions that are not compared

    @property
    def text(self) -> str:
        """Return the JSON text of the schema and of the assertions that cannot be compared."""
        return canonical_json([self.schema, self.opaque])

    def annotate(self, place: str, keyword: str, value: Any) -> None:
        """Record the keyword if it is neither an assertion nor documentation."""
        is_odd = keyword == "$schema" and value not in DIALECTS
        if is_odd or (keyword.startswith("$") and keyword not in WORDS):
            self.opaque.append(f"{place} {keyword} {value}")
            return
        is_word = keyword in WORDS or (keyword.startswith("x-") and keyword != MEANINGFUL)
        is_absent = value is False and keyword != "default"
        if not (keyword in COMPARED or is_word or is_absent):
            values = value if keyword == ALTERNATIVES else [value]
            texts = map(canonical_json, values)
            self.annotations.setdefault((place, keyword), []).extend(texts)


def prepare(contract: Contract, schema: Any) -> PreparedSchema:
    """Inline a schema's references and collect its annotations.

    Raise CannotCompareError if a reference has no target.
    """
    inlined = _inlined(contract, schema, ())
    prepared = PreparedSchema(_assertions(inlined))
    for place, part in _located(inlined):
        prepared.places.add(place)
        for keyword, value in part.items():
            prepared.annotate(place, keyword, value)
    if any("$dynamicRef" in line for line in prepared.opaque):  # might refer to any schema
        prepared.opaque.append(canonical_json(contract.document.get("components")))
    return prepared


def _inlined(contract: Contract, schema: Any, inside: tuple[Any, ...]) -> Any:
    """Return the schema with references inlined. A recursive reference becomes `N up`."""
    if not is_mapping(schema):
        return schema
    result = {
        keyword: mapped(keyword, value, lambda part: _inlined(contract, part, inside))
        for keyword, value in schema.items()
    }
    if "discriminator" in result:
        parts = [*schema.get("oneOf", ()), *schema.get("anyOf", ())]
        result[ALTERNATIVES] = [part["$ref"] for part in parts if "$ref" in part]
    if "$ref" not in result:
        return result
    reference = result.pop("$ref")
    if reference in inside:
        target: Any = {"$ref": f"{len(inside) - inside.index(reference)} up"}
    else:
        target = _inlined(contract, contract.resolve(reference), (*inside, reference))
    return {**result, "allOf": [*result.get("allOf", []), target]} if result else target


def _assertions(schema: Any) -> Any:
    """Return the schema without annotations. If only a one-branch allOf is left, unwrap it."""
    if not is_mapping(schema):
        return schema
    result: dict[str, Any] = {}
    for keyword, value in schema.items():
        if keyword in COMPARED or (keyword in HIDDEN and value is True):
            result[keyword] = mapped(keyword, value, _assertions)
    parts = result.get("allOf")
    return parts[0] if len(result) == 1 and is_list(parts) and len(parts) == 1 else result


def check_schema(contract: Contract, schema: Schema, where: str) -> None:
    """Raise CannotCompareError with the location if the schema is not valid JSON Schema."""
    try:
        jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
    except (jsonschema_rs.ValidationError, ValueError) as error:
        what = str(error).partition("\n")[0]
        raise contract.error(f"{where}: not a valid JSON Schema 2020-12 ({what}); fix it") from None


def mapped(keyword: str, value: Any, change: Callable[[Any], Any]) -> Any:
    """Return the keyword's value with `change` applied to each schema in it."""
    if keyword in SCHEMA_KEYWORDS:
        return change(value)
    if keyword in SCHEMA_LIST_KEYWORDS and is_list(value):
        return [change(part) for part in value]
    if keyword in SCHEMA_MAP_KEYWORDS and is_mapping(value):
        return {name: change(part) for name, part in value.items()}
    return value


def subschemas(*schemas: Any) -> Iterator[dict[str, Any]]:
    """Yield the schemas and all their subschemas, except boolean schemas."""
    for schema in schemas:
        for _, part in _located(schema):
            yield part


def constants(*schemas: Schema) -> Iterator[Any]:
    """Yield the `enum` and `const` values in the schemas and their subschemas."""
    for part in subschemas(*schemas):
        yield from own_constants(part)


def own_constants(schema: Any) -> Iterator[Any]:
    """Yield the schema's own `enum` and `const` values, without those in subschemas."""
    if is_mapping(schema):
        listed = schema.get("enum")
        yield from listed if is_list(listed) else ()
        if "const" in schema:
            yield schema["const"]


def _located(schema: Any, place: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (path, schema) for the schema and its subschemas, except boolean schemas."""
    if not is_mapping(schema):
        return
    yield place, schema
    for keyword, value in schema.items():
        parts: dict[str, Any] = {}
        if keyword in SCHEMA_KEYWORDS:
            parts = {"*": value}
        elif keyword in SCHEMA_LIST_KEYWORDS and is_list(value):
            parts = {str(i): part for i, part in enumerate(value)}
        elif keyword in SCHEMA_MAP_KEYWORDS and is_mapping(value):
            parts = value
        for name, part in parts.items():
            yield from _located(part, place + _step(keyword, name))


def _step(keyword: str, name: str) -> str:
    """Return the path from a value to the part that a subschema describes."""
    if keyword == "properties":
        return f".{name}"
    if keyword in {"items", "prefixItems", "contains", "unevaluatedItems"}:
        return f"[{name}]"
    return "" if keyword in IN_PLACE else f".<{keyword} {name}>"


def view(schema: Schema, hidden: str, *, sending: bool) -> Schema:
    """Return the schema as it applies to the sender or to the receiver of a message.

    Fields with the annotation `hidden` (readOnly in requests, writeOnly in responses) are neither
    sent nor required. The sender's schema rejects these fields, and the receiver's schema ignores
    them.
    """
    if not is_mapping(schema):
        return schema
    result: dict[str, Any] = {}
    for keyword, value in schema.items():
        if keyword not in HIDDEN:
            result[keyword] = mapped(keyword, value, partial(view, hidden=hidden, sending=sending))
    names = _hidden_fields(schema, hidden)
    if names and "required" in result:
        result["required"] = [name for name in result["required"] if name not in names]
    for name in names:
        result["properties"][name] = not sending
    if result.get("additionalProperties") is False and "patternProperties" not in result:
        fields = mapping_at(result, "properties")
        result["properties"] = {name: part for name, part in fields.items() if part is not False}
    if result.get("format") in RANGES:
        bounds = {"anyOf": [{"not": {"type": "integer"}}, RANGES[result.pop("format")]]}
        result["allOf"] = [*result.get("allOf", []), bounds]
    elif result.get("format") in NO_ASSERTIONS:
        del result["format"]
    return result


def _hidden_fields(schema: dict[str, Any], hidden: str) -> set[str]:
    fields = mapping_at(schema, "properties")
    return {name for name in fields if mapping_at(fields, name).get(hidden)}


def is_ambiguous(schema: Schema, hidden: str) -> bool:
    """Return whether a hidden field is combined with alternatives or conditions."""
    for part in subschemas(schema):
        combined = [part[keyword] for keyword in part.keys() & CONDITIONS]
        is_marked = f'"{hidden}": true' in canonical_json(combined)
        if combined and (is_marked or _hidden_fields(part, hidden)):
            return True
    return False


def call_or_default(function: Callable[[], T], default: T) -> T:
    """Call a function that uses jsonschema_rs; return `default` if it raises or panics."""
    try:
        return function()
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException:  # noqa: BLE001 # a Rust panic is not a subclass of Exception
        return default


def canonical(schema: Schema) -> jsonschema_rs.CanonicalSchema:
    """Return the canonical form of the schema, with formats treated as assertions.

    Raise ValueError if the canonical form would be too large.
    """
    if max(map(_count_alternatives, subschemas(schema)), default=1) > MAX_ALTERNATIVES:
        raise ValueError
    return jsonschema_rs.canonicalize(schema, draft=DRAFT, validate_formats=True)


def _count_alternatives(schema: Any) -> int:
    """Return the number of alternatives in the schema after its combinations are expanded."""
    if not is_mapping(schema):
        return 1
    count = prod(map(_count_alternatives, schema.get("allOf", ())))
    for keyword in ("anyOf", "oneOf"):
        count *= sum(map(_count_alternatives, schema.get(keyword, ()))) or 1
    if "if" in schema:
        count *= (
            1 + _count_alternatives(schema.get("then")) + _count_alternatives(schema.get("else"))
        )
    return count


def plain_form(schema: Schema) -> Any:
    """Return the canonical form as a schema, or the schema itself if it has no canonical form."""
    return _as_schema(lambda: canonical(schema), schema)


def difference(small: Schema, large: Schema) -> Any:
    """Return a schema for the values that `small` admits and `large` rejects.

    If jsonschema_rs cannot compute the difference, return the canonical form of `small`.
    """
    form = plain_form(small)
    if sum(1 for _ in subschemas(small, large)) > MAX_SUBSCHEMAS:
        return form
    return _as_schema(lambda: canonical(form).subtract(canonical(large)), form)


def _as_schema(function: Callable[[], jsonschema_rs.CanonicalSchema], default: Schema) -> Any:
    found: Any = call_or_default(lambda: function().to_json_schema(), None)
    # Remove `$schema` so that equal parts of different schemas compare as equal.
    if is_mapping(found):
        found.pop("$schema", None)
    return default if found is None else found


def validator(schema: Schema) -> jsonschema_rs.Draft202012Validator:
    """Return a validator for the schema, with format checks enabled."""
    return jsonschema_rs.Draft202012Validator(schema, validate_formats=True)


def covers(large: Schema, small: Schema) -> bool:
    """Return whether jsonschema_rs proves that `large` admits every value that `small` admits."""
    proof = call_or_default(lambda: canonical(large).covers(canonical(small)), Containment.UNKNOWN)
    return proof == Containment.YES

"""Prepare JSON Schemas for comparison, and use jsonschema_rs to compare them."""

from __future__ import annotations

from copy import copy
from math import prod
from typing import TYPE_CHECKING, Any, TypeVar

import jsonschema_rs
from jsonschema_rs.canonical import Containment

from scripts.compatibility.documents import APPLICATORS, DIALECTS, SCHEMA_KEYWORDS
from scripts.compatibility.text import is_mapping

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scripts.compatibility.documents import Contract

T = TypeVar("T")
Schema = dict[str, Any] | bool
# Keywords that restrict the whole value, or several of its fields.
CONDITIONS = {
    *("allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas"),
    *("dependentRequired", "patternProperties"),
}
COMPARED = {
    *("type", "enum", "const", "multipleOf", "maximum", "exclusiveMaximum", "minimum"),
    *("exclusiveMinimum", "maxLength", "minLength", "pattern", "maxItems", "minItems"),
    *("uniqueItems", "maxContains", "minContains", "maxProperties", "minProperties"),
    *("required", "dependentRequired", "format"),
    *APPLICATORS,
}
# With more alternatives than this, computing the canonical form would take seconds.
MAX_ALTERNATIVES = 100
# The time to compute a difference grows with the fourth power of the number of subschemas.
MAX_SUBSCHEMAS = 400
# jsonschema_rs does not know these formats, which are in OpenAPI's format registry.
FORMATS: dict[str, Schema] = {
    "int32": {"minimum": -(2**31), "maximum": 2**31 - 1},
    "int64": {"minimum": -(2**63), "maximum": 2**63 - 1},
    "password": True,
}


def check_schema(contract: Contract, schema: Schema, where: str) -> None:
    """Raise CannotCompareError if the schema is not valid. The message includes the location.

    Patterns that jsonschema_rs cannot compile are allowed.
    """
    try:
        jsonschema_rs.meta.validate(schema)
    except jsonschema_rs.ReferencingError:
        return
    except jsonschema_rs.ValidationError as error:
        what = str(error).partition("\n")[0]
        raise contract.error(f"{where}: not valid JSON Schema 2020-12 ({what}); fix it") from None


def parts(schema: Any) -> dict[tuple[str, Any], Any]:
    """Return the schema's direct subschemas, keyed by keyword and by name or index."""
    result: dict[tuple[str, Any], Any] = {}
    if not is_mapping(schema):
        return result
    for keyword, value in schema.items():
        if keyword in SCHEMA_KEYWORDS:
            result[keyword, ""] = value
        elif keyword in APPLICATORS:
            named = value if is_mapping(value) else dict(enumerate(value))
            for name, part in named.items():
                result[keyword, name] = part
    return result


def subschemas(*schemas: Any) -> Iterator[dict[str, Any]]:
    """Yield the schemas and all their subschemas, except boolean schemas."""
    for schema in filter(is_mapping, schemas):
        yield schema
        yield from subschemas(*parts(schema).values())


def constants(schema: dict[str, Any]) -> list[Any]:
    """Return the values of the schema's `enum` and `const`, but not those of its subschemas."""
    values = list(schema.get("enum", ()))
    if "const" in schema:
        values.append(schema["const"])
    return values


def view(schema: Any, hidden: str, *, sending: bool, is_mixed: bool = False) -> Any:
    """Return the schema as it applies to the sender or to the receiver of a message.

    `hidden` is the annotation of fields that are neither sent nor required: readOnly in requests,
    and writeOnly in responses. The sender's schema rejects these fields, and the receiver's schema
    accepts any value for them. All other annotations are omitted. Inside and next to alternatives
    and conditions (`is_mixed`), `hidden` is kept, and the schema is therefore not supported.
    """
    if not is_mapping(schema):
        return schema
    is_mixed = is_mixed or bool(schema.keys() & CONDITIONS)
    result: dict[str, Any] = {}
    for keyword, value in schema.items():
        is_hidden = is_mixed and keyword == hidden and value is True
        is_reference = keyword.startswith("$") and value not in DIALECTS
        if keyword in COMPARED or is_hidden or is_reference:
            result[keyword] = copy(value)
    required = set(result.get("required", ()))
    for (keyword, name), part in parts(schema).items():
        inner = view(part, hidden, sending=sending, is_mixed=is_mixed)
        if keyword == "properties" and is_mapping(part) and part.get(hidden) and not is_mixed:
            inner = not sending
            required.discard(name)
        if keyword in SCHEMA_KEYWORDS:
            result[keyword] = inner
        else:
            result[keyword][name] = inner
    if "required" in result:
        result["required"] = sorted(required)
    if result.get("format") in FORMATS:
        result["allOf"] = [*result.get("allOf", []), FORMATS[result.pop("format")]]
    return result


def is_supported(*views: Schema) -> bool:
    """Return whether the views contain only keywords that can be compared."""
    return all(part.keys() <= COMPARED for part in subschemas(*views))


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

    Raise ValueError if the schema has too many alternatives.
    """
    if max(map(_count_alternatives, subschemas(schema)), default=1) > MAX_ALTERNATIVES:
        raise ValueError
    return jsonschema_rs.canonicalize(
        schema, draft=jsonschema_rs.Draft202012, validate_formats=True
    )


def _count_alternatives(schema: Any) -> int:
    if not is_mapping(schema):
        return 1
    count = prod(map(_count_alternatives, schema.get("allOf", ())))
    for keyword in ("anyOf", "oneOf"):
        count *= sum(map(_count_alternatives, schema.get(keyword, ()))) or 1
    if "if" in schema:
        count *= 3
    return count


def difference(small: Schema, large: Schema) -> Any:
    """Return a schema for the values that `small` admits and `large` rejects.

    If the difference cannot be computed, return `small`, if possible in its canonical form.
    """
    default: Any = small
    form = call_or_default(lambda: canonical(small).to_json_schema(), default)
    found = form
    if len(list(subschemas(small, large))) <= MAX_SUBSCHEMAS:
        found = call_or_default(
            lambda: canonical(form).subtract(canonical(large)).to_json_schema(), form
        )
    if is_mapping(found):
        found.pop("$schema", None)
    return found


def validator(schema: Schema) -> jsonschema_rs.Draft202012Validator:
    """Return a validator for the schema, with format checks enabled."""
    return jsonschema_rs.Draft202012Validator(schema, validate_formats=True)


def covers(large: Schema, small: Schema) -> bool:
    """Return whether jsonschema_rs proves that `large` admits every value that `small` admits."""
    proof = call_or_default(lambda: canonical(large).covers(canonical(small)), Containment.UNKNOWN)
    return proof == Containment.YES

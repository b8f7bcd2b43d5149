"""Prepare JSON Schemas for comparison, and use jsonschema_rs to compare them."""

from collections.abc import Callable, Iterator
from copy import copy
from itertools import chain
from math import prod
from typing import Any, TypeVar

import jsonschema_rs
from jsonschema_rs.canonical import Containment

from scripts.compatibility.values import is_mapping, mapping_at
from scripts.documents import DIALECTS, Contract

T = TypeVar("T")
Schema = dict[str, Any] | bool
# The values of these keywords are schemas, lists of schemas, and maps of schemas, respectively.
SCHEMA_KEYWORDS = {
    *("additionalProperties", "contains", "else", "if", "items", "not", "propertyNames"),
    *("then", "unevaluatedItems", "unevaluatedProperties"),
}
SCHEMA_LIST_KEYWORDS = {"allOf", "anyOf", "oneOf", "prefixItems"}
SCHEMA_MAP_KEYWORDS = {"dependentSchemas", "patternProperties", "properties"}
APPLICATORS = SCHEMA_KEYWORDS | SCHEMA_LIST_KEYWORDS | SCHEMA_MAP_KEYWORDS
# Keywords that restrict the whole value, or several of its fields.
CONDITIONS = {
    *("allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas"),
    *("dependentRequired", "patternProperties"),
}
COMPARED = {
    *("type", "enum", "const", "multipleOf", "maximum", "exclusiveMaximum", "minimum"),
    *("exclusiveMinimum", "maxLength", "minLength", "pattern", "maxItems", "minItems"),
    *("uniqueItems", "maxContains", "minContains", "maxProperties", "minProperties"),
    *("required", "dependentRequired", "format", *APPLICATORS),
}
# With more alternatives than this, computing the canonical form would take seconds.
MAX_ALTERNATIVES = 100
# Limit the run time, which grows with the fourth power of the number of subschemas.
MAX_SUBSCHEMAS = 100
# Schemas for formats in OpenAPI's format registry that jsonschema_rs does not know.
FORMATS: dict[str, Schema] = {
    "int32": {"minimum": -(2**31), "maximum": 2**31 - 1},
    "int64": {"minimum": -(2**63), "maximum": 2**63 - 1},
    "password": True,
}


def own_annotations(schema: Any, irrelevant: str) -> dict[str, Any]:
    """Return the schema's annotations, except those whose value is false.

    A `default` is included even if its value is false. All annotations in `allOf` count as one.
    `irrelevant` is the annotation that has no effect: writeOnly in requests, readOnly in responses.
    """
    result: dict[str, Any] = {}
    if not is_mapping(schema):
        return result
    branches = subschemas(*schema.get("allOf", ()))
    inherited = [own_annotations(branch, irrelevant) for branch in branches]
    if any(inherited):
        result["allOf"] = list(filter(None, inherited))
    for keyword, value in schema.items():
        is_present = value is not False or keyword == "default"
        is_compared = keyword in COMPARED or keyword in {"xml", irrelevant}
        if is_present and not is_compared and not keyword.startswith("$"):
            result[keyword] = value
    return result


def has_reference(*schemas: Schema) -> bool:
    """Return whether the schemas have recursive or dynamic references, or use another dialect."""
    keywords = chain.from_iterable(subschemas(*schemas))
    return any(keyword.startswith("$") for keyword in keywords)


def has_mixed(annotation: str, *schemas: Schema) -> bool:
    """Return whether the annotation occurs inside or next to alternatives or conditions."""
    for schema in subschemas(*schemas):
        is_annotated = any(part.get(annotation) is True for part in subschemas(schema))
        if is_annotated and schema.keys() & CONDITIONS:
            return True
    return False


def check_schema(contract: Contract, schema: Schema, where: str) -> None:
    """Raise ContractError if the schema is not valid. The message includes the location.

    Patterns that jsonschema_rs cannot compile are allowed.
    """
    try:
        jsonschema_rs.meta.validate(schema)
    except jsonschema_rs.ReferencingError:
        return
    except jsonschema_rs.ValidationError as error:
        what = str(error).partition("\n")[0]
        problem = f"not valid JSON Schema 2020-12 ({what})"
        raise contract.error(f"{where}: {problem}; correct the schema") from None


def parts(schema: Any) -> dict[tuple[str, Any], Any]:
    """Return the direct subschemas, each keyed by its keyword and its name or index."""
    result: dict[tuple[str, Any], Any] = {}
    if not is_mapping(schema):
        return result
    for keyword, value in schema.items():
        if keyword in SCHEMA_KEYWORDS:
            result[keyword, ""] = value
        elif keyword in APPLICATORS:
            named = value.items() if is_mapping(value) else enumerate(value)
            for name, part in named:
                result[keyword, name] = part
    return result


def subschemas(*schemas: Any) -> Iterator[dict[str, Any]]:
    """Yield the schemas and all their subschemas, except boolean schemas."""
    for schema in filter(is_mapping, schemas):
        yield schema
        yield from subschemas(*parts(schema).values())


def constants(schema: dict[str, Any]) -> Iterator[Any]:
    """Yield the values of the schema's `enum` and `const`, but not those of its subschemas."""
    yield from schema.get("enum", ())
    if "const" in schema:
        yield schema["const"]


def view(schema: Schema, hidden: str, *, sending: bool) -> Schema:
    """Return the schema as it applies to the sender or to the receiver of a message.

    `hidden` is the annotation of fields that are neither sent nor required: readOnly in requests,
    and writeOnly in responses. The sender's schema rejects these fields, and the receiver's schema
    accepts any value for them. All annotations are omitted.
    """
    if not is_mapping(schema):
        return schema
    fields = mapping_at(schema, "properties")
    names = {name for name in fields if mapping_at(fields, name).get(hidden)}
    result: dict[str, Any] = {}
    for keyword, value in schema.items():
        is_reference = keyword.startswith("$") and value not in DIALECTS
        if is_reference or keyword in COMPARED:
            result[keyword] = copy(value)
    for (keyword, name), part in parts(schema).items():
        if keyword in SCHEMA_KEYWORDS:
            result[keyword] = view(part, hidden, sending=sending)
        else:
            result[keyword][name] = view(part, hidden, sending=sending)
    required = set(result.pop("required", ())) - names
    if required:
        result["required"] = sorted(required)
    for name in names:
        result["properties"][name] = not sending
    if result.get("format") in FORMATS:
        limits = FORMATS[result.pop("format")]
        result["allOf"] = [*result.get("allOf", []), limits]
    return result


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
    if any(_count_alternatives(part) > MAX_ALTERNATIVES for part in subschemas(schema)):
        raise ValueError
    return jsonschema_rs.canonicalize(
        schema, draft=jsonschema_rs.Draft202012, validate_formats=True
    )


def _count_alternatives(schema: Any) -> int:
    if not is_mapping(schema):
        return 1
    count: int = prod(map(_count_alternatives, schema.get("allOf", ())))
    for keyword in ("anyOf", "oneOf"):
        count *= sum(map(_count_alternatives, schema.get(keyword, ()))) or 1
    count *= 2 ** len(schema.get("dependentSchemas", ()))
    # Fields that require the same fields, or each other, do not multiply the alternatives.
    required = mapping_at(schema, "dependentRequired")
    targets = {frozenset(names) for names in required.values()}
    groups = {frozenset((name, *names)) for name, names in required.items()}
    count *= 2 ** min(len(targets), len(groups))
    negated = mapping_at(schema, "not")
    count *= len(negated.get("required", ())) or 1
    return count * 3 if "if" in schema else count


def plain_form(schema: Schema) -> Any:
    """Return the canonical form as a schema, or the schema itself if it has no canonical form."""
    return _as_schema(lambda: canonical(schema), schema)


def difference(small: Schema, large: Schema) -> Any:
    """Return a schema for the values that `small` admits and `large` rejects.

    If the difference cannot be computed, return the canonical form of `small`.
    """
    form = plain_form(small)
    if len(list(subschemas(small, large))) > MAX_SUBSCHEMAS:
        return form
    return _as_schema(lambda: canonical(form).subtract(canonical(large)), form)


def _as_schema(function: Callable[[], jsonschema_rs.CanonicalSchema], default: Any) -> Any:
    found: Any = call_or_default(lambda: function().to_json_schema(), default)
    found.pop("$schema", None)  # it would make equal subschemas seem different
    return found


def validator(schema: Schema) -> jsonschema_rs.Draft202012Validator:
    """Return a validator for the schema, with format checks enabled."""
    return jsonschema_rs.Draft202012Validator(schema, validate_formats=True)


def covers(large: Schema, small: Schema) -> bool:
    """Return whether jsonschema_rs proves that `large` admits every value that `small` admits."""
    proof = call_or_default(lambda: canonical(large).covers(canonical(small)), Containment.UNKNOWN)
    return proof == Containment.YES

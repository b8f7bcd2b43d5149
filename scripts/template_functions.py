"""Functions that the templates call to write rules, types and wrapped text."""

from __future__ import annotations

import functools
import re
import textwrap
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

# These names replace reason phrases that are uncommon or differ between Python versions.
_PHRASES = {
    401: "Authentication",
    403: "Permission Denied",
    413: "Content Too Large",
    414: "URI Too Long",
    416: "Range Not Satisfiable",
    422: "Unprocessable Content",
    429: "Rate Limit",
}
_KINDS = {
    "StringProperty": "str",
    "IntProperty": "int",
    "FloatProperty": "float",
    "BooleanProperty": "bool",
    "ListProperty": "list",
    "DateProperty": "datetime.date",
    "DateTimeProperty": "datetime.datetime",
    "UuidProperty": "UUID",
    "NoneProperty": "type(None)",
}
# A line break before a list item, a quotation, a heading or a table row
_MARKDOWN_LINE = re.compile(r"\n(?=\s*(?:[-*+>] |\d+[.)] |[#|]))")
_HEADER_VALUE = "(?:[!-~](?:[ -~]*[!-~])?)?"  # RFC 9110
_RULES = {
    "minLength": "min_length",
    "maxLength": "max_length",
    "minItems": "min_length",
    "maxItems": "max_length",
    "pattern": "pattern",
    "x-rule": "message",
    "minimum": "minimum",
    "maximum": "maximum",
    "const": "const",
}


def functions(contract: dict[str, Any], escape: Callable[[Any], str]) -> dict[str, Any]:
    """Return the template functions, keyed by name. `escape` makes text safe for docstrings."""

    def schema_of(part: Any) -> dict[str, Any]:
        schema: dict[str, Any] = part.model_dump(mode="json", by_alias=True, exclude_none=True)
        return resolved(contract, schema)

    def field_schemas(model: Any) -> dict[str, Any]:
        return schemas_of_fields(contract, schema_of(model.data))

    def extra_rule(model: Any) -> str:
        """Return the rule for additional properties, or an empty string if any value is valid."""
        extra = model.additional_properties
        if kind(extra, {}) not in {"bool", "float", "int", "str"}:
            return ""
        items = rule(contract, extra, schema_of(model.data.additionalProperties))
        return f"Rule(dict, items={items})"

    def secret_names(model: Any) -> list[str]:
        schemas = field_schemas(model)
        fields = model.required_properties + model.optional_properties
        return [field.python_name for field in fields if schemas[field.name].get("writeOnly")]

    def secured(endpoint: Any) -> bool:
        _, operation = declaration(contract, endpoint)
        # The generator ignores the contract's top-level `security`.
        return any(operation.get("security", contract.get("security", [])))

    return {
        "argument": argument,
        "contract": contract,
        "errors_of": errors_of,
        "extra_rule": extra_rule,
        "field_schemas": field_schemas,
        "error_name": error_name,
        "parameter_rule": functools.partial(parameter_rule, contract),
        "parameter": functools.partial(parameter, contract),
        "prose": functools.partial(prose, escape),
        "rule": functools.partial(rule, contract),
        "secret_names": secret_names,
        "secured": secured,
        "success_type": success_type,
    }


def prose(
    escape: Callable[[Any], str], text: Any, width: int, indent: int = 0, label: object = ""
) -> str:
    """Return the label and the text as wrapped, indented paragraphs for a docstring."""
    margin = " " * indent
    wrapper = textwrap.TextWrapper(
        width + indent, margin, margin, break_long_words=False, break_on_hyphens=False
    )
    labeled = f"{label}: {escape(text)}" if label else escape(text)
    blocks: list[str] = []
    for paragraph in labeled.split("\n\n"):
        lines = _MARKDOWN_LINE.split(paragraph.strip())
        if "```" in paragraph:  # a code block
            lines = paragraph.splitlines()
        blocks.append("\n".join(wrapper.fill(" ".join(line.split())) for line in lines))
    joined = "\n\n".join(blocks).removeprefix(margin)
    # Add a space so that a final quote does not touch the docstring's closing quotes.
    return f"{joined} " if joined.endswith('"') else joined


def error_name(status: str | int) -> str:
    """Return the name of the error class for a status, such as NotFoundError."""
    number = int(status)
    try:
        phrase = _PHRASES.get(number) or HTTPStatus(number).phrase
    except ValueError:
        phrase = f"Status{number}"
    return re.sub("[^0-9A-Za-z]", "", phrase.title()).removesuffix("Error") + "Error"


def parameter_rule(contract: dict[str, Any], endpoint: Any, prop: Any) -> str:
    """Return the source code of a `fields.Rule` for the parameter."""
    found = parameter(contract, endpoint, prop)
    schema = resolved(contract, found.get("schema", {}))
    if found["in"] == "header":
        pattern = schema.get("pattern", "")
        message = "must be one line of ASCII"
        if pattern:
            message += f" and match {pattern}"
        # Both patterns must match; the second one can match anywhere.
        schema = {"x-rule": message, **schema, "pattern": f"^(?={_HEADER_VALUE}$).*?(?:{pattern})"}
    return rule(contract, prop, schema)


def rule(contract: dict[str, Any], prop: Any, schema: dict[str, Any]) -> str:
    """Return the source code of a `fields.Rule` for the property."""
    models: list[str] = []
    kinds: list[str] = []
    # For the members of a union, only the types are checked. The generator flattens nested unions.
    for member in getattr(prop, "inner_properties", [prop]):
        if hasattr(member, "required_properties"):
            models.append(member.class_info.name)
        else:
            kinds.append(kind(member, schema))
    arguments = [kinds[0] if len(kinds) == 1 else f"({', '.join(kinds)})"]
    if models:
        arguments.append(f"models={tuple(models)}")
    if hasattr(prop, "inner_property"):
        items = rule(contract, prop.inner_property, resolved(contract, schema.get("items", {})))
        arguments.append(f"items={items}")
    for key, name in _RULES.items():
        if key in schema:
            limit = schema[key]
            if key in {"minimum", "maximum"} and limit == int(limit):
                limit = int(limit)  # the generator turns `minimum: 1` into 1.0
            arguments.append(f"{name}={limit!r}")
    return f"Rule({', '.join(arguments)})"


def kind(prop: Any, schema: dict[str, Any]) -> str:
    """Return the name of the property's type in Python."""
    if hasattr(prop, "values"):
        return str(prop.class_info.name)
    name = _KINDS.get(type(prop).__name__, "object")
    return "Secret" if name == "str" and schema.get("writeOnly") else name


def argument(prop: Any, secrets: list[str]) -> str:
    """Return a parameter declaration that also accepts str for credentials and enum members."""
    declared: str = prop.to_string().as_unembedded_code()
    if prop.python_name in secrets:
        return re.sub(r"(?<= )str\b", "str | Secret", declared, count=1)
    if hasattr(prop, "values"):  # an enum
        name = prop.class_info.name
        return declared.replace(f": {name}", f": {name} | {name}Text", 1)
    return declared


def errors_of(endpoint: Any) -> dict[int, Any]:
    """Return the descriptions of the endpoint's documented errors, keyed by status."""
    descriptions = {}
    for response in endpoint.responses.patterns:
        status = response.status_code.range[0]
        if status >= 300 and not response.status_code.is_range():
            descriptions[status] = response.data.description
    return descriptions


def success_type(endpoint: Any) -> str:
    """Return the type of an operation's successful response body."""
    types: list[str] = []
    for response in endpoint.responses.patterns:
        if response.status_code.range[0] // 100 == 2:
            body_type = response.prop.get_type_string().as_unembedded_code()
            types.append("None" if response.source["attribute"] == "None" else body_type)
    return " | ".join(dict.fromkeys(types))


def declaration(contract: dict[str, Any], endpoint: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return an endpoint's path item and operation from the contract."""
    shape = path_shape(endpoint.path.get_untrusted_value())
    for path, item in contract["paths"].items():
        if path_shape(path) == shape and endpoint.method in item:
            return item, item[endpoint.method]
    raise LookupError(f"{endpoint.method} {endpoint.path} is not in the contract")


def path_shape(path: str) -> str:
    """Return the path without its parameter names, which the generator can change."""
    return re.sub(r"\{.*?\}", "{}", path)


def parameter(contract: dict[str, Any], endpoint: Any, prop: Any) -> dict[str, Any]:
    """Return the parameter from the contract, because the generator's copy has no schema."""
    item, operation = declaration(contract, endpoint)
    [place] = [place for place, listed in endpoint.iter_all_parameters() if listed is prop]
    # An operation parameter overrides a path-item parameter.
    for listed in (*operation.get("parameters", []), *item.get("parameters", [])):
        found = resolved(contract, listed)
        if (found["in"], found["name"]) == (place, prop.name):
            return found
    raise LookupError(f"the parameter {prop.name} is not in the contract")


def schemas_of_fields(contract: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schemas of an object's fields, keyed by name, including fields from `allOf`."""
    schemas: dict[str, Any] = {}
    parts = [resolved(contract, part) for part in schema.get("allOf", [])]
    groups = [schemas_of_fields(contract, part) for part in parts]
    groups.append(schema.get("properties", {}))
    for fields in groups:
        for name, field in fields.items():
            schemas[name] = schemas.get(name, {}) | resolved(contract, field)
    return schemas


def resolved(contract: dict[str, Any], value: dict[str, Any]) -> dict[str, Any]:
    """Replace a `$ref` with its component. Keywords next to the `$ref` override the component's."""
    while "$ref" in value:
        *_, kind, name = value["$ref"].split("/")
        siblings = dict(value)
        del siblings["$ref"]
        value = contract["components"][kind][name] | siblings
    return value

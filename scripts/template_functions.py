"""The functions that templates call: rules of a schema, schemas of parameters, wrapped text."""

from __future__ import annotations

import re
import textwrap
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Callable

# Common names that differ from the HTTP phrase, and phrases that depend on the Python version.
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
}
_RULES = {
    "minLength": "min_length",
    "maxLength": "max_length",
    "minItems": "min_length",
    "maxItems": "max_length",
    "pattern": "pattern",
    "x-rule": "words",
    "minimum": "minimum",
    "maximum": "maximum",
    "const": "const",
}


def functions(contract: dict[str, Any], escape: Callable[[Any], str]) -> dict[str, Any]:
    """Return the functions by name. `escape` makes text of the contract safe for docstrings."""

    def prose(text: Any, width: int, indent: int = 0) -> str:
        paragraphs = escape(text).split("\n\n")
        separator = "\n\n" + " " * indent
        return separator.join(wrapped(paragraph, width, indent) for paragraph in paragraphs)

    def parameter_rule(endpoint: Any, prop: Any) -> str:
        schema = parameter(contract, endpoint, prop).get("schema", {})
        return rule(prop, resolved(contract, schema))

    def parameter_text(endpoint: Any, prop: Any) -> str:
        found = parameter(contract, endpoint, prop)
        return str(found.get("description", "see the contract."))

    def secured(endpoint: Any) -> bool:
        _, operation = declaration(contract, endpoint)
        # The generator ignores `security` at the root of a contract.
        return bool(operation.get("security", contract.get("security", [])))

    return {
        "contract": contract,
        "error_name": error_name,
        "parameter_rule": parameter_rule,
        "parameter_text": parameter_text,
        "prose": prose,
        "rule": rule,
        "secured": secured,
    }


def error_name(status: str | int) -> str:
    """Return the name of the error class of a status, such as NotFoundError."""
    number = int(status)
    try:
        phrase = _PHRASES.get(number) or HTTPStatus(number).phrase
    except ValueError:
        phrase = f"Status{number}"
    return re.sub("[^0-9A-Za-z]", "", phrase.title()).removesuffix("Error") + "Error"


def wrapped(paragraph: str, width: int, indent: int) -> str:
    """Return the paragraph wrapped at this width. All lines but the first are indented."""
    text = " ".join(paragraph.split())
    lines = textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
    return f"\n{' ' * indent}".join(lines)


def rule(prop: Any, schema: Any) -> str:
    """Return the source code of a `fields.Rule` for the property.

    The schema is a mapping or a Schema of the generator.
    """
    kind = prop.class_info.name if hasattr(prop, "values") else _KINDS.get(type(prop).__name__)
    arguments = [kind] if kind else []
    for key, name in _RULES.items():
        value = schema.get(key) if isinstance(schema, dict) else getattr(schema, key, None)
        if value is not None:
            plain = value.get_untrusted_value() if hasattr(value, "get_untrusted_value") else value
            arguments.append(f"{name}={plain!r}")
    return f"Rule({', '.join(arguments)})"


def declaration(contract: dict[str, Any], endpoint: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the path item and the operation of an endpoint."""
    shape = shape_of(endpoint.path.get_untrusted_value())
    for path, item in contract["paths"].items():
        if shape_of(path) == shape and endpoint.method in item:
            return item, item[endpoint.method]
    raise LookupError(f"{endpoint.method} {endpoint.path} is not in the contract")


def shape_of(path: str) -> str:
    """Return the path without the names of its parameters, since the generator renames them."""
    return re.sub(r"\{.*?\}", "{}", path)


def parameter(contract: dict[str, Any], endpoint: Any, prop: Any) -> dict[str, Any]:
    """Return the contract's declaration of a parameter, whose schema the generator drops."""
    item, operation = declaration(contract, endpoint)
    # A parameter of the operation overrides the path item's parameter with the same name.
    listed = [*operation.get("parameters", []), *item.get("parameters", [])]
    found = [resolved(contract, given) for given in listed]
    return next(given for given in found if given["name"] == prop.name)


def resolved(contract: dict[str, Any], value: dict[str, Any]) -> dict[str, Any]:
    """Return the component that a reference refers to; return other values unchanged."""
    if "$ref" not in value:
        return value
    *_, kind, name = value["$ref"].split("/")
    return cast("dict[str, Any]", contract["components"][kind][name])

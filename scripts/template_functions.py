"""What templates need beyond the generator's own data: constraints, parameters' schemas, prose."""

from __future__ import annotations

import re
import textwrap
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Callable

# Usual names that differ from the HTTP phrase, or phrases that differ by Python version.
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
    """Return what templates can call; `escape` makes text of the contract safe for docstrings."""

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
        # The generator ignores the root's security.
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
    """Return the name of a status's exception: its HTTP phrase, as NotFoundError."""
    number = int(status)
    try:
        phrase = _PHRASES.get(number) or HTTPStatus(number).phrase
    except ValueError:
        phrase = f"Status{number}"
    return re.sub("[^0-9A-Za-z]", "", phrase.title()).removesuffix("Error") + "Error"


def wrapped(paragraph: str, width: int, indent: int) -> str:
    """Return the paragraph in lines of at most this width, all but the first indented."""
    text = " ".join(paragraph.split())
    lines = textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
    return f"\n{' ' * indent}".join(lines)


def rule(prop: Any, schema: Any) -> str:
    """Return the source of a fields.Rule: a property's type, and what its schema says.

    The schema is a mapping or the generator's Schema.
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
    """Return the path item and the operation that an endpoint was made from."""
    shape = shape_of(endpoint.path.get_untrusted_value())
    for path, item in contract["paths"].items():
        if shape_of(path) == shape and endpoint.method in item:
            return item, item[endpoint.method]
    raise LookupError(f"{endpoint.method} {endpoint.path} is not in the contract")


def shape_of(path: str) -> str:
    """Return the path without the names of its parameters, which the generator changes."""
    return re.sub(r"\{.*?\}", "{}", path)


def parameter(contract: dict[str, Any], endpoint: Any, prop: Any) -> dict[str, Any]:
    """Return a parameter as the contract has it, as the generator does not keep its schema."""
    item, operation = declaration(contract, endpoint)
    # An operation's own parameter comes before the path item's of the same name.
    listed = [*operation.get("parameters", []), *item.get("parameters", [])]
    found = [resolved(contract, given) for given in listed]
    return next(given for given in found if given["name"] == prop.name)


def resolved(contract: dict[str, Any], value: dict[str, Any]) -> dict[str, Any]:
    """Return what a reference to a component refers to; anything else unchanged."""
    if "$ref" not in value:
        return value
    *_, kind, name = value["$ref"].split("/")
    return cast("dict[str, Any]", contract["components"][kind][name])

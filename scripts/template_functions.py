"""Functions that the templates call to write rules, types and wrapped text."""

from __future__ import annotations

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


class TemplateFunctions:
    """The template functions for one contract."""

    def __init__(self, contract: dict[str, Any], escape: Callable[[Any], str]) -> None:
        """Store the contract and a function that makes text safe for docstrings."""
        self.contract = contract
        self.escape = escape

    def by_name(self) -> dict[str, Any]:
        """Return the contract and the functions, keyed by the names that the templates use."""
        return {
            "argument": argument,
            "contract": self.contract,
            "error_name": error_name,
            "errors_of": errors_of,
            "field_schemas": self.field_schemas,
            "parameter": self.parameter,
            "parameter_rule": self.parameter_rule,
            "prose": self.prose,
            "rule": self.rule,
            "secret_names": self.secret_names,
            "secured": self.secured,
            "success_type": success_type,
        }

    def secured(self, endpoint: Any) -> bool:
        """Return whether the endpoint requires a token."""
        _, operation = self._declaration(endpoint)
        # The generator ignores the contract's top-level `security`.
        return any(operation.get("security", self.contract.get("security", [])))

    def secret_names(self, model: Any) -> list[str]:
        """Return the Python names of the model's `writeOnly` fields."""
        schemas = self.field_schemas(model)
        fields = model.required_properties + model.optional_properties
        return [field.python_name for field in fields if schemas[field.name].get("writeOnly")]

    def field_schemas(self, model: Any) -> dict[str, Any]:
        """Return the schemas of the model's fields, keyed by their names in the contract."""
        return self._properties(self._schema_of(model.data))

    def _schema_of(self, part: Any) -> dict[str, Any]:
        """Return the generator's copy of a schema as a dict, with any `$ref` resolved."""
        schema: dict[str, Any] = part.model_dump(mode="json", by_alias=True, exclude_none=True)
        return self._resolved(schema)

    def parameter_rule(self, endpoint: Any, prop: Any) -> str:
        """Return the source code of a `fields.Rule` for the parameter."""
        found = self.parameter(endpoint, prop)
        schema = self._resolved(found.get("schema", {}))
        if found["in"] == "header":
            pattern = schema.get("pattern", "")
            message = "must be a single line of ASCII text"
            if pattern:
                message += f" and match {pattern}"
            # Both patterns must match; the second one can match anywhere.
            both = f"^(?={_HEADER_VALUE}$).*?(?:{pattern})"
            schema = {"x-rule": message, **schema, "pattern": both}
        return self.rule(prop, schema)

    def rule(self, prop: Any, schema: dict[str, Any]) -> str:
        """Return the source code of a `fields.Rule` for the property."""
        arguments: list[str] = []
        # Check only the types of union members. The generator has already flattened nested unions.
        for member in getattr(prop, "inner_properties", [prop]):
            if hasattr(member, "required_properties"):
                arguments.append(repr(str(member.class_info.name)))
            else:
                arguments.append(kind(member, schema))
        if hasattr(prop, "inner_property"):
            item_schema = self._resolved(schema.get("items", {}))
            arguments.append(f"items={self.rule(prop.inner_property, item_schema)}")
        for key, name in _RULES.items():
            if key in schema:
                limit = schema[key]
                if key in {"minimum", "maximum"} and limit == int(limit):
                    limit = int(limit)  # the generator turns `minimum: 1` into 1.0
                arguments.append(f"{name}={limit!r}")
        return f"Rule({', '.join(arguments)})"

    def parameter(self, endpoint: Any, prop: Any) -> dict[str, Any]:
        """Return the contract's definition of a parameter; the generator's copy has no schema."""
        item, operation = self._declaration(endpoint)
        [place] = [place for place, listed in endpoint.iter_all_parameters() if listed is prop]
        # An operation parameter overrides a path-item parameter.
        declared = [*operation.get("parameters", []), *item.get("parameters", [])]
        for listed in declared:
            found = self._resolved(listed)
            if (found["in"], found["name"]) == (place, prop.name):
                return found
        raise LookupError(f"the parameter {prop.name} is not in the contract")

    def _declaration(self, endpoint: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return an endpoint's path item and operation from the contract."""
        shape = path_shape(endpoint.path.get_untrusted_value())
        for path, item in self.contract["paths"].items():
            if path_shape(path) == shape and endpoint.method in item:
                return item, item[endpoint.method]
        raise LookupError(f"{endpoint.method} {endpoint.path} is not in the contract")

    def _properties(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Return the schemas of an object's fields, including fields from `allOf`."""
        schemas: dict[str, Any] = {}
        parts = [self._resolved(part) for part in schema.get("allOf", [])]
        groups = [self._properties(part) for part in parts]
        groups.append(schema.get("properties", {}))
        for fields in groups:
            for name, field in fields.items():
                schemas[name] = schemas.get(name, {}) | self._resolved(field)
        return schemas

    def _resolved(self, value: dict[str, Any]) -> dict[str, Any]:
        """Replace a `$ref` with its component; keywords next to the `$ref` take precedence."""
        while "$ref" in value:
            *_, section, name = value["$ref"].split("/")
            siblings = dict(value)
            del siblings["$ref"]
            value = self.contract["components"][section][name] | siblings
        return value

    def prose(self, text: Any, width: int, indent: int = 0, label: object = "") -> str:
        """Return the label and the text as wrapped, indented paragraphs for a docstring."""
        margin = " " * indent
        wrapper = textwrap.TextWrapper(
            width + indent, margin, margin, break_long_words=False, break_on_hyphens=False
        )
        labeled = f"{label}: {self.escape(text)}" if label else self.escape(text)
        blocks: list[str] = []
        for paragraph in labeled.split("\n\n"):
            lines = _MARKDOWN_LINE.split(paragraph.strip())
            if "```" in paragraph:  # a code block
                lines = paragraph.splitlines()
            filled = [wrapper.fill(" ".join(line.split())) for line in lines]
            blocks.append("\n".join(filled))
        joined = "\n\n".join(blocks).removeprefix(margin)
        # Add a space so that a final quote does not touch the docstring's closing quotes.
        return f"{joined} " if joined.endswith('"') else joined


def error_name(status: str | int) -> str:
    """Return the name of the error class for a status, such as NotFoundError for 404."""
    number = int(status)
    try:
        phrase = _PHRASES.get(number) or HTTPStatus(number).phrase
    except ValueError:
        phrase = f"Status{number}"
    name = re.sub("[^0-9A-Za-z]", "", phrase.title())
    return name.removesuffix("Error") + "Error"


def kind(prop: Any, schema: dict[str, Any]) -> str:
    """Return the name of the property's type in Python."""
    if hasattr(prop, "values"):
        return str(prop.class_info.name)
    name = _KINDS.get(type(prop).__name__, "object")
    return "Secret" if name == "str" and schema.get("writeOnly") else name


def argument(prop: Any, secrets: list[str]) -> str:
    """Return a parameter declaration; credential and enum parameters also accept a plain str."""
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


def path_shape(path: str) -> str:
    """Return the path without its parameter names, which the generator can change."""
    return re.sub(r"\{.*?\}", "{}", path)

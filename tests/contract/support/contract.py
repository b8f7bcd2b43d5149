"""Reads the contract as data so that the tests do not have to repeat its rules."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jsonschema_rs import Draft202012Validator as Validator

from support import options
from support.exchange import NoVerdictError
from support.rule import parse_yaml

TEXT = (Path(__file__).parents[3] / "openapi.yaml").read_text("utf-8")
DOCUMENT: dict[str, Any] = parse_yaml(TEXT)
TITLE: str = DOCUMENT["info"]["title"]
VERSION: str = DOCUMENT["info"]["version"]


def resolve(schema: Mapping[str, Any]) -> Any:
    """Return the schema, or the schema that its `$ref` points to."""
    if "$ref" not in schema:
        return schema
    target: Any = DOCUMENT
    for step in schema["$ref"].split("/")[1:]:
        target = target[step]
    return target


PATH = "/ai/llm/{id}"
OPERATION: dict[str, Any] = DOCUMENT["paths"][PATH]["put"]
OPERATION_ID: str = OPERATION["operationId"]
MEDIA: dict[str, Any] = OPERATION["requestBody"]["content"]["application/json"]
LARGEST_BODY: int = OPERATION["requestBody"]["x-max-bytes"]
EXAMPLES: dict[str, dict[str, str]] = {
    name: example["value"] for name, example in MEDIA["examples"].items()
}
EVERYTHING = EXAMPLES["everything"]
PARAMETERS = [resolve(parameter) for parameter in OPERATION["parameters"]]
[ID] = [parameter for parameter in PARAMETERS if parameter["in"] == "path"]
EXAMPLE_ID: str = ID["example"]
LONGEST_ID: int = ID["schema"]["maxLength"]
OTHER_OPERATIONS = []
for _path in DOCUMENT["paths"].values():
    for _operation in _path.values():
        is_other = isinstance(_operation, dict) and _operation is not OPERATION
        if is_other and "operationId" in _operation:
            OTHER_OPERATIONS.append(_operation["operationId"])

X_CLAUSES: dict[str, dict[str, Any]] = OPERATION["x-clauses"]
SOURCES = (*options.SOURCES, "open")


@dataclass(frozen=True)
class Clause:
    """A rule from the contract's `x-clauses` list."""

    id: str
    source: str
    text: str
    line: int


class _Clauses(dict[str, Clause]):
    def __missing__(self, id: str) -> Clause:
        reason = f"openapi.yaml: x-clauses has no clause `{id}`, which tests/contract/ uses"
        raise NoVerdictError(reason, "add the clause, or change the id in tests/contract/")


def _clauses() -> _Clauses:
    start = TEXT.index("x-clauses:")
    clauses = _Clauses()
    for id, entry in X_CLAUSES.items():
        clauses[id] = Clause(
            id,
            entry["source"],
            text=" ".join(entry["text"].split()),
            line=TEXT.count("\n", 0, TEXT.index(f" {id}:\n", start)) + 1,
        )
    return clauses


CLAUSES = _clauses()


REQUEST = resolve(MEDIA["schema"])
PROPERTIES = {name: resolve(schema) for name, schema in REQUEST["properties"].items()}
LEFT_OPEN: dict[str, Any] = REQUEST.get("x-left-open", {}).get("properties", {})
CREDENTIALS = [name for name, schema in PROPERTIES.items() if schema.get("writeOnly")]

# The first of these keywords that a value violates determines the clause.
KEYWORDS = ("type", "enum", "minLength", "maxLength", "pattern", "format")


def _validators(schemas: Mapping[Any, Mapping[str, Any]]) -> dict[Any, Validator]:
    validators = {}
    for name, schema in schemas.items():
        whole = {**schema, "components": DOCUMENT["components"]}
        validators[name] = Validator(whole, validate_formats=True, mask="a value that")
    return validators


_FIELDS = _validators(PROPERTIES)
_OPEN = _validators(LEFT_OPEN)


def broken_keyword(field: str, value: object) -> str | None:
    """Return the first keyword in the field's schema that the value violates, or None."""
    broken = [error.kind.name for error in _FIELDS[field].iter_errors(value)]
    for keyword in KEYWORDS:
        if keyword in broken:
            return keyword
    return broken[0] if broken else None


def is_left_open(field: str, value: object) -> bool:
    """Return whether `x-left-open` allows a backend to either accept or reject the value."""
    return field in _OPEN and _OPEN[field].is_valid(value)


def clause_of(keyword: str, field: str) -> str:
    """Return the id of the clause that covers this keyword in the field's schema."""
    for id, clause in X_CLAUSES.items():
        if keyword in clause.get("keywords", ()) and field in clause.get("fields", [field]):
            return id
    return "body"


URLS = [name for name in PROPERTIES if clause_of("format", name) == "endpoint-url"]


RESPONSES: dict[int, Any] = {}
_schemas = {}
for _status, _entry in OPERATION["responses"].items():
    _response = resolve(_entry)
    RESPONSES[int(_status)] = _response
    _schemas[int(_status)] = _response["content"]["application/json"]["schema"]
SCHEMAS = _validators(_schemas)


def escape(text: str) -> str:
    """Percent-encode every octet of the text."""
    return f"%{text.encode().hex('%').upper()}"


def path_with(segment: str) -> str:
    """Return the operation's path with this percent-encoded segment in place of `{id}`."""
    return PATH.replace("{id}", segment)


def path_of(id: str, *, escaped: bool = False) -> str:
    """Return the operation's path for the id; `escaped` percent-encodes every octet of the id."""
    segment = quote(id, safe="")
    if escaped:
        segment = escape(id)
    return path_with(segment)


def check_values(unusual: Mapping[str, object]) -> None:
    """Raise `ValueError` if an example or a test value is missing, or an example is invalid."""
    for parameter in PARAMETERS:
        if parameter["in"] != "path" and parameter.get("required"):
            problem = f"no test sends the required parameter {parameter['name']}"
            cure = "send it in tests/contract/, or make it optional"
            raise ValueError(f"openapi.yaml: {problem}; {cure}")
    for name, example in EXAMPLES.items():
        for field, value in example.items():
            keyword = field in PROPERTIES and broken_keyword(field, value)
            if keyword:
                problem = f"the example `{name}` violates the `{keyword}` of `{field}`"
                raise ValueError(f"openapi.yaml: {problem}; correct the example")
    for field, schema in PROPERTIES.items():
        if field not in EVERYTHING:
            problem = f"the example `everything` lacks the field {field}"
            raise ValueError(f"openapi.yaml: {problem}; add the field to the example")
        if "enum" not in schema and field not in unusual:
            problem = f"tests/contract/values.yaml: UNUSUAL has no values for {field}"
            raise ValueError(f"{problem}; add unusual but valid values")

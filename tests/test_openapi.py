"""Tests for the contract and its examples."""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import jsonschema_rs
import pytest
from openapi_spec_validator import validate

from support.options import SOURCES

REQUIRED_KEYS = {"operationId", "tags", "summary", "description", "security"}
REQUIRED_STATUSES = {"200", "400", "401", "403", "404", "500"}
KEYWORDS = {
    *("$ref", "additionalProperties", "allOf", "anyOf", "const", "default", "deprecated"),
    *("description", "enum", "examples", "exclusiveMaximum", "exclusiveMinimum", "format", "items"),
    *("maxItems", "maxLength", "maximum", "minItems", "minLength", "minimum", "multipleOf", "not"),
    *("oneOf", "pattern", "properties", "readOnly", "required", "title", "type", "uniqueItems"),
    "writeOnly",
}
EXTENSIONS = {"x-clauses", "x-left-open", "x-max-bytes", "x-rule"}
UNLIMITED_FORMATS = (None, "password", "uri")  # other formats, such as date, limit the length


def walk(node: Any, pointer: str = "#") -> Iterator[tuple[str, Any]]:
    """Yield a node and all its descendants, each with its JSON pointer."""
    yield pointer, node
    if isinstance(node, dict):
        for key, child in node.items():
            assert isinstance(key, str), f"{pointer}/{key}: put this key in quotes"
            yield from walk(child, f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}")
    elif isinstance(node, list):
        for index, child in enumerate(node):
            yield from walk(child, f"{pointer}/{index}")


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every operation in the contract, with its JSON pointer."""
    for pointer, node in walk(document["paths"], "#/paths"):
        if isinstance(node, dict) and "responses" in node:
            yield pointer, node


def properties(document: dict[str, Any]) -> dict[str, Any]:
    """Return the schema for each field of the update request."""
    fields: dict[str, Any] = document["components"]["schemas"]["UpdateAiLlmRequest"]["properties"]
    return fields


def test_contract_is_valid_openapi(document: dict[str, Any]) -> None:
    """The contract is a valid OpenAPI 3.1 document."""
    assert document["openapi"].startswith("3.1")
    validate(document)


def examples(document: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield every example in the contract, with a JSON pointer to its schema."""
    for pointer, node in walk(document):
        if not isinstance(node, dict):
            continue
        if "schema" in node:
            for example in node.get("examples", {}).values():
                yield f"{pointer}/schema", example["value"]
            if "example" in node:
                yield f"{pointer}/schema", node["example"]
        elif isinstance(node.get("examples"), list):
            for example in node["examples"]:
                yield pointer, example


def test_every_example_is_valid(document: dict[str, Any]) -> None:
    """Every example in the contract conforms to its schema."""
    registry = jsonschema_rs.Registry([("urn:contract", document)])
    count = 0
    for pointer, value in examples(document):
        count += 1
        schema = {"$ref": f"urn:contract{quote(pointer, safe='#/~')}"}
        try:
            jsonschema_rs.validate(schema, value, registry=registry, validate_formats=True)
        except jsonschema_rs.ValidationError as error:
            pytest.fail(f"{pointer}: {value!r}: {error.message}; fix the example or its schema")
    assert count >= 20


def test_operations_are_completely_described(document: dict[str, Any]) -> None:
    """Each operation has all required keys and documents all required statuses."""
    for pointer, operation in operations(document):
        missing = REQUIRED_KEYS - operation.keys()
        assert not missing, f"{pointer}: add the missing keys {missing}"
        is_camel_case = re.fullmatch("[a-z]+([A-Z][a-z]+)+", operation["operationId"])
        assert is_camel_case, f"{pointer}/operationId: use a verb and a noun in lowerCamelCase"
        missing = REQUIRED_STATUSES - operation["responses"].keys()
        assert not missing, f"{pointer}/responses: document the statuses {missing}"


def test_responses_are_shared_and_have_examples(document: dict[str, Any]) -> None:
    """Each response refers to a component with an example, and error responses share one schema."""
    for pointer, operation in operations(document):
        for status, response in operation["responses"].items():
            component = response.get("$ref", "")
            assert component, f"{pointer}/responses/{status}: move it to #/components/responses"
            name = component.rpartition("/")[2]
            media = document["components"]["responses"][name]["content"]["application/json"]
            assert media["examples"], f"{component}: add an example"
            is_error = media["schema"]["$ref"].endswith("/ErrorResponse")
            assert is_error or status == "200", f"{component}: use the schema ErrorResponse"


def test_every_field_is_described(document: dict[str, Any]) -> None:
    """Every property and header has a description."""
    described = [("#/components/headers", document["components"]["headers"])]
    for name, schema in document["components"]["schemas"].items():
        described.append((f"#/components/schemas/{name}/properties", schema.get("properties", {})))
    for pointer, fields in described:
        for name, field in fields.items():
            assert "description" in field or "$ref" in field, f"{pointer}/{name}: add a description"


def test_requests_are_closed_and_bounded(document: dict[str, Any]) -> None:
    """In requests, objects reject unknown fields, and strings have length limits."""
    for pointer, node in walk(document["components"]["schemas"]["UpdateAiLlmRequest"]):
        if isinstance(node, dict) and "properties" in node and "x-left-open" not in pointer:
            assert node.get("additionalProperties") is False, (
                f"{pointer}: set additionalProperties: false"
            )
        if not isinstance(node, dict) or node.get("type") != "string" or "enum" in node:
            continue
        if node.get("format") in UNLIMITED_FORMATS:
            assert {"minLength", "maxLength"} <= set(node), (
                f"{pointer}: set minLength and maxLength"
            )


def test_credentials_are_write_only(document: dict[str, Any]) -> None:
    """Only passwords, such as `key` and `secret`, are write-only; no response contains them."""
    credentials: set[str] = set()
    for name, schema in properties(document).items():
        is_credential = schema.get("format") == "password"
        assert schema.get("writeOnly", False) == is_credential, (
            f"{name}: a credential has `format: password` and `writeOnly: true`"
        )
        if is_credential:
            credentials.add(name)
    assert credentials >= {"key", "secret"}
    for name in ("UpdateAiLlmResponse", "ErrorResponse"):
        assert not document["components"]["schemas"][name]["properties"].keys() & credentials


def test_keywords_are_not_misspelled(document: dict[str, Any]) -> None:
    """Schemas contain only known keywords, and the contract only known extensions."""
    for pointer, node in walk(document):
        parent = pointer.rpartition("/")[2]
        is_example = "/example" in pointer or "/x-clauses" in pointer
        if not isinstance(node, dict) or is_example:
            continue
        is_schema = "/schema" in pointer and parent not in ("properties", "schemas")
        for key in node:
            is_known = key in KEYWORDS if is_schema else not key.startswith("x-")
            assert is_known or key in EXTENSIONS, f"{pointer}/{key}: is not a known keyword"


def test_patterns_are_portable(document: dict[str, Any]) -> None:
    """Patterns are anchored, and their syntax works in all regular expression engines."""
    for pointer, node in walk(document):
        if pointer.endswith("/pattern"):
            assert re.fullmatch(r"\^.*\$", node), f"{pointer}: anchor the pattern with ^ and $"
            unportable = re.findall(r"\\[sSdDwWbAZpP]|\(\?(?!:)|\.\*", node)
            assert not unportable, f"{pointer}: {unportable} is not portable; rewrite it"


def clauses(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each clause of each operation, with its JSON pointer."""
    for pointer, operation in operations(document):
        for name, clause in operation["x-clauses"].items():
            yield f"{pointer}/x-clauses/{name}", clause


def test_every_clause_has_an_id_a_source_and_text(document: dict[str, Any]) -> None:
    """Each clause has a kebab-case id, a known source, and text that ends with a period."""
    for pointer, clause in clauses(document):
        name = pointer.rpartition("/")[2]
        assert re.fullmatch("[a-z]+(-[a-z]+)*", name), f"{pointer}: use kebab-case"
        is_known = clause.get("source") in (*SOURCES, "open")
        assert is_known, f"{pointer}/source: expected a source in options.py"
        text = clause.get("text", "").strip()
        assert text.endswith((".", ".)")), f"{pointer}/text: end with a period"
        unknown = clause.keys() - {"source", "text", "standard", "keywords", "fields"}
        assert not unknown, f"{pointer}: unknown keys {unknown}"


def test_every_rule_of_a_field_belongs_to_one_clause(document: dict[str, Any]) -> None:
    """Each keyword that restricts a field's value belongs to exactly one clause."""
    schemas = document["components"]["schemas"]
    fields = properties(document)
    restrictions = {"type", "enum", "format", "pattern", "minLength", "maxLength"}
    for field, schema in fields.items():
        resolved = schemas[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
        for keyword in restrictions & resolved.keys():
            if (keyword, resolved.get("format")) == ("format", "password"):
                continue  # This format is only an annotation; every string satisfies it.
            owners: list[str] = []
            for pointer, clause in clauses(document):
                has_field = field in clause.get("fields", fields)
                if has_field and keyword in clause.get("keywords", []):
                    owners.append(pointer)
            assert len(owners) == 1, f"{field}: expected {keyword} in one clause, got {owners}"


# Invalid URLs, in addition to those in tests/contract/values.yaml.
NOT_ENDPOINTS = [
    "a", "https://:80", "https://u@a", " https://a", "https://a/\x00", "https://a:0",
    "https://a:65536", "https://a:", "https://a/%", "https://a/%zz", "https://-a", "https://a/<b>",
    'https://a/"', "https://a/\\", "https://a#b#c", "https://[",
]  # fmt: skip


@pytest.mark.parametrize("field", ["name", "endpoint"])
def test_validators_agree_on_patterns(document: dict[str, Any], field: str) -> None:
    """For every pattern, a JSON Schema validator and `re.fullmatch` accept the same values."""
    from support import values

    pattern = properties(document)[field]["pattern"]
    schema = {"type": "string", "pattern": pattern}
    matches = values.unusual(field)
    mismatches = NOT_ENDPOINTS if field == "endpoint" else list(values.similar_strings(field))
    for sample in (*matches, *mismatches):
        is_match = re.fullmatch(pattern, sample) is not None
        assert is_match == (sample in matches), sample
        assert is_match == jsonschema_rs.is_valid(schema, sample), sample


def test_format_rejects_invalid_ipv6_addresses(document: dict[str, Any]) -> None:
    """`format: uri` rejects invalid IPv6 addresses that match the pattern."""
    schema = properties(document)["endpoint"]
    for literal in ("[::1]", "[2001:db8::1]", "[:::]", "[1]", "[::1.2.3.400]"):
        valid = jsonschema_rs.is_valid(schema, f"https://{literal}/", validate_formats=True)
        assert valid == (literal in ("[::1]", "[2001:db8::1]"))

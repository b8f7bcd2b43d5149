"""Tests for the contract and its examples."""

import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jsonschema_rs
import pytest
import yaml
from openapi_spec_validator import validate


@pytest.fixture
def contract() -> Any:
    """Import and return the module that reads openapi.yaml for the contract tests.

    The import is in a fixture because it fails if the contract breaks a rule that is tested here.
    """
    return import_module("support.contract")


def walk(node: Any, pointer: str = "#") -> Iterator[tuple[str, Any]]:
    """Yield a node and all its descendants, each with its JSON pointer."""
    yield pointer, node
    if isinstance(node, dict):
        for key, child in node.items():
            yield from walk(child, f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}")
    elif isinstance(node, list):
        for index, child in enumerate(node):
            yield from walk(child, f"{pointer}/{index}")


def test_contract_is_valid_openapi(document: dict[str, Any]) -> None:
    """The contract is a valid OpenAPI document; scripts/generate requires OpenAPI 3.1."""
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


def test_contract_follows_the_rules_of_this_repository(
    root: Path, document: dict[str, Any]
) -> None:
    """The contract conforms to openapi.schema.yaml."""
    rules = yaml.safe_load((root / "tests" / "openapi.schema.yaml").read_text("utf-8"))
    errors: list[str] = []
    for error in jsonschema_rs.iter_errors(rules, document):
        place = "/".join(map(str, error.instance_path))
        errors.append(f"{place}: {error.message}")
    if errors:
        pytest.fail("\n".join([*errors, "see the rules in tests/openapi.schema.yaml"]))


def test_no_response_contains_a_credential(document: dict[str, Any], contract: Any) -> None:
    """No response schema has a field that is write-only in the request schema."""
    assert contract.CREDENTIALS
    for name, schema in document["components"]["schemas"].items():
        if name.endswith("Response"):
            assert not set(contract.CREDENTIALS) & schema["properties"].keys(), name


def test_every_clause_has_a_known_source(contract: Any) -> None:
    """The source of each clause is `open` or one of the sources in options.py."""
    expected = ", ".join(contract.SOURCES)
    for clause in contract.CLAUSES.values():
        problem = f"x-clauses, {clause.id}: expected one of {expected}, got {clause.source}"
        assert clause.source in contract.SOURCES, problem


def test_every_field_rule_belongs_to_one_clause(contract: Any) -> None:
    """Each keyword that restricts a field's value belongs to exactly one clause."""
    restrictions = {"type", "enum", "format", "pattern", "minLength", "maxLength"}
    for field, schema in contract.PROPERTIES.items():
        for keyword in restrictions & schema.keys():
            if schema[keyword] == "password":
                continue  # This format is only an annotation; every string satisfies it.
            owners = 0
            for clause in contract.X_CLAUSES.values():
                is_about_field = field in clause.get("fields", [field])
                owners += keyword in clause.get("keywords", ()) and is_about_field
            assert owners == 1, f"x-clauses, {field}: expected 1 clause for {keyword}, got {owners}"


# Invalid URLs, in addition to those in tests/contract/values.yaml.
NOT_ENDPOINTS = [
    "a", "https://:80", "https://u@a", " https://a", "https://a/\x00", "https://a:0",
    "https://a:65536", "https://a:", "https://a/%", "https://a/%zz", "https://-a", "https://a/<b>",
    'https://a/"', "https://a/\\", "https://a#b#c", "https://[",
]  # fmt: skip


@pytest.mark.parametrize("field", ["name", "endpoint"])
def test_validators_agree_on_patterns(contract: Any, field: str) -> None:
    """For every pattern, a JSON Schema validator and `re.fullmatch` accept the same values."""
    from support import values

    pattern = contract.PROPERTIES[field]["pattern"]
    schema = {"type": "string", "pattern": pattern}
    matches = values.unusual(field)
    mismatches = NOT_ENDPOINTS if field == "endpoint" else list(values.similar_strings(field))
    for sample in (*matches, *mismatches):
        is_match = re.fullmatch(pattern, sample) is not None
        problem = f"{field}: the pattern or values.yaml is wrong for {sample!r}"
        assert is_match == (sample in matches), problem
        assert is_match == jsonschema_rs.is_valid(schema, sample), sample


def test_format_rejects_invalid_ipv6_addresses(contract: Any) -> None:
    """`format: uri` rejects invalid IPv6 addresses that match the pattern."""
    schema = contract.PROPERTIES["endpoint"]
    for literal in ("[::1]", "[2001:db8::1]", "[:::]", "[1]", "[::1.2.3.400]"):
        valid = jsonschema_rs.is_valid(schema, f"https://{literal}/", validate_formats=True)
        assert valid == (literal in ("[::1]", "[2001:db8::1]"))

"""Tests that the contract and its examples are valid, complete and consistent in style."""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import jsonschema_rs
import pytest
from openapi_spec_validator import validate

ORDER = {
    "document": ["openapi", "info", "servers", "tags", "paths", "components"],
    "operation": [
        "operationId",
        "tags",
        "summary",
        "description",
        "security",
        "parameters",
        "requestBody",
        "responses",
        "x-clauses",
    ],
}


def walk(node: Any, pointer: str = "#") -> Iterator[tuple[str, Any]]:
    """Yield a node and all its descendants, each with its JSON pointer."""
    yield pointer, node
    children: list[tuple[Any, Any]] = []
    if isinstance(node, dict):
        children = list(node.items())
    elif isinstance(node, list):
        children = list(enumerate(node))
    for key, child in children:
        yield from walk(child, f"{pointer}/{str(key).replace('~', '~0').replace('/', '~1')}")


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every operation with its JSON pointer."""
    for pointer, node in walk(document["paths"], "#/paths"):
        if isinstance(node, dict) and "responses" in node:
            yield pointer, node


def string_schemas(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each string schema in request bodies and operations, with its JSON pointer."""
    requests = document["components"]["schemas"]["UpdateAiLlmRequest"]
    for root in (requests, *(operation for _, operation in operations(document))):
        for pointer, node in walk(root):
            if isinstance(node, dict) and node.get("type") == "string":
                yield pointer, node


def test_contract_is_valid_openapi(document: dict[str, Any]) -> None:
    """The contract is a valid OpenAPI 3.1 document."""
    assert document["openapi"].startswith("3.1")
    validate(document)


def examples(document: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield every example, with a JSON pointer to the schema that it must match."""
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
        errors = jsonschema_rs.iter_errors(schema, value, registry=registry, validate_formats=True)
        reasons = [error.message for error in errors]
        assert not reasons, f"{pointer}: {value!r}: {reasons[0]}; fix the example or its schema"
    assert count >= 20


def test_keys_have_a_fixed_order(document: dict[str, Any]) -> None:
    """The keys of the document and of each operation are in the order that ORDER defines."""
    for pointer, node in [("#", document), *operations(document)]:
        order = ORDER["document" if pointer == "#" else "operation"]
        assert list(node) == [key for key in order if key in node], (
            f"{pointer}: put the keys in this order: {', '.join(order)}"
        )


def test_operations_are_completely_described(document: dict[str, Any]) -> None:
    """Each operation has an id, tags, summary, description, security and the common statuses."""
    for pointer, operation in operations(document):
        missing_keys = set(ORDER["operation"][:5]) - set(operation)
        assert not missing_keys, f"{pointer}: add the missing keys {missing_keys}"
        summary = operation["summary"]
        assert summary[0].isupper(), f"{pointer}/summary: start with a capital letter"
        assert not summary.endswith("."), f"{pointer}/summary: remove the period at the end"
        assert re.fullmatch("[a-z]+([A-Z][a-z]+)+", operation["operationId"]), (
            f"{pointer}/operationId: use a verb and a noun in lowerCamelCase"
        )
        missing_statuses = {"200", "400", "401", "403", "404", "500"} - set(operation["responses"])
        assert not missing_statuses, (
            f"{pointer}/responses: document the statuses {missing_statuses}"
        )


def test_responses_are_shared_and_have_examples(document: dict[str, Any]) -> None:
    """Each response refers to a component with an example, and error responses share one schema."""
    for pointer, operation in operations(document):
        for status, response in operation["responses"].items():
            assert set(response) == {"$ref"}, (
                f"{pointer}/responses/{status}: move the response to #/components/responses"
            )
            name = response["$ref"].rpartition("/")[2]
            media = document["components"]["responses"][name]["content"]["application/json"]
            assert media["examples"], f"#/components/responses/{name}: add an example"
            if status != "200":
                assert media["schema"]["$ref"].endswith("/ErrorResponse"), (
                    f"#/components/responses/{name}: use the schema ErrorResponse"
                )


def test_every_component_is_used(document: dict[str, Any]) -> None:
    """Every component is referenced in the contract."""
    used = {node for pointer, node in walk(document) if pointer.endswith("/$ref")}
    for kind, components in document["components"].items():
        for name in components:
            if kind != "securitySchemes":
                pointer = f"#/components/{kind}/{name}"
                assert pointer in used, f"{pointer}: the component is not used; delete it"


def test_every_field_is_described(document: dict[str, Any]) -> None:
    """Every property and header has a description."""
    described = [("#/components/headers", document["components"]["headers"])]
    for name, schema in document["components"]["schemas"].items():
        described.append((f"#/components/schemas/{name}/properties", schema.get("properties", {})))
    for pointer, fields in described:
        for name, field in fields.items():
            assert "description" in field or "$ref" in field, f"{pointer}/{name}: add a description"


def test_requests_are_closed_and_bounded(document: dict[str, Any]) -> None:
    """Objects in requests do not allow unknown fields, and strings have length limits."""
    for pointer, node in walk(document["components"]["schemas"]["UpdateAiLlmRequest"]):
        if isinstance(node, dict) and "properties" in node and "x-left-open" not in pointer:
            assert node.get("additionalProperties") is False, (
                f"{pointer}: set additionalProperties: false"
            )
    for pointer, schema in string_schemas(document):
        assert {"minLength", "maxLength"} <= set(schema), f"{pointer}: set minLength and maxLength"


def test_credentials_are_write_only(document: dict[str, Any]) -> None:
    """Only `key` and `secret` are write-only passwords, and no response contains them."""
    schemas = document["components"]["schemas"]
    credentials = {
        name
        for name, schema in schemas["UpdateAiLlmRequest"]["properties"].items()
        if schema.get("writeOnly") and schema.get("format") == "password"
    }
    assert credentials == {"key", "secret"}
    for name in ("UpdateAiLlmResponse", "ErrorResponse"):
        assert not credentials & set(schemas[name]["properties"])


@pytest.mark.parametrize(
    "forbidden", [r"\s", r"\S", r"\d", r"\w", r"\W", r"\b", r"\A", r"\Z", r"\p", r"\P", "(?", ".*"]
)
def test_patterns_are_portable(document: dict[str, Any], forbidden: str) -> None:
    """Patterns are anchored and use only syntax that all regular expression engines support."""
    for pointer, node in walk(document):
        if pointer.endswith("/pattern"):
            assert re.fullmatch(r"\^.*\$", node), f"{pointer}: anchor the pattern with ^ and $"
            plain = node.replace("(?:", "(")
            assert forbidden not in plain, f"{pointer}: {forbidden} is not portable; rewrite it"


def clauses(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each clause of each operation, with its JSON pointer."""
    for pointer, operation in operations(document):
        for name, clause in operation["x-clauses"].items():
            yield f"{pointer}/x-clauses/{name}", clause


def test_every_clause_has_an_id_a_source_and_a_text(document: dict[str, Any]) -> None:
    """Each clause has a kebab-case id, a known source, and text that ends with a period."""
    for pointer, clause in clauses(document):
        name = pointer.rpartition("/")[2]
        assert re.fullmatch("[a-z]+(-[a-z]+)*", name), f"{pointer}: use kebab-case"
        sources = {"page", "vendor", "ours", "open"}
        assert clause["source"] in sources, f"{pointer}/source: use one of {sources}"
        assert clause["text"].strip().endswith((".", ".)")), f"{pointer}/text: end with a period"
        unknown = clause.keys() - {"source", "text", "standard", "keywords", "fields"}
        assert not unknown, f"{pointer}: unknown keys {unknown}"


def test_every_rule_of_a_field_belongs_to_one_clause(document: dict[str, Any]) -> None:
    """Each keyword that restricts a field's value belongs to exactly one clause."""
    schemas = document["components"]["schemas"]
    properties = schemas["UpdateAiLlmRequest"]["properties"]
    restrictions = {"type", "enum", "format", "pattern", "minLength", "maxLength"}
    for field, schema in properties.items():
        resolved = schemas[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
        for keyword in restrictions & resolved.keys():
            if (keyword, resolved.get("format")) == ("format", "password"):
                continue  # This format is only an annotation; every string satisfies it.
            owners = [
                pointer
                for pointer, clause in clauses(document)
                if keyword in clause.get("keywords", [])
                and field in clause.get("fields", properties)
            ]
            assert len(owners) == 1, f"{field}: expected {keyword} in one clause, got {owners}"


def test_relaxed_schema_accepts_null(document: dict[str, Any]) -> None:
    """The schemas in `x-left-open` accept null, whereas the strict schemas reject it."""
    request = document["components"]["schemas"]["UpdateAiLlmRequest"]
    relaxed = request["x-left-open"]
    assert relaxed.keys() == {"properties"}
    for field, schema in relaxed["properties"].items():
        strict = request["properties"].get(field, False)
        assert jsonschema_rs.is_valid(schema, None), f"x-left-open/{field}: null is not valid"
        assert not jsonschema_rs.is_valid(strict, None), f"{field}: null is already valid"


SAMPLES = {
    "name": {
        True: ["a", " ", "Ünïcödé", "\U0001f600", "\u2028", "\u200f", "a" * 255, "%\"'\\"],
        False: ["", "a\n", "\n", "a\x00", "\x1f", "\x7f", "\x80", "\x9f"],
    },
    "endpoint": {
        True: [
            "https://api.openai.com/v2", "http://localhost", "HTTPS://A.B", "hTtP://1.2.3.4:1",
            "https://a.b:65535/", "https://[::1]:8080/x", "https://a_b.c/~x?y=z&w=%20#f?/",
            "https://xn--bcher-kva.example./", "https://a?b@c", "https://a/:@!$&'()*+,;=",
        ],
        False: [
            "", "a", "/a", "//a", "https:", "https://", "https:///a", "https://:80", "ftp://a",
            "javascript:alert(1)", "https://u@a", "https://u:p@a", "https://a b", " https://a",
            "https://a\n", "https://a/\n", "https://a/\x00", "https://ä.example", "https://a/ä",
            "https://a:0", "https://a:65536", "https://a:", "https://a/%", "https://a/%zz",
            "https://-a", "https://a/<b>", 'https://a/"', "https://a/\\", "https://a#b#c",
            "https://[", "https://[x]",
        ],
    },
}  # fmt: skip


@pytest.mark.parametrize("field", SAMPLES)
def test_patterns_agree_on_samples(document: dict[str, Any], field: str) -> None:
    """A JSON Schema validator and `re.fullmatch` agree on which samples match a pattern."""
    schema = document["components"]["schemas"]["UpdateAiLlmRequest"]["properties"][field]
    pattern_schema = {"type": "string", "pattern": schema["pattern"]}
    for expected, samples in SAMPLES[field].items():
        for sample in samples:
            assert (re.fullmatch(schema["pattern"], sample) is not None) == expected, sample
            assert jsonschema_rs.is_valid(pattern_schema, sample) == expected, sample


def test_format_rejects_invalid_ipv6_addresses(document: dict[str, Any]) -> None:
    """`format: uri` rejects invalid IPv6 addresses that match the pattern."""
    schema = document["components"]["schemas"]["UpdateAiLlmRequest"]["properties"]["endpoint"]
    for literal in ("[::1]", "[2001:db8::1]", "[:::]", "[1]", "[::1.2.3.400]"):
        valid = jsonschema_rs.is_valid(schema, f"https://{literal}/", validate_formats=True)
        assert valid == (literal in ("[::1]", "[2001:db8::1]"))

"""The contract and its examples are valid, complete and consistent in style."""

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
    """Yield every node with its JSON pointer."""
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
    """Yield the schema of every string that a request contains, with its JSON pointer."""
    requests = document["components"]["schemas"]["UpdateAiLlmRequest"]
    for root in (requests, *(operation for _, operation in operations(document))):
        for pointer, node in walk(root):
            if isinstance(node, dict) and node.get("type") == "string":
                yield pointer, node


def test_contract_is_valid_openapi(document: dict[str, Any]) -> None:
    """The contract is an OpenAPI 3.1 document."""
    assert document["openapi"].startswith("3.1")
    validate(document)


def examples(document: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield every example with the JSON pointer of its schema."""
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
    """Every example in the contract is valid against its schema."""
    registry = jsonschema_rs.Registry([("urn:contract", document)])
    tried = 0
    for pointer, value in examples(document):
        tried += 1
        schema = {"$ref": f"urn:contract{quote(pointer, safe='#/~')}"}
        errors = jsonschema_rs.iter_errors(schema, value, registry=registry, validate_formats=True)
        reasons = [error.message for error in errors]
        assert not reasons, f"{pointer}: {value!r}: {reasons[0]}; correct the example or its schema"
    assert tried >= 20


def test_keys_are_in_the_usual_order(document: dict[str, Any]) -> None:
    """The document and each operation have their keys in the usual order."""
    for pointer, node in [("#", document), *operations(document)]:
        wanted = ORDER["document" if pointer == "#" else "operation"]
        assert list(node) == [key for key in wanted if key in node], (
            f"{pointer}: put the keys in this order: {', '.join(wanted)}"
        )


def test_operations_are_completely_described(document: dict[str, Any]) -> None:
    """Each operation has a name, a summary, a description, security and the usual statuses."""
    for pointer, operation in operations(document):
        assert set(ORDER["operation"][:5]) <= set(operation), f"{pointer}: a key is missing"
        summary = operation["summary"]
        assert summary[0].isupper(), f"{pointer}/summary: begin with a capital"
        assert not summary.endswith("."), f"{pointer}/summary: remove the full stop"
        assert re.fullmatch("[a-z]+([A-Z][a-z]+)+", operation["operationId"]), (
            f"{pointer}/operationId: use a verb and a noun in lowerCamelCase"
        )
        assert {"200", "400", "401", "403", "404", "500"} <= set(operation["responses"]), (
            f"{pointer}/responses: document the usual statuses"
        )


def test_responses_are_shared_and_have_examples(document: dict[str, Any]) -> None:
    """Each response is a shared component with an example, and all errors have one schema."""
    for pointer, operation in operations(document):
        for status, response in operation["responses"].items():
            where = f"{pointer}/responses/{status}"
            assert set(response) == {"$ref"}, f"{where}: use a shared response"
            name = response["$ref"].rpartition("/")[2]
            media = document["components"]["responses"][name]["content"]["application/json"]
            assert media["examples"], f"#/components/responses/{name}: add an example"
            if status != "200":
                assert media["schema"]["$ref"].endswith("/ErrorResponse"), (
                    f"#/components/responses/{name}: use ErrorResponse"
                )


def test_every_component_is_used(document: dict[str, Any]) -> None:
    """The contract refers to every component."""
    used = {node for pointer, node in walk(document) if pointer.endswith("/$ref")}
    for kind, components in document["components"].items():
        for name in components:
            if kind != "securitySchemes":
                pointer = f"#/components/{kind}/{name}"
                assert pointer in used, f"{pointer}: nothing references it; delete it"


def test_every_field_is_described(document: dict[str, Any]) -> None:
    """Every property, parameter and header is described."""
    described = [("#/components/headers", document["components"]["headers"])]
    for name, schema in document["components"]["schemas"].items():
        described.append((f"#/components/schemas/{name}/properties", schema.get("properties", {})))
    for pointer, fields in described:
        for name, field in fields.items():
            assert "description" in field or "$ref" in field, f"{pointer}/{name}: describe it"


def test_requests_are_closed_and_bounded(document: dict[str, Any]) -> None:
    """Request objects allow no unknown fields, and strings in requests have length limits."""
    for pointer, node in walk(document["components"]["schemas"]["UpdateAiLlmRequest"]):
        if isinstance(node, dict) and "properties" in node and "x-left-open" not in pointer:
            assert node.get("additionalProperties") is False, (
                f"{pointer}: set additionalProperties: false"
            )
    for pointer, schema in string_schemas(document):
        assert {"minLength", "maxLength"} <= set(schema), f"{pointer}: set minLength and maxLength"


def test_credentials_are_write_only(document: dict[str, Any]) -> None:
    """`key` and `secret` are write-only passwords, and no response contains them."""
    secret = {
        name
        for name, schema in document["components"]["schemas"]["UpdateAiLlmRequest"][
            "properties"
        ].items()
        if schema.get("writeOnly") and schema.get("format") == "password"
    }
    assert secret == {"key", "secret"}
    for name in ("UpdateAiLlmResponse", "ErrorResponse"):
        assert not secret & set(document["components"]["schemas"][name]["properties"])


@pytest.mark.parametrize(
    "forbidden", [r"\s", r"\S", r"\d", r"\w", r"\W", r"\b", r"\A", r"\Z", r"\p", r"\P", "(?", ".*"]
)
def test_patterns_mean_the_same_everywhere(document: dict[str, Any], forbidden: str) -> None:
    """Patterns are anchored and use only syntax that every regular expression engine supports."""
    for pointer, node in walk(document):
        if pointer.endswith("/pattern"):
            assert re.fullmatch(r"\^.*\$", node), f"{pointer}: anchor it with ^ and $"
            plain = node.replace("(?:", "(")
            assert forbidden not in plain, f"{pointer}: {forbidden} differs between engines"


def clauses(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every clause of every operation with its JSON pointer."""
    for pointer, operation in operations(document):
        for name, clause in operation["x-clauses"].items():
            yield f"{pointer}/x-clauses/{name}", clause


def test_every_clause_has_an_id_a_source_and_a_text(document: dict[str, Any]) -> None:
    """Each clause has an id in kebab case, a known source and a sentence."""
    for pointer, clause in clauses(document):
        name = pointer.rpartition("/")[2]
        assert re.fullmatch("[a-z]+(-[a-z]+)*", name), f"{pointer}: use kebab-case"
        assert clause["source"] in {"page", "vendor", "ours", "open"}, f"{pointer}/source"
        assert clause["text"].strip().endswith((".", ".)")), f"{pointer}/text: end with a full stop"
        unknown = clause.keys() - {"source", "text", "standard", "keywords", "fields"}
        assert not unknown, f"{pointer}: unknown keys {unknown}"


def test_every_rule_of_a_field_belongs_to_one_clause(document: dict[str, Any]) -> None:
    """Each keyword of the request schema that a value can violate belongs to exactly one clause."""
    schemas = document["components"]["schemas"]
    properties = schemas["UpdateAiLlmRequest"]["properties"]
    judged = {"type", "enum", "format", "pattern", "minLength", "maxLength"}
    for field, schema in properties.items():
        resolved = schemas[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
        for keyword in judged & resolved.keys():
            if (keyword, resolved.get("format")) == ("format", "password"):
                continue  # an annotation: every string is a valid password
            owners = [
                pointer
                for pointer, clause in clauses(document)
                if keyword in clause.get("keywords", [])
                and field in clause.get("fields", properties)
            ]
            assert len(owners) == 1, f"{field}: {keyword} belongs to {owners}"


def test_relaxed_schema_accepts_null(document: dict[str, Any]) -> None:
    """`x-left-open` allows null, which the strict schema does not, and changes no other rule."""
    request = document["components"]["schemas"]["UpdateAiLlmRequest"]
    relaxed = request["x-left-open"]
    assert relaxed.keys() == {"properties"}
    for field, schema in relaxed["properties"].items():
        strict = request["properties"].get(field, False)
        assert jsonschema_rs.is_valid(schema, None), f"x-left-open/{field}"
        assert not jsonschema_rs.is_valid(strict, None), f"x-left-open/{field}: already allowed"


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
    """JSON Schema and `re.fullmatch` agree on which samples match each pattern."""
    schema = document["components"]["schemas"]["UpdateAiLlmRequest"]["properties"][field]
    bare = {"type": "string", "pattern": schema["pattern"]}
    for expected, samples in SAMPLES[field].items():
        for sample in samples:
            assert (re.fullmatch(schema["pattern"], sample) is not None) == expected, sample
            assert jsonschema_rs.is_valid(bare, sample) == expected, sample


def test_format_refuses_impossible_ipv6_literals(document: dict[str, Any]) -> None:
    """`format: uri` rejects invalid IPv6 literals, which the pattern accepts."""
    schema = document["components"]["schemas"]["UpdateAiLlmRequest"]["properties"]["endpoint"]
    for literal in ("[::1]", "[2001:db8::1]", "[:::]", "[1]", "[::1.2.3.400]"):
        valid = jsonschema_rs.is_valid(schema, f"https://{literal}/", validate_formats=True)
        assert valid == (literal in ("[::1]", "[2001:db8::1]"))

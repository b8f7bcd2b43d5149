"""Schema: the backend accepts bodies that match the schema and rejects all others."""

import json
from itertools import cycle
from typing import Any
from urllib.parse import unquote

import pytest
import schemathesis
from schemathesis import Case
from schemathesis.config import SchemathesisConfig
from schemathesis.schemas import BaseSchema

from support import contract, values
from support.promise import Promise, Run, clause

VALID = schemathesis.pytest.from_fixture("valid_requests")
INVALID = schemathesis.pytest.from_fixture("invalid_requests")
MEDIA_TYPE = "application/json; charset=utf-8"  # a backend might not validate such bodies
CHARSET: Any = {"headers": {"Content-Type": MEDIA_TYPE}, "words": f"`Content-Type: {MEDIA_TYPE}`"}


@pytest.mark.parametrize("field", contract.PROPERTIES)
@clause("update")
def test_unusual_value_answers_200(promise: Promise, field: str) -> None:
    """Updates with unusual but valid values for a field, even the longest ones, return 200."""
    for value in values.unusual(field):
        exchange = promise.send(promise.request(body={field: value}), may_rename=True)
        if exchange and not str(value).isascii():  # also send the value without \u escapes
            body = exchange.request.fields
            promise.ask(body=json.dumps(body, ensure_ascii=False).encode())


@clause("update")
def test_any_combination_of_fields_answers_200(promise: Promise) -> None:
    """A request with any fields, in any order and in any valid JSON notation, returns 200."""
    for body in values.bodies():
        promise.ask(body=body)


@pytest.mark.parametrize("field", contract.PROPERTIES)
@clause("types")
def test_invalid_value_answers_400(promise: Promise, field: str) -> None:
    """An invalid value is rejected, whether the field is sent alone or with other fields."""
    good = contract.EXAMPLES["switchProvider"] | values.GOOD
    for value in values.invalid_values(field):
        promise.ask(body={field: value})
        promise.ask(body={**good, field: value}, **CHARSET)
    for number, value in enumerate(values.similar_strings(field)):
        promise.ask(body={field: value})
        if number == 0:
            promise.ask(body={**good, field: value})


@clause("unknown-fields")
def test_unknown_field_answers_400(promise: Promise) -> None:
    """A body with an unknown field or with several invalid fields is rejected."""
    odd: list[object] = ["value", None, {}, True, "", False]
    for name, value in zip(values.DATA["OTHER_FIELDS"], cycle(odd), strict=False):
        promise.ask(body={name: "value"})
        promise.ask(body={**values.GOOD, name: value})
    for name, value in values.resembling_fields():
        promise.ask(body={name: value})
        promise.ask(body={"aiType": "OTHER", name: value}, **CHARSET)
    for wrapper in ("data", "aiLlm", "ai_llm"):
        promise.ask(body={wrapper: values.GOOD})
    several: list[object] = [True, 0, [], {}, ""]
    for wrong in several:
        promise.ask(body=dict.fromkeys(contract.PROPERTIES, wrong))


@pytest.fixture
def valid_requests(run: Run) -> BaseSchema:
    """Return a Schemathesis schema that generates valid requests."""
    return load(run, "positive")


@pytest.fixture
def invalid_requests(run: Run) -> BaseSchema:
    """Return a Schemathesis schema that generates invalid requests."""
    return load(run, "negative")


def load(run: Run, mode: str) -> BaseSchema:
    """Load the contract into Schemathesis; `mode` is `positive` (valid bodies) or `negative`."""
    examples = run.option.max_examples
    settings = {
        "base-url": run.backend.url,
        "seed": run.option.seed,
        "parameters": {"path.id": run.backend.id},
        "generation": {"mode": mode, "max-examples": examples, "database": "none"},
        # An unexpected method could be DELETE, which would permanently delete the configuration.
        "phases": {"stateful": {"enabled": False}, "coverage": {"unexpected-methods": []}},
    }
    config = SchemathesisConfig.from_dict(settings)
    return schemathesis.openapi.from_dict(contract.DOCUMENT, config=config)


def check_generated(promise: Promise, case: Case[Any]) -> None:
    """Send a generated request; skip it if it is not an update or if time is up."""
    backend = promise.backend
    parts = case.as_transport_kwargs(base_url=backend.url)
    url = backend.url + contract.path_of(backend.id)
    is_update = unquote(parts["url"]) == unquote(url)
    if parts["method"] == "PUT" and is_update and not promise.is_over_budget():
        body = parts.get("json", parts.get("data", b""))
        headers = {"Content-Type": parts["headers"].get("Content-Type")}
        promise.send(promise.request(body=body, headers=headers), may_rename=True)


@VALID.include(operation_id=contract.OPERATION_ID).parametrize()
@clause("update")
@pytest.mark.generated
def test_valid_body_answers_200(case: Case[Any], promise: Promise) -> None:
    """A request with any body that the schema allows returns 200."""
    check_generated(promise, case)


@INVALID.include(operation_id=contract.OPERATION_ID).parametrize()
@clause("types")
@pytest.mark.generated
def test_invalid_body_answers_400(case: Case[Any], promise: Promise) -> None:
    """Every body that the schema does not allow is rejected."""
    check_generated(promise, case)

"""Schema: bodies that the contract allows are accepted, all others are refused."""

import json
from typing import Any

import contract
import pytest
import values
from asking import ask, expect, load_schema
from backend import WRITER, under_test
from schemathesis import Case
from schemathesis.specs.openapi.checks import ignored_auth


def settings(mode: str) -> dict[str, Any]:
    """Generation for one mode: the id pinned to the configuration, exact statuses expected."""
    run = under_test.settings
    return {
        "seed": run.seed,
        "headers": {"Authorization": f"Bearer {under_test.given[WRITER]}"},
        "parameters": {"path.id": under_test.id},
        "generation": {"mode": mode, "max-examples": run.max_examples, "database": "none"},
        "phases": {"stateful": {"enabled": False}},
        "checks": {
            "positive_data_acceptance": {"expected-statuses": ["200"]},
            # 401 and 405 are for requests whose token or method is what is wrong.
            "negative_data_rejection": {"expected-statuses": ["400", "401", "405"]},
        },
    }


# `ignored_auth` sends requests of its own, past the session; every token is judged elsewhere.
VALID = load_schema(**settings("positive"))
INVALID = load_schema(**settings("negative"))


def renamed(body: dict[str, Any]) -> dict[str, Any]:
    """The body with a fresh name, as odd and, unless it was short, as long: it may be taken."""
    name = body["name"]
    if len(name) > 247:
        return body
    return {**body, "name": (name[:-8] if len(name) > 15 else name) + values.unique()[:8]}


@VALID.parametrize()
@pytest.mark.clause("requestBody, 200", "page")
def test_valid_body_answers_200(case: Case[Any]) -> None:
    """Every body that the contract allows answers 200."""
    response = case.call(session=under_test)
    if response.status_code == 400 and isinstance(case.body, dict) and "name" in case.body:
        case.body = renamed(case.body)
        response = case.call(session=under_test)
    case.validate_response(response, excluded_checks=[ignored_auth])


@INVALID.parametrize()
@pytest.mark.clause("requestBody, 400", "page")
def test_invalid_body_answers_400(case: Case[Any]) -> None:
    """Every body that the contract does not allow answers 400, every other method 405."""
    response = case.call(session=under_test)
    case.validate_response(response, excluded_checks=[ignored_auth])


def accepted(body: dict[str, str]) -> dict[str, str]:
    """The body that was accepted, or else the promise is broken."""
    if "name" in body and ask(body=body).status == 400:
        body = renamed(body)
    expect(200, body=body)
    return body


@pytest.mark.parametrize("field", contract.PROPERTIES)
@pytest.mark.clause("requestBody, 200", "page, ours")
def test_odd_value_answers_200(field: str) -> None:
    """The oddest values that a field may have, the longest among them, answer 200."""
    for value in values.odd(field):
        body = accepted({field: value})
        if not value.isascii():  # JSON has two spellings for it
            expect(200, body=json.dumps(body, ensure_ascii=False).encode())


@pytest.mark.clause("requestBody, 200", "page")
def test_odd_body_answers_200() -> None:
    """Any fields together, in any order and any spelling that JSON has, answer 200."""
    for body in values.bodies():
        expect(200, body=body)


@pytest.mark.parametrize("field", contract.PROPERTIES)
@pytest.mark.clause("requestBody, 400", "page, ours")
def test_near_miss_answers_400(field: str) -> None:
    """Values that a field may nearly have answer 400, alone and among good fields."""
    good = contract.EXAMPLES["switchProvider"] | values.GOOD
    for value in values.near_misses(field):
        expect(400, body={field: value})
        expect(400, body={**good, field: value})


@pytest.mark.clause("unknown fields", "ours")
def test_unknown_field_answers_400() -> None:
    """A field that the contract does not know, or several that are wrong, answer 400."""
    for number, name in enumerate(values.unknown_fields()):
        odd: list[object] = ["value", None, {}, True]
        expect(400, body={**values.GOOD, name: odd[number % 4]})
        expect(400, body={name: "value"})
    wrongs: list[object] = [None, True, 0, [], {}, ""]
    for wrong in wrongs:
        expect(400, body=dict.fromkeys(contract.PROPERTIES, wrong))

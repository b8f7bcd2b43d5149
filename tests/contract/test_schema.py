"""Schema: bodies that the contract allows are accepted, all others are refused."""

import json
from typing import Any

import pytest
import schemathesis
from schemathesis import Case

from support import contract, values
from support.expectation import expectation_of
from support.generation import request_of
from support.promise import Promise

VALID = schemathesis.pytest.from_fixture("valid_requests")
INVALID = schemathesis.pytest.from_fixture("invalid_requests")


@pytest.mark.parametrize("field", contract.PROPERTIES)
@pytest.mark.clause("update")
def test_unusual_value_answers_200(promise: Promise, field: str) -> None:
    """Unusual but valid values of a field, including the longest ones, get a 200."""
    for value in values.unusual(field):
        body = promise.accept({field: value})
        if not value.isascii():  # JSON has two spellings for it
            promise.ask(body=json.dumps(body, ensure_ascii=False).encode())


@pytest.mark.clause("update")
def test_any_fields_together_answer_200(promise: Promise) -> None:
    """Every combination of fields gets a 200, in any order and any valid JSON notation."""
    for body in values.bodies():
        promise.ask(body=body)


@pytest.mark.parametrize("field", contract.PROPERTIES)
@pytest.mark.clause("types")
def test_near_miss_answers_400(promise: Promise, field: str) -> None:
    """Values that are almost valid for a field are refused, with and without other fields."""
    good = contract.EXAMPLES["switchProvider"] | values.GOOD
    for value in values.near_misses(field):
        promise.ask(body={field: value})
        promise.ask(body={**good, field: value})
    for number, value in enumerate(values.wrong_spellings(field)):
        promise.ask(body={field: value})
        if number == 0:
            promise.ask(body={**good, field: value})


@pytest.mark.clause("unknown-fields")
def test_unknown_field_answers_400(promise: Promise) -> None:
    """An unknown field is refused, and so are several invalid fields."""
    odd: list[object] = ["value", None, {}, True]
    for number, name in enumerate(values.DATA["OTHER_FIELDS"]):
        promise.ask(body={name: "value"})
        promise.ask(body={**values.GOOD, name: odd[number % 4]})
    for name, value in values.resembling_fields():
        promise.ask(body={name: value})
        promise.ask(body={"aiType": "OTHER", name: value})
    several: list[object] = [True, 0, [], {}, ""]
    for wrong in several:
        promise.ask(body=dict.fromkeys(contract.PROPERTIES, wrong))


def judge(promise: Promise, case: Case[Any]) -> None:
    """Judge a generated request; if its response is wrong, look for the field that causes this."""
    request = request_of(case, promise)
    if request is None or promise.is_over_budget():
        return
    expectation = expectation_of(request)
    if not promise.run.findings.is_selected(expectation.source):
        return
    exchange = promise.exchange_renamed(request)
    fields = exchange.request.fields
    wrong = exchange.status < 500 and exchange.status not in expectation.statuses
    if wrong and len(fields) > 1 and breaks_alone(promise, fields):
        return
    promise.hold(exchange)


def breaks_alone(promise: Promise, fields: dict[str, Any]) -> bool:
    """Send each field of a body in a request of its own; return whether a response is wrong."""
    kept = True
    for name, value in fields.items():
        exchange = promise.exchange(promise.request(body={name: value}))
        kept = promise.hold(exchange) and kept
    return not kept


@VALID.include(operation_id=contract.OPERATION_ID).parametrize()
@pytest.mark.clause("update")
@pytest.mark.generated
def test_valid_body_answers_200(case: Case[Any], promise: Promise) -> None:
    """Every body that the contract allows gets a 200."""
    judge(promise, case)


@INVALID.include(operation_id=contract.OPERATION_ID).parametrize()
@pytest.mark.clause("types")
@pytest.mark.generated
def test_invalid_body_answers_400(case: Case[Any], promise: Promise) -> None:
    """Every body that the contract does not allow is refused."""
    judge(promise, case)

"""Schema: bodies that the contract allows are accepted, all others are refused."""

from typing import Any

import contract
import pytest
import values
from asking import Asker, load_schema
from backend import WRITER, Exchange
from schemathesis import Case
from settings import current

SETTINGS = current()
UNDER_TEST = SETTINGS.backend


def settings(mode: str) -> dict[str, Any]:
    """Generation for one mode: the id pinned to the configuration, exact statuses expected."""
    return {
        "seed": SETTINGS.seed,
        "headers": {"Authorization": f"Bearer {UNDER_TEST.given[WRITER]}"},
        "parameters": {"path.id": UNDER_TEST.id},
        "generation": {"mode": mode, "max-examples": SETTINGS.max_examples, "database": "none"},
        "phases": {"stateful": {"enabled": False}},
        "checks": {
            "positive_data_acceptance": {"expected-statuses": ["200"]},
            # 401 and 405 are for requests whose token or method is what is wrong.
            "negative_data_rejection": {"expected-statuses": ["400", "401", "405"]},
        },
    }


VALID = load_schema(UNDER_TEST, **settings("positive"))
INVALID = load_schema(UNDER_TEST, **settings("negative"))


@VALID.parametrize()
@pytest.mark.clause("requestBody, 200", "page")
def test_valid_body_answers_200(case: Case[Any]) -> None:
    """Every body that the contract allows answers 200."""
    response = case.call(session=UNDER_TEST)
    if response.status_code == 400 and isinstance(case.body, dict) and "name" in case.body:
        # The name may be taken: it is the body's fault only if a fresh one is refused too.
        case.body = {**case.body, "name": f"contract run {current().unique()}"}
        response = case.call(session=UNDER_TEST)
    case.validate_response(response, transport_kwargs={"session": UNDER_TEST})


@INVALID.parametrize()
@pytest.mark.clause("requestBody, 400", "page")
def test_invalid_body_answers_400(case: Case[Any]) -> None:
    """Every body that the contract does not allow answers 400, every other method 405."""
    response = case.call(session=UNDER_TEST)
    case.validate_response(response, transport_kwargs={"session": UNDER_TEST})


def accepted(ask: Asker, body: dict[str, str]) -> Exchange:
    """Expect 200; a name is given a second chance, since it may be taken."""
    if "name" in body and ask(body=body).status == 400:
        spare = 255 - len(body["name"])
        body = {**body, "name": body["name"] + current().unique()[: min(8, spare)]}
    return ask.expect(200, body=body)


@pytest.mark.clause("requestBody examples", "page")
def test_examples_answer_200(ask: Asker) -> None:
    """Each of the contract's own examples answers 200."""
    for example in contract.EXAMPLES.values():
        accepted(ask, dict(example))


@pytest.mark.parametrize("field", contract.PROPERTIES)
@pytest.mark.clause("requestBody, 200", "page, ours")
def test_odd_value_answers_200(ask: Asker, field: str) -> None:
    """The oddest values that a field may have, the longest among them, answer 200."""
    for value in values.ODD[field]:
        accepted(ask, {field: value})


@pytest.mark.parametrize("field", contract.PROPERTIES)
@pytest.mark.clause("requestBody, 400", "page, ours")
def test_near_miss_answers_400(ask: Asker, field: str) -> None:
    """Values that a field may nearly have answer 400, alone and among good fields."""
    good = {k: v for k, v in contract.EXAMPLES["switchProvider"].items() if k != field}
    for number, value in enumerate(values.near_misses(field)):
        ask.expect(400, body={field: value} if number % 2 else {**good, field: value})


@pytest.mark.clause("unknown fields", "ours")
def test_unknown_field_answers_400(ask: Asker) -> None:
    """A field that the contract does not know, however alike, answers 400."""
    for number, name in enumerate(values.unknown_fields()):
        good = {} if number % 2 else contract.EXAMPLES["rotateCredentials"]
        ask.expect(400, body={**good, name: "value"})

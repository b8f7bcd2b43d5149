"""Answers: true to the request, and silent about credentials."""

import json
from collections.abc import Mapping
from typing import Any

import contract
import pytest
import values
from answers import BROKEN, RULES
from asking import ask
from backend import ADMIN, FOREIGN_ID, READER, STRANGER, under_test
from exchange import BrokenPromiseError


def ways_to_every_status(given: Mapping[str, str]) -> list[dict[str, Any]]:
    """Fresh credentials along every documented path that the given tokens can take."""
    fresh = {name: values.canary() for name in contract.CREDENTIALS}
    value = fresh["key"]
    bodies: list[Any] = [{}, [value], {**contract.EXAMPLES["switchProvider"], **fresh}, fresh]
    bodies += [{field: value} for field in contract.CREDENTIALS]
    bodies += [{**fresh, field: wrong} for field in contract.PROPERTIES for wrong in ("", [value])]
    bodies += [{"aiType": value, "endpoint": value}, {"secret": value + " " * 2000, "key": value}]
    bodies += [{**fresh, "unknown": value}, {**fresh, value: "field"}]
    bodies += [json.dumps(fresh)[:-1].encode(), json.dumps(fresh).encode() + b" " * 300_000]
    ways: list[dict[str, Any]] = [{"body": body} for body in bodies]
    ways += [{"body": fresh, "headers": {"Content-Type": "text/plain"}}]
    ids = (values.unique(), given.get(FOREIGN_ID))
    ways += [{"body": fresh, "id": id} for id in ids]
    tokens = (None, *filter(given.get, (ADMIN, READER, STRANGER)))
    return ways + [{"body": fresh, "token": token} for token in tokens]


@pytest.mark.last  # it judges every exchange of the run
@pytest.mark.parametrize(
    "rule", [pytest.param(rule, marks=pytest.mark.clause(*RULES[rule][:2])) for rule in RULES]
)
def test_every_answer(rule: str) -> None:
    """Every answer of the run"""  # noqa: D400, D415 - what it does follows
    for way in ways_to_every_status(under_test.given):
        ask(**way)
    if rule in BROKEN:
        under_test.last, why = BROKEN[rule]
        raise BrokenPromiseError(why)

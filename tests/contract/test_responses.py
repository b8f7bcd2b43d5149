"""Responses: true to the request, in the documented form, and silent about credentials."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from support import contract, values
from support.backend import ADMIN, FOREIGN_ID, READER, STRANGER
from support.promise import Promise

pytestmark = pytest.mark.last  # they judge every exchange of the run


def ways_to_every_status(given: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return fresh credentials along every documented path that the given tokens can take."""
    fresh = {name: values.canary() for name in contract.CREDENTIALS}
    value = fresh["key"]
    bodies: list[Any] = [{}, {**contract.EXAMPLES["switchProvider"], **fresh}, fresh]
    bodies += [{field: value} for field in contract.CREDENTIALS]
    # Only values of `key` and `secret` are credentials: any other value may be quoted in an error.
    bodies += [{**fresh, field: ""} for field in contract.PROPERTIES]
    bodies += [{**fresh, field: [value]} for field in contract.CREDENTIALS]
    bodies += [{"secret": value + " " * 2000, "key": value}, {**fresh, "unknown": "x"}]
    bodies += [json.dumps(fresh)[:-1].encode(), json.dumps(fresh).encode() + b" " * 300_000]
    ways: list[dict[str, Any]] = [{"body": body} for body in bodies]
    ways.append({"body": fresh, "headers": {"Content-Type": "text/plain"}})
    ids = filter(None, (values.unique(), given.get(FOREIGN_ID)))
    ways += [{"body": fresh, "id": id} for id in ids]
    tokens = (None, *filter(given.get, (ADMIN, READER, STRANGER)))
    ways += [{"body": fresh, "token": token} for token in tokens]
    return ways


@pytest.mark.parametrize(
    "rule",
    [
        pytest.param(clause, marks=pytest.mark.clause(clause))
        for clause in (
            "credentials", "internals", "statuses", "success-response", "error-response",
            "challenge", "success-fields",
        )
    ],
)  # fmt: skip
def test_every_response(promise: Promise, rule: str) -> None:
    """Every response of the run keeps the rule"""  # noqa: D400, D415 - its name follows
    assert rule in contract.CLAUSES
    for way in ways_to_every_status(promise.backend.given):
        promise.ask(**way)

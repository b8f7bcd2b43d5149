"""Responses: every response is documented, matches its request and contains no credential."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from support import contract, values
from support.backend import ADMIN, FOREIGN_ID, READER, STRANGER
from support.promise import Promise

pytestmark = pytest.mark.last  # these tests check all exchanges of the run
CLAUSES = (
    "credentials", "internals", "statuses", "success-response", "error-response", "challenge",
    "success-fields",
)  # fmt: skip


def bodies(fresh: dict[str, str]) -> Iterator[Any]:
    """Yield valid and invalid bodies with the credentials from `fresh` in various places."""
    value = values.canary()
    yield from ({}, {**contract.EXAMPLES["switchProvider"], **fresh}, fresh)
    # Only the values of `key` and `secret` are credentials; an error may quote any other value.
    for field in contract.CREDENTIALS:
        too_long = value.ljust(values.max_length(field) + 1)
        yield from ({field: value}, {**fresh, field: [value]}, {field: too_long})
    for field in contract.PROPERTIES:
        yield {**fresh, field: ""}
    yield from ({"secret": value + " " * 2000, "key": value}, {**fresh, "unknown": "x"})
    yield json.dumps(fresh)[:-1].encode()
    yield json.dumps(fresh).encode() + b" " * contract.LARGEST_BODY


@pytest.mark.parametrize(
    "rule", [pytest.param(clause, marks=pytest.mark.clause(clause)) for clause in CLAUSES]
)
def test_every_response(promise: Promise, rule: str) -> None:
    """Every response in the run satisfies the clause"""  # noqa: D400, D415 - its id follows
    assert rule in contract.CLAUSES
    for other in promise.run.promises.values():
        if other.is_cut_short:  # some of the requests were not sent
            promise.is_cut_short = True
            promise.hiding |= other.hiding
    fresh = {name: values.canary() for name in contract.CREDENTIALS}
    for body in bodies(fresh):
        promise.ask(body=body)
    promise.ask(body=fresh, headers={"Content-Type": "text/plain"})
    for id in (promise.backend.unknown_id(), promise.backend.given.get(FOREIGN_ID)):
        promise.ask(body=fresh, id=id)
    for token in (None, *promise.available(ADMIN, READER, STRANGER)):
        promise.ask(body=fresh, token=token)

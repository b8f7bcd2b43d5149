"""Responses: every response is documented, matches its request and contains no credential."""

from collections.abc import Iterator
from typing import Any

import pytest

from support import contract, values
from support.backend import ADMIN, FOREIGN_ID, READER, STRANGER
from support.promise import Promise
from support.values import GOOD

pytestmark = pytest.mark.last  # these tests check every response in the run
CLAUSES = (
    "credentials", "internals", "statuses", "success-response", "error-response", "challenge",
    "success-fields",
)  # fmt: skip


def bodies() -> Iterator[Any]:
    """Yield valid and invalid bodies with credentials in various places."""
    yield from ({}, {**contract.EXAMPLES["switchProvider"], **GOOD}, GOOD)
    # Only the values of `key` and `secret` are credentials; an error may quote any other value.
    for field, value in GOOD.items():
        too_long = value.ljust(values.max_length(field) + 1)
        yield from ({field: value}, {**GOOD, field: [value]}, {field: too_long})
        yield {**GOOD, field: value + " " * 2000}
    for field in contract.PROPERTIES:
        yield {**GOOD, field: ""}
    yield {**GOOD, "unknown": "x"}
    yield values.TEXT[:-1]
    yield values.TEXT.ljust(contract.LARGEST_BODY + 1)


@pytest.mark.parametrize(
    "rule", [pytest.param(clause, marks=pytest.mark.clause(clause)) for clause in CLAUSES]
)
def test_every_response(promise: Promise, rule: str) -> None:  # noqa: ARG001 - its marker counts
    """Every response in the run satisfies the clause"""  # noqa: D400, D415 - its id follows
    for other in promise.run.promises.values():
        if other.is_cut_short:  # some of the requests were not sent
            promise.is_cut_short = True
            promise.found |= other.found
    for body in bodies():
        promise.ask(body=body)
    promise.ask(headers={"Content-Type": "text/plain"})
    for id in (promise.backend.unknown_id(), promise.backend.given.get(FOREIGN_ID)):
        promise.ask(id=id)
    for token in (None, *promise.available(ADMIN, READER, STRANGER)):
        promise.ask(token=token)

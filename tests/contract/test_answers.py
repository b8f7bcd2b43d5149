"""Answers: true to the request, and silent about credentials."""

import json
from collections.abc import Callable
from typing import Any

import contract
import pytest
from answers import (
    AnswersAreJson,
    CredentialsStayInside,
    ErrorsAreSilent,
    IdIsTrue,
    SuccessIsTrue,
    Watch,
)
from asking import Asker
from backend import ADMIN, FOREIGN_ID, READER, STRANGER, Backend, BrokenPromiseError
from settings import current

pytestmark = pytest.mark.last  # they judge every exchange of the run


def ask_for_every_status(ask: Asker, backend: Backend) -> set[int]:
    """Send canary credentials along every documented path that the given tokens can take."""
    canaries = {name: current().canary() for name in contract.CREDENTIALS}
    value = canaries["key"]
    ways: list[dict[str, Any]] = [
        {},
        {"body": {}},
        *({"body": {field: value}} for field in contract.CREDENTIALS),
        *({"body": {**canaries, field: ""}} for field in contract.PROPERTIES),
        *({"body": {**canaries, field: [value]}} for field in contract.PROPERTIES),
        {"body": {"aiType": value, "endpoint": value}},
        {"body": {**canaries, "unknown": value}},
        {"body": {**canaries, value: "field"}},
        {"body": [value]},
        {"body": {"secret": value + " " * 2000, "key": value}},
        {"body": {**contract.EXAMPLES["switchProvider"], **canaries}},
        {"body": json.dumps(canaries)[:-1].encode()},
        {"body": json.dumps(canaries).encode() + b" " * 300_000},
        {"headers": {"Content-Type": "text/plain"}},
        {"token": None},
        {"id": current().unique()},
        *({"token": token} for token in (ADMIN, READER, STRANGER) if token in backend.given),
        *({"id": backend.given[id]} for id in (FOREIGN_ID,) if id in backend.given),
    ]
    for way in ways:
        way.setdefault("body", canaries)
    return {ask(**way).status for way in ways}


def judge(watch: Watch, backend: Backend) -> None:
    """Fail with the shortest exchange that broke the rule, if one did."""
    if watch.broken:
        backend.last, error = watch.broken
        raise error


@pytest.mark.clause("credentials", "page")
def test_no_answer_carries_a_credential(
    ask: Asker, backend: Backend, watches: dict[type[Watch], Watch]
) -> None:
    """No answer carries a credential, of its request or one before: whole, in part or encoded."""
    ask_for_every_status(ask, backend)
    judge(watches[CredentialsStayInside], backend)


@pytest.mark.clause("500", "ours")
def test_no_error_tells_internals(
    ask: Asker, backend: Backend, watches: dict[type[Watch], Watch]
) -> None:
    """No error carries a trace, a query or a path of the backend's files."""
    ask_for_every_status(ask, backend)
    judge(watches[ErrorsAreSilent], backend)


@pytest.mark.clause("answers", "page")
def test_every_answer_is_strict_json(
    ask: Asker, backend: Backend, watches: dict[type[Watch], Watch]
) -> None:
    """Every documented answer is one JSON object in UTF-8 that says each thing once."""
    ask_for_every_status(ask, backend)
    judge(watches[AnswersAreJson], backend)


@pytest.mark.clause("success", "ours")
def test_success_is_true_to_the_status(
    ask: Asker, backend: Backend, watches: dict[type[Watch], Watch]
) -> None:
    """Every answer has `success`: true in a 200, false in an error."""
    ask_for_every_status(ask, backend)
    judge(watches[SuccessIsTrue], backend)


@pytest.mark.clause("aiLlmId", "page, ours")
def test_id_is_the_one_asked_for(
    ask: Asker, backend: Backend, watches: dict[type[Watch], Watch]
) -> None:
    """Every 200 has `aiLlmId`, and it is the id that was asked for."""
    ask_for_every_status(ask, backend)
    judge(watches[IdIsTrue], backend)


@pytest.mark.clause("responses", "page")
def test_every_status_was_seen(ask: Asker, backend: Backend, need: Callable[[str], str]) -> None:
    """Every documented status was seen, but for 500, which no request can ask for."""
    seen = ask_for_every_status(ask, backend)
    if 403 not in seen and not {READER, STRANGER, FOREIGN_ID} & backend.given.keys():
        need(READER)
    missing = contract.STATUSES - seen - {500}
    if missing:
        raise BrokenPromiseError(f"expected each status once, never came: {sorted(missing)}")

"""Tests that the contract tests detect every fault and accept correct backends."""

import pytest

from scripts.contract import environment
from support.options import BROKEN, KEPT
from tests.faults.backend import serving
from tests.faults.correct import CORRECT, ids_are_compared_as_uuids
from tests.faults.faults import FAULTS
from tests.faults.runner import run_with_changes, run_with_url, selected_promises


@pytest.mark.parametrize("name", FAULTS)
def test_fault_breaks_a_promise(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("support.promise.BUDGET_PER_PROMISE", 0.0)  # stop at the first finding
    fault = FAULTS[name]
    options = ["--timeout", "2"] if name.endswith("_hang") else []
    result = run_with_changes([fault.change], "--maxfail", "1", *options, promises=fault.promises)
    assert result.status == BROKEN, result.output


@pytest.mark.parametrize("name", CORRECT)
def test_correct_backend_keeps_every_promise(name: str) -> None:
    result = run_with_changes(CORRECT[name], "--max-examples", "5", "--require-all")
    assert result.ids == [], result.output
    assert result.status == KEPT, result.output


def test_backend_may_answer_an_upper_case_uuid_in_lower_case() -> None:
    with serving(ids_are_compared_as_uuids) as mock:
        variables = environment(mock.tokens, mock.ids)
        options = ("--id", mock.ids["main"].upper(), "--max-examples", "1")
        result = run_with_url(mock.base_url, variables, *options, promises="test_member")
    assert result.status == KEPT, result.output


def test_every_promise_has_its_own_fault() -> None:
    """Every promise has at least one fault whose `promises` expression selects no other promise."""
    promises = selected_promises("")
    covered: set[str] = set()
    for name, fault in FAULTS.items():
        listed = tuple(fault.promises.split(" or "))
        selected = [promise for promise in promises if promise.startswith(listed)]
        assert selected, f"{name}: no promise is named {fault.promises}"
        if len(selected) == 1:
            covered.update(selected)
    missing = sorted({*promises} - covered)
    assert not missing, f"promises without a fault: {', '.join(missing)}; add them to tests/faults/"

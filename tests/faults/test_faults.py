"""The contract tests find every fault, and no fault in correct backends."""

import pytest

from tests.faults.correct import CORRECT
from tests.faults.faults import FAULTS
from tests.faults.judge import BROKEN, KEPT, judge, selected


@pytest.mark.parametrize("name", FAULTS)
def test_fault_breaks_a_promise(name: str) -> None:
    """A backend with one fault breaks one of the promises in its table."""
    fault = FAULTS[name]
    options = ["--timeout", "2"] if name.endswith("_hang") else []
    judgement = judge(fault, *options, promises=fault.promises, is_brief=True)
    assert judgement.status == BROKEN, judgement.output


@pytest.mark.parametrize("name", CORRECT)
def test_correct_backend_breaks_none(name: str) -> None:
    """A backend that differs only in what the contract leaves open keeps every promise."""
    judgement = judge(CORRECT[name], "--max-examples", "5")
    assert judgement.ids == [], judgement.output
    assert judgement.status == KEPT, judgement.output


def test_every_promise_has_a_fault_of_its_own() -> None:
    """Every promise has a fault that is expected to break that promise only."""
    named = selected([fault.promises for fault in FAULTS.values()])
    [every] = selected([""])
    proved = {promises[0] for promises in named if len(promises) == 1}
    missing = sorted({*every} - proved)
    assert not missing, f"add a fault to tests/faults/ for each of {', '.join(missing)}"
    assert all(named)

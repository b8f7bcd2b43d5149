"""The contract tests catch every faulty backend, and let every correct one pass."""

import pytest

from tests.faults.correct import CORRECT
from tests.faults.faults import FAULTS
from tests.faults.harness import BROKEN, KEPT, Change, judge


def _case(fault: Change) -> object:
    known = pytest.mark.xfail(reason=fault.survives, strict=True)
    return pytest.param(fault, id=fault.name, marks=[known] if fault.survives else [])


@pytest.mark.parametrize("fault", [_case(fault) for fault in FAULTS.values()])
def test_fault_breaks_a_promise(fault: Change) -> None:
    """A backend with one fault breaks one of the promises that are named for it."""
    judgement = judge(fault, promises=fault.promises)
    assert judgement.status == BROKEN, judgement.said


@pytest.mark.parametrize("change", list(CORRECT.values()), ids=lambda change: change.name)
def test_correct_backend_breaks_none(change: Change) -> None:
    """A backend that differs in what the contract leaves open keeps every promise."""
    judgement = judge(change, "--max-examples", "10")
    assert judgement.status == KEPT, judgement.said

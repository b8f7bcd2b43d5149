"""Each fault yields one finding, with the clause that it breaks and the source of the clause."""

from collections import Counter

import pytest

from tests.faults.faults import SEVERAL_FAULTS
from tests.faults.judge import BROKEN, judge

BROKEN_CLAUSES = {
    "no_challenge": ("challenge", "ours"),
    "malformed_json_answers_500": ("unreadable-body", "ours"),
    "reader_may_update": ("access-levels", "vendor"),
    "names_may_be_the_same": ("unique-names", "vendor"),
    "empty_names_are_ignored": ("lengths", "ours"),
    "unknown_fields_are_ignored": ("unknown-fields", "ours"),
    "missing_body_changes_nothing": ("body", "page"),
}


@pytest.mark.parametrize("name", SEVERAL_FAULTS)
def test_fault_is_one_finding(name: str) -> None:
    """Each fault breaks only its own clause, in at most two findings."""
    judgement = judge(SEVERAL_FAULTS[name], "--max-examples", "5")
    found = Counter((finding["clause"]["id"], finding["source"]) for finding in judgement.findings)
    assert {*found} == {BROKEN_CLAUSES[fault] for fault in name.split("-")}, judgement.output
    assert max(found.values()) <= 2, judgement.output
    assert judgement.status == BROKEN, judgement.output


def test_promise_without_a_right_answer_is_not_kept() -> None:
    """A promise is not tested if every exchange shows a finding of another promise."""
    [backend] = [change for name, change in SEVERAL_FAULTS.items() if "reader" in name]
    promises = "test_reader_may_not_update or test_no_header_gives_access"
    judgement = judge(backend, promises=promises)
    promise = judgement.promise("test_no_header_gives_access[READ]")
    assert promise["outcome"] == "not tested", judgement.output
    assert promise["reason"] == "hidden by access-levels/READ/200"

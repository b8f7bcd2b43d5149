"""Each cause yields one finding, with the clause and the source of the rule that it breaks."""

from collections import Counter

import pytest

from tests.faults.causes import BACKENDS, CAUSES, TOGETHER
from tests.faults.judge import BROKEN, judge

# The clause that each cause breaks, and its source.
BROKEN_CLAUSES = {
    "no_challenge": ("challenge", "ours"),
    "malformed_json_answers_500": ("unreadable-body", "ours"),
    "readers_may_update": ("access-levels", "vendor"),
    "names_are_not_unique": ("unique-names", "vendor"),
    "empty_names_are_ignored": ("lengths", "ours"),
    "unknown_fields_are_ignored": ("unknown-fields", "ours"),
    "an_empty_body_changes_nothing": ("body", "page"),
}


@pytest.mark.parametrize("names", TOGETHER, ids="-".join)
def test_cause_is_one_finding(names: tuple[str, ...]) -> None:
    """Each cause breaks its own clause in two findings at most, and no other clause."""
    judgement = judge(BACKENDS[names], "--max-examples", "5")
    found = Counter((finding["clause"]["id"], finding["source"]) for finding in judgement.findings)
    assert {*found} == {BROKEN_CLAUSES[name] for name in names}, judgement.output
    assert max(found.values()) <= 2, judgement.output
    assert judgement.status == BROKEN, judgement.output


def test_promise_without_a_right_answer_is_not_kept() -> None:
    """A promise whose every exchange shows another's finding is not tested."""
    promises = "test_reader_may_not_update or test_no_header_gives_access"
    judgement = judge(BACKENDS[TOGETHER[1]], promises=promises)
    promise = judgement.promise("test_no_header_gives_access[READ]")
    assert promise["outcome"] == "not tested", judgement.output
    assert promise["reason"] == "hidden by access-levels/READ/200"


def test_table_is_complete() -> None:
    """Every cause is in the table, and in one run."""
    assert {*CAUSES} == {*BROKEN_CLAUSES}
    assert sorted(CAUSES) == sorted(name for names in TOGETHER for name in names)

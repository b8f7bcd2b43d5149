"""One cause is one finding, with the clause and the source of the rule that it breaks."""

import pytest

from tests.faults.causes import CAUSES
from tests.faults.changes import NamedChange
from tests.faults.judge import BROKEN, KEPT, judge

# The clause that each cause breaks, and its source; None where the contract leaves it open.
BROKEN_CLAUSES = {
    "no_challenge": ("challenge", "ours"),
    "malformed_json_answers_500": ("unreadable-body", "ours"),
    "other_media_types_answer_415": None,
    "large_bodies_answer_413": None,
    "readers_may_update": ("access-levels", "vendor"),
    "names_are_not_unique": ("unique-names", "vendor"),
    "empty_names_are_ignored": ("lengths", "ours"),
    "unknown_fields_are_ignored": ("unknown-fields", "ours"),
    "an_empty_body_changes_nothing": ("body", "page"),
    "a_trailing_slash_is_ignored": None,
    "the_path_counts_in_any_case": None,
}


@pytest.mark.parametrize("cause", [pytest.param(CAUSES[name], id=name) for name in BROKEN_CLAUSES])
def test_cause_is_one_finding(cause: NamedChange) -> None:
    """A cause breaks its own clause in two findings at most, and no other clause."""
    judgement = judge(cause, "--max-examples", "10")
    found = {(finding["clause"]["id"], finding["source"]) for finding in judgement.findings}
    broken = BROKEN_CLAUSES[cause.name]
    assert found == ({broken} if broken else set()), judgement.output
    assert len(judgement.findings) <= 2, judgement.output
    assert judgement.status == (BROKEN if broken else KEPT), judgement.output


def test_table_is_complete() -> None:
    """Every cause has a row in the table."""
    assert {*CAUSES} == {*BROKEN_CLAUSES}

"""One cause is one finding, with the clause and the source of the rule that it breaks."""

import pytest

from tests.faults.causes import CAUSES, OPEN
from tests.faults.changes import NamedChange, together
from tests.faults.judge import BROKEN, KEPT, judge

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


@pytest.mark.parametrize("cause", [pytest.param(CAUSES[name], id=name) for name in BROKEN_CLAUSES])
def test_cause_is_one_finding(cause: NamedChange) -> None:
    """A cause breaks its own clause in two findings at most, and no other clause."""
    judgement = judge(cause, "--max-examples", "5")
    found = {(finding["clause"]["id"], finding["source"]) for finding in judgement.findings}
    assert found == {BROKEN_CLAUSES[cause.name]}, judgement.output
    assert len(judgement.findings) <= 2, judgement.output
    assert judgement.status == BROKEN, judgement.output


def test_what_is_left_open_is_not_a_finding() -> None:
    """413, 415, a trailing slash and the path's case cause no finding."""
    judgement = judge(together(OPEN), "--max-examples", "5")
    assert judgement.ids == [], judgement.output
    assert judgement.status == KEPT, judgement.output


def test_table_is_complete() -> None:
    """Every cause has a row in the table."""
    assert {*CAUSES} == {*BROKEN_CLAUSES}

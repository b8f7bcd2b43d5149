"""All backends that break the contract, each in one way."""

from tests.faults import (
    acceptance,
    access,
    authentication,
    ids,
    leaks,
    methods,
    over_time,
    responses,
    validation,
)
from tests.faults.changes import NamedChange, together

FAMILIES = (
    acceptance,
    access,
    authentication,
    ids,
    leaks,
    methods,
    over_time,
    responses,
    validation,
)
FAULTS: dict[str, NamedChange] = {}
for family in FAMILIES:
    assert FAULTS.keys().isdisjoint(family.FAULTS), f"{family.__name__}: a name is taken"
    FAULTS |= family.FAULTS

# Faults of different clauses in one backend, since a whole run takes seconds.
SEVERAL_FAULTS = {
    "-".join(names): together("-".join(names), [FAULTS[name] for name in names])
    for names in (
        ("no_challenge", "empty_names_are_ignored", "missing_body_changes_nothing"),
        ("malformed_json_answers_500", "reader_may_update", "unknown_fields_are_ignored"),
        ("names_may_be_the_same",),
    )
}

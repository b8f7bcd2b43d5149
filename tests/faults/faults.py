"""All faults; a fault is a change to the mock that breaks the contract in a single way."""

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
from tests.faults.backend import Change
from tests.faults.changes import combine

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
FAULTS: dict[str, Change] = {}
for family in FAMILIES:
    duplicates = FAULTS.keys() & family.FAULTS.keys()
    assert not duplicates, f"{family.__name__} reuses the names of other faults: {duplicates}"
    FAULTS |= family.FAULTS

# Each backend combines faults that break different clauses, so that few full runs are needed.
SEVERAL_FAULTS = {
    "-".join(names): combine(FAULTS[name] for name in names)
    for names in (
        ("challenge_is_missing", "empty_names_are_ignored", "forbidden_update_changes_the_name"),
        ("malformed_json_returns_500", "reader_may_update", "unknown_fields_are_ignored"),
        ("duplicate_names_are_accepted",),
        ("returns_409_for_a_repeated_key",),
        ("every_update_returns_500",),
        ("every_fiftieth_request_returns_500", "missing_body_is_an_empty_update"),
    )
}

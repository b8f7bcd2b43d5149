"""All backends that break the contract, each in one way."""

from itertools import chain

from tests.faults import (
    access,
    authentication,
    ids,
    leaks,
    methods,
    over_time,
    shape,
    statuses,
    validation,
)
from tests.faults.changes import NamedChange

FAMILIES = (
    authentication,
    access,
    validation,
    leaks,
    shape,
    statuses,
    methods,
    ids,
    over_time,
)
FAULTS: dict[str, NamedChange] = {}
for name, change in chain.from_iterable(family.FAULTS.items() for family in FAMILIES):
    assert name not in FAULTS, f"{name} is defined twice"
    FAULTS[name] = change

"""All faults. A fault is a change to the mock that breaks the contract in a single way."""

from tests.faults import (  # noqa: F401 - importing these modules defines their faults
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
from tests.faults.changes import FAULTS

__all__ = ["FAULTS"]

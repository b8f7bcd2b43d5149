"""Everything that a run of the contract tests imports, for `forks.py` to import once."""

from schemathesis.pytest import plugin  # noqa: F401
from schemathesis.specs.openapi import checks, schemas  # noqa: F401

from flashback_mock import running  # noqa: F401
from reports import console  # noqa: F401
from support import generation  # noqa: F401
from support import plugin as contract_plugin  # noqa: F401
from tests.faults.backend import contract
from tests.faults.causes import BACKENDS
from tests.faults.correct import CORRECT
from tests.faults.faults import FAULTS
from tests.faults.unusable import UNUSABLE

CHANGES = {**FAULTS, **CORRECT, **UNUSABLE, **{cause.name: cause for cause in BACKENDS.values()}}
contract()  # reads it

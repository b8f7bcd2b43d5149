"""Before the worker process forks, import everything that the contract tests use."""

from schemathesis.pytest import plugin  # noqa: F401
from schemathesis.specs.openapi import checks, schemas  # noqa: F401

from flashback_mock import running  # noqa: F401
from reports import console  # noqa: F401
from support import generation  # noqa: F401
from support import plugin as contract_plugin  # noqa: F401
from tests.faults.backend import contract
from tests.faults.correct import CORRECT
from tests.faults.faults import FAULTS, SEVERAL_FAULTS
from tests.faults.unusable import UNUSABLE

CHANGES = {**FAULTS, **SEVERAL_FAULTS, **CORRECT, **UNUSABLE}
contract()  # Cache the contract so that forked processes do not parse it again.

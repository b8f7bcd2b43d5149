"""What the server that forks processes for `judge.py` has imported."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "contract"))

from schemathesis.pytest import plugin  # noqa: F401
from schemathesis.specs.openapi import checks, schemas  # noqa: F401

from reports import console  # noqa: F401
from support import generation  # noqa: F401
from support import plugin as contract_plugin  # noqa: F401
from tests.faults import causes, correct, faults, unusable  # noqa: F401
from tests.faults.backend import contract

contract()

"""A mock of the Flashback AI LLM backend that keeps the contract, for tests and for building.

`python -m flashback_mock` runs it; `flashback_mock.running()` runs it inside a Python program.
"""

from .contract import Contract
from .fixtures import Fixtures
from .server import Mock, running

__all__ = ("Contract", "Fixtures", "Mock", "running")

"""A mock of the Flashback AI LLM backend for tests and development.

To start the mock from the command line, run `python -m flashback_mock`. To start it from Python,
use `flashback_mock.running()`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .contract import Contract
    from .control.journal import Entry
    from .control.mock import Mock
    from .control.plans import Fault, Step
    from .fixtures import Fixtures
    from .serving import running

__all__ = ("Contract", "Entry", "Fault", "Fixtures", "Mock", "Step", "running")

_MODULES = {
    "Contract": "contract",
    "Entry": "control.journal",
    "Fault": "control.plans",
    "Fixtures": "fixtures",
    "Mock": "control.mock",
    "Step": "control.plans",
    "running": "serving",
}


def __getattr__(name: str) -> Any:
    """Import a public name on first use.

    If the `mock` extra is not installed, raise an `ImportError` that says how to install it.
    """
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(f".{_MODULES[name]}", __name__), name)
    except ModuleNotFoundError as error:
        raise ImportError(
            f"the mock requires {error.name}; run: pip install 'flashback-client[mock]'"
        ) from None

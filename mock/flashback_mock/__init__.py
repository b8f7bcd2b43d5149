"""A mock of the Flashback AI LLM backend that keeps the contract, for tests and for building.

`python -m flashback_mock` runs it; `flashback_mock.running()` runs it inside a Python program.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .contract import Contract
    from .fixtures import Fixtures
    from .mock import Mock
    from .server import running

__all__ = ("Contract", "Fixtures", "Mock", "running")

_MODULES = {"Contract": "contract", "Fixtures": "fixtures", "Mock": "mock", "running": "server"}


def __getattr__(name: str) -> Any:
    """Import what is asked for; without the extra, say how to install it."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(f".{_MODULES[name]}", __name__), name)
    except ModuleNotFoundError as missing:
        raise ImportError(
            f"the mock needs {missing.name}: pip install 'flashback-client[mock]'"
        ) from None

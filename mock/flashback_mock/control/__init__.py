"""Test controls: planned answers, the request log, the stored state and the `Mock` class."""

from .journal import Entry
from .plans import Fault, Step

__all__ = ("Entry", "Fault", "Step")

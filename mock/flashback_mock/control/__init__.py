"""The test controls: planned answers, the request log, state, and the Python handle."""

from .journal import Entry
from .plans import Fault, Step

__all__ = ("Entry", "Fault", "Step")

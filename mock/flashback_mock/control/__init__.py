"""The test controls: planned answers, the request log, state, and the class `Mock`."""

from .journal import Entry
from .plans import Fault, Step

__all__ = ("Entry", "Fault", "Step")

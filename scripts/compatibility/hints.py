"""What two schemas mention: sizes, numbers, names, values, patterns; edges are among these."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from scripts.compatibility.shapes import is_list, is_mapping

LONGEST = 300_000


@dataclass
class Hints:
    """What both schemas mention: the edges between them are among these."""

    sizes: set[int] = field(default_factory=lambda: {0, 1})
    numbers: set[float] = field(default_factory=lambda: {0})
    names: set[str] = field(default_factory=lambda: {"extra"})
    values: list[Any] = field(default_factory=list)
    patterns: set[str] = field(default_factory=set)

    def read(self, schema: Any) -> None:
        """Adds what a schema mentions, at any depth."""
        if is_list(schema):
            for each in schema:
                self.read(each)
        if not is_mapping(schema):
            return
        for keyword, value in schema.items():
            self._keep(keyword, value)
            if keyword not in {"enum", "const"}:
                self.read(value)

    def _keep(self, keyword: str, value: Any) -> None:
        if keyword in {"enum", "const"}:
            self.values += value if keyword == "enum" and is_list(value) else [value]
        elif keyword == "pattern" and isinstance(value, str):
            self.patterns.add(value)
        elif keyword in {"properties", "dependentRequired", "patternProperties"} or (
            keyword == "required" and is_list(value)
        ):
            self.names |= set(value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            self.numbers.add(value)
            if isinstance(value, int) and 0 <= value <= LONGEST:
                self.sizes |= {max(0, value - 1), value, value + 1}

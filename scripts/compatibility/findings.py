"""What a comparison finds: changes, each with its weight, its place, and what shows it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any


class Change(IntEnum):
    """How much a change weighs; undecided weighs as much as breaking until a human has spoken."""

    NONE = 0
    WORDS = 1
    ADDITION = 2
    UNDECIDED = 3
    BREAKING = 4

    @property
    def word(self) -> str:
        """The name in reports and in compat.yaml."""
        return self.name.lower()


@dataclass(frozen=True)
class Finding:
    """One change."""

    change: Change
    place: str
    what: str
    part: str = "wire"
    witness: Any = None  # the value that shows it
    shown: tuple[str, ...] = ()  # the same, as lines for people
    sides: tuple[str, str] = ("", "")  # what stands in either contract, as text
    word: dict[str, Any] | None = None  # what a human has said of it

    @property
    def id(self) -> str:
        """The same for the same change of the same parts, and another one for any other."""
        told = json.dumps([self.part, self.place, self.what, *self.sides])
        return hashlib.sha256(told.encode()).hexdigest()[:10]

    @property
    def weight(self) -> Change:
        """What it counts as, a human's word heard."""
        return Change[self.word["verdict"].upper()] if self.word else self.change


@dataclass
class Findings:
    """The findings of one comparison, none of them twice."""

    found: dict[str, Finding] = field(default_factory=dict)

    def add(self, change: Change, place: str, what: str, **details: Any) -> None:
        """Keeps one more."""
        finding = Finding(change, place, what, **details)
        self.found.setdefault(finding.id, finding)

    def differing(self, change: Change, place: str, what: str, old: Any, new: Any) -> None:
        """Keeps one more where the two sides differ."""
        if old != new:
            self.add(change, place, what, sides=(told(old), told(new)))


def told(value: Any) -> str:
    """Any part of a contract as text, the same for the same part."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)

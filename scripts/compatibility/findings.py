"""Findings: changes of a contract, each with its weight, its place and its evidence."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Any

from scripts.compatibility.json_values import canonical_json


class Change(IntEnum):
    """How much a change weighs; an undecided one weighs as much as a breaking one."""

    NONE = 0
    WORDS = 1
    ADDITION = 2
    UNDECIDED = 3
    BREAKING = 4

    @property
    def word(self) -> str:
        """Return the name used in reports and in compat.yaml."""
        return self.name.lower()


@dataclass(frozen=True)
class Finding:
    """One change of the contract."""

    change: Change
    place: str
    what: str
    part: str = "wire"  # or "python"
    sides: tuple[str, str] = ("", "")  # the changed part in either contract, as canonical JSON
    also: tuple[str, ...] = ()  # other places of the same change
    witness: Any = None  # the value that shows the break
    shown: tuple[str, ...] = ()  # the evidence, as lines for people
    removed: bool = False  # fewer responses than before
    decision: dict[str, Any] | None = None  # the entry of compat.yaml

    @property
    def id(self) -> str:
        """Return the same id in every run for the same change of the same parts."""
        text = canonical_json([self.part, self.place, self.what, *self.sides])
        return hashlib.sha256(text.encode()).hexdigest()[:10]

    @property
    def weight(self) -> Change:
        """Return what the change counts as, by the entry of compat.yaml if there is one."""
        return Change[self.decision["verdict"].upper()] if self.decision else self.change


@dataclass
class Findings:
    """The findings of one comparison, without duplicates."""

    found: dict[str, Finding] = field(default_factory=dict[str, Finding])

    def add(
        self, change: Change, place: str, what: str, old: Any = None, new: Any = None, **more: Any
    ) -> None:
        """Add a finding; `old` and `new` are the changed part in either contract."""
        sides = canonical_json(old), canonical_json(new)
        finding = Finding(change, place, what, sides=sides, **more)
        self.found.setdefault(finding.id, finding)

    def undecided(self, place: str, what: str, old: Any, new: Any) -> None:
        """Add an undecided finding if the two sides differ."""
        if canonical_json(old) != canonical_json(new):
            self.add(Change.UNDECIDED, place, what, old, new)

    def merged(self) -> list[Finding]:
        """Return all findings; the same change in several places is one of them."""
        made: dict[str, Finding] = {}
        for finding in self.found.values():
            key = canonical_json([finding.change, finding.what, finding.sides, finding.witness])
            first = made.get(key)
            made[key] = replace(first, also=(*first.also, finding.place)) if first else finding
        return list(made.values())

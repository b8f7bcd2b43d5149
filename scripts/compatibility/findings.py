"""What a comparison finds: changes, each with its weight, its place, and what shows it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Any

# Keys that only people read, wherever they stand.
WORDS = {
    *("summary", "description", "tags", "operationId", "externalDocs", "jsonSchemaDialect"),
    *("example", "examples", "$ref", "x-rule"),
}


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
    also: tuple[str, ...] = ()  # other places of the very same change
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

    def leftovers(self, place: str, known: set[str], old: Any, new: Any) -> None:
        """What no rule understands is undecided where it changed; prose is words, empty is none."""
        for key in sorted((old.keys() | new.keys()) - known - WORDS):
            sides = [None if each.get(key) in ({}, []) else each.get(key) for each in (old, new)]
            if not (key.startswith("x-") and all(each is None or is_prose(each) for each in sides)):
                self.differing(
                    Change.UNDECIDED, place, f"{key} changed, and is not understood", *sides
                )

    def merged(self) -> list[Finding]:
        """All of them; the same change at several places is one finding."""
        made: dict[str, Finding] = {}
        for each in self.found.values():
            key = told([each.change, each.what, each.part, each.sides, each.witness])
            first = made.get(key)
            made[key] = replace(first, also=(*first.also, each.place)) if first else each
        return list(made.values())

    def differing(self, change: Change, place: str, what: str, old: Any, new: Any) -> None:
        """Keeps one more where the two sides differ."""
        if old != new:
            self.add(change, place, what, sides=(told(old), told(new)))


def is_prose(value: object) -> bool:
    """Whether a value of an extension is a sentence, which no program reads."""
    return isinstance(value, str) and " " in value.strip()


def told(value: Any) -> str:
    """Any part of a contract as text, the same for the same part."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)

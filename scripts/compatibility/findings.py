"""Findings about two contracts, the decisions of compat.yaml, and the verdict on the version."""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import TYPE_CHECKING, Any

import yaml

from scripts.compatibility.documents import CannotCompareError
from scripts.compatibility.values import canonical_json, is_list, is_mapping

if TYPE_CHECKING:
    from pathlib import Path

    from scripts.compatibility.documents import Contract


class Change(IntEnum):
    """How severe a change is; for the version, an undecided one counts as breaking."""

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
    sides: tuple[str, str] = ("", "")  # the part in the old and the new contract, as JSON
    also: tuple[str, ...] = ()  # other places of the same change
    witness: Any = None  # the value that shows the break
    shown: tuple[str, ...] = ()  # the evidence, as lines for people
    removed: bool = False  # fewer responses than before
    decision: dict[str, Any] | None = None  # the entry of compat.yaml

    @property
    def id(self) -> str:
        """Return an id that is the same in every run."""
        text = canonical_json([self.part, self.place, self.what, *self.sides])
        return hashlib.sha256(text.encode()).hexdigest()[:10]

    @property
    def weight(self) -> Change:
        """Return how the change counts: as compat.yaml says, if it has an entry."""
        return Change[self.decision["verdict"].upper()] if self.decision else self.change


@dataclass
class Findings:
    """The findings of one comparison, without duplicates."""

    found: dict[str, Finding] = field(default_factory=dict[str, Finding])

    def add(
        self, change: Change, place: str, what: str, old: Any = None, new: Any = None, **more: Any
    ) -> None:
        """Add a finding; `old` and `new` are the affected part as it stands in each contract."""
        sides = canonical_json(old), canonical_json(new)
        finding = Finding(change, place, what, sides=sides, **more)
        self.found.setdefault(finding.id, finding)

    def merged(self) -> list[Finding]:
        """Return the findings; the same change in several places becomes one finding."""
        result: dict[str, Finding] = {}
        for finding in self.found.values():
            key = canonical_json([finding.change, finding.what, finding.sides, finding.witness])
            first = result.get(key)
            result[key] = replace(first, also=(*first.also, finding.place)) if first else finding
        return list(result.values())


Version = tuple[int, int, int]
VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?")
VERDICTS = ("breaking", "addition", "words")
KEYS = {"finding", "verdict", "reason", "date"}


@dataclass
class Verdict:
    """Two contracts, their findings, and the version that the findings require."""

    base: Contract
    head: Contract
    findings: list[Finding]
    stale: list[str]  # entries of compat.yaml that match no finding
    not_compared: str = ""  # why the Python interface was not compared

    def weight(self, part: str | None = None) -> Change:
        """Return the most severe change of a part, or of all parts."""
        weights = (finding.weight for finding in self.findings if part in {None, finding.part})
        return max(weights, default=Change.NONE)

    @property
    def least(self) -> Version:
        """Return the lowest version that SemVer allows; before 1.0, a break is a minor step."""
        major, minor, patch = parse_version(self.base)
        weight = self.weight()
        if weight == Change.NONE:
            return major, minor, patch
        if weight >= Change.UNDECIDED and major:
            return major + 1, 0, 0
        if weight >= Change.UNDECIDED or (weight == Change.ADDITION and major):
            return major, minor + 1, 0
        return major, minor, patch + 1

    @property
    def is_high_enough(self) -> bool:
        """Return whether the new version is at least the lowest that SemVer allows."""
        return parse_version(self.head) >= self.least

    @property
    def in_order(self) -> bool:
        """Return whether the version is high enough, and compat.yaml has no stale entry."""
        return self.is_high_enough and not self.stale


def make_verdict(
    base: Contract, head: Contract, findings: list[Finding], decisions: list[dict[str, Any]]
) -> Verdict:
    """Return the verdict, with the decisions of compat.yaml applied."""
    left = {str(decision["finding"]): decision for decision in decisions}
    decided = [replace(finding, decision=left.pop(finding.id, None)) for finding in findings]
    decided.sort(key=lambda finding: (-finding.change, finding.part != "wire", finding.place))
    return Verdict(base, head, decided, list(left))


def parse_version(contract: Contract) -> Version:
    """Return major, minor and patch; raise CannotCompareError if there are none."""
    found = VERSION.fullmatch(contract.version)
    if not found:
        raise contract.error(
            f"info.version {contract.version!r} is not a semantic version; "
            "write MAJOR.MINOR.PATCH in quotes"
        )
    return int(found[1]), int(found[2]), int(found[3])


def read_decisions(path: Path) -> list[dict[str, Any]]:
    """Return the entries of compat.yaml; raise CannotCompareError if one is incomplete."""
    try:
        entries: Any = yaml.safe_load(path.read_text("utf-8")) if path.exists() else []
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise CannotCompareError(f"{path} cannot be read ({error}); fix it") from None
    decisions: list[Any] = entries if is_list(entries) else [entries] if entries else []
    for entry in decisions:
        is_complete = is_mapping(entry) and set(entry) == KEYS
        if not (
            is_complete
            and entry["verdict"] in VERDICTS
            and str(entry["reason"] or "").strip()
            and isinstance(entry["date"], dt.date)
        ):
            raise CannotCompareError(
                f"{path}: expected finding, verdict ({', '.join(VERDICTS)}), reason and date "
                f"(2026-01-31), got {entry}; fix it"
            )
    return decisions

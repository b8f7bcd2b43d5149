"""The findings of a comparison, the decisions in compat.yaml, and the resulting verdict."""

import datetime as dt
import hashlib
from dataclasses import dataclass, replace
from enum import IntEnum
from pathlib import Path
from typing import Any

import yaml

from scripts.compatibility.values import canonical_json, is_list, is_mapping
from scripts.documents import Contract, ContractError, parse_version


class Severity(IntEnum):
    """The severity of a change. UNDECIDED requires the same version bump as BREAKING."""

    NONE = 0
    WORDS = 1
    ADDITION = 2
    UNDECIDED = 3
    BREAKING = 4

    @property
    def word(self) -> str:
        """Return the severity in lower case, as in reports and compat.yaml."""
        return self.name.lower()


@dataclass(frozen=True)
class Finding:
    """A single change between two contracts."""

    severity: Severity
    place: str
    what: str
    interface: str = "wire"  # or "python"
    sides: tuple[Any, Any] = (None, None)  # the changed part in the old and in the new contract
    also: tuple[str, ...] = ()  # other places where the same change occurs
    witness: Any = None  # a value that demonstrates the breaking change
    shown: tuple[str, ...] = ()  # the lines that the report shows as evidence
    removed: bool = False  # whether the change removes a response
    decision: dict[str, Any] | None = None  # the finding's entry in compat.yaml

    @property
    def id(self) -> str:
        """Return an id that is the same in every run."""
        old, new = map(canonical_json, self.sides)
        text = canonical_json([self.interface, self.place, *self.also, self.what, old, new])
        return hashlib.sha256(text.encode()).hexdigest()[:10]

    @property
    def final_severity(self) -> Severity:
        """Return the severity that compat.yaml assigns, or else the severity of the change."""
        verdict = self.decision["verdict"] if self.decision else self.severity.word
        return Severity[verdict.upper()]


def merged(findings: list[Finding]) -> list[Finding]:
    """Return one finding per change, with all places where the change occurs."""
    result: dict[str, Finding] = {}
    for finding in findings:
        key = canonical_json([finding.severity, finding.what, finding.sides, finding.witness])
        first = result.setdefault(key, finding)
        if finding.place not in {first.place, *first.also}:
            result[key] = replace(first, also=(*first.also, finding.place))
    return list(result.values())


VERDICTS = ("breaking", "addition", "words")
KEYS = {"finding", "verdict", "reason", "date"}


@dataclass
class Verdict:
    """The result of a comparison: both contracts, the findings, and the required version."""

    base: Contract
    head: Contract
    findings: list[Finding]
    stale: list[str]  # entries in compat.yaml that match no finding
    not_compared: str = ""  # why the Python interface was not compared

    def severity(self, interface: str | None = None) -> Severity:
        """Return the highest severity of the changes to `interface`, or of all changes if None."""
        highest = Severity.NONE
        for finding in self.findings:
            if interface in {None, finding.interface}:
                highest = max(highest, finding.final_severity)
        return highest

    @property
    def _least(self) -> tuple[int, ...]:
        """Return `least_version` as a tuple of numbers."""
        major, minor, patch = parse_version(self.base)
        severity = self.severity()
        may_break = severity >= Severity.UNDECIDED
        if severity == Severity.NONE:
            return major, minor, patch
        if may_break and major:
            return major + 1, 0, 0
        if may_break or (severity == Severity.ADDITION and major):
            return major, minor + 1, 0
        return major, minor, patch + 1

    @property
    def least_version(self) -> str:
        """Return the lowest version, such as `1.2.0`, that SemVer allows for the new contract."""
        return ".".join(map(str, self._least))

    @property
    def is_high_enough(self) -> bool:
        """Return whether SemVer allows the new version."""
        return parse_version(self.head) >= self._least

    @property
    def in_order(self) -> bool:
        """Return whether the version is high enough and compat.yaml has no stale entries."""
        return self.is_high_enough and not self.stale


def make_verdict(
    base: Contract, head: Contract, findings: list[Finding], decisions: dict[str, Any]
) -> Verdict:
    """Apply the decisions from compat.yaml to the findings, and return the verdict."""
    unused = dict(decisions)
    decided: list[Finding] = []
    for finding in sorted(findings, key=_rank):
        decision = unused.pop(finding.id, None)
        decided.append(replace(finding, decision=decision))
    return Verdict(base, head, decided, list(unused))


def _rank(finding: Finding) -> tuple[Any, ...]:
    return -finding.severity, finding.removed, finding.interface != "wire", finding.place


def read_decisions(path: Path) -> dict[str, Any]:
    """Map finding ids to compat.yaml's entries; raise ContractError if an entry is invalid."""
    try:
        text = path.read_text("utf-8") if path.exists() else ""
        entries: Any = yaml.safe_load(text)
    except (OSError, ValueError, yaml.YAMLError) as error:  # ValueError: invalid UTF-8 or date
        what = " ".join(str(error).split())
        raise ContractError(f"{path} cannot be read ({what}); correct the file") from None
    if entries is None:  # the file is missing or contains only comments
        entries = []
    if not is_list(entries):
        raise ContractError(
            f"{path}: expected a list whose entries each start with '- ', got {entries}; correct "
            "the file"
        )
    decisions: dict[str, Any] = {}
    for entry in entries:
        if not _is_valid(entry):
            raise ContractError(
                f"{path}: expected an entry with finding, verdict ({', '.join(VERDICTS)}), reason "
                f"and date (such as 2026-01-31), got {entry}; correct the entry"
            )
        name = str(entry["finding"])
        if name in decisions:
            raise ContractError(f"{path}: finding {name} has several entries; keep only one")
        decisions[name] = entry
    return decisions


def _is_valid(entry: object) -> bool:
    if not is_mapping(entry) or entry.keys() != KEYS:
        return False
    reason = str(entry["reason"] or "").strip()
    is_dated = isinstance(entry["date"], dt.date)
    return is_dated and reason != "" and entry["verdict"] in VERDICTS

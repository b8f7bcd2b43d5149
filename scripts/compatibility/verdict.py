"""The verdict: which step of the version the findings need, and whether it was made."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from scripts.compatibility.documents import CannotCompareError
from scripts.compatibility.findings import Change, Finding
from scripts.compatibility.json_values import is_list, is_mapping

if TYPE_CHECKING:
    from pathlib import Path

    from scripts.compatibility.documents import Contract

VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?")
STEPS = ("none", "patch", "minor", "major")
# SemVer, and what it means before 1.0.
STABLE = {Change.BREAKING: "major", Change.UNDECIDED: "major", Change.ADDITION: "minor"}
INITIAL = {Change.BREAKING: "minor", Change.UNDECIDED: "minor", Change.ADDITION: "patch"}
VERDICTS = ("breaking", "addition", "words")
KEYS = {"finding", "verdict", "reason", "date"}


@dataclass
class Verdict:
    """Two contracts, their findings, and what follows for the version."""

    base: Contract
    head: Contract
    findings: list[Finding]
    stale: list[str]  # entries of compat.yaml that match no finding
    not_compared: str = ""  # why the Python interface was not compared

    def weight(self, part: str | None = None) -> Change:
        """Return the heaviest finding of a part, or of all."""
        weights = (finding.weight for finding in self.findings if part in {None, finding.part})
        return max(weights, default=Change.NONE)

    @property
    def due(self) -> str:
        """Return the smallest step that the findings need."""
        weight = self.weight()
        if weight == Change.NONE or (weight == Change.WORDS and not self.base.released):
            return "none"
        return (STABLE if core(self.base)[0] else INITIAL).get(weight, "patch")

    @property
    def step(self) -> str:
        """Return the step that the version made, or `backwards`."""
        old = core(self.base)
        new = core(self.head)
        if new < old:
            return "backwards"
        changed = (name for name, a, b in zip(STEPS[:0:-1], old, new, strict=True) if a != b)
        return next(changed, "none")

    @property
    def least(self) -> str:
        """Return the smallest version that is high enough."""
        major, minor, patch = core(self.base)
        return {
            "major": f"{major + 1}.0.0",
            "minor": f"{major}.{minor + 1}.0",
            "patch": f"{major}.{minor}.{patch + 1}",
            "none": self.base.version,
        }[self.due]

    @property
    def step_is_enough(self) -> bool:
        """Return whether the version is high enough."""
        return self.step != "backwards" and STEPS.index(self.step) >= STEPS.index(self.due)

    @property
    def in_order(self) -> bool:
        """Return whether the version is high enough, and compat.yaml has no stale entry."""
        return self.step_is_enough and not self.stale


def judge(
    base: Contract, head: Contract, findings: list[Finding], decisions: list[dict[str, Any]]
) -> Verdict:
    """Return the verdict, with the decisions of compat.yaml applied."""
    left = {str(decision["finding"]): decision for decision in decisions}
    decided = [replace(finding, decision=left.pop(finding.id, None)) for finding in findings]
    decided.sort(key=lambda finding: (-finding.change, finding.part != "wire", finding.place))
    return Verdict(base, head, decided, list(left))


def core(contract: Contract) -> tuple[int, int, int]:
    """Return the version's numbers; raise CannotCompareError if it is not a semantic version."""
    found = VERSION.fullmatch(contract.version)
    if not found:
        raise contract.error(
            f"info.version {contract.version!r} is not a semantic version; "
            "write MAJOR.MINOR.PATCH in quotes"
        )
    return int(found[1]), int(found[2]), int(found[3])


def read_decisions(path: Path) -> list[dict[str, Any]]:
    """Return the entries of compat.yaml; raise CannotCompareError if one is incomplete."""
    import yaml  # noqa: PLC0415 # only if there is a file

    try:
        entries: Any = yaml.safe_load(path.read_text("utf-8")) if path.exists() else []
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise CannotCompareError(f"{path} cannot be read ({error}); fix it") from None
    decisions: list[Any] = entries if is_list(entries) else [entries] if entries else []
    for entry in decisions:
        known = entry if is_mapping(entry) else {}
        if set(known) != KEYS:
            raise CannotCompareError(
                f"{path}: expected finding, verdict, reason and date, got {entry}; fix it"
            )
        if known["verdict"] not in VERDICTS:
            raise CannotCompareError(f"{path}: verdict must be one of {VERDICTS}: {entry}")
        if not str(known["reason"] or "").strip() or not isinstance(known["date"], dt.date):
            raise CannotCompareError(f"{path}: needs a reason, and a date as 2026-01-31: {entry}")
    return decisions

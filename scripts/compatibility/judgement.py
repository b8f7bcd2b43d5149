"""What two contracts differ in, as a whole: what was found, what is due, what is in order."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from scripts.compatibility import interface, wire, words
from scripts.compatibility.documents import CannotCompareError
from scripts.compatibility.findings import Change, Finding, told
from scripts.compatibility.shapes import is_list, is_mapping
from scripts.compatibility.validity import must_be_valid

if TYPE_CHECKING:
    from pathlib import Path

    from scripts.compatibility.documents import Contract

VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?")
STEPS = {
    Change.BREAKING: "major",
    Change.UNDECIDED: "major",
    Change.ADDITION: "minor",
    Change.WORDS: "patch",
    Change.NONE: "none",
}
VERDICTS = ("breaking", "addition", "words")
WORD = {"finding", "verdict", "reason", "date"}


@dataclass
class Judgement:
    """Two contracts, their findings, and whether the version's step is the one that is due."""

    base: Contract
    head: Contract
    findings: list[Finding] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)  # words of humans that match nothing

    def weight(self, part: str | None = None) -> Change:
        """The heaviest finding of a part, or of all."""
        weights = (each.weight for each in self.findings if part in {None, each.part})
        return max(weights, default=Change.NONE)

    @property
    def due(self) -> str:
        """The least step of the version: `major`, `minor`, `patch` or `none`."""
        if self.weight() == Change.WORDS and not self.base.released:
            return "none"
        return STEPS[self.weight()]

    @property
    def step(self) -> str:
        """The step that the version made: `backwards` where it went back."""
        old, new = _core(self.base), _core(self.head)
        if new < old:
            return "backwards"
        names = ("major", "minor", "patch")
        return next((name for name, a, b in zip(names, old, new, strict=True) if a != b), "none")

    @property
    def least(self) -> str:
        """The least version that is in order."""
        major, minor, patch = _core(self.base)
        versions = {"major": f"{major + 1}.0.0", "minor": f"{major}.{minor + 1}.0"}
        versions |= {"patch": f"{major}.{minor}.{patch + 1}", "none": self.base.version}
        return versions[self.due]

    @property
    def in_order(self) -> bool:
        """Whether the version says at least what changed, and every word of a human is needed."""
        if self.step == "backwards" or self.stale:
            return False
        order = ("none", "patch", "minor", "major")
        return order.index(self.step) >= order.index(self.due)


def judge(
    base: Contract, head: Contract, said: list[dict[str, Any]], *, python: bool = True
) -> Judgement:
    """Both contracts compared, and what humans said of it heard; raises CannotCompareError."""
    made = Judgement(base, head)
    for each in (base, head):
        _core(each)
    if told(base.document) != told(head.document):
        for each in (base, head):
            must_be_valid(each)
        made.findings = wire.compare(base, head)
        made.findings += words.compare(base, head, changed=bool(made.findings))
        made.findings += interface.compare(base, head) if python else []
    known = {each["finding"]: each for each in said}
    made.findings = sorted(
        (replace(each, word=known.pop(each.id, None)) for each in made.findings),
        key=lambda each: (-each.change, each.part != "wire", each.place),
    )
    made.stale = list(known)
    return made


def _core(contract: Contract) -> tuple[int, int, int]:
    found = VERSION.fullmatch(contract.version)
    if not found:
        raise CannotCompareError(
            f"{contract.source}: info.version {contract.version!r} is no semantic version; "
            "write it as MAJOR.MINOR.PATCH, in quotes"
        )
    return int(found[1]), int(found[2]), int(found[3])


def said_in(path: Path) -> list[dict[str, Any]]:
    """What humans said of findings, in that file; raises CannotCompareError."""
    import yaml  # noqa: PLC0415 # only where there is something to read

    try:
        entries: Any = yaml.safe_load(path.read_text("utf-8")) if path.exists() else []
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise CannotCompareError(f"{path} cannot be read ({error}); mend it") from None
    said = entries if is_list(entries) else [entries] if entries else []
    for each in said:
        _must_be_a_word(path, each)
    return said


def _must_be_a_word(path: Path, entry: Any) -> None:
    known = entry if is_mapping(entry) else {}
    if set(known) != WORD:
        raise CannotCompareError(
            f"{path}: an entry has finding, verdict, reason and date, not {entry}"
        )
    if known["verdict"] not in VERDICTS:
        raise CannotCompareError(f"{path}: verdict is one of {', '.join(VERDICTS)}: {entry}")
    if not str(known["reason"] or "").strip() or not isinstance(known["date"], dt.date):
        raise CannotCompareError(f"{path}: a reason, and a date as 2026-01-31, are needed: {entry}")

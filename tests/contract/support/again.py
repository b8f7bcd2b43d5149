"""Support for `--again`, which repeats the promises that were broken in an earlier run."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from support.exchange import NoVerdictError


@dataclass
class Again:
    """The results from an earlier run and from the first round of this run."""

    seed: int
    with_findings: set[str]  # names of promises with at least one finding
    broken: set[str]  # names of broken promises
    broken_in_first_round: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, file: Path) -> Self:
        """Read an earlier verdict; raise `NoVerdictError` if it is invalid or has no findings."""
        try:
            verdict = json.loads(file.read_text("utf-8"))
            promises = verdict["promises"]
            found = {promise["name"] for promise in promises if promise["findings"]}
            broken = {promise["name"] for promise in promises if promise["outcome"] == "broken"}
            earlier = cls(verdict["seed"], found, broken)
        except (OSError, ValueError, LookupError, TypeError):
            reason = f"--again {file}: not a valid verdict"
            raise NoVerdictError(reason, "pass the verdict.json of an earlier run") from None
        if not found:
            reason = f"--again {file}: that run had no findings"
            raise NoVerdictError(reason, "run without --again, or pass another verdict.json")
        return earlier

    def result_of(self, promise: str, outcome: str) -> str | None:
        """Return `fixed`, `still broken` or `flaky`; None if the promise was never broken."""
        if promise in self.broken_in_first_round:
            return "still broken"
        if promise in self.broken:
            return "flaky" if outcome == "broken" else "fixed"
        return None

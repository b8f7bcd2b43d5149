"""`--again`: repeats the promises that were broken in an earlier run."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from support.exchange import NoVerdictError


@dataclass
class Again:
    """The results of the earlier run, and of the first round of this one."""

    seed: int
    met: set[str]  # names of the promises with a finding
    broken: set[str]
    broken_at_once: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, file: Path) -> Self:
        """Read the earlier verdict; raise `NoVerdictError` if nothing in it can be repeated."""
        try:
            verdict = json.loads(file.read_text("utf-8"))
            promises = verdict["promises"]
            met = {promise["name"] for promise in promises if promise["findings"]}
            broken = {promise["name"] for promise in promises if promise["outcome"] == "broken"}
            earlier = cls(verdict["seed"], met, broken)
        except (OSError, ValueError, LookupError, TypeError):
            reason = f"--again {file}: cannot be read as a verdict"
            raise NoVerdictError(reason, "give the verdict.json of a run") from None
        if not met:
            reason = f"--again {file}: that run had no finding"
            raise NoVerdictError(reason, "run without --again, or give another verdict.json")
        return earlier

    def what_became_of(self, promise: str, outcome: str) -> str | None:
        """Return whether a promise is fixed, still broken or flaky; None if it never broke."""
        if promise in self.broken_at_once:
            return "still broken"
        if promise in self.broken:
            return "flaky" if outcome == "broken" else "fixed"
        return None

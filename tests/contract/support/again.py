"""Support for `--again`, which repeats the promises that were broken in an earlier run."""

import json
from pathlib import Path

from support.exchange import NoVerdictError


def read_earlier(file: Path) -> tuple[int, dict[str, str]]:
    """Return an earlier run's seed, and the outcome of each promise that had findings.

    Raise `NoVerdictError` if the file is not a verdict or contains no findings.
    """
    try:
        verdict = json.loads(file.read_text("utf-8"))
        promises = [promise for promise in verdict["promises"] if promise["findings"]]
        outcomes = {promise["name"]: promise["outcome"] for promise in promises}
        seed = int(verdict["seed"])
    except (OSError, ValueError, LookupError, TypeError):
        reason = f"--again {file}: not a valid verdict"
        raise NoVerdictError(reason, "pass the verdict.json of an earlier run") from None
    if not outcomes:
        reason = f"--again {file}: that run had no findings"
        raise NoVerdictError(reason, "run without --again, or pass another verdict.json")
    return seed, outcomes

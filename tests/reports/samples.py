"""A sample verdict for each possible result."""

import copy
from functools import partial
from pathlib import Path
from typing import Any

import yaml

Verdict = dict[str, Any]

FOLDER = Path(__file__).parent
BROKEN: Verdict = yaml.safe_load((FOLDER / "broken.yaml").read_text("utf-8"))
CHANGES: Verdict = yaml.safe_load((FOLDER / "samples.yaml").read_text("utf-8"))


def broken() -> Verdict:
    """Return a verdict with seven findings and a note."""
    return copy.deepcopy(BROKEN)


def _changed(name: str) -> Verdict:
    """Return the verdict that samples.yaml describes under this name."""
    changes = copy.deepcopy(CHANGES[name])
    verdict = broken()
    finding = changes.get("finding")
    verdict["findings"] = [verdict["findings"][0] | finding] if finding else []
    for promise in verdict["promises"]:
        own = changes.get("promises", {}).get(promise["name"], {})
        promise.update(outcome="kept", reason="", findings=[])
        promise.update(changes.get("every_promise", {}) | own)
    verdict.update(changes["verdict"])
    return verdict


ALL = {name: partial(_changed, name) for name in CHANGES} | {"broken": broken}
kept = ALL["kept"]
accepted = ALL["accepted"]
no_verdict = ALL["no verdict"]
not_tested = ALL["not tested"]

"""A sample verdict for each possible result."""

import copy
from pathlib import Path
from typing import Any

import yaml

Verdict = dict[str, Any]

SOURCES = ("page", "vendor", "ours")
DEVIATION = {
    "reason": "readers may update until the roles are done",
    "link": "https://tracker.example/1",
    "date": "2026-11-23",
}
# The environment variable that each promise requires, with a description of the variable.
VARIABLES = {
    "test_member_can_update[ADMIN]": ("FLASHBACK_ADMIN_TOKEN", "a token for an ADMIN member"),
    "test_reader_cannot_update": ("FLASHBACK_READER_TOKEN", "a token for a READ member"),
    "test_stranger_cannot_update": (
        "FLASHBACK_STRANGER_TOKEN",
        "a token for a user who is not a member",
    ),
    "test_name_is_unique_in_its_workspace": (
        "FLASHBACK_SIBLING_AI_LLM_ID",
        "another throwaway configuration in the workspace",
    ),
    "test_expired_token_answers_401": ("FLASHBACK_EXPIRED_TOKEN", "a token that has expired"),
}


BROKEN: Verdict = yaml.safe_load(Path(__file__).with_name("broken.yaml").read_text("utf-8"))


def broken() -> Verdict:
    """Return a verdict with six findings and a note."""
    return copy.deepcopy(BROKEN)


def kept() -> Verdict:
    """Return a verdict without findings."""
    verdict = broken() | {"result": "kept", "exit_status": 0, "findings": []}
    for promise in verdict["promises"]:
        promise |= {"outcome": "kept", "findings": []}
    return _with_counts(verdict)


def accepted() -> Verdict:
    """Return a verdict whose only finding is an accepted deviation."""
    [finding, *_] = broken()["findings"]
    finding |= {"severity": "accepted", "decides": False, "accepted": DEVIATION}
    verdict = kept() | {"result": "kept except for accepted deviations", "findings": [finding]}
    for promise in verdict["promises"]:
        if promise["name"] == finding["promise"]:
            promise |= {"outcome": "accepted", "findings": [finding["id"]]}
    return _with_counts(verdict)


def no_verdict() -> Verdict:
    """Return the verdict of a run that could not test the backend."""
    verdict = kept() | {
        "result": "no verdict",
        "exit_status": 2,
        "reason": "GET and PUT requests are redirected to https://login.example/.",
        "cure": "Give the URL of the API itself with --backend-url.",
        "requests": 2,
    }
    for promise in verdict["promises"]:
        promise |= {"outcome": "not tested", "reason": "the run ended before", "requests": 0}
    return _with_counts(verdict)


def not_tested() -> Verdict:
    """Return the verdict of a --require-all run in which most variables are missing."""
    reason = "7 promises were not tested, and --require-all is set."
    verdict = kept() | {"exit_status": 1, "reason": reason}
    verdict["selection"]["require_all"] = True
    verdict["missing_variables"] = []
    reasons = {
        "test_answer[carries no credential]": "hidden by `500:json:malformed`",
        "test_500_is_documented_json": "no response with this status was seen",
    }
    for promise, (name, meaning) in VARIABLES.items():
        reasons[promise] = f"set {name}: {meaning}"
        verdict["missing_variables"].append({"name": name, "meaning": meaning, "promises": 1})
    for promise in verdict["promises"]:
        if promise["name"] in reasons:
            reason = reasons[promise["name"]]
            promise |= {"outcome": "not tested", "reason": reason, "requests": 0}
    return _with_counts(verdict)


def _with_counts(verdict: Verdict) -> Verdict:
    counts = {"kept": 0, "broken": 0, "accepted": 0, "not_tested": 0}
    for promise in verdict["promises"]:
        counts[promise["outcome"].replace(" ", "_")] += 1
    by_source: dict[str, dict[str, int]] = {}
    for source in SOURCES:
        by_source[source] = {"broken": 0, "accepted": 0, "notes": 0}
    for finding in verdict["findings"]:
        by_source[finding["source"]][finding["severity"]] += 1
    return verdict | {"counts": counts, "by_source": by_source}


ALL = {
    "kept": kept,
    "broken": broken,
    "accepted": accepted,
    "no verdict": no_verdict,
    "not tested": not_tested,
}

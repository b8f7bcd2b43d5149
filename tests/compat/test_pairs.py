"""Tests for the verdict on each pair of contracts in pairs.yaml."""

from __future__ import annotations

import datetime as dt
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.compatibility import comparison, containment
from scripts.compatibility.findings import Change, Finding
from scripts.compatibility.operations import status_pairs
from scripts.compatibility.schemas import Schema, covers
from tests.compat.edits import contract, edited, worst

HERE = Path(__file__).parent
SHOP: dict[str, Any] = yaml.safe_load((HERE / "shop.yaml").read_text("utf-8"))
PAIRS: list[dict[str, Any]] = yaml.safe_load((HERE / "pairs.yaml").read_text("utf-8"))


def compared(base: dict[str, Any], head: dict[str, Any]) -> list[Finding]:
    """Return the findings from comparing two documents."""
    return comparison.compare(contract(base), contract(head))


@pytest.mark.parametrize("pair", PAIRS, ids=[pair["name"] for pair in PAIRS])
def test_pair_gets_its_verdict_in_both_directions(pair: dict[str, Any]) -> None:
    """Each edit and its reverse get their expected verdicts.

    If the expected verdict is `breaking*`, every breaking finding includes evidence.
    """
    base = edited(SHOP, pair.get("first", []))
    head = edited(base, pair["edit"])
    for expected, old, new in ((pair["there"], base, head), (pair["back"], head, base)):
        started = time.process_time()
        findings = compared(old, new)
        assert time.process_time() - started < 5
        change = worst(findings)
        got = "same" if change <= Change.WORDS else change.word
        assert got == expected.rstrip("*")
        for finding in findings:
            if expected.endswith("*") and finding.change == Change.BREAKING:
                assert finding.shown


def test_a_range_may_cover_only_documented_statuses() -> None:
    """A contract may document a range and also each of the 100 statuses in the range."""
    statuses: dict[str, Any] = {str(status): {} for status in range(400, 500)}
    assert len(status_pairs({"4XX": {}}, statuses)) == 100


def test_example_dates_have_no_year_zero() -> None:
    """Findings never show a date in the year 0, which many date libraries reject."""
    field = "/components/schemas/NewOrder/properties/item"
    base = edited(SHOP, [{"at": field, "set": {"type": "string", "format": "date"}}])
    head = edited(SHOP, [{"at": field, "set": {"type": "string", "format": "email"}}])
    (finding,) = compared(base, head)
    assert dt.date.fromisoformat(finding.witness["item"]).year


def test_a_comparison_searches_a_limited_number_of_changes() -> None:
    """Of 40 changed patterns, at least 10 are reported as breaking, and the rest as undecided."""
    base: dict[str, Any] = {}
    head: dict[str, Any] = {}
    for length in range(40):
        base[f"f{length}"] = {"type": "string", "pattern": f"^[a-z]{{{length},}}$"}
        head[f"f{length}"] = {"type": "string", "pattern": f"^[a-y]{{{length},}}$"}
    changes = _changes({"properties": base}, {"properties": head})
    assert changes.count(Change.BREAKING) >= 10
    assert changes.count(Change.UNDECIDED) == 40 - changes.count(Change.BREAKING)


def test_many_conditions_are_searched_within_the_time_limit() -> None:
    """scripts/compat finds a breaking change among many conditions in less than 5 s."""
    kind: dict[str, Any] = {"required": ["kind"], "properties": {"kind": {"enum": [*range(8)]}}}
    base: list[Any] = []
    head: list[Any] = []
    for i in range(8):
        condition = {"properties": {"kind": {"const": i}}, "required": ["kind"]}
        base.append({"if": condition, "then": {"required": [f"f{i}"]}})
        head.append({"if": condition, "then": {"required": [f"f{i}", "x"]}})
    started = time.process_time()
    assert Change.BREAKING in _changes({**kind, "allOf": base}, {**kind, "allOf": head})
    assert time.process_time() - started < 5


def test_a_schema_that_operations_share_is_compared_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time to compare a changed schema does not depend on how many operations use it."""
    proofs: list[Schema] = []

    def count(large: Schema, small: Schema) -> bool:
        proofs.append(small)
        return covers(large, small)

    monkeypatch.setattr(containment, "covers", count)
    documents: list[dict[str, Any]] = []
    for size in (50, 40):
        content = {"application/json": {"schema": {"type": "string", "maxLength": size}}}
        item = {"put": {"responses": {"200": {"content": content}}}}
        paths = {f"/{number}": item for number in range(9)}
        documents.append({"info": {"version": "1.0.0"}, "paths": paths})
    (finding,) = compared(*documents)
    assert len(finding.also) == 8
    assert len(proofs) == 2


def _changes(base: dict[str, Any], head: dict[str, Any]) -> list[Change]:
    documents: list[dict[str, Any]] = []
    for schema in (base, head):
        new_order = {"type": "object", **schema}
        documents.append(edited(SHOP, [{"at": "/components/schemas/NewOrder", "set": new_order}]))
    return [finding.change for finding in compared(*documents)]


def test_a_new_default_response_is_shown_as_default() -> None:
    """The evidence for a new `default` response says `default`, not a status that it covers."""
    default = "/paths/~1orders/post/responses/default"
    base = edited(SHOP, [{"at": default, "remove": True}])
    (finding,) = compared(base, SHOP)
    assert finding.shown[1] == "POST /orders → default"


def test_added_and_removed_alternatives_are_shown_with_their_position() -> None:
    """A finding gives an alternative's position, because long alternatives can look the same."""
    item = "/components/schemas/NewOrder/properties/item"
    alternatives: list[dict[str, Any]] = [
        {"type": "object", "maxProperties": size} for size in (3, 5, 9)
    ]
    base = edited(SHOP, [{"at": item, "set": {"anyOf": alternatives[:2]}}])
    head = edited(SHOP, [{"at": item, "set": {"anyOf": alternatives}}])
    (finding,) = compared(base, head)
    assert "with [2] {" in finding.what
    (finding,) = compared(head, base)
    assert "without [2] {" in finding.what

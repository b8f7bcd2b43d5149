"""Pairs of contracts as data: the verdict on each one, in both directions."""

from __future__ import annotations

import datetime as dt
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.compatibility import comparison
from scripts.compatibility.findings import Change, Finding
from tests.compat.edits import contract, edited

HERE = Path(__file__).parent
SHOP: dict[str, Any] = yaml.safe_load((HERE / "shop.yaml").read_text("utf-8"))
PAIRS: list[dict[str, Any]] = yaml.safe_load((HERE / "pairs.yaml").read_text("utf-8"))


def compared(base: dict[str, Any], head: dict[str, Any]) -> list[Finding]:
    """Return the findings about two documents."""
    return comparison.compare(contract(base), contract(head))


@pytest.mark.parametrize("pair", PAIRS, ids=[pair["name"] for pair in PAIRS])
def test_pair_gets_its_verdict_in_both_directions(pair: dict[str, Any]) -> None:
    """Each direction gets the verdict in pairs.yaml, with evidence if the verdict has a star."""
    base = edited(SHOP, pair.get("first", []))
    head = edited(base, pair["edit"])
    for expected, old, new in ((pair["there"], base, head), (pair["back"], head, base)):
        started = time.process_time()
        findings = compared(old, new)
        assert time.process_time() - started < 5
        change = max((finding.change for finding in findings), default=Change.NONE)
        got = "same" if change <= Change.WORDS else change.word
        assert got == expected.rstrip("*")
        if expected.endswith("*"):
            breaking = [finding for finding in findings if finding.change == Change.BREAKING]
            assert all(finding.shown for finding in breaking)


def test_witnesses_are_dates_of_the_calendar() -> None:
    """A witness never has the year 0: RFC 3339 allows it, but Python and Java do not."""
    field = "/components/schemas/NewOrder/properties/item"
    base = edited(SHOP, [{"at": field, "set": {"type": "string", "format": "date"}}])
    head = edited(SHOP, [{"at": field, "set": {"type": "string", "format": "email"}}])
    witnesses = [finding.witness["item"] for finding in compared(base, head) if finding.witness]
    assert witnesses
    assert all(dt.date.fromisoformat(witness) for witness in witnesses)


def test_a_comparison_tries_a_fixed_number_of_values() -> None:
    """Of 40 changed patterns, some are searched, and the report calls the others undecided."""
    documents: list[dict[str, Any]] = []
    for last in "zy":
        fields = {
            f"f{i}": {"pattern": f"^[a-{last}]{{{i},}}$", "type": "string"} for i in range(40)
        }
        schema = {"type": "object", "properties": fields}
        documents.append(edited(SHOP, [{"at": "/components/schemas/NewOrder", "set": schema}]))
    findings = compared(*documents)
    breaking = [finding for finding in findings if finding.change == Change.BREAKING]
    left = [finding for finding in findings if "too many changes to search all" in finding.what]
    assert len(findings) == 40
    assert len(breaking) >= 10
    assert len(left) == 40 - len(breaking)


@pytest.mark.parametrize(
    ("narrow", "wide", "request_says", "response_says"),
    [
        ({"maxLength": 9}, {"maxLength": 10}, "accepts more (", "promises more ("),
        (
            {"enum": ["a", "b"]},
            {"pattern": "^[ab]$", "type": "string"},
            *("may accept more (", "may promise more ("),
        ),
    ],
)
def test_an_addition_is_certain_only_with_a_value(
    narrow: dict[str, Any], wide: dict[str, Any], request_says: str, response_says: str
) -> None:
    """A report says `accepts more` only if the comparison found a value that was not valid."""
    for name, schemas, expected in (
        ("NewOrder", (narrow, wide), request_says),
        ("Order", (wide, narrow), response_says),
    ):
        place = f"/components/schemas/{name}/properties/to"
        documents = [edited(SHOP, [{"at": place, "set": schema}]) for schema in schemas]
        findings = compared(*documents)
        assert findings
        assert all(finding.what.startswith(expected) for finding in findings)

"""Tests for the verdict on each pair of contracts in pairs.yaml."""

from __future__ import annotations

import datetime as dt
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.compatibility import schema_changes
from scripts.compatibility.findings import Change
from scripts.compatibility.schemas import Schema, covers
from tests.compat.edits import compared, compared_schemas, edited, with_schema, worst

HERE = Path(__file__).parent
SHOP: dict[str, Any] = yaml.safe_load((HERE / "shop.yaml").read_text("utf-8"))
PAIRS: list[dict[str, Any]] = yaml.safe_load((HERE / "pairs.yaml").read_text("utf-8"))


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


def test_example_dates_have_no_year_zero() -> None:
    """Findings never show a date in the year 0, which many date libraries reject."""
    (finding,) = compared_schemas({"type": "string", "format": "date"}, {"format": "email"})
    assert dt.date.fromisoformat(finding.witness).year


def test_the_id_of_a_finding_depends_on_its_field_and_places() -> None:
    """A decision stays valid if other fields change, but not if the field changes elsewhere too."""
    old = {"properties": {"a": {"maxLength": 9}}}
    new = {"properties": {"a": {"maxLength": 5}}}
    more = {"properties": {"a": {"maxLength": 5}, "b": {}}}
    (alone,) = compared_schemas(old, new)
    (among_others,) = compared_schemas(old, more)
    (in_two_places,) = compared(with_schema(old, paths=2), with_schema(new, paths=2))
    assert alone.id == among_others.id
    assert alone.id != in_two_places.id


def test_examples_with_many_fields_are_shortened() -> None:
    """If an example has many fields, a finding shows only the first ones and the total number."""
    (finding,) = compared_schemas({"type": "object"}, {"type": "object", "maxProperties": 20})
    assert finding.shown[-1].endswith(", … (21 in total)}")


def test_a_schema_that_operations_share_is_compared_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time to compare a changed schema does not depend on how many operations use it."""
    proofs: list[Schema] = []

    def count(large: Schema, small: Schema) -> bool:
        proofs.append(small)
        return covers(large, small)

    monkeypatch.setattr(schema_changes, "covers", count)
    base = with_schema({"type": "string", "maxLength": 47}, "response", paths=9)
    head = with_schema({"type": "string", "maxLength": 43}, "response", paths=9)
    (finding,) = compared(base, head)
    assert len(finding.also) == 8
    assert len(proofs) == 2


def test_a_removed_field_is_shown_as_removed() -> None:
    """A finding says that a field was removed, and not only that its schema changed."""
    old = {"type": "object", "properties": {"a": {"type": "string"}}}
    (finding,) = compared_schemas(old, {"type": "object"}, "response")
    assert finding.place.endswith("field a")
    assert finding.what.startswith("is removed; can have an undocumented value")


def test_credentials_are_shown_with_their_scheme_and_scopes() -> None:
    """The findings for a scheme that changes under the same name do not contradict each other."""
    edit = {"at": "/components/securitySchemes/Token/scheme", "set": "basic"}
    whats = [finding.what for finding in compared(SHOP, edited(SHOP, [edit]))]
    assert "Token (http bearer) is no longer sufficient" in whats
    assert "Token (http basic) is now sufficient" in whats


def test_added_and_removed_alternatives_are_shown_with_their_position() -> None:
    """A finding gives an alternative's position, because long alternatives can look the same."""
    three = {"anyOf": [{"type": "object", "maxProperties": size} for size in (3, 5, 9)]}
    two = {"anyOf": three["anyOf"][:2]}
    (finding,) = compared_schemas(two, three)
    assert "with [2] {" in finding.what
    (finding,) = compared_schemas(three, two)
    assert "without [2] {" in finding.what

"""Pairs of contracts as data: the verdict on each one, in both directions."""

from __future__ import annotations

import copy
import datetime as dt
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.compatibility import comparison
from scripts.compatibility.documents import Contract
from scripts.compatibility.findings import Change

HERE = Path(__file__).parent
SHOP: dict[str, Any] = yaml.safe_load((HERE / "shop.yaml").read_text("utf-8"))
PAIRS: list[dict[str, Any]] = yaml.safe_load((HERE / "pairs.yaml").read_text("utf-8"))


def edited(document: dict[str, Any], edits: list[dict[str, Any]]) -> dict[str, Any]:
    """Return an edited copy."""
    made = copy.deepcopy(document)
    for edit in edits:
        holder, key = place(made, edit["at"])
        value = holder.pop(key) if "move" in edit or edit.get("remove") else edit["set"]
        if "move" in edit:
            holder, key = place(made, edit["move"])
        if key == "-":
            holder.append(value)
        elif not edit.get("remove"):
            holder[key] = value
    return made


def place(document: dict[str, Any], pointer: str) -> tuple[Any, Any]:
    """Return the container of the part at a pointer, and its key."""
    *way, last = (step.replace("~1", "/").replace("~0", "~") for step in pointer[1:].split("/"))
    found: Any = document
    for step in way:
        found = found[int(step) if isinstance(found, list) else step]
    return found, int(last) if isinstance(found, list) and last != "-" else last


def verdict(base: dict[str, Any], head: dict[str, Any]) -> tuple[str, bool]:
    """Return the verdict on the wire, and whether every break has evidence."""
    findings = comparison.compare(Contract(base, "base", ""), Contract(head, "head", ""))
    change = max((finding.change for finding in findings), default=Change.NONE)
    breaking = [finding for finding in findings if finding.change == Change.BREAKING]
    is_shown = bool(breaking) and all(finding.shown for finding in breaking)
    return ("same" if change <= Change.WORDS else change.word), is_shown


@pytest.mark.parametrize("pair", PAIRS, ids=[pair["name"] for pair in PAIRS])
def test_pair_gets_its_verdict_in_both_directions(pair: dict[str, Any]) -> None:
    """Each direction gets the verdict of pairs.yaml, and evidence where a star asks for it."""
    base = edited(SHOP, pair.get("first", []))
    head = edited(base, pair["edit"])
    for expected, old, new in ((pair["there"], base, head), (pair["back"], head, base)):
        started = time.process_time()
        got, is_shown = verdict(old, new)
        assert got == expected.rstrip("*")
        assert is_shown or not expected.endswith("*")
        assert time.process_time() - started < 5


def test_witnesses_are_dates_of_the_calendar() -> None:
    """RFC 3339 allows the year 0; Python, Java and most validators do not."""
    field = "/components/schemas/NewOrder/properties/item"
    base = edited(SHOP, [{"at": field, "set": {"type": "string", "format": "date"}}])
    head = edited(SHOP, [{"at": field, "set": {"type": "string", "format": "email"}}])
    findings = comparison.compare(Contract(base, "base", ""), Contract(head, "head", ""))
    witnesses = [finding.witness["item"] for finding in findings if finding.witness]
    assert witnesses
    assert all(dt.date.fromisoformat(witness) for witness in witnesses)


def test_pairs_cover_every_verdict() -> None:
    """Every verdict is expected often enough to mean something, and names are unique."""
    expected = [pair[way].rstrip("*") for pair in PAIRS for way in ("there", "back")]
    assert min(map(expected.count, ("breaking", "undecided", "addition", "same"))) >= 40
    assert len({pair["name"] for pair in PAIRS}) == len(PAIRS)


def test_a_comparison_tries_a_fixed_number_of_values() -> None:
    """Of forty changed patterns some are searched; the others are undecided, in words."""
    contracts: list[Contract] = []
    for last in "zy":
        fields = {
            f"f{i}": {"type": "string", "pattern": f"^[a-{last}]{{{i},}}$"} for i in range(40)
        }
        schema = {"type": "object", "properties": fields}
        edit = {"at": "/components/schemas/NewOrder", "set": schema}
        contracts.append(Contract(edited(SHOP, [edit]), last, ""))
    findings = comparison.compare(contracts[0], contracts[1])
    breaking = [finding for finding in findings if finding.change == Change.BREAKING]
    left = [finding for finding in findings if "too many changes to search all" in finding.what]
    assert len(findings) == 40
    assert len(breaking) >= 10
    assert len(left) == 40 - len(breaking)


@pytest.mark.parametrize(
    ("base", "head", "request_says", "response_says"),
    [
        ({"maxLength": 9}, {"maxLength": 10}, "accepts more (", "promises more ("),
        (
            {"enum": ["a", "b"]},
            {"pattern": "^[ab]$", "type": "string"},
            "may accept more (",
            "may promise more (",
        ),
    ],
)
def test_an_addition_is_certain_only_with_a_value(
    base: Any, head: Any, request_says: str, response_says: str
) -> None:
    """A report says `accepts more` only if a value was found that only one contract allows."""
    for place, versions, expected in (
        ("/components/schemas/NewOrder/properties/to", (base, head), request_says),
        ("/components/schemas/Order/properties/to", (head, base), response_says),
    ):
        old, new = (
            Contract(edited(SHOP, [{"at": place, "set": schema}]), "made", "")
            for schema in versions
        )
        found = {finding.what[: len(expected)] for finding in comparison.compare(old, new)}
        assert found == {expected}

"""Pairs of contracts as data: the verdict that each one must get, there and back."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.compatibility import wire
from scripts.compatibility.documents import Contract
from scripts.compatibility.findings import Change

HERE = Path(__file__).parent
SHOP: dict[str, Any] = yaml.safe_load((HERE / "shop.yaml").read_text("utf-8"))
PAIRS: list[dict[str, Any]] = yaml.safe_load((HERE / "pairs.yaml").read_text("utf-8"))


def edited(document: dict[str, Any], edits: list[dict[str, Any]]) -> dict[str, Any]:
    """A copy with the edits made."""
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
    """What holds the thing at a pointer, and under which key."""
    *way, last = (step.replace("~1", "/").replace("~0", "~") for step in pointer[1:].split("/"))
    found: Any = document
    for step in way:
        found = found[int(step) if isinstance(found, list) else step]
    return found, int(last) if isinstance(found, list) and last != "-" else last


def verdict(base: dict[str, Any], head: dict[str, Any]) -> tuple[str, bool]:
    """The verdict on the wire, and whether every break of it is shown by something."""
    found = wire.compare(Contract(base, "base", ""), Contract(head, "head", ""))
    weight = max((each.change for each in found), default=Change.NONE)
    breaking = [each for each in found if each.change == Change.BREAKING]
    shown = all(each.shown for each in breaking)
    return ("same" if weight <= Change.WORDS else weight.word), shown


@pytest.mark.parametrize("pair", PAIRS, ids=[pair["name"] for pair in PAIRS])
def test_pair_gets_its_verdict(pair: dict[str, Any]) -> None:
    """Both directions get the verdict that is written down, with a witness where one is due."""
    base = edited(SHOP, pair.get("first", []))
    head = edited(base, pair["edit"])
    for wanted, one, other in ((pair["there"], base, head), (pair["back"], head, base)):
        came, shown = verdict(one, other)
        assert came == wanted.rstrip("*")
        assert shown or not wanted.endswith("*")


def test_there_are_pairs_of_every_kind() -> None:
    """Every verdict is wanted often enough to mean something, in either direction."""
    wanted = [pair[way].rstrip("*") for pair in PAIRS for way in ("there", "back")]
    assert len(PAIRS) >= 60
    assert min(map(wanted.count, ("breaking", "undecided", "addition", "same"))) >= 20
    assert len({pair["name"] for pair in PAIRS}) == len(PAIRS)

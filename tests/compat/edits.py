"""Apply the edits to contracts that pairs.yaml describes."""

from __future__ import annotations

import copy
from typing import Any

from scripts.compatibility.documents import Contract


def edited(document: dict[str, Any], edits: list[dict[str, Any]]) -> dict[str, Any]:
    """Return an edited copy of a document."""
    made = copy.deepcopy(document)
    for edit in edits:
        holder, key = _place(made, edit["at"])
        value = holder.pop(key) if "move" in edit or edit.get("remove") else edit["set"]
        if "move" in edit:
            holder, key = _place(made, edit["move"])
        if key == "-":
            holder.append(value)
        elif not edit.get("remove"):
            holder[key] = value
    return made


def _place(document: dict[str, Any], pointer: str) -> tuple[Any, Any]:
    """Return the container of the part at a JSON pointer, and its key."""
    *way, last = (step.replace("~1", "/").replace("~0", "~") for step in pointer[1:].split("/"))
    found: Any = document
    for step in way:
        found = found[int(step) if isinstance(found, list) else step]
    return found, int(last) if isinstance(found, list) and last != "-" else last


def contract(document: dict[str, Any], text: str = "") -> Contract:
    """Return a document as a contract."""
    return Contract(document, "made", text)

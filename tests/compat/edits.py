"""Edit contracts and compare them."""

from __future__ import annotations

import copy
from typing import Any

from scripts.compatibility import comparison
from scripts.compatibility.findings import Finding, Severity
from scripts.documents import Contract


def edited(document: dict[str, Any], edits: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a copy of the document with these edits applied."""
    result = copy.deepcopy(document)
    for edit in edits:
        parent, key = _resolve(result, edit["at"])
        value = parent.pop(key) if "move" in edit or edit.get("remove") else edit["set"]
        if "move" in edit:
            parent, key = _resolve(result, edit["move"])
        if key == "-":
            parent.append(value)
        elif not edit.get("remove"):
            parent[key] = value
    return result


def _resolve(document: dict[str, Any], pointer: str) -> tuple[Any, Any]:
    """Return the parent of the value at a JSON pointer, and the value's key in that parent."""
    *parents, key = (step.replace("~1", "/").replace("~0", "~") for step in pointer[1:].split("/"))
    node: Any = document
    for step in parents:
        node = node[int(step) if isinstance(node, list) else step]
    return node, int(key) if isinstance(node, list) and key != "-" else key


def worst(findings: list[Finding]) -> Severity:
    """Return the highest severity among the findings."""
    return max((finding.severity for finding in findings), default=Severity.NONE)


def contract(document: dict[str, Any], text: str = "") -> Contract:
    """Return a contract with this document as its content."""
    return Contract(document, "edited", text)


def with_schema(schema: dict[str, Any], part: str = "request", paths: int = 1) -> dict[str, Any]:
    """Return a document in which the request or response body of each path has this schema."""
    content = {"content": {"application/json": {"schema": schema}}}
    operation: dict[str, Any] = {"responses": {"200": {"description": "Done."}}}
    if part == "request":
        operation["requestBody"] = {"required": True, **content}
    else:
        operation["responses"]["200"] |= content
    items = {f"/{number}": {"put": operation} for number in range(paths)}
    return {"info": {"version": "1.0.0"}, "paths": items}


def compared(base: dict[str, Any], head: dict[str, Any]) -> list[Finding]:
    """Return the findings from comparing two documents."""
    return comparison.compare(contract(base), contract(head))


def compared_schemas(
    base: dict[str, Any], head: dict[str, Any], part: str = "request"
) -> list[Finding]:
    """Return the findings from comparing two documents that differ only in one schema."""
    return compared(with_schema(base, part), with_schema(head, part))

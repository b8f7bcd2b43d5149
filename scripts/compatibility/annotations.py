"""Types as Python annotations spell them: which of two takes in the other."""

from __future__ import annotations

import ast


def takes_in(wide: str, narrow: str) -> bool:
    """Whether every member of the one union is a member of the other, inside brackets too."""
    if wide == narrow:
        return True
    try:
        return _within(ast.parse(narrow, mode="eval").body, ast.parse(wide, mode="eval").body)
    except SyntaxError:
        return False


def _within(narrow: ast.expr, wide: ast.expr) -> bool:
    others = _members(wide)
    return all(any(_is(each, other) for other in others) for each in _members(narrow))


def _members(annotation: ast.expr) -> list[ast.expr]:
    """The members of a union, or of a Literal, or the one type that it is."""
    if isinstance(annotation, ast.BinOp) and isinstance(annotation.op, ast.BitOr):
        return [*_members(annotation.left), *_members(annotation.right)]
    if isinstance(annotation, ast.Subscript) and ast.unparse(annotation.value) == "Literal":
        inner = annotation.slice
        return list(inner.elts) if isinstance(inner, ast.Tuple) else [inner]
    return [annotation]


def _is(one: ast.expr, other: ast.expr) -> bool:
    if ast.dump(one) == ast.dump(other) or ast.unparse(other) in {"Any", "object"}:
        return True
    if isinstance(one, ast.Name) and isinstance(other, ast.Name):
        return (one.id, other.id) == ("int", "float")
    if not (isinstance(one, ast.Subscript) and isinstance(other, ast.Subscript)):
        return False
    inner = [
        each.elts if isinstance(each, ast.Tuple) else [each] for each in (one.slice, other.slice)
    ]
    same = ast.dump(one.value) == ast.dump(other.value) and len(inner[0]) == len(inner[1])
    return same and all(_within(a, b) for a, b in zip(*inner, strict=True))

"""Requests to show: the least one that an operation takes, from the values the contract shows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from scripts.compatibility import media
from scripts.compatibility.candidates import Candidates, validator
from scripts.compatibility.containment import canonical
from scripts.compatibility.domains import Domain, text
from scripts.compatibility.hints import Hints
from scripts.compatibility.operations import VARIABLE, parameter_schema
from scripts.compatibility.schemas import close
from scripts.compatibility.shapes import is_list
from scripts.compatibility.spelling import brief

if TYPE_CHECKING:
    from scripts.compatibility.operations import Operation

BODY = Domain("body")
NO_BODY = object()


def request(
    operation: Operation,
    key: tuple[str, str] | None = None,
    value: Any = None,
    body: Any = None,
) -> list[str]:
    """The least request that the operation takes, with one parameter or the body given."""
    given = {
        (where, name): sample(
            operation, parameter_schema(each), Domain(where), examples(operation, each)
        )
        for (where, name), each in operation.parameters.items()
        if each.get("required") or where == "path"
    }
    if key is not None:
        given[key] = value
    path = _path(operation.path, [text(given.get(("path", str(i)), "a")) for i in range(9)])
    query = "&".join(f"{n}={quote(_plain(v))}" for (w, n), v in given.items() if w == "query")
    lines = [f"{operation.method.upper()} {path}{'?' if query else ''}{query}"]
    lines += [f"{n}: {_plain(v)}" for (w, n), v in given.items() if w == "header"]
    lines += [f"Cookie: {n}={_plain(v)}" for (w, n), v in given.items() if w == "cookie"]
    told_body = operation.body or {}
    if body is None and told_body.get("required"):
        content = media.contents(told_body.get("content"))
        name = next(iter(content), "")
        if media.is_json(name):
            body = sample(operation, content[name].get("schema", True), BODY, [])
    return lines if body is None or body is NO_BODY else [*lines, brief(body)]


def _path(template: str, values: list[str]) -> str:
    left = iter(values)
    return VARIABLE.sub(lambda _: _long(quote(next(left), safe="")), template)


def _long(value: str) -> str:
    return value if len(value) <= 80 else f"{value[:20]}…({len(value)} characters)"


def _plain(value: Any) -> str:
    """The value as text; lists with commas, objects as JSON."""
    if is_list(value):
        return ",".join(map(text, value))
    return _long(value if isinstance(value, str) else json.dumps(value))


def examples(operation: Operation, parameter: dict[str, Any]) -> list[Any]:
    """The values that the contract shows of a parameter."""
    named = operation.mapping(parameter.get("examples")).values()
    shown = [operation.mapping(each).get("value") for each in named]
    return [*([parameter["example"]] if "example" in parameter else []), *shown]


def sample(operation: Operation, schema: Any, domain: Domain, shown: list[Any]) -> Any:
    """A value that the schema admits: one that the contract shows, else a small one."""
    closed = close(operation.references, schema)
    form = canonical(closed.schema).to_json_schema()
    hints = Hints()
    hints.read(form)
    judge, candidates = validator(form, {}), Candidates(form, hints)
    for each in (*shown, *closed.examples, *candidates.admitted(form, 0)):
        if judge.is_valid(each) and domain.can_carry(each):
            return each
    return "a"

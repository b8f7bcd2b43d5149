"""Rules for what is sent: every request that was valid stays valid."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from scripts.compatibility import media
from scripts.compatibility.candidates import Candidates, Hints, validator
from scripts.compatibility.containment import admits_nothing, canonical, contained
from scripts.compatibility.domains import Domain, text
from scripts.compatibility.findings import Change, told
from scripts.compatibility.operations import VARIABLE
from scripts.compatibility.schemas import close
from scripts.compatibility.slots import BODY, brief, refusal, request_schema

if TYPE_CHECKING:
    from scripts.compatibility.operations import Operation
    from scripts.compatibility.slots import Pair

STYLES = {"path": "simple", "header": "simple", "query": "form", "cookie": "form"}
LIMIT = "x-max-bytes"
NO_BODY = object()
# What the rules below understand of a parameter, a body, and its content.
PARAMETER = {
    *("name", "in", "required", "deprecated", "schema", "content", "style", "explode"),
    *("allowReserved", "allowEmptyValue"),
}
REQUEST_BODY = {"required", "content", LIMIT}
CONTENT = {"schema", "encoding"}


def parameters(pair: Pair) -> None:
    """Parameters that were added, removed, or changed."""
    before, after = pair.base.parameters, pair.head.parameters
    for key in before.keys() | after.keys():
        old, new = before.get(key), after.get(key)
        if old is None and new is not None:
            _added(pair, key, new)
        elif new is None and old is not None:
            _removed(pair, key, old)
        elif old is not None and new is not None:
            _changed(pair, key, old, new)


def _place(pair: Pair, key: tuple[str, str], parameter: dict[str, Any]) -> str:
    return pair.place(f"{key[0]} parameter {parameter.get('name')}")


def _added(pair: Pair, key: tuple[str, str], new: dict[str, Any]) -> None:
    place, sides = _place(pair, key, new), ("", told(new))
    if not new.get("required"):
        pair.findings.add(Change.ADDITION, place, "is new and optional", sides=sides)
        return
    shown = _shown(pair, f"{refusal(pair.head)}", request(pair.base))
    pair.findings.add(Change.BREAKING, place, "is new and required", shown=shown, sides=sides)


def _removed(pair: Pair, key: tuple[str, str], old: dict[str, Any]) -> None:
    value = _any(pair.base, _schema(old), Domain(key[0]), _examples(pair.base, old))
    shown = _shown(pair, "knows no such parameter", request(pair.base, key, value))
    what, sides = "is gone", (told(old), "")
    pair.findings.add(Change.BREAKING, _place(pair, key, old), what, shown=shown, sides=sides)


def _shown(pair: Pair, then: str, lines: list[str]) -> tuple[str, ...]:
    old, new = pair.versions()
    return (f"This request was valid in {old}, {new} {then}:", *lines)


def _changed(pair: Pair, key: tuple[str, str], old: dict[str, Any], new: dict[str, Any]) -> None:
    place, sides = _place(pair, key, old), (told(old), told(new))
    if new.get("required") and not old.get("required"):
        shown = _shown(pair, refusal(pair.head), request(pair.base))
        pair.findings.add(Change.BREAKING, place, "is required now", shown=shown, sides=sides)
    if old.get("required") and not new.get("required"):
        pair.findings.add(Change.ADDITION, place, "is optional now", sides=sides)
    if new.get("deprecated") and not old.get("deprecated"):
        pair.findings.add(Change.ADDITION, place, "is deprecated now", sides=sides)
    pair.findings.leftovers(place, PARAMETER, old, new)
    _spelling(pair, place, key[0], old, new)
    content = [media.contents(each.get("content")) for each in (old, new)]
    if list(content[0]) != list(content[1]):
        what = "is spelt by another media type"
        pair.findings.add(Change.UNDECIDED, place, what, sides=sides)
        return
    domain = BODY if any(map(media.is_json, content[0])) else Domain(key[0])
    show = partial(request, pair.base, key)
    request_schema(pair, place, _schema(old), _schema(new), domain, show)


def _schema(parameter: dict[str, Any]) -> Any:
    """The parameter's schema; an empty value that is allowed is one of its values."""
    content = media.contents(parameter.get("content"))
    schema = next(iter(content.values()), parameter).get("schema", True)
    return {"anyOf": [schema, {"const": ""}]} if parameter.get("allowEmptyValue") else schema


def _spelling(pair: Pair, place: str, where: str, old: dict[str, Any], new: dict[str, Any]) -> None:
    """How arrays and objects become text; a single value is spelt alike by most styles."""
    before, after = _style(where, old), _style(where, new)
    composed = {"allOf": [_schema(old), {"type": ["array", "object"]}]}
    closed = close(pair.base.references, composed).schema
    if before[0] in {"label", "matrix"} or after[0] in {"label", "matrix"}:
        pair.findings.differing(Change.BREAKING, place, "is spelt in another style", before, after)
    elif not admits_nothing(closed):
        what = "has lists and objects spelt in another style"
        pair.findings.differing(Change.BREAKING, place, what, before, after)
    reserved = [bool(each.get("allowReserved")) for each in (old, new)]
    if reserved[0] != reserved[1]:
        change = Change.ADDITION if reserved[1] else Change.UNDECIDED
        what = "may hold reserved characters as they are" + ("" if reserved[1] else " no more")
        pair.findings.add(change, place, what, sides=(told(old), told(new)))


def _style(where: str, parameter: dict[str, Any]) -> tuple[str, bool]:
    style = str(parameter.get("style", STYLES.get(where, "form")))
    return style, bool(parameter.get("explode", style == "form"))


def body(pair: Pair) -> None:
    """The request body: whether there is one, whether it must be, and what it is."""
    old, new, place = pair.base.body, pair.head.body, pair.place("body")
    sides = (told(old), told(new))
    if old is None and new is not None:
        _new_body(pair, place, new, sides)
    if old is None:
        return
    if new is None:
        shown = _shown(pair, "knows no body", request(pair.base))
        pair.findings.add(Change.BREAKING, place, "is gone", shown=shown, sides=sides)
        return
    if new.get("required") and not old.get("required"):
        shown = _shown(pair, refusal(pair.head), request(pair.base, body=NO_BODY))
        pair.findings.add(Change.BREAKING, place, "is required now", shown=shown, sides=sides)
    if old.get("required") and not new.get("required"):
        pair.findings.add(Change.ADDITION, place, "is optional now", sides=sides)
    pair.findings.leftovers(place, REQUEST_BODY, old, new)
    _limit(pair, place, old.get(LIMIT), new.get(LIMIT))
    _contents(pair, media.contents(old.get("content")), media.contents(new.get("content")))


def _new_body(pair: Pair, place: str, new: dict[str, Any], sides: tuple[str, str]) -> None:
    if not new.get("required"):
        pair.findings.add(Change.ADDITION, place, "is new and optional", sides=sides)
        return
    shown = _shown(pair, refusal(pair.head), request(pair.base))
    pair.findings.add(Change.BREAKING, place, "is new and required", shown=shown, sides=sides)


def _limit(pair: Pair, place: str, old: Any, new: Any) -> None:
    """Our own extension: the most bytes that a body may have."""
    if old == new:
        return
    if not all(isinstance(each, int | None) for each in (old, new)):
        pair.findings.differing(Change.UNDECIDED, place, f"has another {LIMIT}", old, new)
    elif new is None or (old is not None and new > old):
        what = f"may be larger: {LIMIT} {old} → {new or 'none'}"
        pair.findings.differing(Change.ADDITION, place, what, old, new)
    else:
        lines = request(pair.base)
        size = f"(with spaces after it, {new + 1} bytes in all)"
        shown = _shown(pair, refusal(pair.head), [*lines, size])
        what = f"must be smaller: {LIMIT} {old or 'none'} → {new}"
        pair.findings.add(Change.BREAKING, place, what, shown=shown, sides=(told(old), told(new)))


def _contents(pair: Pair, before: dict[str, Any], after: dict[str, Any]) -> None:
    for name, old in before.items():
        place = pair.place("body" if media.is_json(name) else f"body as {name}")
        inner = [each for each in after if media.covers(name, each)]
        chosen = media.best(after, name)
        if chosen is None:
            shown = _shown(pair, refusal(pair.head), [pair.name, f"Content-Type: {name}"])
            what = f"is taken as {name} no more"
            pair.findings.add(Change.BREAKING, place, what, shown=shown, sides=(name, told(list(after))))
        for each in dict.fromkeys([*([chosen] if chosen else []), *inner]):
            _content(pair, place, each, old, after[each])
    for name in after:
        if media.best(before, name) is None:
            what = f"is taken as {name} too"
            pair.findings.add(Change.ADDITION, pair.place("body"), what, sides=(told(list(before)), name))


def _content(pair: Pair, place: str, name: str, old: dict[str, Any], new: dict[str, Any]) -> None:
    old_schema, new_schema = old.get("schema", True), new.get("schema", True)
    pair.findings.leftovers(place, CONTENT, old, new)
    pair.findings.differing(
        Change.UNDECIDED, place, "has another encoding", old.get("encoding"), new.get("encoding")
    )
    if media.is_json(name):
        show = partial(request, pair.base, None)
        request_schema(pair, place, old_schema, new_schema, BODY, lambda value: show(None, value))
        return
    closed = close(pair.base.references, old_schema), close(pair.head.references, new_schema)
    if not (contained(closed[0], closed[1], BODY).holds and contained(closed[1], closed[0], BODY).holds):
        what = "has another schema, and only JSON is understood"
        pair.findings.differing(Change.UNDECIDED, place, what, closed[0].text, closed[1].text)


def request(
    operation: Operation,
    key: tuple[str, str] | None = None,
    value: Any = None,
    body: Any = None,
) -> list[str]:
    """The least request that the operation takes, with one parameter or the body given."""
    given = {
        (where, name): _any(operation, _schema(each), Domain(where), _examples(operation, each))
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
            body = _any(operation, content[name].get("schema", True), BODY, [])
    return lines if body is None or body is NO_BODY else [*lines, brief(body)]


def _path(template: str, values: list[str]) -> str:
    left = iter(values)
    return VARIABLE.sub(lambda _: _long(quote(next(left), safe="")), template)


def _long(value: str) -> str:
    return value if len(value) <= 80 else f"{value[:20]}…({len(value)} characters)"  # noqa: PLR2004


def _plain(value: Any) -> str:
    """The value as text; lists with commas, objects as JSON."""
    if isinstance(value, list):
        return ",".join(map(text, value))
    return _long(value if isinstance(value, str) else json.dumps(value))


def _examples(operation: Operation, parameter: dict[str, Any]) -> list[Any]:
    """The values that the contract shows of a parameter."""
    named = operation.mapping(parameter.get("examples")).values()
    shown = [operation.mapping(each).get("value") for each in named]
    return [*([parameter["example"]] if "example" in parameter else []), *shown]


def _any(operation: Operation, schema: Any, domain: Domain, examples: list[Any]) -> Any:
    """A value that the schema admits: one that the contract shows, else a small one."""
    closed = close(operation.references, schema)
    form = canonical(closed.schema).to_json_schema()
    hints = Hints()
    hints.read(form)
    judge, candidates = validator(form, {}), Candidates(form, hints)
    for each in (*examples, *closed.examples, *candidates.admitted(form, 0)):
        if judge.is_valid(each) and domain.can_carry(each):
            return each
    return "a"

"""The Python interface that callers see: the client generated from either contract, compared.

Models are made with keyword arguments: the order of their fields is no promise. What only answers
hold is never made by callers: there, a field that is always set is a stronger guarantee.
"""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import griffe

from scripts.compatibility.annotations import takes_in
from scripts.compatibility.findings import Change, Finding, Findings
from scripts.generate import OUTPUT, GenerationError, generate

if TYPE_CHECKING:
    from scripts.compatibility.documents import Contract

Object = griffe.Object
REQUIRED = "(required)"
DEFAULTS = {"DEFAULT_BASE_URL"}


def compare(base: Contract, head: Contract) -> list[Finding]:
    """What changed for Python callers."""
    findings = Findings()
    with tempfile.TemporaryDirectory() as folder:
        before, after = (
            _load(each, Path(folder) / side) for each, side in ((base, "base"), (head, "head"))
        )
        if isinstance(before, str) or isinstance(after, str):
            _without(findings, before, after)
        else:
            _Comparison(findings, before, after).all()
    return list(findings.found.values())


def _load(contract: Contract, folder: Path) -> Object | str:
    """The package generated from the contract, read and not run; or why there is none."""
    folder.mkdir()
    source = folder / "openapi.yaml"
    source.write_text(contract.text, encoding="utf-8")
    try:
        generate(source, folder / OUTPUT.name)
    except Exception as error:  # noqa: BLE001 # generator and templates were made for our contract
        name = "" if isinstance(error, GenerationError) else f"{type(error).__name__}: "
        return " ".join(f"{name}{error}".replace(f"{folder}/", "").split())[:200]
    loaded = griffe.load(OUTPUT.name, search_paths=[folder], allow_inspection=False)
    assert isinstance(loaded, Object)  # noqa: S101 # a package that was just written is no alias
    return loaded


def _without(findings: Findings, before: Object | str, after: Object | str) -> None:
    """At least one contract gives no client."""
    if isinstance(after, str) and isinstance(before, str):
        findings.add(
            Change.NONE,
            "client",
            f"cannot be generated from either contract: {after}",
            part="python",
        )
    elif isinstance(after, str):
        findings.add(Change.UNDECIDED, "client", f"cannot be generated: {after}", part="python")
    else:
        findings.add(Change.ADDITION, "client", "can be generated now", part="python")


def public(package: Object) -> dict[str, Object]:
    """Everything that is defined there under a public name, by its path."""
    found: dict[str, Object] = {}
    for name, member in package.members.items():
        if isinstance(member, Object) and (not name.startswith("_") or name == "__init__"):
            found[member.path] = member
            if not isinstance(member, griffe.Function | griffe.Attribute):
                found |= public(member)
    return found


class _Comparison:
    def __init__(self, findings: Findings, before: Object, after: Object) -> None:
        self.findings = findings
        self.before, self.after = public(before), public(after)
        self.taken, self.given = _used(self.before, self.after)

    def add(self, change: Change, path: str, what: str) -> None:
        self.findings.add(change, path.removeprefix(f"{OUTPUT.name}."), what, part="python")

    def all(self) -> None:
        for path, old in self.before.items():
            new = self.after.get(path)
            if new is None and path.rpartition(".")[0] in self.after:
                self.add(Change.BREAKING, path, "is gone")
            elif new is not None and new.kind != old.kind:
                self.add(Change.BREAKING, path, f"was a {old.kind.value}, is a {new.kind.value}")
            elif isinstance(old, griffe.Function) and isinstance(new, griffe.Function):
                self.function(path, old, new)
            elif isinstance(old, griffe.Attribute) and isinstance(new, griffe.Attribute):
                self.attribute(path, old, new)
        for path in self.after:
            if path not in self.before and path.rpartition(".")[0] in self.before:
                self.new(path)

    def new(self, path: str) -> None:
        owner, _, name = path.rpartition(".")
        added = self.after[path]
        required = isinstance(added, griffe.Attribute) and _default(added) == REQUIRED
        if required and owner.rpartition(".")[2] in self.taken:
            self.add(Change.BREAKING, owner, f"needs {name}, which is new")
        else:
            self.add(Change.ADDITION, path, "is new")

    def function(self, path: str, old: griffe.Function, new: griffe.Function) -> None:
        before = {each.name: each for each in old.parameters}
        after = {each.name: each for each in new.parameters}
        for name, parameter in before.items():
            if name not in after:
                self.add(Change.BREAKING, path, f"has no parameter {name} any more")
            else:
                self.parameter(path, parameter, after[name])
        for name, parameter in after.items():
            if name not in before:
                needed = parameter.required and parameter.kind not in _VARIADIC
                change = Change.BREAKING if needed else Change.ADDITION
                self.add(change, path, f"{'needs' if needed else 'takes'} {name}, which is new")
        places = [
            [each.name for each in side.values() if each.kind == _POSITIONAL]
            for side in (before, after)
        ]
        if places[1][: len(places[0])] != places[0] and set(places[0]) <= set(places[1]):
            self.add(
                Change.BREAKING,
                path,
                f"takes its arguments in another order: {', '.join(places[1])}",
            )
        self.returned(path, str(old.returns), str(new.returns))

    def parameter(self, path: str, old: griffe.Parameter, new: griffe.Parameter) -> None:
        name = old.name
        if new.required and not old.required:
            self.add(Change.BREAKING, path, f"needs {name}")
        elif old.required and not new.required:
            self.add(Change.ADDITION, path, f"needs no {name} any more")
        elif str(old.default) != str(new.default):
            self.add(Change.UNDECIDED, path, f"default of {name}: {old.default} → {new.default}")
        if old.kind != new.kind and old.kind == _POSITIONAL:
            self.add(
                Change.BREAKING, path, f"takes {name} as {new.kind.value if new.kind else 'other'}"
            )
        self.taken_type(path, name, str(old.annotation), str(new.annotation))

    def taken_type(self, path: str, name: str, old: str, new: str) -> None:
        if not (takes_in(new, old) and takes_in(old, new)):
            change = Change.ADDITION if takes_in(new, old) else Change.BREAKING
            self.add(change, path, f"type of {name}: {_difference(old, new)}")

    def returned(self, path: str, old: str, new: str) -> None:
        if not (takes_in(new, old) and takes_in(old, new)):
            change = Change.ADDITION if takes_in(old, new) else Change.BREAKING
            self.add(change, path, f"returns {new}, was {old}")

    def attribute(self, path: str, old: griffe.Attribute, new: griffe.Attribute) -> None:
        owner = path.split(".")[-2]
        values = str(old.value), str(new.value)
        if values[0].startswith("Literal[") and values[0] != values[1]:
            self.taken_type(path, "it", *values)
        elif _is_enum(self.before.get(path.rpartition(".")[0])) or old.name in DEFAULTS:
            if values[0] != values[1]:
                self.add(Change.BREAKING, path, f"is {values[1]}, was {values[0]}")
        elif owner in self.taken | self.given:
            self.field(path, owner, old, new)

    def field(self, path: str, owner: str, old: griffe.Attribute, new: griffe.Attribute) -> None:
        """A field of a model: callers set what is taken, and read what is given."""
        types = str(old.annotation), str(new.annotation)
        if owner in self.given:
            self.returned(path, *types)
        if owner in self.taken:
            self.taken_type(path, "it", *types)
            if _default(new) == REQUIRED != _default(old):
                self.add(Change.BREAKING, path, "has to be given")


_POSITIONAL = griffe.ParameterKind.positional_or_keyword
_VARIADIC = {griffe.ParameterKind.var_positional, griffe.ParameterKind.var_keyword}


def _difference(old: str, new: str) -> str:
    """What a Literal has more and less; any other type whole."""
    if not old.startswith("Literal[") or not new.startswith("Literal["):
        return f"{old} → {new}"
    before, after = (set(each[8:-1].split(", ")) for each in (old, new))
    less, more = sorted(before - after), sorted(after - before)
    return ", ".join((*(f"without {each}" for each in less), *(f"with {each}" for each in more)))


def _default(attribute: griffe.Attribute) -> str:
    """What a field of a model is when it is not given."""
    value = str(attribute.value)
    has_none = attribute.value is None or (
        value.startswith("field(") and "default" not in value and "factory" not in value
    )
    return REQUIRED if has_none and "init=False" not in value else value


def _is_enum(thing: Object | None) -> bool:
    return isinstance(thing, griffe.Class) and any("Enum" in str(base) for base in thing.bases)


def _used(*packages: dict[str, Object]) -> tuple[set[str], set[str]]:
    """The names that callers hand in, and those that they are given, what these hold included."""
    taken: set[str] = set()
    given: set[str] = set()
    fields: dict[str, set[str]] = {}
    for package in packages:
        for path, thing in package.items():
            if isinstance(thing, griffe.Function) and ".models." not in path:
                given |= _names(thing.returns)
                taken |= {name for each in thing.parameters for name in _names(each.annotation)}
            elif isinstance(thing, griffe.Attribute) and ".models." in path:
                fields.setdefault(path.split(".")[-2], set()).update(_names(thing.annotation))
    return _with_fields(taken, fields), _with_fields(given, fields)


def _with_fields(names: set[str], fields: dict[str, set[str]]) -> set[str]:
    waiting = list(names)
    while waiting:
        for name in fields.get(waiting.pop(), set()) - names:
            names.add(name)
            waiting.append(name)
    return names


def _names(annotation: object) -> set[str]:
    return set(re.findall(r"\w+", str(annotation)))

"""Compare the Python interfaces of the clients generated from the two contracts.

griffe finds removed objects, and parameters that are removed, reordered or newly required. This
module also compares types and base classes, and finds additions. It compares the type of a model
field only if a format determines that type, because the comparison of requests and responses
covers all other types.
"""

from __future__ import annotations

import re
import tempfile
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import griffe

from scripts.compatibility.documents import ROOT
from scripts.compatibility.findings import Change, Finding, merged
from scripts.generate import GenerationError, generate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scripts.compatibility.documents import Contract

PACKAGE = "flashback_client"
RUNTIME = ROOT / "runtime"
ADDRESS = re.compile(r" at 0x[0-9a-f]+")
LONGEST = 400  # the maximum length of the reason why there is no client, in characters
PARSED = re.compile(r"\b(?:datetime\.)?(?:UUID|date|datetime)\b")  # types of formatted strings


def compare(base: Contract, head: Contract) -> tuple[list[Finding], str]:
    """Return the changes for Python callers and, if the clients cannot be compared, the reason."""
    with tempfile.TemporaryDirectory() as folder:
        before = load_client(base, Path(folder) / "base")
        after = load_client(head, Path(folder) / "head")
    found: list[Finding] = []
    if isinstance(after, str):
        if not isinstance(before, str):
            what = "cannot be generated from the new contract"
            sides = (None, after)
            found.append(Finding(Change.UNDECIDED, "client", what, "python", sides, shown=(after,)))
        return found, f"no client for the new contract: {after}"
    if isinstance(before, str):
        return found, f"no client for the old contract: {before}"
    return compare_packages(before, after), ""


def load_client(contract: Contract, folder: Path) -> griffe.Object | str:
    """Generate a client from the contract and parse its code without running it.

    Return the parsed client, or the reason why it cannot be generated.
    """
    folder.mkdir()
    source = folder / "openapi.yaml"
    source.write_text(contract.text, encoding="utf-8")
    try:
        generate(source, folder / PACKAGE)
    except Exception as error:  # noqa: BLE001 # the generator may crash on some contracts
        reason = str(error)
        if not isinstance(error, GenerationError):
            reason = f"{type(error).__name__}: {reason}"
        reason = ADDRESS.sub("", reason.replace(f"{folder}/", ""))
        return textwrap.shorten(reason, LONGEST, placeholder=" …")
    return load_package(folder)


def load_package(folder: Path) -> griffe.Object:
    """Load the client from the folder, including the names that it imports from the runtime."""
    loader = griffe.GriffeLoader(search_paths=[folder, RUNTIME], allow_inspection=False)
    for runtime in sorted(RUNTIME.glob("*/__init__.py")):
        loader.load(runtime.parent.name)
    package = loader.load(PACKAGE)
    loader.resolve_aliases()
    assert isinstance(package, griffe.Object)  # noqa: S101 # a package is not an alias
    return package


def compare_packages(before: griffe.Object, after: griffe.Object) -> list[Finding]:
    """Return the changes between two versions of the client.

    The shortest paths come first, because callers use them most.
    """
    findings = list(_findings(before, after))
    findings.sort(key=lambda finding: (finding.place.count("."), finding.place))
    return merged(findings)


def _findings(before: griffe.Object, after: griffe.Object) -> Iterator[Finding]:
    for breakage in griffe.find_breaking_changes(before, after):
        path = _short(breakage.obj.path)
        yield Finding(Change.BREAKING, path, _described(breakage), "python")
    olds = public(before)
    for path, new in public(after).items():
        parent, _, name = path.rpartition(".")
        if path in olds:
            for change, what in _changes(olds[path], new):
                yield Finding(change, path, what, "python")
        elif parent in olds:
            yield Finding(Change.ADDITION, parent, f"{name} is new", "python")


def _short(path: str) -> str:
    return path.removeprefix(f"{PACKAGE}.")


def _described(breakage: griffe.Breakage) -> str:
    values = (breakage.old_value, breakage.new_value)
    names = [str(getattr(value, "name", value)) for value in values if value is not None]
    shown = " → ".join(dict.fromkeys(names))
    return f"{breakage.kind.value} ({shown})"


def public(package: griffe.Object) -> dict[str, griffe.Object]:
    """Return all public objects that the package defines, keyed by path."""
    found: dict[str, griffe.Object] = {}
    for name, member in package.members.items():
        if isinstance(member, griffe.Object) and (not name.startswith("_") or name == "__init__"):
            found[_short(member.path)] = member
            if not isinstance(member, griffe.Function | griffe.Attribute):
                found |= public(member)
    return found


def _changes(old: griffe.Object, new: griffe.Object) -> Iterator[tuple[Change, str]]:
    """Yield the changes to a class's bases, a function's types, or the type of a model's field.

    A wider parameter type or a narrower return type does not break callers.
    """
    if isinstance(old, griffe.Class) and isinstance(new, griffe.Class):
        for name in sorted(set(map(str, old.bases)) - set(map(str, new.bases))):
            yield Change.BREAKING, f"is no longer a {name}"
    elif isinstance(old, griffe.Function) and isinstance(new, griffe.Function):
        yield from _type_change("returns", old.returns, new.returns, is_input=False)
        for parameter in new.parameters:
            name = parameter.name
            if name in old.parameters:
                types = (old.parameters[name].annotation, parameter.annotation)
                yield from _type_change(name, *types, is_input=True)
            elif not parameter.required:
                yield Change.ADDITION, f"has a new optional parameter {name}"
    elif isinstance(old, griffe.Attribute) and isinstance(new, griffe.Attribute):
        types = (str(old.annotation), str(new.annotation))
        if PARSED.findall(types[0]) != PARSED.findall(types[1]):
            yield Change.BREAKING, f"type: {' → '.join(types)}"


def _type_change(
    name: str, old: object, new: object, *, is_input: bool
) -> Iterator[tuple[Change, str]]:
    """Yield the change of a type. Also split a union at a `|` inside brackets."""
    before = set(str(old).split(" | "))
    after = set(str(new).split(" | "))
    if before == after:
        return
    is_compatible = before < after if is_input else before > after
    change = Change.ADDITION if is_compatible else Change.BREAKING
    yield change, f"{name}: {old} → {new}"

"""Compare the Python interfaces of the clients generated from the two contracts.

griffe finds removed objects, and parameters that are removed, reordered or newly required. This
module also compares types and base classes. It compares the type of a model field only if a format
determines that type, because the comparison of requests and responses covers all other types.
"""

import re
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path

import griffe

from scripts.compatibility.findings import Finding, Severity
from scripts.documents import ROOT, Contract
from scripts.generate import GenerationError, generate

PACKAGE = "flashback_client"
RUNTIME = ROOT / "runtime"
ADDRESS = re.compile(r" at 0x[0-9a-f]+")
LONGEST = 400  # the maximum length, in characters, of the reason why there is no client
PARSED = re.compile(r"\b(?:datetime\.)?(?:UUID|date|datetime)\b")  # types of formatted strings


def compare(base: Contract, head: Contract) -> tuple[list[Finding], str]:
    """Return the changes that break Python callers, and why the clients were not compared.

    The reason is empty if the clients were compared.
    """
    with tempfile.TemporaryDirectory() as folder:
        before = load_client(base, Path(folder) / "base")
        after = load_client(head, Path(folder) / "head")
        if not isinstance(before, str) and not isinstance(after, str):
            return compare_packages(before, after), ""
    if not isinstance(after, str):
        return [], f"no client for the old contract: {before}"
    reason = f"no client for the new contract: {after}"
    if isinstance(before, str):
        return [], reason
    what = "cannot be generated from the new contract"
    sides = (None, after)
    finding = Finding(Severity.UNDECIDED, "client", what, "python", sides, shown=(after,))
    return [finding], reason


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
        name = "" if isinstance(error, GenerationError) else f"{type(error).__name__}: "
        reason = f"{name}{error}".replace(f"{folder}/", "")
        return textwrap.shorten(ADDRESS.sub("", reason), LONGEST, placeholder=" …")
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
    """Return the breaking changes between two versions of the client."""
    findings: list[Finding] = []

    def add(path: str, what: str) -> None:
        place = path.removeprefix(f"{PACKAGE}.")
        findings.append(Finding(Severity.BREAKING, place, what, interface="python"))

    for breakage in griffe.find_breaking_changes(before, after):
        add(breakage.obj.path, _described(breakage))
    olds = public(before)
    for path, new in public(after).items():
        if path in olds:
            for what in _changes(olds[path], new):
                add(path, what)
    return list(dict.fromkeys(findings))  # griffe might report the same change twice


def _described(breakage: griffe.Breakage) -> str:
    names: list[str] = []
    for value in (breakage.old_value, breakage.new_value):
        name = str(getattr(value, "name", value))
        if value is not None and name not in names:
            names.append(name)
    return f"{breakage.kind.value} ({' → '.join(names)})"


def public(package: griffe.Object) -> dict[str, griffe.Object]:
    """Return all public objects that the package defines, keyed by path."""
    found: dict[str, griffe.Object] = {}
    for name, member in package.members.items():
        is_public = name == "__init__" or not name.startswith("_")
        if is_public and isinstance(member, griffe.Object):
            found[member.path] = member
            if not isinstance(member, griffe.Function | griffe.Attribute):
                found |= public(member)
    return found


def _changes(old: griffe.Object, new: griffe.Object) -> Iterator[str]:
    """Yield the changes to a class's bases, a function's types, or the type of a model's field."""
    if isinstance(old, griffe.Class) and isinstance(new, griffe.Class):
        removed = set(map(str, old.bases)) - set(map(str, new.bases))
        for name in sorted(removed):
            yield f"is no longer a {name}"
    elif isinstance(old, griffe.Function) and isinstance(new, griffe.Function):
        if not _members(new.returns) <= _members(old.returns):
            yield f"returns: {old.returns} → {new.returns}"
        for parameter in new.parameters:
            if parameter.name in old.parameters:
                old_type = old.parameters[parameter.name].annotation
                if not _members(old_type) <= _accepted(parameter.annotation):
                    yield f"{parameter.name}: {old_type} → {parameter.annotation}"
    elif isinstance(old, griffe.Attribute) and isinstance(new, griffe.Attribute):
        before = PARSED.findall(str(old.annotation))
        after = PARSED.findall(str(new.annotation))
        if before != after:
            yield f"type: {old.annotation} → {new.annotation}"


def _accepted(annotation: object) -> set[str]:
    """Return the types of the arguments that a parameter accepts."""
    members = _members(annotation)
    # PEP 484: an int is valid where a float is expected, but not in brackets, as in `list[float]`.
    if "float" in members and "[" not in str(annotation):
        members.add("int")
    return members


def _members(annotation: object) -> set[str]:
    """Return the members of a union, splitting at every `|`, even inside brackets."""
    return {part.strip() for part in str(annotation).split(" | ")}

"""The tests, run on the installed wheel with the sources out of reach."""

from __future__ import annotations

import re
import shutil
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from scripts.release_base import PROJECT, Release, attempt, run, say

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

TESTS = ("tests/client", "tests/mock", "examples")
SOURCES = ("generated", "mock")


def tested(release: Release) -> Iterator[str]:
    """What the tests find on the locked and on the lowest allowed dependencies."""
    yield from tried(release, "locked", ("-c", release.lock))
    direct = needed(release)
    floating = {canonicalize_name(each.name) for each in direct}
    pins = release.room / "pins.txt"
    pins.write_text(others(release.lock.read_text("utf-8"), floating), "utf-8")
    floors = tuple(map(str, direct))
    yield from tried(release, "lowest", ("--resolution", "lowest-direct", "-c", pins, *floors))
    yield from unreachable(direct, installed(release.room / "lowest" / ".venv"))


def tried(release: Release, name: str, using: tuple[str | Path, ...]) -> Iterator[str]:
    """What the tests find in an environment of that name."""
    say(f"Testing the wheel on the {name} dependencies (some minutes)")
    copy = without_sources(release, name, using)
    python = copy / ".venv" / "bin" / "python"
    where = "import flashback_client as c, flashback_mock as m; print(c.__file__, m.__file__)"
    for file in run(python, "-c", where, cwd=copy).decode().split():
        if not Path(file).is_relative_to(copy / ".venv"):
            yield f"the {name} tests would not test the wheel, but {file}: mend release_trial.py"
    done = attempt(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *TESTS, cwd=copy)
    lines = done.stdout.decode("utf-8", "replace").splitlines() or ["nothing"]
    print(f"  {lines[-1]}")
    if done.returncode:
        told = "\n".join(line for line in lines if line.startswith(("FAILED", "ERROR", "E  ")))
        said = told or done.stderr.decode("utf-8", "replace")
        yield f"the wheel fails on the {name} dependencies; mend it, or pyproject.toml:\n{said}"


def without_sources(release: Release, name: str, using: tuple[str | Path, ...]) -> Path:
    """A copy of the repository without its sources, whose .venv has the wheel instead."""
    copy = release.room / name
    shutil.copytree(release.tree, copy)
    for source in SOURCES:
        shutil.rmtree(copy / source)
    group = ("--group", f"{release.tree / 'pyproject.toml'}:test")
    packages = release.install(copy / ".venv", *release.extras, using=(*group, *using))
    # What the repository's own scripts would install, or call the generated client.
    (copy / "scripts" / "install").write_text("#!/bin/sh\n", "utf-8")
    (copy / "generated").mkdir()
    (copy / "generated" / "flashback_client").symlink_to(packages / "flashback_client")
    return copy


def needed(release: Release) -> list[Requirement]:
    """What the package and its extras ask for directly, but for the package itself."""
    project = release.project["project"]
    extras = project["optional-dependencies"].values()
    lines = (*project["dependencies"], *(line for extra in extras for line in extra))
    return [each for each in map(Requirement, lines) if each.name != PROJECT]


def others(lock: str, names: Collection[str]) -> str:
    """The lock without these, so that only these go down."""
    entries = re.split(r"(?m)^(?=[a-z0-9])", lock)
    return "".join(each for each in entries if each.split("==")[0] not in names)


def installed(where: Path) -> dict[str, Version]:
    """The version of every package in that environment."""
    sites = map(str, where.glob("lib/python*/site-packages"))
    packages = metadata.distributions(path=list(sites))
    return {canonicalize_name(each.name): Version(each.version) for each in packages}


def unreachable(direct: list[Requirement], found: dict[str, Version]) -> Iterator[str]:
    """A finding for each lower bound that nobody can have, and so was not tested."""
    for each in direct:
        version = found.get(canonicalize_name(each.name))
        lowest = [Version(part.version) for part in each.specifier if part.operator == ">="]
        if version is not None and lowest != [version]:
            yield (
                f"pyproject.toml allows {each}, but the lowest that fits the rest is {version}:"
                f" write {each.name}>={version}"
            )

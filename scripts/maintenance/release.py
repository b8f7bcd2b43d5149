"""Build a release from HEAD into dist/ and test it as users install it. Uploads nothing."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from importlib import metadata
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

ROOT = Path(__file__).resolve().parents[2]
DIST = ROOT / "dist"
BIN = Path(sys.executable).parent
LOCK = ROOT / "scripts" / "locks" / "dev.txt"
TESTS = ("tests/client", "tests/mock", "examples")


class ReleaseError(Exception):
    """Something is wrong with the release; the message says what, where and what to do."""


def main() -> int:
    """Return 0: the release is ready; 1: something is wrong with it."""
    parser = argparse.ArgumentParser(prog="scripts/release", description=__doc__)
    parser.add_argument("--skip-tests", action="store_true", help="build without running tests")
    skip_tests: bool = parser.parse_args().skip_tests
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    try:
        with tempfile.TemporaryDirectory() as folder:
            check_repository(ROOT, contract_version(ROOT))
            wheel = build()
            release = Release(project, wheel, Path(folder))
            release.write_sbom()
            if not skip_tests:
                release.test("locked", LOCK)
                release.test_lowest()
    except ReleaseError as error:
        print(f"scripts/release: {error}", file=sys.stderr)
        return 1
    print(write_checksums())
    print("Ready." if not skip_tests else "Built, but not tested: --skip-tests.")
    return 0


def contract_version(root: Path) -> str:
    """Return info.version of openapi.yaml, the version of the package."""
    version = re.search(r"(?m)^  version: (\S+)$", (root / "openapi.yaml").read_text("utf-8"))
    if not version:
        raise ReleaseError("openapi.yaml: expected `version:` under `info:`, got none; add it")
    return version[1]


def check_repository(root: Path, version: str) -> None:
    """Raise ReleaseError if the tree has uncommitted changes or a tag contradicts the version."""
    if changes := run("git", "status", "--porcelain", cwd=root):
        raise ReleaseError(f"uncommitted changes; commit or stash them:\n{changes}")
    tag = f"v{version}"
    here = run("git", "tag", "--points-at", "HEAD", "v*", cwd=root).split()
    if here and tag not in here:
        raise ReleaseError(
            f"HEAD is tagged {', '.join(here)}, but info.version in openapi.yaml is {version};"
            " change the version or delete the tag"
        )
    if not here and run("git", "tag", "--list", tag, cwd=root):
        raise ReleaseError(
            f"the tag {tag} is at another commit; check it out, or bump info.version"
        )


def build() -> Path:
    """Build sdist and wheel, check their metadata, and return the wheel."""
    print("Building ...", flush=True)
    shutil.rmtree(DIST, ignore_errors=True)
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", DIST, ROOT)
    run(BIN / "twine", "check", "--strict", *DIST.iterdir(), NO_COLOR="1")
    return next(DIST.glob("*.whl"))


class Release:
    """A built wheel, and room to install it."""

    def __init__(self, project: dict[str, Any], wheel: Path, room: Path) -> None:
        """Prepare to test the wheel of this pyproject.toml in this empty folder."""
        self.wheel = wheel
        self.room = room
        self.sources: list[str] = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
        extras: dict[str, list[str]] = project["project"]["optional-dependencies"]
        self.requirement = f"flashback-client[{','.join(extras)}] @ {wheel.as_uri()}"
        direct = chain(project["project"]["dependencies"], *extras.values())
        self.direct = [item for item in map(Requirement, direct) if item.name != "flashback-client"]

    def write_sbom(self) -> None:
        """Write the CycloneDX document of the wheel with all extras into dist/."""
        print("Writing the SBOM ...", flush=True)
        python = self.environment(self.room / "sbom", "--constraint", LOCK)
        output = self.wheel.with_suffix(".cdx.json")
        options = ("--output-reproducible", "--mc-type", "library")
        subject = ("--pyproject", ROOT / "pyproject.toml")
        written = run(BIN / "cyclonedx-py", "environment", *options, *subject, python)
        document = json.loads(written)
        # pyproject.toml does not have the version: openapi.yaml has it.
        document["metadata"]["component"]["version"] = contract_version(ROOT)
        output.write_text(json.dumps(document, indent=2) + "\n", "utf-8")

    def environment(self, folder: Path, *options: str | Path) -> Path:
        """Return the Python of a new environment with the wheel and all extras."""
        run(BIN / "uv", "venv", "--quiet", "--no-project", "--python", sys.executable, folder)
        python = folder / "bin" / "python"
        only_wheels = ("--quiet", "--only-binary", ":all:", "--python", python)
        run(BIN / "uv", "pip", "install", *only_wheels, self.requirement, *options)
        return python

    def test_lowest(self) -> None:
        """Test on the lowest versions that pyproject.toml allows, everything else locked."""
        names = {canonicalize_name(requirement.name) for requirement in self.direct}
        others = self.room / "others.txt"
        others.write_text(without(LOCK.read_text("utf-8"), names), "utf-8")
        # uv lowers only what the command line names, not what the wheel needs.
        direct = map(str, self.direct)
        python = self.test("lowest", others, "--resolution", "lowest-direct", *direct)
        sites = map(str, python.parents[1].glob("lib/python*/site-packages"))
        packages = metadata.distributions(path=list(sites))
        installed: dict[str, Version] = {}
        for package in packages:
            installed[canonicalize_name(package.name)] = Version(package.version)
        if wrong := list(unreachable(self.direct, installed)):
            raise ReleaseError("\n".join(wrong))

    def test(self, name: str, constraints: Path, *options: str) -> Path:
        """Run the tests on the wheel in a copy of HEAD and return their Python."""
        print(f"Testing the wheel on the {name} dependencies (minutes) ...", flush=True)
        copy = self.room / name
        run("git", "clone", "--quiet", ROOT, copy)
        group = ("--group", f"{ROOT / 'pyproject.toml'}:test")
        python = self.environment(copy / ".venv", *group, "--constraint", constraints, *options)
        site = next((copy / ".venv").glob("lib/python*/site-packages"))
        for source in self.sources:  # the tests find the wheel's files instead of the sources
            shutil.rmtree(copy / source)
            (copy / source).symlink_to(site / Path(source).name)
        (copy / "scripts" / "install").write_text("#!/bin/sh\n")  # would install the sources
        run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *TESTS, cwd=copy)
        return python


def without(lock: str, names: Collection[str]) -> str:
    """Return the lock without the entries of these packages."""
    entries = re.split(r"(?m)^(?=[a-z0-9])", lock)
    return "".join(entry for entry in entries if entry.split("==")[0] not in names)


def unreachable(direct: list[Requirement], installed: dict[str, Version]) -> Iterator[str]:
    """Yield an error for each lower bound that cannot be installed, and so was not tested."""
    for requirement in direct:
        version = installed.get(canonicalize_name(requirement.name))
        bounds = [Version(part.version) for part in requirement.specifier if part.operator == ">="]
        exact = any(part.operator == "==" for part in requirement.specifier)
        if version is not None and bounds != [version] and not exact:
            yield (
                f"pyproject.toml: {requirement}: the lowest version that fits the rest is"
                f" {version}; write {requirement.name}>={version}"
            )


def write_checksums() -> str:
    """Write dist/SHA256SUMS and return it."""
    files = sorted(file for file in DIST.iterdir() if file.name != "SHA256SUMS")
    lines = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}" for file in files]
    (DIST / "SHA256SUMS").write_text("\n".join(lines) + "\n", "utf-8")
    return "\n".join(["In dist/:", *lines])


def run(*command: str | Path, cwd: Path = ROOT, **variables: str) -> str:
    """Return what the program prints; raise ReleaseError with its output if it fails."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("FLASHBACK_", "PYTHON"))}
    done = subprocess.run(
        command,
        cwd=cwd,
        env=inherited | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        name = " ".join([Path(command[0]).name, *map(str, command[1:4])])
        raise ReleaseError(f"`{name}` failed:\n{done.stdout.rstrip()}")
    return done.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())

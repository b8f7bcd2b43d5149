"""Build a release of HEAD into dist/, and test its wheel. Nothing is uploaded."""

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
from collections.abc import Iterable
from itertools import chain
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
DIST = ROOT / "dist"
BIN = Path(sys.executable).parent
LOCK = ROOT / "scripts" / "locks" / "dev.txt"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
EXTRAS: dict[str, list[str]] = PROJECT["project"]["optional-dependencies"]
TESTS = ("tests/client", "tests/mock", "examples")


class ReleaseError(Exception):
    """The release cannot be built. The message says what is wrong, where, and how to fix it."""


def main() -> int:
    """Run the command and return its exit status."""
    argparse.ArgumentParser(
        prog="scripts/release",
        description=__doc__,
        epilog="Exit status: 0 if the release is ready, 1 if it cannot be built.",
    ).parse_args()
    try:
        version = run(BIN / "hatchling", "version")
        check_repository(ROOT, version)
        wheel = build()
        with tempfile.TemporaryDirectory() as folder:
            write_sbom(wheel, version, Path(folder) / "sbom")
            test_wheel(wheel, Path(folder) / "copy")
        write_checksums()
    except ReleaseError as error:
        print(f"scripts/release: {error}", file=sys.stderr)
        return 1
    print(f"Version {version} is ready in dist/.")
    return 0


def check_repository(root: Path, version: str) -> None:
    """Raise ReleaseError if there are uncommitted changes, or if a tag contradicts the version."""
    if changes := run("git", "status", "--porcelain", cwd=root):
        raise ReleaseError(f"there are uncommitted changes; commit or stash them:\n{changes}")
    tag = f"v{version}"
    here = run("git", "tag", "--points-at", "HEAD", "v*", cwd=root).split()
    if here and tag not in here:
        raise ReleaseError(
            f"HEAD is tagged {', '.join(here)}, but info.version in openapi.yaml is {version};"
            " change the version or delete the tag"
        )
    if not here and run("git", "tag", "--list", tag, cwd=root):
        raise ReleaseError(
            f"the tag {tag} is at another commit; check out {tag}, or bump info.version"
        )


def build() -> Path:
    """Build the sdist and the wheel, check their metadata, and return the wheel's path."""
    print("Building ...", flush=True)
    shutil.rmtree(DIST, ignore_errors=True)
    run(BIN / "uv", "build", "--no-build-isolation", "--python", sys.executable, "--out-dir", DIST)
    (DIST / ".gitignore").unlink(missing_ok=True)
    run(BIN / "twine", "check", "--strict", *DIST.iterdir(), NO_COLOR="1")
    return next(DIST.glob("*.whl"))


def install(folder: Path, wheel: Path, *options: str | Path) -> Path:
    """Install the wheel with all extras in a new environment, and return the path to its Python."""
    run(BIN / "uv", "venv", "--no-project", "--python", sys.executable, folder)
    python = folder / "bin" / "python"
    requirement = f"flashback-client[{','.join(EXTRAS)}] @ {wheel.as_uri()}"
    only_wheels = ("--only-binary", ":all:", "--python", python)
    run(BIN / "uv", "pip", "install", *only_wheels, requirement, *options)
    return python


def write_sbom(wheel: Path, version: str, folder: Path) -> None:
    """Write a CycloneDX SBOM for the wheel and all its extras to dist/."""
    print("Writing the SBOM ...", flush=True)
    python = install(folder, wheel, "--constraint", LOCK)
    options = ("--output-reproducible", "--mc-type", "library", "--pyproject", "pyproject.toml")
    document = json.loads(run(BIN / "cyclonedx-py", "environment", *options, python))
    # cyclonedx-py cannot determine the version, which is defined in openapi.yaml.
    document["metadata"]["component"]["version"] = version
    output = wheel.with_suffix(".cdx.json")
    output.write_text(json.dumps(document, indent=2) + "\n", "utf-8")


def test_wheel(wheel: Path, copy: Path) -> None:
    """Test the wheel in a clone of HEAD, with the lowest dependency versions that it allows."""
    print("Testing the wheel with the lowest dependency versions (takes minutes) ...", flush=True)
    run("git", "clone", "--quiet", ROOT, copy)
    constraint = copy / "lowest.txt"
    constraint.write_text(lowest(LOCK.read_text("utf-8")), "utf-8")
    group = ("--group", f"{ROOT / 'pyproject.toml'}:test")
    python = install(copy / ".venv", wheel, *group, "--constraint", constraint)
    site = next((copy / ".venv").glob("lib/python*/site-packages"))
    # Replace the source folders with links so that the tests use the installed wheel.
    for source in PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]:
        shutil.rmtree(copy / source)
        (copy / source).symlink_to(site / Path(source).name)
    # Make scripts/install do nothing; otherwise, it would install the sources.
    (copy / "scripts" / "install").write_text("#!/bin/sh\n")
    run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *TESTS, cwd=copy)


def lowest(lock: str) -> str:
    """Return the lock file's text with each direct dependency at its lowest allowed version."""
    direct = chain(PROJECT["project"]["dependencies"], *EXTRAS.values())
    requirements = [Requirement(line) for line in direct if "flashback-client" not in line]
    names = {canonicalize_name(requirement.name) for requirement in requirements}
    pins = [lower_bound(requirement) for requirement in requirements]
    return "\n".join([*pins, without(lock, names)])


def lower_bound(requirement: Requirement) -> str:
    """Return the requirement, pinned to the lowest version that it allows."""
    for bound in requirement.specifier:
        if bound.operator in (">=", "=="):
            return f"{requirement.name}=={bound.version}"
    raise ReleaseError(f"pyproject.toml: {requirement}: has no lower bound; add one with >=")


def without(lock: str, names: Iterable[str]) -> str:
    """Return the lock file's text without the entries for these packages."""
    entries = re.split(r"(?m)^(?=[a-z0-9])", lock)
    return "".join(entry for entry in entries if entry.split("==")[0] not in names)


def write_checksums() -> None:
    """Write and print dist/SHA256SUMS."""
    files = sorted(DIST.iterdir())
    lines = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in files]
    (DIST / "SHA256SUMS").write_text("".join(lines), "utf-8")
    print("".join(lines), end="")


def run(*command: str | Path, cwd: Path = ROOT, **variables: str) -> str:
    """Run a program and return its output. If it fails, raise ReleaseError with the output."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("FLASHBACK_", "PYTHON"))
    }
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

"""Build a release of HEAD into dist/, and test its wheel. Nothing is uploaded."""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DIST = ROOT / "dist"
BIN = Path(sys.executable).parent
LOCK = ROOT / "scripts" / "locks" / "dev.txt"
PYPROJECT = ROOT / "pyproject.toml"
PROJECT = tomllib.loads(PYPROJECT.read_text("utf-8"))
UV = BIN / "uv"
PIP_INSTALL = (UV, "pip", "install", "--only-binary", ":all:", "--python")
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
    """Raise ReleaseError if there are uncommitted changes or a git tag contradicts the version."""
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
            f"the tag {tag} points to another commit; check out {tag}, or bump info.version"
        )


def build() -> Path:
    """Build the sdist and the wheel, check their metadata, and return the wheel's path."""
    print("Building ...", flush=True)
    shutil.rmtree(DIST, ignore_errors=True)
    run(UV, "build", "--no-build-isolation", "--python", sys.executable, "--out-dir", DIST)
    (DIST / ".gitignore").unlink(missing_ok=True)
    run(BIN / "twine", "check", "--strict", *DIST.iterdir(), NO_COLOR="1")
    return next(DIST.glob("*.whl"))


def install(folder: Path, wheel: Path, *options: str) -> Path:
    """Install the wheel with all extras in a new environment, and return the path to its Python."""
    run(UV, "venv", "--no-project", "--python", sys.executable, folder)
    python = folder / "bin" / "python"
    extras = ",".join(PROJECT["project"]["optional-dependencies"])
    requirement = f"flashback-client[{extras}] @ {wheel.as_uri()}"
    run(*PIP_INSTALL, python, "--constraint", LOCK, requirement, *options)
    return python


def write_sbom(wheel: Path, version: str, folder: Path) -> None:
    """Write a CycloneDX SBOM for the wheel and all its extras to dist/."""
    print("Writing the SBOM ...", flush=True)
    python = install(folder, wheel)
    options = ("--output-reproducible", "--mc-type", "library", "--pyproject", PYPROJECT)
    document = json.loads(run(BIN / "cyclonedx-py", "environment", *options, python))
    # cyclonedx-py cannot determine the version, which is defined in openapi.yaml.
    document["metadata"]["component"]["version"] = version
    output = wheel.with_suffix(".cdx.json")
    output.write_text(json.dumps(document, indent=2) + "\n", "utf-8")


def test_wheel(wheel: Path, copy: Path) -> None:
    """Test the wheel in a clone of HEAD, with its lowest allowed dependency versions."""
    print(
        "Testing the wheel with the lowest dependency versions (takes several minutes) ...",
        flush=True,
    )
    run("git", "clone", "--quiet", ROOT, copy)
    python = install(copy / ".venv", wheel, "--group", f"{PYPROJECT}:test")
    lowest = copy / "lowest.txt"
    options = ("--resolution", "lowest-direct", "--no-deps", "--all-extras")
    run(UV, "pip", "compile", *options, "--output-file", lowest, PYPROJECT)
    run(*PIP_INSTALL, python, "--no-deps", "--requirement", lowest)
    run(UV, "pip", "check", "--python", python)
    site = next((copy / ".venv").glob("lib/python*/site-packages"))
    # Replace the source folders with links so that the tests use the installed wheel.
    for source in PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]:
        shutil.rmtree(copy / source)
        (copy / source).symlink_to(site / Path(source).name)
    # Make scripts/install do nothing; otherwise, it would install the sources.
    (copy / "scripts" / "install").write_text("#!/bin/sh\n")
    run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *TESTS, cwd=copy)


def write_checksums() -> None:
    """Write and print dist/SHA256SUMS."""
    text = ""
    for file in sorted(DIST.iterdir()):
        text += f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n"
    (DIST / "SHA256SUMS").write_text(text, "utf-8")
    print(text, end="")


def run(*command: str | Path, cwd: Path = ROOT, **variables: str) -> str:
    """Run a program and return its output. If it fails, raise ReleaseError with the output."""
    for name, value in os.environ.items():
        if not name.startswith(("FLASHBACK_", "PYTHON")):
            variables.setdefault(name, value)
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            env=variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        raise ReleaseError(f"{command[0]} was not found; install it") from None
    if done.returncode:
        name = " ".join([Path(command[0]).name, *map(str, command[1:4])])
        raise ReleaseError(f"`{name}` failed:\n{done.stdout.rstrip()}")
    return done.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())

"""Builds a release from HEAD into dist/, judges it as its users get it, and uploads nothing."""

from __future__ import annotations

import argparse
import hashlib
import io
import os
import re
import shutil
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.metadata import Metadata

from scripts.release_base import DIST, Release, ReleaseError, git, run, say
from scripts.release_supplies import supplied
from scripts.release_trial import tested

if TYPE_CHECKING:
    from collections.abc import Iterator

WANTED = (
    *("summary", "description", "author", "license_expression", "license_files"),
    *("keywords", "classifiers", "project_urls", "requires_python"),
)


def main() -> int:
    """Exit status 0: in order; 1: something is wrong; 2: it could not be judged."""
    parser = argparse.ArgumentParser(prog="scripts/release", description=__doc__)
    told = "a rehearsal in half a minute, which never ends in order"
    parser.add_argument("--skip-tests", action="store_true", help=told)
    skip = parser.parse_args().skip_tests
    try:
        with tempfile.TemporaryDirectory() as folder:
            release = exported(Path(folder).resolve())
            found = [*committed(release), *built(release), *supplied(release)]
            found += ["the tests were not run: leave out --skip-tests"] if skip else tested(release)
    except ReleaseError as error:
        print(f"scripts/release: {error}", file=sys.stderr)
        return 2
    print(summary(release.version, found))
    return int(bool(found))


def exported(room: Path) -> Release:
    """HEAD in a folder of its own: nothing that is not committed gets into a release."""
    tree = head(room / "tree")
    project = tomllib.loads((tree / "pyproject.toml").read_text("utf-8"))
    version = re.search(r"(?m)^  version: (\S+)$", (tree / "openapi.yaml").read_text("utf-8"))
    if not version:
        raise ReleaseError("openapi.yaml has no `version:` under `info:`; give it one")
    return Release(tree, room, project, version[1])


def head(folder: Path) -> Path:
    """The folder, with HEAD unpacked in it."""
    with tarfile.open(fileobj=io.BytesIO(git("archive", "HEAD"))) as archive:
        archive.extractall(folder, filter="data")
    return folder


def committed(release: Release) -> Iterator[str]:
    """What is wrong with the repository: tree, changelog, tag."""
    say("Looking at the repository")
    if changed := git("status", "--porcelain").decode().rstrip():
        yield f"the working tree is not clean: commit these, or put them away:\n{changed}"
    yield from unlogged((release.tree / "CHANGELOG.md").read_text("utf-8"), release.version)
    yield from mistagged(release.version)


def unlogged(changelog: str, version: str) -> Iterator[str]:
    """A finding unless the changelog's top entry is this version."""
    top = re.search(r"(?m)^## (\S+)", changelog)
    if not top or top[1] != version:
        yield (
            f"CHANGELOG.md begins with {top[1] if top else 'no version'}, openapi.yaml says"
            f" {version}: write an entry for {version} at its top, or mend info.version"
        )


def mistagged(version: str) -> Iterator[str]:
    """A finding if the version's tag is elsewhere, or another version's tag is here."""
    own, here = f"v{version}", git("tag", "--points-at", "HEAD", "v*").decode().split()
    for other in sorted({*here} - {own}):
        yield (
            f"HEAD is tagged {other}, but info.version in openapi.yaml says {version}:"
            " mend the version, or delete the tag"
        )
    if not (tag := tagged(version)):
        print(f"  note: there is no tag v{version} yet; HEAD stands in for it")
    elif own not in here:
        yield (
            f"the tag v{version} is at {tag[:9]}, HEAD is not: check the tag out,"
            " or raise info.version in openapi.yaml"
        )


def tagged(version: str) -> str:
    """The commit that the version's tag is at, or nothing."""
    tags = git("for-each-ref", "--format=%(refname:strip=2)", f"refs/tags/v{version}").decode()
    return git("rev-parse", f"refs/tags/v{version}^{{commit}}").decode().strip() if tags else ""


def built(release: Release) -> Iterator[str]:
    """What is wrong with sdist and wheel, which are in dist/ from now on."""
    say("Building twice: the second time elsewhere, of other age, and the wheel from the sdist")
    shutil.rmtree(DIST, ignore_errors=True)
    build(release.tree, DIST, "sdist", "wheel")
    again = release.room / "again"
    build(aged(head(again / "tree")), again, "sdist", TZ="Asia/Kathmandu")
    with tarfile.open(next(again.glob("*.tar.gz"))) as archive:
        archive.extractall(again, filter="data")
    build(next(again.glob("*-*/")), again, "wheel", TZ="Asia/Kathmandu")
    for file in DIST.iterdir():
        if file.read_bytes() != (again / file.name).read_bytes():
            yield f"{file.name} differs between two builds: see in what with diffoscope"
    yield from misdescribed(release)


def build(tree: Path, output: Path, *targets: str, **variables: str) -> None:
    """Builds with the locked hatchling, so without fetching one."""
    wanted = [word for target in targets for word in ("-t", target)]
    run(sys.executable, "-m", "hatchling", "build", "-d", output, *wanted, cwd=tree, **variables)


def aged(tree: Path) -> Path:
    """The folder, every file in it changed in 2001."""
    for path in tree.rglob("*"):
        os.utime(path, (10**9, 10**9))
    return tree


def misdescribed(release: Release) -> Iterator[str]:
    """A finding if the wheel's contract is not the tagged one, and for each gap in its metadata."""
    reference = tagged(release.version) or "HEAD"
    with zipfile.ZipFile(release.wheel) as archive:
        contract = archive.read("flashback_mock/openapi.yaml")
        name = next(each for each in archive.namelist() if each.endswith(".dist-info/METADATA"))
        facts = Metadata.from_email(archive.read(name))
    if contract != git("show", f"{reference}:openapi.yaml"):
        yield (
            f"the wheel's contract is not openapi.yaml of {reference[:9]}, byte for byte:"
            " mend [tool.hatch.build] in pyproject.toml, or the tag"
        )
    for field in WANTED:
        if not getattr(facts, field):
            yield f"the wheel's metadata lack {field}: add it under [project] in pyproject.toml"
    if "/OWNER/" in str(facts.project_urls):
        print("  note: pyproject.toml and README.md still say OWNER/REPOSITORY for where it lives")


def summary(version: str, found: list[str]) -> str:
    """What lies in dist/, with hashes, which a file there has too; then what is wrong."""
    files = sorted(file for file in DIST.iterdir() if file.name != "SHA256SUMS")
    hashes = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}" for file in files]
    (DIST / "SHA256SUMS").write_text("\n".join(hashes) + "\n", "utf-8")
    verdict = f"{version} is in order." if not found else f"{version} is not in order:"
    wrong = (f"{number}. {each}" for number, each in enumerate(found, 1))
    return "\n".join(["", "In dist/, with SHA-256:", *hashes, "", verdict, *wrong])


if __name__ == "__main__":
    sys.exit(main())

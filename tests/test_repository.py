"""Tests for the repository's scripts, lock files and changelog."""

import re
import subprocess
import tomllib
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

# `release` is omitted because it would install packages into .venv.
SCRIPTS = ["bench", "check", "compat", "contract", "generate", "install", "mock", "test"]
LOCKS = ["contract", "dev", "generate", "mock", "release"]


def tracked(root: Path) -> list[Path]:
    """Return all files that Git does not ignore."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=root, capture_output=True, check=False, text=True)
    if listed.returncode:
        pytest.skip("this is not a Git checkout")
    return [root / name for name in listed.stdout.split("\0") if name and (root / name).exists()]


def locked(root: Path, name: str) -> dict[str, str]:
    """Return a lock file's entries, keyed by package name."""
    text = (root / "scripts" / "locks" / f"{name}.txt").read_text("utf-8")
    entries = re.split(r"\n(?=\S)", re.sub(r"^ *#.*\n", "", text, flags=re.MULTILINE))
    return {entry.split("==")[0]: entry for entry in entries}


def test_checks_pass(root: Path) -> None:
    """scripts/check reports no problems."""
    completed = subprocess.run(
        [root / "scripts" / "check"], capture_output=True, text=True, check=False
    )
    assert completed.returncode == 0, completed.stdout + completed.stderr


def test_fast_run_excludes_existing_paths(root: Path) -> None:
    """Every path that `scripts/test --fast` excludes exists."""
    script = (root / "scripts" / "test").read_text("utf-8")
    paths = script.partition('slow="')[2].partition('"')[0].split()
    assert paths
    assert [path for path in paths if not (root / path).exists()] == []


@pytest.mark.parametrize("name", SCRIPTS)
def test_script_has_help(root: Path, name: str, tmp_path: Path) -> None:
    """Every script has a --help option that works in any working directory."""
    completed = subprocess.run(
        [root / "scripts" / name, "--help"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert completed.returncode == 0, completed.stderr
    assert "usage:" in completed.stdout


def test_second_install_does_nothing(root: Path) -> None:
    """scripts/install prints and changes nothing if all packages are already installed."""
    record = root / ".venv" / "project"
    modified_before = record.stat().st_mtime_ns
    completed = subprocess.run(
        [root / "scripts" / "install"], capture_output=True, text=True, check=True
    )
    assert completed.stdout + completed.stderr == ""
    assert record.stat().st_mtime_ns == modified_before


def test_files_do_not_mention_registries_or_home_directories(root: Path) -> None:
    """No file contains a package registry's host name or the path to a home directory."""
    hosts = ("pypi" + ".org", "python" + "hosted", "npmjs" + ".", "deb." + "debian")
    paths = ("/" + "root/", "/" + "home/")
    for file in tracked(root):
        text = file.read_text("utf-8", errors="replace")
        for forbidden in (*hosts, *paths):
            assert forbidden not in text, f"{file.relative_to(root)}: remove {forbidden}"


@pytest.mark.parametrize("name", LOCKS)
def test_dependencies_are_locked_with_hashes(root: Path, name: str) -> None:
    """Every locked package has hashes, and its version is the same in all lock files."""
    release_entries = locked(root, "release")
    entries = locked(root, name)
    assert len(entries) > 20
    for package, entry in entries.items():
        assert re.match(r"[a-z0-9.-]+==\S+", entry)
        assert "--hash=sha256:" in entry
        assert version_of(entry) == version_of(release_entries[package])


def test_lock_files_match_pyproject(root: Path) -> None:
    """Every requirement in pyproject.toml allows the locked version."""
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))
    groups = [project["project"]["dependencies"], *project["dependency-groups"].values()]
    groups += project["project"]["optional-dependencies"].values()
    entries = locked(root, "release")
    for line in chain(*groups):
        if isinstance(line, str) and "flashback-client" not in line:
            requirement = Requirement(line)
            version = version_of(entries[requirement.name.lower()])
            is_allowed = requirement.specifier.contains(version, prereleases=True)
            assert is_allowed, f"{requirement} excludes {version}; run scripts/install --lock"


def version_of(entry: str) -> str:
    """Return the version in a lock file entry."""
    return entry.split("==")[1].split(maxsplit=1)[0]


def test_changelog_starts_with_the_current_version(root: Path, document: dict[str, Any]) -> None:
    """The first entry in CHANGELOG.md is for the version in openapi.yaml."""
    changelog = (root / "CHANGELOG.md").read_text("utf-8")
    assert re.findall(r"(?m)^## (\S+)", changelog)[0] == document["info"]["version"]

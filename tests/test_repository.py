"""Tests for the repository's scripts, lock files and changelog."""

import os
import re
import shutil
import sys
import tomllib
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from tests.programs import run

SCRIPTS = ["bench", "check", "compat", "contract", "generate", "install", "mock", "release", "test"]


def locked_versions(root: Path, name: str) -> dict[str, str]:
    """Return each package's version in a lock file; fail if the file sets a package index."""
    text = (root / "scripts" / "locks" / f"{name}.txt").read_text("utf-8")
    assert "index-url" not in text
    return dict(re.findall(r"(?m)^([a-z0-9.-]+)==(\S+)", text))


def test_checks_pass(root: Path) -> None:
    """scripts/check reports no problems."""
    run(root / "scripts" / "check")


@pytest.mark.parametrize("name", SCRIPTS)
def test_script_has_help(root: Path, name: str, tmp_path: Path) -> None:
    """Every script has a --help option that works from any directory."""
    assert "usage:" in run(root / "scripts" / name, "--help", cwd=tmp_path)


@pytest.mark.parametrize("name", ["contract", "generate"])
def test_help_needs_no_installation(root: Path, name: str, tmp_path: Path) -> None:
    """On a new machine, --help prints the usage without installing packages."""
    for folder in ("scripts", "tests/contract"):
        shutil.copytree(root / folder, tmp_path / folder)
    path = f"{sys.base_prefix}/bin{os.pathsep}{os.environ['PATH']}"
    assert "usage:" in run(tmp_path / "scripts" / name, "--help", variables={"PATH": path})
    assert not (tmp_path / ".venv").exists()


def test_second_install_does_nothing(root: Path) -> None:
    """scripts/install prints nothing and changes nothing if all packages are already installed."""
    record = root / ".venv" / "project"
    modified_before = record.stat().st_mtime_ns
    assert run(root / "scripts" / "install") == ""
    assert record.stat().st_mtime_ns == modified_before


def test_path_of_the_clone_may_contain_any_characters(root: Path) -> None:
    """Python finds the packages through relative paths, so the clone's path is never decoded."""
    [links] = (root / ".venv").glob("lib/python*/site-packages/_flashback_client.pth")
    paths = ["../../../../generated", "../../../../mock", "../../../../runtime"]
    assert links.read_text("utf-8").splitlines() == paths


def test_install_keeps_the_packages_of_another_clone(root: Path, tmp_path: Path) -> None:
    """If .venv is a link to another clone's packages, no script deletes them."""
    shutil.copytree(root / "scripts", tmp_path / "scripts")
    other = tmp_path / "other"
    other.mkdir()
    (other / "root").write_text("/other")
    (tmp_path / ".venv").symlink_to(other)
    message = run(Path("scripts", "install"), status=2, cwd=tmp_path, variables={"CDPATH": "/"})
    assert "delete the link" in message
    assert (other / "root").exists()


@pytest.mark.parametrize("name", ["contract", "dev", "generate", "mock"])
def test_lock_files_have_the_same_versions(root: Path, name: str) -> None:
    """Every package has the same version in all lock files."""
    versions = locked_versions(root, name)
    assert versions
    assert versions.items() <= locked_versions(root, "release").items()


def test_lock_files_match_pyproject(root: Path) -> None:
    """Every requirement in pyproject.toml allows the locked version."""
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))
    groups = [project["project"]["dependencies"], *project["dependency-groups"].values()]
    groups += project["project"]["optional-dependencies"].values()
    versions = locked_versions(root, "release")
    for line in chain(*groups):
        if isinstance(line, str) and "flashback-client" not in line:
            requirement = Requirement(line)
            name = requirement.name.lower()
            assert name in versions, f"{name} is not locked; run scripts/install --lock"
            is_allowed = requirement.specifier.contains(versions[name], prereleases=True)
            assert is_allowed, (
                f"{requirement} excludes {versions[name]}; run scripts/install --lock"
            )


def test_files_list_the_same_supported_python_versions(root: Path) -> None:
    """The README, CI, the installer and a test list the same Python versions as pyproject.toml."""
    versions = re.findall(r"Python :: (3\.\d+)", (root / "pyproject.toml").read_text("utf-8"))
    assert f"Python {versions[0]} to {versions[-1]} " in (root / "README.md").read_text("utf-8")
    files = (".github/workflows/ci.yml", "scripts/maintenance/packages")
    for file in (*files, "tests/client/test_installations.py"):
        text = (root / file).read_text("utf-8")
        missing = [version for version in versions if version not in text]
        assert not missing, f"{file} does not list {missing}; add these versions"


def test_changelog_starts_with_the_current_version(root: Path, document: dict[str, Any]) -> None:
    """The first entry in CHANGELOG.md is for the version in openapi.yaml."""
    changelog = (root / "CHANGELOG.md").read_text("utf-8")
    newest = re.findall(r"(?m)^## (\S+)", changelog)[0]
    version = document["info"]["version"]
    assert newest == version, f"CHANGELOG.md: expected {version} first, got {newest}; add an entry"

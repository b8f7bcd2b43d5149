"""The repository keeps its own rules: checks pass, scripts help, nothing of a machine is in it."""

import re
import subprocess
from pathlib import Path

import pytest

SCRIPTS = [
    *("bench", "check", "compat", "contract", "generate"),
    *("install", "mock", "release", "test"),
]


def tracked(root: Path) -> list[Path]:
    """The files that are, or are about to be, committed."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=root, capture_output=True, check=False, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [root / name for name in listed.stdout.split("\0") if name and (root / name).exists()]


def test_checks_pass(root: Path) -> None:
    """Lint, format, types, drift and version: scripts/check finds nothing."""
    done = subprocess.run([root / "scripts" / "check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", SCRIPTS)
def test_script_helps(root: Path, name: str) -> None:
    """Every script says with --help what it does, and exits with 0."""
    done = subprocess.run(
        [root / "scripts" / name, "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "usage:" in done.stdout


def test_install_is_quick_when_there_is_nothing_to_do(root: Path) -> None:
    """scripts/install says nothing and changes nothing when all is there."""
    before = (root / ".venv" / "packages").stat().st_mtime_ns
    done = subprocess.run(
        [root / "scripts" / "install"], capture_output=True, text=True, check=True
    )
    assert done.stdout + done.stderr == ""
    assert (root / ".venv" / "packages").stat().st_mtime_ns == before


def test_nothing_names_a_registry_or_a_machine(root: Path) -> None:
    """No file names a package registry's host or a path of somebody's machine."""
    hosts = ("pypi" + ".org", "python" + "hosted", "npmjs" + ".", "deb." + "debian")
    paths = ("/" + "root/", "/" + "home/")
    for file in tracked(root):
        text = file.read_text("utf-8")
        for forbidden in (*hosts, *paths):
            assert forbidden not in text, f"{file.relative_to(root)} names {forbidden}"


def test_dependencies_are_locked_with_hashes(root: Path) -> None:
    """Every locked package has an exact version and hashes."""
    text = (root / "scripts" / "requirements.txt").read_text("utf-8")
    packages = re.split(r"\n(?=\S)", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE))
    assert len(packages) > 50
    for package in packages:
        assert re.match(r"[a-z0-9.-]+==\S+", package), package
        assert "--hash=sha256:" in package, package


def test_changelog_begins_with_this_version(root: Path) -> None:
    """The changelog's top entry is the contract's version."""
    version = re.search(r"(?m)^  version: (\S+)$", (root / "openapi.yaml").read_text("utf-8"))
    top = re.search(r"(?m)^## (\S+)", (root / "CHANGELOG.md").read_text("utf-8"))
    assert version
    assert top
    assert top[1] == version[1]

"""Rules for the repository itself, such as --help of every script and locked dependencies."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

# Not release: it would install its packages into .venv while the tests run.
SCRIPTS = ["bench", "check", "compat", "contract", "generate", "install", "mock", "test"]
LOCKS = ["contract", "dev", "generate", "mock", "release"]


def tracked(root: Path) -> list[Path]:
    """Return the files that Git tracks or does not ignore."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=root, capture_output=True, check=False, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [root / name for name in listed.stdout.split("\0") if name and (root / name).exists()]


def locked(root: Path, name: str) -> dict[str, str]:
    """Return the entries of a lock file by package, with version, marker and hashes."""
    text = (root / "scripts" / "locks" / f"{name}.txt").read_text("utf-8")
    entries = re.split(r"\n(?=\S)", re.sub(r"^ *#.*\n", "", text, flags=re.MULTILINE))
    return {entry.split("==")[0]: entry for entry in entries}


def test_checks_pass(root: Path) -> None:
    """scripts/check finds nothing."""
    done = subprocess.run([root / "scripts" / "check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_fast_run_leaves_out_existing_paths(root: Path) -> None:
    """Every path that scripts/test --fast leaves out exists."""
    script = (root / "scripts" / "test").read_text("utf-8")
    paths = script.partition('slow="')[2].partition('"')[0].split()
    assert paths
    assert [path for path in paths if not (root / path).exists()] == []


@pytest.mark.parametrize("name", SCRIPTS)
def test_script_has_help(root: Path, name: str, tmp_path: Path) -> None:
    """Every script prints its usage for --help in any working directory."""
    done = subprocess.run(
        [root / "scripts" / name, "--help"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "usage:" in done.stdout


def test_second_install_does_nothing(root: Path) -> None:
    """scripts/install prints and changes nothing if everything is installed."""
    record = root / ".venv" / "project"
    before = record.stat().st_mtime_ns
    done = subprocess.run(
        [root / "scripts" / "install"], capture_output=True, text=True, check=True
    )
    assert done.stdout + done.stderr == ""
    assert record.stat().st_mtime_ns == before


def test_nothing_names_a_registry_or_a_machine(root: Path) -> None:
    """No file contains the host of a package registry or a home directory."""
    hosts = ("pypi" + ".org", "python" + "hosted", "npmjs" + ".", "deb." + "debian")
    paths = ("/" + "root/", "/" + "home/")
    for file in tracked(root):
        text = file.read_text("utf-8", errors="replace")
        for forbidden in (*hosts, *paths):
            assert forbidden not in text, f"{file.relative_to(root)} names {forbidden}"


@pytest.mark.parametrize("name", LOCKS)
def test_dependencies_are_locked_with_hashes(root: Path, name: str) -> None:
    """Every locked package has hashes, and the same exact version in all lock files."""
    everything = locked(root, "release")
    entries = locked(root, name)
    assert len(entries) > 20
    for package, entry in entries.items():
        assert re.match(r"[a-z0-9.-]+==\S+", entry)
        assert "--hash=sha256:" in entry
        assert version_of(entry) == version_of(everything[package])


def test_locks_fit_pyproject(root: Path) -> None:
    """Every requirement in pyproject.toml allows the locked version."""
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))
    lines = [*project["project"]["dependencies"]]
    for extra in project["project"]["optional-dependencies"].values():
        lines += extra
    for group in project["dependency-groups"].values():
        lines += [line for line in group if isinstance(line, str)]
    entries = locked(root, "release")
    for requirement in map(Requirement, lines):
        if requirement.name == project["project"]["name"]:
            continue
        entry = entries.get(requirement.name.lower())
        assert entry, f"{requirement} is not locked; run scripts/install --lock"
        fits = requirement.specifier.contains(version_of(entry), prereleases=True)
        assert fits, f"{requirement} does not allow the lock; run scripts/install --lock"


def version_of(entry: str) -> str:
    """Return the version that an entry of a lock file pins."""
    return entry.split("==")[1].split(maxsplit=1)[0]


def test_changelog_begins_with_this_version(root: Path) -> None:
    """The first entry of the changelog is the version of the contract."""
    version = re.search(r"(?m)^  version: (\S+)$", (root / "openapi.yaml").read_text("utf-8"))
    first = re.search(r"(?m)^## (\S+)", (root / "CHANGELOG.md").read_text("utf-8"))
    assert version
    assert first
    assert first[1] == version[1]

"""What scripts/release judges by: changelog, licences, lower bounds, and that it never guesses."""

from __future__ import annotations

import re
import sysconfig
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from scripts import release, release_base, release_supplies, release_trial

INSTALLED = Path(sysconfig.get_path("purelib"))


@pytest.fixture(scope="module")
def rules(root: Path) -> dict[str, Any]:
    """Which licences pyproject.toml allows."""
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))
    found: dict[str, Any] = project["tool"]["release"]
    return found


def test_the_changelog_has_to_begin_with_the_version() -> None:
    """Another top entry, or none, is a finding that names both versions."""
    assert list(release.unlogged("# Changelog\n\n## 1.2.0\n\n## 1.1.0\n", "1.2.0")) == []
    [old] = release.unlogged("# Changelog\n\n## 1.1.0\n", "1.2.0")
    assert "begins with 1.1.0, openapi.yaml says 1.2.0" in old
    [none] = release.unlogged("# Changelog\n", "1.2.0")
    assert "begins with no version" in none


def test_every_licence_of_this_environment_is_allowed(rules: dict[str, Any]) -> None:
    """A new dependency whose licence nobody allowed turns this red, long before a release."""
    found = release_supplies.licences(INSTALLED, rules)
    assert {"httpx", "starlette", "pytest"} <= found.keys()
    assert release_base.PROJECT not in found
    assert list(release_supplies.refused(found, rules)) == []


@pytest.mark.parametrize(
    ("licence", "allowed"),
    [
        ("MIT", True),
        ("Apache-2.0 OR BSD-3-Clause", True),
        ("MIT AND Python-2.0", False),
        ("MIT OR GPL-3.0-only", False),
        ("GPL-3.0-only", False),
        ("mit", False),
        ("not said", False),
    ],
)
def test_only_allowed_licences_pass(rules: dict[str, Any], licence: str, allowed: bool) -> None:  # noqa: FBT001
    """Each part of an expression has to be allowed; what is not said is not."""
    findings = list(release_supplies.refused({"package": licence}, rules))
    assert len(findings) == (not allowed)
    assert all("package" in each and repr(licence) in each for each in findings)


def package(folder: Path, metadata: str) -> Path:
    """A folder in which a package with this metadata is installed."""
    about = folder / "package-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.4\nName: package\nVersion: 1\n{metadata}")
    return folder


@pytest.mark.parametrize(
    ("metadata", "licence"),
    [
        ("License-Expression: MIT OR 0BSD\nLicense: none\n", "MIT OR 0BSD"),
        ("License: MIT\nClassifier: License :: OSI Approved :: A\n", "A"),
        ("Classifier: License :: A\nClassifier: Topic :: T\nClassifier: License :: B", "A AND B"),
        ("License: BSD\n  and its text\n", "BSD"),
        ("License: \n", "not said"),
        ("", "not said"),
    ],
)
def test_a_licence_is_what_the_package_declares(
    tmp_path: Path, metadata: str, licence: str
) -> None:
    """The expression, else every classifier, else the old field's first line."""
    no_rules: dict[str, Any] = {"licence-of": {}}
    assert release_supplies.licences(package(tmp_path, metadata), no_rules) == {"package": licence}


def test_a_named_package_has_the_licence_that_was_read(tmp_path: Path) -> None:
    """What was read in a package counts instead of its metadata."""
    rules: dict[str, Any] = {"licence-of": {"package": "MIT", "absent": "MIT"}}
    assert release_supplies.licences(package(tmp_path, ""), rules) == {"package": "MIT"}


def test_the_lowest_run_pins_everything_else() -> None:
    """What the package does not ask for itself keeps its pin, marker and hashes."""
    rest = "bc==2 ; python_version < '3.12' \\\n    --hash=sha256:2\n    # via b\n"
    lock = f"# made\nb==1 \\\n    --hash=sha256:1\n{rest}"
    assert release_trial.others(lock, {"b"}) == f"# made\n{rest}"


def test_a_lower_bound_that_nobody_can_have_is_a_finding() -> None:
    """What was tested is the bound itself, or the finding says what to write instead."""
    bounds = [Requirement("a>=1.0"), Requirement("b<3,>=2"), Requirement("c"), Requirement("d>=1")]
    found = {"a": Version("1"), "b": Version("2.1"), "c": Version("1")}
    one, other = release_trial.unreachable(bounds, found)
    assert "write b>=2.1" in one
    assert "write c>=1" in other


def test_its_tools_are_locked_with_hashes(root: Path) -> None:
    """The tools of scripts/release have exact versions and hashes, in a file of their own."""
    text = (root / "scripts" / "release.txt").read_text("utf-8")
    packages = re.split(r"\n(?=\S)", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE))
    assert {"cyclonedx-bom", "twine"} <= {each.split("==")[0] for each in packages}
    for each in packages:
        assert re.match(r"[a-z0-9.-]+==\S+", each), each
        assert "--hash=sha256:" in each, each


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> release_base.Release:
    """A repository with one commit, instead of this one."""
    monkeypatch.setattr(release_base, "ROOT", tmp_path)
    (tmp_path / "CHANGELOG.md").write_text("## 1.0.0\n")
    who = ("-c", "user.name=A", "-c", "user.email=a@example.com")
    for command in (("init", "-q"), ("add", "."), (*who, "commit", "-qm", "One")):
        release_base.git(*command)
    return release_base.Release(tmp_path, tmp_path / "room", {}, "1.0.0")


def test_a_clean_tree_without_a_tag_is_in_order(
    repository: release_base.Release, capsys: pytest.CaptureFixture[str]
) -> None:
    """A tag that is not there yet is said, and is no finding; one at HEAD is in order."""
    assert list(release.committed(repository)) == []
    assert "no tag v1.0.0 yet" in capsys.readouterr().out
    release_base.git("tag", "v1.0.0")
    assert list(release.committed(repository)) == []


def test_a_dirty_tree_and_a_tag_elsewhere_are_findings(repository: release_base.Release) -> None:
    """Every finding names the thing: the file, the tag and where it is."""
    release_base.git("tag", "v1.0.0")
    who = ("-c", "user.name=A", "-c", "user.email=a@example.com")
    release_base.git(*who, "commit", "-q", "--allow-empty", "-m", "Two")
    (repository.tree / "left.txt").touch()
    dirty, elsewhere = release.committed(repository)
    assert "left.txt" in dirty
    assert "the tag v1.0.0 is at" in elsewhere


def test_a_tag_of_another_version_is_a_finding(repository: release_base.Release) -> None:
    """Tagging v1.0.1 what calls itself 1.0.0 does not pass for a release without a tag."""
    release_base.git("tag", "v1.0.1")
    [wrong] = release.committed(repository)
    assert "HEAD is tagged v1.0.1" in wrong


def test_what_cannot_run_is_no_verdict(tmp_path: Path) -> None:
    """A program that fails, or is not there, is told with what it said."""
    with pytest.raises(release_base.ReleaseError, match=r"`git frobnicate` failed(.|\n)*frobn"):
        release_base.run("git", "frobnicate", cwd=tmp_path)
    with pytest.raises(release_base.ReleaseError, match="no-such-program cannot be run"):
        release_base.run("no-such-program", cwd=tmp_path)

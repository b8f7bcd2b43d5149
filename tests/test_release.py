"""Tests for scripts/release that do not build a release."""

from pathlib import Path

import pytest

from scripts.maintenance import release

GIT = ("git", "-c", "user.name=A", "-c", "user.email=a@example.com")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return a Git repository whose only commit contains version 1.0.0."""
    (tmp_path / "openapi.yaml").write_text("info:\n  version: 1.0.0\n")
    for command in (("init", "-q"), ("add", "."), ("commit", "-qm", "One")):
        release.run(*GIT, *command, cwd=tmp_path)
    return tmp_path


def test_clean_working_tree_can_be_released(repository: Path) -> None:
    """scripts/release accepts a clean working tree, whether or not the version has a tag."""
    release.check_repository(repository, "1.0.0")
    release.run("git", "tag", "v1.0.0", cwd=repository)
    release.check_repository(repository, "1.0.0")


def test_uncommitted_file_is_an_error(repository: Path) -> None:
    """scripts/release refuses to run with uncommitted files, and its error lists them."""
    (repository / "left.txt").touch()
    with pytest.raises(release.ReleaseError, match=r"left\.txt"):
        release.check_repository(repository, "1.0.0")


def test_tag_at_another_commit_is_an_error(repository: Path) -> None:
    """scripts/release refuses a version whose tag is at a commit other than HEAD."""
    release.run("git", "tag", "v1.0.0", cwd=repository)
    release.run(*GIT, "commit", "-q", "--allow-empty", "-m", "Two", cwd=repository)
    with pytest.raises(release.ReleaseError, match=r"v1\.0\.0 points to another commit"):
        release.check_repository(repository, "1.0.0")


def test_tag_of_another_version_is_an_error(repository: Path) -> None:
    """scripts/release refuses to release version 1.0.0 from a commit with the tag v1.0.1."""
    release.run("git", "tag", "v1.0.1", cwd=repository)
    with pytest.raises(release.ReleaseError, match=r"HEAD is tagged v1\.0\.1"):
        release.check_repository(repository, "1.0.0")


def test_failed_command_is_reported_with_its_output(tmp_path: Path) -> None:
    """If a command fails, the error shows the command and its output."""
    with pytest.raises(release.ReleaseError, match=r"`git frobnicate` failed:(.|\n)*frobnicate"):
        release.run("git", "frobnicate", cwd=tmp_path)


def test_missing_program_is_an_error() -> None:
    """If a program is not installed, the error names the program."""
    with pytest.raises(release.ReleaseError, match="no-such-program was not found; install it"):
        release.run("no-such-program")

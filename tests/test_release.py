"""Tests for scripts/release that do not build a release."""

from pathlib import Path

import pytest

from tests.programs import run, start_history

# Stand-ins for the programs that scripts/release runs. The version is 1.0.0; every build fails.
PROGRAMS = {
    "scripts/install": "exit",
    ".venv/bin/hatchling": "echo 1.0.0",
    ".venv/bin/uv": "echo out of memory; exit 1",
}


@pytest.mark.parametrize(
    ("commands", "problem"),
    [
        ("", "out of memory"),
        ("git tag v1.0.0", "out of memory"),
        ("touch left.txt", "?? left.txt"),
        ("git tag v1.0.0; git commit -q --allow-empty -m Two", "v1.0.0 points to another commit"),
        ("git tag v1.0.1", "HEAD is tagged v1.0.1"),
    ],
)
def test_release_requires_a_clean_tree_and_no_conflicting_tag(
    root: Path, tmp_path: Path, commands: str, problem: str
) -> None:
    """scripts/release rejects uncommitted files and a tag that contradicts the version."""
    scripts = {name: f"#!/bin/sh\n{command}\n" for name, command in PROGRAMS.items()}
    scripts["scripts/release"] = (root / "scripts" / "release").read_text("utf-8")
    for name, text in scripts.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        path.chmod(0o755)
    start_history(tmp_path)
    run("/bin/sh", "-ec", commands, cwd=tmp_path)
    assert problem in run(tmp_path / "scripts" / "release", status=1)

"""Run programs."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path


def run(
    *command: str | Path,
    status: int = 0,
    cwd: Path | None = None,
    variables: Mapping[str, str] | None = None,
) -> str:
    """Run a program, check its exit status, and return its output.

    The program inherits no variables that configure Python, pytest or the client.
    """
    __tracebackhide__ = True  # a traceback would show the values of environment variables
    environment = dict(variables or {})
    for name, value in os.environ.items():
        if not name.startswith(("FLASHBACK_", "PY")):
            environment.setdefault(name, value)
    completed = subprocess.run(
        command,
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=600,
    )
    assert completed.returncode == status, completed.stdout
    if status != 1:  # Python's exit status after an exception
        assert "Traceback" not in completed.stdout, completed.stdout
    return completed.stdout


def start_history(folder: Path) -> None:
    """Make the folder a Git repository whose only commit contains all files in the folder."""
    run("git", "init", "-q", cwd=folder)
    unsigned = ("commit.gpgsign=false", "tag.gpgsign=false")  # even if the user signs commits
    for setting in ("user.name=Test", "user.email=test@localhost", *unsigned):
        run("git", "config", *setting.split("="), cwd=folder)
    run("git", "add", "-A", cwd=folder)
    run("git", "commit", "-q", "-m", "Start", cwd=folder)

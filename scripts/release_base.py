"""What is released, environments to try it in, and the programs that are run for it."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
DIST = ROOT / "dist"
BIN = Path(sysconfig.get_path("scripts"))
PROJECT = "flashback-client"
# What runs programs for the release must not let settings of this machine change what comes out.
OURS = ("FLASHBACK_", "PYTHON", "SOURCE_DATE_EPOCH", "HATCH_")


class ReleaseError(Exception):
    """The release could not be judged; the text says why and the cure."""


@dataclass
class Release:
    """HEAD as it is committed, and room to try it."""

    tree: Path
    room: Path
    project: dict[str, Any]  # its pyproject.toml
    version: str

    @property
    def lock(self) -> Path:
        """The lock file of everything."""
        return self.tree / "scripts" / "requirements.txt"

    @property
    def extras(self) -> tuple[str, ...]:
        """The package's extras."""
        return tuple(self.project["project"]["optional-dependencies"])

    @property
    def wheel(self) -> Path:
        """The wheel, once it is built."""
        return next(DIST.glob("*.whl"))

    def install(self, where: Path, *extras: str, using: tuple[str | Path, ...]) -> Path:
        """The site-packages of a new environment with the wheel and these extras."""
        wheel = f"{PROJECT}[{','.join(extras)}] @ {self.wheel.as_uri()}"
        return environment(where, wheel, *using)


def environment(where: Path, *requirements: str | Path) -> Path:
    """The site-packages of a new environment with these: wheels only, so that none runs code."""
    uv, cwd = BIN / "uv", where.parent
    run(uv, "venv", "--quiet", "--no-project", "--python", sys.executable, where, cwd=cwd)
    options = ("--quiet", "--only-binary", ":all:", "--python", where)
    run(uv, "pip", "install", *options, *requirements, cwd=cwd)
    return next(where.glob("lib/python*/site-packages"))


def git(*arguments: str) -> bytes:
    """What git says of this repository."""
    return run("git", *arguments, cwd=ROOT)


def run(*command: str | Path, cwd: Path, **variables: str) -> bytes:
    """What the program prints. Raises ReleaseError with what it said if it fails."""
    done = attempt(*command, cwd=cwd, **variables)
    if done.returncode:
        name = " ".join([Path(command[0]).name, *map(str, command[1:3])])
        said = (done.stderr or done.stdout).decode("utf-8", "replace").rstrip()
        raise ReleaseError(f"`{name}` failed; mend what it says:\n{said}")
    return done.stdout


def attempt(
    *command: str | Path, cwd: Path, **variables: str
) -> subprocess.CompletedProcess[bytes]:
    """How the program ended."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(OURS)}
    env |= {"PYTHONDONTWRITEBYTECODE": "1", **variables}
    try:
        return subprocess.run(command, cwd=cwd, env=env, capture_output=True, check=False)
    except OSError as error:
        raise ReleaseError(f"{command[0]} cannot be run ({error}); install it") from None


def say(what: str) -> None:
    """Shows how far it is."""
    print(f"{what} ...", flush=True)

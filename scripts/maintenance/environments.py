"""Small virtual environments that hold the client and what it needs, for any Python."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from typing import TYPE_CHECKING

from packaging.requirements import Requirement

from scripts import generate

if TYPE_CHECKING:
    from pathlib import Path

RUNTIME = generate.ROOT / "runtime" / "flashback_runtime"


def create(folder: Path, python: str = sys.executable) -> str:
    """Return the Python of a new environment with the checkout's client and its dependencies."""
    subprocess.run([python, "-m", "venv", "--without-pip", folder], check=True)
    link(next(folder.glob("lib/python*/site-packages")))
    return str(folder / "bin" / "python")


def link(folder: Path) -> None:
    """Put links to the checkout's client and to its dependencies into the folder.

    They are pure Python, so links to this environment's packages serve every version.
    """
    for package in (generate.OUTPUT, RUNTIME):
        (folder / package.name).symlink_to(package)
    for name in dependencies("flashback-client") - {"flashback-client"}:
        for path in metadata.files(name) or []:
            top = path.parts[0]
            if top not in {"..", "__pycache__"} and not (folder / top).exists():
                (folder / top).symlink_to(str(metadata.distribution(name).locate_file(top)))


def dependencies(name: str) -> set[str]:
    """Return the distribution and everything that it needs without extras."""
    found = {name}
    for requirement in map(Requirement, metadata.requires(name) or []):
        marker = requirement.marker
        if not marker or marker.evaluate({"extra": ""}):
            found |= dependencies(requirement.name)
    return found

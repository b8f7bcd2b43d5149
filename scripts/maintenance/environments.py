"""Create small virtual environments that contain the client, for any Python version."""

import subprocess
import sys
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from scripts import generate

RUNTIME = generate.ROOT / "runtime" / "flashback_runtime"


def create(folder: Path, python: str = sys.executable) -> str:
    """Create an environment with the client from this checkout; return the path to its Python."""
    subprocess.run([python, "-m", "venv", "--without-pip", folder], check=True)
    link(next(folder.glob("lib/python*/site-packages")))
    return str(folder / "bin" / "python")


def link(folder: Path) -> None:
    """Link the client and its dependencies into the folder.

    The packages are pure Python, so the same files work with every Python version.
    """
    for package in (generate.OUTPUT, RUNTIME):
        (folder / package.name).symlink_to(package)
    for name in dependencies("flashback-client") - {"flashback-client"}:
        for path in metadata.files(name) or []:
            top = path.parts[0]
            if top not in {"..", "__pycache__"} and not (folder / top).exists():
                (folder / top).symlink_to(str(metadata.distribution(name).locate_file(top)))


def dependencies(name: str) -> set[str]:
    """Return the names of the distribution and of all its dependencies except extras."""
    found = {name}
    for requirement in map(Requirement, metadata.requires(name) or []):
        marker = requirement.marker
        if not marker or marker.evaluate({"extra": ""}):
            found |= dependencies(requirement.name)
    return found

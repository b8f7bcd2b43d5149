"""Create a folder that contains only the client and its dependencies."""

from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from scripts import generate

RUNTIME = generate.ROOT / "runtime" / "flashback_runtime"


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
    """Return the names of the distribution and its dependencies, excluding optional ones."""
    found = {name}
    for requirement in map(Requirement, metadata.requires(name) or []):
        marker = requirement.marker
        if not marker or marker.evaluate({"extra": ""}):
            found |= dependencies(requirement.name)
    return found

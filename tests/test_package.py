"""Tests for the wheel without extras; scripts/release tests the wheel with all extras."""

import os
import subprocess
import sys
import zipfile
from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest

import flashback_mock
from scripts.maintenance import release

UPDATE = """
import sys
from flashback_client import AiType, FlashbackClient
with FlashbackClient() as flashback:
    updated = flashback.update_ai_llm(sys.argv[1], ai_type=AiType.AWS, name="from the wheel")
print(updated.ai_llm_id)
"""


@pytest.fixture(scope="module")
def wheel(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel and return its path."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=root, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def python(wheel: Path, root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the path to Python in an environment that contains only the wheel and pytest."""
    folder = tmp_path_factory.mktemp("environment") / "venv"
    python = folder / "bin" / "python"
    lock_file = root / "scripts" / "locks" / "dev.txt"
    uv = release.BIN / "uv"
    release.run(uv, "venv", "--no-project", "--python", sys.executable, folder)
    release.run(
        uv, "pip", "install", "--python", python, "--constraint", lock_file, wheel, "pytest"
    )
    return python


def run(python: Path, *arguments: str, **variables: str) -> str:
    """Run Python without access to this repository, and return its output."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("FLASHBACK_", "PY"))
    }
    completed = subprocess.run(
        [python, "-I", *arguments],
        env={**inherited, **variables},
        cwd=python.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return completed.stdout + completed.stderr


def test_wheel_contains_the_packages_and_the_contract(wheel: Path, root: Path) -> None:
    """The wheel contains the three packages, with all files of the mock, and the contract."""
    packages = {"flashback_client", "flashback_runtime", "flashback_mock"}
    files = [path for path in (root / "mock").rglob("*") if path.is_file()]
    mock_files = {path.relative_to(root / "mock").as_posix() for path in files}
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        contract = archive.read("flashback_mock/openapi.yaml")
    assert contract == (root / "openapi.yaml").read_bytes()
    assert {f"{package}/py.typed" for package in packages} <= names
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == packages
    assert {name for name in mock_files if not name.endswith(".pyc")} <= names


def test_metadata_has_the_version_of_the_contract(wheel: Path, document: dict[str, Any]) -> None:
    """The wheel has the same version as the contract, and requires exactly four packages."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = message_from_bytes(archive.read(name))
    assert metadata["Version"] == document["info"]["version"]
    lines = metadata.get_all("Requires-Dist", [])
    required = {line.split(">")[0].split("<")[0] for line in lines if "extra ==" not in line}
    assert required == {"anyio", "attrs", "httpcore", "httpx"}


def test_client_updates_a_configuration(python: Path, mock: flashback_mock.Mock) -> None:
    """The client works in an environment without the `mock` extra."""
    variables = {"FLASHBACK_BASE_URL": mock.base_url, "FLASHBACK_TOKEN": mock.tokens["owner"]}
    assert run(python, "-c", UPDATE, mock.ids["main"], **variables).strip() == mock.ids["main"]
    assert mock.configuration(mock.ids["main"])["name"] == "from the wheel"


def test_mock_without_its_extra_explains_the_installation(python: Path, tmp_path: Path) -> None:
    """Without the `mock` extra, the mock's command and fixture say how to install it."""
    (tmp_path / "test_it.py").write_text("def test_it(flashback_mock): pass\n")
    command = run(python, "-m", "flashback_mock", "--help")
    fixture = run(python, "-m", "pytest", "-p", "no:cacheprovider", str(tmp_path))
    for output in (command, fixture):
        assert "requires" in output
        assert "pip install 'flashback-client[mock]'" in output
    assert "Traceback" not in command

"""The wheel, installed in an empty environment with and without the extra `mock`."""

import os
import subprocess
import sys
import zipfile
from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest

import flashback_mock

UPDATE = """
import sys
from flashback_client import AiType, FlashbackClient
with FlashbackClient() as flashback:
    updated = flashback.update_ai_llm(sys.argv[1], ai_type=AiType.AWS, name="from the wheel")
print(updated.ai_llm_id)
"""
TEST = """
from flashback_client import FlashbackClient

def test_rotation(flashback_mock):
    FlashbackClient().update_ai_llm(flashback_mock.ids["main"], secret="rotated")
    flashback_mock.assert_updated(flashback_mock.ids["main"], secret="rotated", ai_type="AWS")
"""


@pytest.fixture(scope="module")
def wheel(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the wheel, built from the repository."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=root, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def alone(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the Python of an environment with the wheel and pytest."""
    return environment(tmp_path_factory.mktemp("alone"), str(wheel))


@pytest.fixture(scope="module")
def with_mock(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the Python of an environment with pytest and the wheel, including its extra `mock`."""
    requirement = f"flashback-client[mock] @ {wheel.as_uri()}"
    return environment(tmp_path_factory.mktemp("mock"), requirement)


def environment(folder: Path, requirement: str) -> Path:
    """Return the Python of a new environment with pytest and the requirement, as locked."""
    uv = str(Path(sys.executable).parent / "uv")
    python = folder / "venv" / "bin" / "python"
    locked = Path(__file__).parents[1] / "scripts" / "locks" / "dev.txt"
    install = [uv, "pip", "install", "--python", str(python), "--constraint", str(locked)]
    for command in (
        [uv, "venv", "--no-project", "--python", sys.executable, str(folder / "venv")],
        [*install, requirement, "pytest"],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    return python


def run(python: Path, *arguments: str, **variables: str) -> str:
    """Run Python without access to this repository, and return its output."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("FLASHBACK_", "PY"))}
    done = subprocess.run(
        [python, "-I", *arguments],
        env={**inherited, **variables},
        cwd=python.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


def run_pytest(python: Path, folder: Path, test: str) -> str:
    """Run a test in an empty folder, and return the output of pytest."""
    (folder / "test_it.py").write_text(test)
    return run(python, "-m", "pytest", "-p", "no:cacheprovider", str(folder))


def test_wheel_holds_the_packages_and_the_contract(wheel: Path, root: Path) -> None:
    """The wheel contains the contract, every file of the mock, and the three packages."""
    packages = {"flashback_client", "flashback_runtime", "flashback_mock"}
    files = [path for path in (root / "mock").rglob("*") if path.is_file()]
    of_mock = {path.relative_to(root / "mock").as_posix() for path in files}
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        contract = archive.read("flashback_mock/openapi.yaml")
    assert contract == (root / "openapi.yaml").read_bytes()
    assert {f"{package}/py.typed" for package in packages} <= names
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == packages
    assert {name for name in of_mock if not name.endswith(".pyc")} <= names


def test_version_is_that_of_the_contract(wheel: Path, document: dict[str, Any]) -> None:
    """The wheel has the version of the contract, and requires four packages without extras."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = message_from_bytes(archive.read(name))
    assert metadata["Version"] == document["info"]["version"]
    lines = metadata.get_all("Requires-Dist", [])
    needed = {line.split(">")[0].split("<")[0] for line in lines if "extra ==" not in line}
    assert needed == {"anyio", "attrs", "httpcore", "httpx"}


def test_client_alone_updates_a_configuration(alone: Path, mock: flashback_mock.Mock) -> None:
    """The client works without extras."""
    variables = {"FLASHBACK_BASE_URL": mock.base_url, "FLASHBACK_TOKEN": mock.tokens["owner"]}
    assert run(alone, "-c", UPDATE, mock.ids["main"], **variables).strip() == mock.ids["main"]
    assert mock.configuration(mock.ids["main"])["name"] == "from the wheel"


def test_mock_without_its_extra_says_how_to_install_it(alone: Path, tmp_path: Path) -> None:
    """Without the extra, the command and the pytest fixture say how to install it."""
    for printed in (
        run(alone, "-m", "flashback_mock", "--help"),
        run_pytest(alone, tmp_path, TEST),
    ):
        assert "needs" in printed
        assert "pip install 'flashback-client[mock]'" in printed
    assert "Traceback" not in run(alone, "-m", "flashback_mock", "--help")


def test_mock_with_its_extra_runs(with_mock: Path, tmp_path: Path) -> None:
    """The command, the contract and the pytest fixture work with the extra."""
    assert "--port" in run(with_mock, "-m", "flashback_mock", "--help")
    found = "from flashback_mock.contract import default_path; print(default_path())"
    assert run(with_mock, "-c", found).strip().endswith("flashback_mock/openapi.yaml")
    assert "1 passed" in run_pytest(with_mock, tmp_path, TEST.replace(', ai_type="AWS"', ""))
    assert "aiType: expected 'AWS', got 'OPENAI'" in run_pytest(with_mock, tmp_path, TEST)

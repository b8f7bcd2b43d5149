"""Install the wheel in an empty environment, with and without the `mock` extra."""

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
    """Build the wheel from the repository, and return its path."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=root, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def without_mock(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the interpreter of an environment that contains the wheel and pytest."""
    return create_environment(tmp_path_factory.mktemp("client"), str(wheel))


@pytest.fixture(scope="module")
def with_mock(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the interpreter of an environment that contains the wheel with the `mock` extra."""
    requirement = f"flashback-client[mock] @ {wheel.as_uri()}"
    return create_environment(tmp_path_factory.mktemp("mock"), requirement)


def create_environment(folder: Path, requirement: str) -> Path:
    """Install the requirement and pytest in a new environment, and return its interpreter."""
    uv = str(Path(sys.executable).parent / "uv")
    python = folder / "venv" / "bin" / "python"
    lock_file = Path(__file__).parents[1] / "scripts" / "locks" / "dev.txt"
    install = [uv, "pip", "install", "--python", str(python), "--constraint", str(lock_file)]
    for command in (
        [uv, "venv", "--no-project", "--python", sys.executable, str(folder / "venv")],
        [*install, requirement, "pytest"],
    ):
        completed = subprocess.run(command, capture_output=True, text=True, check=False)
        assert completed.returncode == 0, completed.stderr
    return python


def run(python: Path, *arguments: str, **variables: str) -> str:
    """Run Python in isolation from this repository, and return its output."""
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


def run_pytest(python: Path, folder: Path, test: str) -> str:
    """Write a test to a folder, run it with pytest, and return pytest's output."""
    (folder / "test_it.py").write_text(test)
    return run(python, "-m", "pytest", "-p", "no:cacheprovider", str(folder))


def test_wheel_contains_the_packages_and_the_contract(wheel: Path, root: Path) -> None:
    """The wheel contains three packages, all files in mock/, and the contract."""
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
    """The wheel's version matches the contract's, and it has exactly four required dependencies."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = message_from_bytes(archive.read(name))
    assert metadata["Version"] == document["info"]["version"]
    lines = metadata.get_all("Requires-Dist", [])
    required = {line.split(">")[0].split("<")[0] for line in lines if "extra ==" not in line}
    assert required == {"anyio", "attrs", "httpcore", "httpx"}


def test_client_without_mock_updates_a_configuration(
    without_mock: Path, mock: flashback_mock.Mock
) -> None:
    """The client works in an environment without the `mock` extra."""
    variables = {"FLASHBACK_BASE_URL": mock.base_url, "FLASHBACK_TOKEN": mock.tokens["owner"]}
    assert (
        run(without_mock, "-c", UPDATE, mock.ids["main"], **variables).strip() == mock.ids["main"]
    )
    assert mock.configuration(mock.ids["main"])["name"] == "from the wheel"


def test_mock_without_its_extra_explains_the_installation(
    without_mock: Path, tmp_path: Path
) -> None:
    """Without the `mock` extra, the mock's command and fixture say how to install it."""
    for output in (
        run(without_mock, "-m", "flashback_mock", "--help"),
        run_pytest(without_mock, tmp_path, TEST),
    ):
        assert "requires" in output
        assert "pip install 'flashback-client[mock]'" in output
    assert "Traceback" not in run(without_mock, "-m", "flashback_mock", "--help")


def test_mock_with_its_extra_works(with_mock: Path, tmp_path: Path) -> None:
    """With the `mock` extra, the mock's command and fixture work, and it finds the contract."""
    assert "--port" in run(with_mock, "-m", "flashback_mock", "--help")
    print_path = "from flashback_mock.contract import default_path; print(default_path())"
    assert run(with_mock, "-c", print_path).strip().endswith("flashback_mock/openapi.yaml")
    assert "1 passed" in run_pytest(with_mock, tmp_path, TEST.replace(', ai_type="AWS"', ""))
    assert "aiType: expected 'AWS', got 'OPENAI'" in run_pytest(with_mock, tmp_path, TEST)

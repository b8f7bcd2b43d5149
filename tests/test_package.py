"""Tests for the wheel without extras; scripts/release tests the wheel with all extras."""

import sys
import zipfile
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

import flashback_mock
from tests.programs import run

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
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=root)
    [wheel] = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def python(wheel: Path, root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the path to Python in an environment that contains only the wheel and pytest."""
    folder = tmp_path_factory.mktemp("environment") / "venv"
    python = folder / "bin" / "python"
    uv = Path(sys.executable).with_name("uv")
    run(uv, "venv", "--no-project", "--python", sys.executable, folder)
    install = (uv, "pip", "install", "--python", python)
    run(*install, "--constraint", root / "scripts" / "locks" / "dev.txt", wheel, "pytest")
    return python


def test_wheel_contains_the_packages_and_the_contract(wheel: Path, root: Path) -> None:
    """The wheel contains the contract, every file of the three packages, and nothing else."""
    expected = {"flashback_mock/openapi.yaml"}
    for folder in (root / "generated", root / "runtime", root / "mock"):
        for path in folder.rglob("*"):
            if path.is_file() and path.suffix != ".pyc":
                expected.add(path.relative_to(folder).as_posix())
    with zipfile.ZipFile(wheel) as archive:
        found = {name for name in archive.namelist() if ".dist-info/" not in name}
        contract = archive.read("flashback_mock/openapi.yaml")
    assert found == expected
    assert contract == (root / "openapi.yaml").read_bytes()


def test_metadata_has_the_version_of_the_contract(wheel: Path, document: dict[str, Any]) -> None:
    """The wheel has the same version as the contract and requires exactly four packages."""
    [distribution] = metadata.distributions(path=[str(wheel)])
    assert distribution.version == document["info"]["version"]
    required: set[str] = set()
    for line in distribution.requires or []:
        requirement = Requirement(line)
        if not requirement.marker:
            required.add(requirement.name)
    assert required == {"anyio", "attrs", "httpcore", "httpx"}


def test_client_updates_a_configuration(python: Path, mock: flashback_mock.Mock) -> None:
    """The client works in an environment without the `mock` extra."""
    variables = {"FLASHBACK_BASE_URL": mock.base_url, "FLASHBACK_TOKEN": mock.tokens["owner"]}
    output = run(python, "-I", "-c", UPDATE, mock.ids["main"], variables=variables)
    assert output.strip() == mock.ids["main"]
    assert mock.configuration(mock.ids["main"])["name"] == "from the wheel"


def test_mock_says_how_to_install_a_missing_extra(python: Path, tmp_path: Path) -> None:
    """Without the `mock` extra, the mock's command and fixture say how to install the extra."""
    (tmp_path / "test_it.py").write_text("def test_it(flashback_mock): pass\n")
    command = run(python, "-I", "-m", "flashback_mock", "--help", status=1)
    pytest_command = (python, "-I", "-m", "pytest", "-p", "no:cacheprovider")
    fixture = run(*pytest_command, status=1, cwd=tmp_path)
    for output in (command, fixture):
        assert "requires" in output
        assert "pip install 'flashback-client[mock]'" in output
    assert "Traceback" not in command

"""The wheel, alone in an empty environment, is the client, and with its extra the mock."""

import os
import subprocess
import sys
import zipfile
from email import message_from_bytes
from pathlib import Path
from typing import Any

import flashback_mock
import pytest

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


@pytest.fixture(scope="session")
def wheel(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the repository."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=root, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an empty environment."""
    folder = tmp_path_factory.mktemp("empty") / "venv"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    return folder / "bin" / "python"


def install(python: Path, *what: str) -> None:
    """Install into an environment, at the locked versions, as a user of pip would."""
    locked = Path(__file__).parents[1] / "scripts" / "locks" / "dev.txt"
    versions = [line.split(" ")[0] for line in locked.read_text().splitlines() if "==" in line]
    constraints = python.parents[1] / "constraints.txt"
    constraints.write_text("\n".join(versions))
    command = [str(python), "-m", "pip", "-qq", "install", "-c", str(constraints), *what]
    subprocess.run(command, check=True, capture_output=True)


def run(python: Path, *arguments: str, **variables: str) -> str:
    """What Python prints, with nothing of this repository within its reach."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("FLASHBACK_", "PYTHON"))}
    done = subprocess.run(
        [python, "-I", *arguments],
        env={**inherited, **variables},
        cwd=python.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def run_pytest(python: Path, test: str) -> str:
    """What pytest says of a test in an empty folder."""
    folder = python.parents[2] / "test"
    folder.mkdir(exist_ok=True)
    (folder / "test_it.py").write_text(test)
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("PY", "FLASHBACK_"))}
    command = [str(python), "-m", "pytest"]
    done = subprocess.run(
        command, cwd=folder, env=inherited, capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr


def test_wheel_holds_both_packages_and_the_contract(wheel: Path, root: Path) -> None:
    """The wheel holds the client with its type marker, the mock, and the contract's very bytes."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        wanted = {"flashback_client/py.typed", "flashback_mock/py.typed"}
        wanted |= {"flashback_mock/page/index.html", "flashback_mock/fixtures.schema.json"}
        assert wanted <= set(names)
        assert {name.split("/")[0].split("-")[0] for name in names} == {
            "flashback_client",
            "flashback_mock",
        }
        assert archive.read("flashback_mock/openapi.yaml") == (root / "openapi.yaml").read_bytes()


def test_version_is_the_contracts(wheel: Path, document: dict[str, Any]) -> None:
    """The package's version is info.version; its dependencies are httpx, attrs, and one more."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        metadata = message_from_bytes(archive.read(name))
    assert metadata["Version"] == document["info"]["version"]
    needed = [line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line]
    assert len(needed) <= 3
    assert {line.split(">")[0].split("<")[0] for line in needed} >= {"httpx", "attrs"}


def test_client_alone_updates_a_configuration(
    wheel: Path, empty: Path, mock: flashback_mock.Mock
) -> None:
    """Installed alone, the client updates a configuration; with the extra come mock and fixture.

    Without it both say how to install it.
    """
    install(empty, str(wheel), "pytest")
    variables = {"FLASHBACK_BASE_URL": mock.base_url, "FLASHBACK_TOKEN": mock.tokens["owner"]}
    assert run(empty, "-c", UPDATE, mock.ids["main"], **variables).strip() == mock.ids["main"]
    assert mock.configuration(mock.ids["main"])["name"] == "from the wheel"
    with pytest.raises(subprocess.CalledProcessError) as refused:
        run(empty, "-m", "flashback_mock", "--help")
    assert "flashback-client[mock]" in refused.value.stderr
    assert "Traceback" not in refused.value.stderr
    missing = run_pytest(empty, TEST)
    assert "needs" in missing
    assert "pip install 'flashback-client[mock]'" in missing
    install(empty, f"flashback-client[mock] @ {wheel.as_uri()}")
    assert "1 passed" in run_pytest(empty, TEST.replace(', ai_type="AWS"', ""))
    assert "E         aiType: is 'OPENAI', expected 'AWS'" in run_pytest(empty, TEST)
    assert "--port" in run(empty, "-m", "flashback_mock", "--help")
    found = "from flashback_mock.contract import default_path; print(default_path())"
    assert run(empty, "-c", found).strip().endswith("flashback_mock/openapi.yaml")

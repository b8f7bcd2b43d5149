"""The package as others install it: typed for their checkers, working on their Pythons."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from scripts import generate
from scripts.maintenance import environments
from tests.client.wire import Request, answer, serving

if TYPE_CHECKING:
    import socket

HERE = Path(__file__).parent
BIN = Path(sys.executable).parent
# Everything a newer Python could break: import, both clients, errors, pickles, a real socket.
SMOKE = """
import asyncio, pickle, sys
from flashback_client import AsyncFlashbackClient, FlashbackClient, UNSET, errors
from flashback_client.models import UpdateAiLlmRequest

url = sys.argv[1]
async def awaited():
    async with AsyncFlashbackClient("tok", base_url=url) as client:
        return await client.update_ai_llm("a", secret="hush")
with FlashbackClient("tok", base_url=url, max_retries=0) as client:
    assert client.update_ai_llm("a", ai_type="AWS", name=UNSET).success is True
    assert asyncio.run(awaited()).success is True
    try:
        client.update_ai_llm("gone", key="hush")
    except errors.NotFoundError as error:
        again = pickle.loads(pickle.dumps(error))
        assert (str(again), again.body) == (str(error), error.body)
    for wrong in ({"name": None}, {"secret": ""}, {"ai_type": "x"}, {"endpoint": "x"}):
        try:
            client.update_ai_llm("a", **wrong)
        except errors.ArgumentError:
            continue
        raise AssertionError(wrong)
body = pickle.loads(pickle.dumps(UpdateAiLlmRequest(secret="hush")))
assert body.to_dict() == {"secret": "hush"} and "hush" not in repr(body)
print(sys.version_info[:2])
"""


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """An environment with only the package and its dependencies."""
    environments.create(tmp_path / "env")
    return tmp_path / "env"


def checked(program: str, *arguments: str, cwd: Path, path: Path | None = None) -> str:
    """What a type checker says about somebody else's project."""
    env = {**os.environ, "PATH": f"{path or BIN}{os.pathsep}{os.environ['PATH']}"}
    command = [str(BIN / program), *arguments]
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_mypy_strict_accepts_package_and_consumer(tmp_path: Path, installed: Path) -> None:
    """No error and no ignore, with mypy's own strict settings."""
    (tmp_path / "consumer.py").write_text((HERE / "consumer.py").read_text("utf-8"))
    python = str(installed / "bin" / "python")
    checked("mypy", "--strict", "--python-executable", python, "consumer.py", cwd=tmp_path)
    folders = (str(generate.OUTPUT), str(generate.RUNTIME))
    checked("mypy", "--strict", *folders, cwd=tmp_path)


def test_basedpyright_strict_accepts_package_and_consumer(tmp_path: Path, installed: Path) -> None:
    """No error, no warning and no ignore, in basedpyright's strict mode."""
    (tmp_path / "consumer.py").write_text((HERE / "consumer.py").read_text("utf-8"))
    for folder in (generate.OUTPUT, generate.RUNTIME):
        (tmp_path / folder.name).symlink_to(folder)
    config = (
        '{"typeCheckingMode": "strict", "failOnWarnings": true, "venvPath": ".", "venv": "env"}'
    )
    (tmp_path / "pyrightconfig.json").write_text(config)
    assert "0 errors, 0 warnings" in checked(
        "basedpyright", "consumer.py", "flashback_client", "flashback_runtime", cwd=tmp_path
    )
    assert installed.exists()


def test_every_public_symbol_has_a_type(tmp_path: Path, installed: Path) -> None:
    """`basedpyright --verifytypes` says 100 %."""
    output = checked(
        *("basedpyright", "--verifytypes", "flashback_client", "--ignoreexternal"),
        cwd=tmp_path,
        path=installed / "bin",
    )
    assert "Type completeness score: 100%" in output


def test_package_ignores_no_type_checker() -> None:
    """Neither generated code nor runtime has a `type: ignore`."""
    folders = (generate.OUTPUT, generate.RUNTIME)
    texts = [path.read_text("utf-8") for folder in folders for path in folder.rglob("*.py")]
    assert [text for text in texts if "type: ignore" in text or "pyright: ignore" in text] == []


def pythons() -> list[str]:
    """The newer Pythons to try."""
    return ["python3.11", "python3.12", "python3.13", "python3.14"]


def found(name: str) -> str | None:
    """The program of that name that runs: on PATH, or where pyenv keeps its versions."""
    version = name.removeprefix("python")
    kept = sorted((Path.home() / ".pyenv" / "versions").glob(f"{version}.*/bin/{name}"))
    for program in [name, *map(str, kept)]:
        try:
            subprocess.run([program, "-c", "import venv"], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            continue
        return program
    return None


@pytest.mark.parametrize("name", pythons())
def test_client_works_on(name: str, tmp_path: Path) -> None:
    """Every Python from 3.11 on that is installed here runs the client, warnings being errors."""
    program = found(name)
    if program is None:
        pytest.skip(f"{name} is not installed; put one on PATH to have it tested")
    python = environments.create(tmp_path / "env", program)

    def behave(connection: socket.socket, request: Request, _: int) -> None:
        gone = request.target.endswith("gone")
        connection.sendall(answer(404 if gone else 200, {"success": not gone}))

    with serving(behave) as wire:
        command = [python, "-W", "error", "-c", SMOKE, wire.url]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    version = tuple(map(int, name.removeprefix("python").split(".")))
    assert (done.stderr, done.stdout.strip()) == ("", str(version))

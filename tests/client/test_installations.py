"""The installed package passes strict type checkers and runs on every supported Python."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from scripts import generate
from scripts.maintenance import environments
from tests.client.wire import Request, answer, serving
from tests.test_generate import write_extended_contract

if TYPE_CHECKING:
    import socket

HERE = Path(__file__).parent
BIN = Path(sys.executable).parent
# What a newer Python could break: the import, both clients, errors, pickles, sockets.
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


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project that uses the client, with a client generated from another contract."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copy(HERE / "consumer.py", folder)
    generate.generate(write_extended_contract(folder), folder / "second_client")
    (folder / "pyrightconfig.json").write_text('{"typeCheckingMode": "strict"}')
    return folder


@pytest.mark.parametrize(
    "command",
    [("mypy", "--strict", "--cache-dir", os.devnull), ("basedpyright", "--warnings")],
    ids=["mypy", "basedpyright"],
)
def test_strict_type_checker_accepts(project: Path, command: tuple[str, ...]) -> None:
    """Code that uses the client passes in strict mode; scripts/check checks the package itself."""
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [str(BIN / command[0]), *command[1:], "consumer.py", "second_client"],
        cwd=project,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_package_has_no_ignore_comments() -> None:
    """Neither the generated code nor the runtime tells a type checker to ignore a line."""
    folders = (generate.OUTPUT, generate.RUNTIME)
    texts = [path.read_text("utf-8") for folder in folders for path in folder.rglob("*.py")]
    assert [text for text in texts if "type: ignore" in text or "pyright: ignore" in text] == []


def found(name: str) -> str | None:
    """Return the program with this name that works, from PATH or pyenv."""
    version = name.removeprefix("python")
    kept = sorted((Path.home() / ".pyenv" / "versions").glob(f"{version}.*/bin/{name}"))
    for program in [name, *map(str, kept)]:
        try:
            subprocess.run([program, "-c", ""], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            continue
        return program
    return None


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that contains only the client and its dependencies."""
    folder = tmp_path_factory.mktemp("packages")
    environments.link(folder)
    return folder


@pytest.mark.parametrize("name", ["python3.11", "python3.12", "python3.13", "python3.14"])
def test_client_works_on(name: str, packages: Path) -> None:
    """The client works without warnings on this version of Python."""
    program = found(name)
    if program is None:
        pytest.skip(f"{name} is not installed; put one on PATH to have it tested")

    def behave(connection: socket.socket, request: Request, number: int) -> None:
        status = 404 if request.target.endswith("gone") else 200
        # The client logs the retry after a 500, but must print nothing.
        status = 500 if number == 1 else status
        connection.sendall(answer(status, {"success": status == 200}))

    with serving(behave) as wire:
        command = [program, "-s", "-P", "-W", "error", "-c", SMOKE, wire.url]
        env = {"PYTHONPATH": str(packages), "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(
            command, env=env, capture_output=True, text=True, check=False, timeout=60
        )
    version = tuple(map(int, name.removeprefix("python").split(".")))
    assert (done.stderr, done.stdout.strip()) == ("", str(version))

"""The installed package passes strict type checking and works on every supported Python version."""

import os
import shutil
import sys
import sysconfig
from pathlib import Path

import pytest

import flashback_runtime
from scripts import generate
from tests.client.support import OK
from tests.client.test_reference import EXAMPLES
from tests.client.wire import http_response, serving
from tests.programs import run
from tests.test_generate import KEYS

HERE = Path(__file__).parent
BIN = Path(sys.executable).parent
# A script that uses the features that a new Python version is most likely to break.
SMOKE = """
import asyncio, pickle, sys
sys.modules["click"] = None  # if click is installed, httpx imports more modules
from flashback_client import AsyncFlashbackClient, FlashbackClient, UNSET, errors
from flashback_client.models import UpdateAiLlmRequest

url = sys.argv[1]
async def awaited():
    async with AsyncFlashbackClient("tok", base_url=url) as client:
        loaded = set(sys.modules)
        assert "html" in loaded
        updated = await client.update_ai_llm("a", secret="hush")
        assert sys.modules.keys() == loaded  # an import would block the event loop
        return updated
with FlashbackClient("tok", base_url=url, max_retries=0) as client:
    assert client.update_ai_llm("a", ai_type="AWS", name=UNSET).success is True
    assert asyncio.run(awaited()).success is True
    try:
        client.update_ai_llm("gone", key="hush")
    except errors.NotFoundError as error:
        again = pickle.loads(pickle.dumps(error))
        assert (str(again), again.body) == (str(error), error.body)
    try:
        client.update_ai_llm("a", ai_type="x")
    except errors.ArgumentError as error:
        assert error.field == "ai_type"
body = pickle.loads(pickle.dumps(UpdateAiLlmRequest(secret="hush")))
assert body.to_dict() == {"secret": "hush"} and "hush" not in repr(body)
print(*sys.version_info[:2], sep='.')
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Create a project with consumer.py, the examples and a client for another contract."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copy(HERE / "consumer.py", folder)
    (folder / "examples").mkdir()
    names = "config = 'id'\ntokens = {'acme': 'token'}\n"
    for number, example in enumerate(EXAMPLES):
        (folder / "examples" / f"example_{number}.py").write_text(names + example, "utf-8")
    generate.generate(KEYS, folder / "second_client")
    (folder / "pyrightconfig.json").write_text('{"typeCheckingMode": "strict"}')
    return folder


@pytest.mark.parametrize(
    "command",
    [("mypy", "--strict", "--cache-dir", os.devnull), ("basedpyright", "--warnings")],
    ids=["mypy", "basedpyright"],
)
def test_strict_type_checking_passes(
    project: Path, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Strict type checking passes for consumer.py, docs/client.md and a second generated client."""
    monkeypatch.setenv("PATH", str(BIN), prepend=os.pathsep)
    run(*command, "consumer.py", "examples", "second_client", cwd=project)


@pytest.mark.parametrize("name", ["python3.11", "python3.12", "python3.13", "python3.14"])
def test_client_works_on_python(name: str) -> None:
    """The client works without warnings on this Python version."""
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed; add it to PATH to run this test")

    # The client logs its retry after the 500 but must not write to stdout or stderr.
    with serving(OK, http_response(500), OK, http_response(404)) as server:
        # The packages are pure Python, so the same files work with every Python version.
        runtime = Path(flashback_runtime.__file__).parents[1]
        paths = (sysconfig.get_path("purelib"), generate.OUTPUT.parent, runtime)
        version = name.removeprefix("python")
        variables = {
            "PYTHONPATH": os.pathsep.join(map(str, paths)),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYENV_VERSION": version,  # without it, pyenv runs only its default version
        }
        options = ("-s", "-P", "-W", "error")
        output = run(name, *options, "-c", SMOKE, server.url, variables=variables)
    assert output == f"{version}\n"

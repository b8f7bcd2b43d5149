"""What the README tells people to run does what it says."""

import os
import re
import subprocess
import sys
from pathlib import Path

import flashback_mock
import pytest

from tests.mock.wire import welcome_of


def examples(root: Path, language: str) -> list[str]:
    """The README's examples in a language."""
    return re.findall(rf"(?s)```{language}\n(.*?)```", (root / "README.md").read_text("utf-8"))


def test_client_example_rotates_the_secret(root: Path, mock: flashback_mock.Mock) -> None:
    """The README's client example, as it stands, rotates the secret on the mock."""
    example = examples(root, "python")[0]
    variables = {
        "FLASHBACK_BASE_URL": mock.base_url,
        "FLASHBACK_TOKEN": mock.tokens["owner"],
        "NEW_SECRET": "rotated-by-the-readme",
    }
    done = subprocess.run(
        [sys.executable, "-c", example],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert mock.reveals(mock.ids["main"], secret="rotated-by-the-readme")


def test_test_example_is_one_that_runs(root: Path) -> None:
    """The README's example of a test is, word for word, one of the example's own tests."""
    tests = (root / "examples" / "rotation" / "test_rotate.py").read_text("utf-8")
    assert examples(root, "python")[1] in tests


@pytest.mark.usefixtures("curl")
def test_curl_sample_updates_the_mock(root: Path, mock: flashback_mock.Mock) -> None:
    """The README's curl line, aimed at the mock's port, answers success."""
    sample = next(text for text in examples(root, "sh") if text.startswith("curl "))
    line = sample.replace("http://127.0.0.1:4010", mock.base_url)
    done = subprocess.run(["/bin/sh", "-c", line], capture_output=True, text=True, check=True)
    assert '"success":true' in done.stdout
    assert mock.configuration(mock.ids["main"])["name"] == "Updated OpenAI Config"


@pytest.mark.usefixtures("curl")
def test_admin_samples_do_what_they_say(root: Path, mock: flashback_mock.Mock) -> None:
    """The README's lines for `/__admin`, aimed at the mock's port, are all carried out."""
    sample = next(text for text in examples(root, "sh") if text.startswith("mock="))
    script = sample.replace("http://127.0.0.1:4010", mock.base_url).replace("curl", "curl -sSf")
    planned, reset, requests, count, added, done = subprocess.run(
        ["/bin/sh", "-euc", script.replace("\ncurl", "\necho; curl")],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\n")[1:]
    assert planned == '{"fixedDelay":0.0,"planned":2}'
    assert reset == '{"fixedDelay":5.0,"planned":3}'
    assert (requests, count) == ('{"requests":[],"total":0}', '{"count":0}')
    assert '"name":"One more"' in added
    assert done == '{"status":"ok"}'


def test_fixtures_of_ones_own_are_served_and_kept(root: Path, tmp_path: Path) -> None:
    """The README's two lines make a file of fixtures, and a mock that serves and stores them."""
    sample = next(text for text in examples(root, "sh") if "--print-fixtures" in text)
    script = sample.replace("./scripts/mock", f"exec {root}/scripts/mock --port 0", 2)
    script = script.replace("exec ", "", 1)
    variables = {**os.environ, "HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path / "data")}
    command = ["/bin/sh", "-euc", script]
    with subprocess.Popen(
        command, cwd=tmp_path, env=variables, stdout=subprocess.PIPE, text=True
    ) as process:
        welcome = welcome_of(process)
        process.terminate()
    assert "state.db" in welcome
    assert "owner-token" in welcome
    assert {"fixtures.yaml", "state.db"} <= {file.name for file in tmp_path.iterdir()}


def test_files_that_the_readme_links_exist(root: Path) -> None:
    """Every relative link of the README and of .github leads to a file."""
    for page in (root / "README.md", *(root / ".github").glob("*.md")):
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_scripts_that_the_readme_names_exist(root: Path) -> None:
    """Every script that the README names is there to run."""
    named = set(re.findall(r"\./(scripts/[a-z]+)", (root / "README.md").read_text("utf-8")))
    assert {"scripts/contract", "scripts/test"} <= named
    for name in named:
        assert os.access(root / name, os.X_OK), name

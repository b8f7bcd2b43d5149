"""What the README tells people to run does what it says."""

import os
import re
import subprocess
import sys
from pathlib import Path

import flashback_mock
import pytest


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
